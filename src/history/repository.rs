//! The repository: a folder with a store, refs and worktrees, and the cached way from ids to values.

use super::commit::Commit;
use super::error::{Error, Result};
use super::format_version::{self, FORMAT, Raising};
use super::known_graph::KnownGraph;
use super::path::TreePath;
use super::refs::{BranchName, Head, Refs};
use super::tree::{Attributes, Entry, Node, Tree};
use super::two_generations::Recent;
use crate::disk::{Disk, DiskFile, FileId};
use crate::id::{CommitId, RecipeId, TreeId};
use crate::plain::PlainCopies;
use crate::random::unpredictable;
use crate::recipe::Recipe;
use crate::store::{self, Consent, Encoding, Kind, Store};
use crate::units::Timestamp;
use crate::wire::WireError;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Entries of trees, and extents of recipes, that are kept decoded.
const REMEMBERED: usize = 400_000;

/// How a repository is used.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How objects are stored and cached.
    pub store: store::Options,
    /// Bytes that plain copies of files may take on the disk; 0 for none.
    pub plain_bytes: u64,
}

/// An open repository, perhaps as somebody sees it who stands on one of its branches. Clones share everything.
#[derive(Clone)]
pub struct Repo {
    pub(super) inner: Arc<Inner>,
    /// The branch that HEAD means here, whatever the repository's own HEAD says.
    pub(super) stood_on: Option<BranchName>,
}

pub(super) struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// The file that says that this is a repository, as it was when it was opened: another one in its place is another
    /// repository.
    format: (FileId, Box<dyn DiskFile>),
    version: Arc<Raising>,
    store: Store,
    plain: PlainCopies,
    refs: Refs,
    trees: Recent<TreeId, Arc<Tree>>,
    recipes: Recent<RecipeId, Arc<Recipe>>,
    commits: Recent<CommitId, Arc<Commit>>,
    /// What is known of how commits descend from each other.
    pub(super) graph: KnownGraph,
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Repo").field(&self.inner.root).finish()
    }
}

/// A repository as long as somebody else has it open.
pub(super) struct WhileOpen(Weak<Inner>);

impl WhileOpen {
    /// That of this one.
    pub fn of(repo: &Repo) -> Self {
        Self(Arc::downgrade(&repo.inner))
    }

    /// It, if it is open still.
    pub fn get(&self) -> Option<Repo> {
        Some(Repo { inner: self.0.upgrade()?, stood_on: None })
    }
}

impl Repo {
    /// Makes a repository whose own folder is `root` (usually `.coral`), with an unborn branch, durably.
    ///
    /// # Errors
    /// [`Error::AlreadyARepository`] if there is one.
    pub fn create(disk: Arc<dyn Disk>, root: &Path, branch: &BranchName) -> Result<()> {
        if disk.stat(&root.join("format"))?.is_some() {
            return Err(Error::AlreadyARepository(root.to_owned()));
        }
        disk.create_dir_all(&root.join("worktrees"))?;
        Store::create(&*disk, root)?;
        Refs::new(disk.clone(), root).create(branch)?;
        for folder in ["refs", "logs", ""] {
            disk.sync_dir(&root.join(folder))?;
        }
        // The format file comes last: a folder without it is not a repository yet.
        let text = format!("coral {FORMAT}\nid {:032x}\n", unpredictable());
        disk.replace(&root.join("format"), text.as_bytes())?;
        match root.parent() {
            Some(around) => Ok(disk.sync_dir(around)?),
            None => Ok(()),
        }
    }

    /// Opens the repository whose own folder is `root`. Works on a read-only disk.
    ///
    /// # Errors
    /// [`Error::NotARepository`], or [`Error::NewerFormat`].
    pub fn open(disk: Arc<dyn Disk>, root: &Path, options: Options) -> Result<Self> {
        format_version::check(&*disk, root)?;
        let format = disk.open(&root.join("format"), false)?;
        // Held open, its number is given to no other file.
        let format = (format.id()?, format);
        let plain = PlainCopies::new(disk.clone(), root, options.plain_bytes, options.store.reserve_bytes);
        let version = Arc::new(Raising::of(disk.clone(), root));
        let asked = Arc::clone(&version);
        // Who may not raise it, or cannot, does without: what asks only saves room.
        let consent = Consent::of(move || asked.raise().is_ok());
        let store = Store::open(disk.clone(), root, store::Options { consent, ..options.store })?;
        let refs = Refs::new(disk.clone(), root);
        let inner = Arc::new(Inner {
            disk,
            root: root.to_owned(),
            format,
            version,
            store,
            plain,
            refs,
            trees: Recent::new(REMEMBERED),
            recipes: Recent::new(REMEMBERED),
            commits: Recent::new(REMEMBERED / 10),
            graph: KnownGraph::default(),
        });
        Ok(Self { inner, stood_on: None })
    }

    /// The same repository for somebody who stands on a branch: what HEAD means in revisions is that branch. The repository's own
    /// HEAD, which [`Refs::head`] tells, is what it was.
    #[must_use]
    pub fn standing_on(&self, branch: BranchName) -> Self {
        Self { inner: self.inner.clone(), stood_on: Some(branch) }
    }

    /// What HEAD means here: the branch that is stood on, or what the repository's own HEAD says.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn head(&self) -> Result<Head> {
        match &self.stood_on {
            Some(branch) => Ok(Head::Branch(branch.clone())),
            None => self.refs().head(),
        }
    }

    /// Whether what lies at its path is still this repository: not moved away, and no other one in its place.
    ///
    /// # Errors
    /// [`Error::Replaced`] if not: then nothing that is done to it may be acknowledged.
    pub fn check_held(&self) -> Result<()> {
        let there = self.inner.disk.stat(&self.inner.root.join("format"))?;
        match there.is_some_and(|stat| stat.id == self.inner.format.0) {
            true => Ok(()),
            false => Err(Error::Replaced(self.inner.root.clone())),
        }
    }

    /// Makes it a repository that only programs of this version read, before something is written that others cannot.
    pub(crate) fn raise_format(&self) -> Result<()> {
        self.inner.version.raise()
    }

    /// The disk that it lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.inner.disk
    }

    /// The repository's own folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Its objects.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Its plain copies.
    pub fn plain(&self) -> &PlainCopies {
        &self.inner.plain
    }

    /// Its branches, tags and HEAD.
    pub fn refs(&self) -> &Refs {
        &self.inner.refs
    }

    /// The tree of a commit; of none, the empty one.
    pub(crate) fn tree_of(&self, commit: Option<CommitId>) -> Result<TreeId> {
        Ok(commit
            .map(|commit| self.commit(commit))
            .transpose()?
            .map_or(Tree::empty_id(), |commit| commit.tree))
    }

    /// The commit with this id.
    pub fn commit(&self, id: CommitId) -> Result<Arc<Commit>> {
        self.inner.commits.get_or(id, || {
            let bytes = self.inner.store.read_meta(Kind::Commit, id.as_bytes())?;
            let commit = Commit::decode(&bytes).map_err(|source| damaged("commit", id, source))?;
            Ok((Arc::new(commit), 1))
        })
    }

    /// The recipe with this id.
    pub fn recipe(&self, id: RecipeId) -> Result<Arc<Recipe>> {
        self.inner.recipes.get_or(id, || {
            let bytes = self.inner.store.read_meta(Kind::Recipe, id.as_bytes())?;
            let recipe = Recipe::decode(&bytes).map_err(|source| damaged("recipe", id, source))?;
            let weight = recipe.extents().len() + recipe.table().len() + 1;
            Ok((Arc::new(recipe), weight))
        })
    }

    /// What is at a path below a tree; `None` if nothing is.
    pub fn find_in_tree(&self, tree: TreeId, path: &TreePath) -> Result<Option<Entry>> {
        let mut entry = root_entry(tree);
        for name in path.names() {
            let Node::Dir(dir) = entry.node else { return Ok(None) };
            match self.tree(dir)?.find(name) {
                Some(found) => entry = found.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// The tree with this id.
    pub fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        if id == Tree::empty_id() {
            return Ok(Arc::default());
        }
        self.inner.trees.get_or(id, || {
            let bytes = self.inner.store.read_meta(Kind::Tree, id.as_bytes())?;
            let tree = Tree::decode(&bytes).map_err(|source| damaged("tree", id, source))?;
            let weight = tree.entries().len() + 1;
            Ok((Arc::new(tree), weight))
        })
    }
}

/// The bytes that a file takes in a store: its distinct objects, shared or not. Decodes nothing.
pub fn stored_len(store: &Store, recipe: &Recipe) -> Result<u64> {
    Ok(stored(store, recipe)?.0)
}

/// The same, and whether some of it lies there as it was saved.
pub fn stored(store: &Store, recipe: &Recipe) -> Result<(u64, bool)> {
    let keys: HashSet<_> = recipe.keys().collect();
    let (mut sum, mut is_raw) = (0, false);
    for key in keys {
        if let Some(info) = store.info(key)? {
            sum += info.stored_len;
            is_raw |= info.encoding == Encoding::Raw;
        }
    }
    Ok((sum, is_raw))
}

/// The root directory of a tree as an entry, for looking up the empty path.
pub(super) fn root_entry(tree: TreeId) -> Entry {
    // The name is never shown: nothing leads to a root by name.
    let name = super::path::Name::new("root").expect("a constant");
    let attributes = Attributes { mode: 0o755, modified: Timestamp::EPOCH };
    Entry { name, attributes, node: Node::Dir(tree) }
}

pub(super) fn damaged(kind: &str, id: impl std::fmt::Display, source: WireError) -> Error {
    Error::Damaged { what: format!("{kind} {id}"), source }
}
