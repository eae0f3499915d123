//! The file system without FUSE: plain arguments in, attributes, bytes or a typed error out.
//!
//! Its operations are in the files named after them. Every one is safe to call from any number of threads; none holds
//! a lock while it decodes, reads a disk or waits.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::id::{CommitId, RecipeId};
use crate::recipe::Recipe;
use crate::repo::{Attributes, BranchName, Head, Invalidation, Name, NodeId, Repo, TagName, Tenant, Tree};
use crate::units::Timestamp;

use super::attr::Lifetime;
use super::errno::{Error, Result};
use super::handle::Handles;
use super::history::History;
use super::ingest_queue::IngestQueue;
use super::inode::{Identity, Inodes};
use super::io::CachedContent;
use super::moving::MovingNames;
use super::place::{Place, SnapshotDir};
use super::tensors::TensorNames;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Tells the kernel at once which names it must forget.
pub type Teller = Box<dyn Fn() + Send + Sync>;

/// Who changes the repository through a mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Author {
    /// The person's name.
    pub name: String,
    /// The person's address; may be empty.
    pub email: String,
    /// Minutes east of UTC where the person is.
    pub offset_minutes: i16,
}

/// What a file system needs to know beside its repository.
#[derive(Clone)]
pub struct Settings {
    /// What it shows.
    pub view: View,
    /// Who makes its commits.
    pub author: Author,
    /// Tells the time.
    pub clock: Clock,
    /// Whether large files are stored as soon as they are complete, by a thread of its own.
    pub background_ingest: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Every ref, commit, tensor and worktree.
    All,
    /// One read-only tree, as the revision was when it was mounted.
    Snapshot {
        /// What to show, as for `coral show`.
        revision: String,
        /// A directory in it; empty for the whole.
        folder: String,
    },
    /// One writable tree.
    Worktree(BranchName),
}

/// The mode of directories that we made up.
pub(super) const FOLDER_MODE: u32 = 0o555;

/// The file system of one mount.
pub struct FileSystem {
    pub(super) repo: Repo,
    pub(super) inodes: Inodes,
    pub(super) handles: Handles,
    pub(super) history: History,
    pub(super) tensor_names: TensorNames,
    pub(super) moving_names: MovingNames,
    worktrees: Mutex<HashMap<BranchName, Arc<Tenant>>>,
    /// Asks for the kernel to be told; set by whoever can.
    teller: OnceLock<Teller>,
    stored_lens: Mutex<HashMap<RecipeId, u64>>,
    pub(super) cached_content: CachedContent,
    pub(super) ingest: IngestQueue,
    pub(super) view: View,
    pub(super) author: Author,
    clock: Clock,
    /// When the mount began: the time of the directories that we made up.
    pub(super) started: Timestamp,
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSystem").field("repo", &self.repo).finish_non_exhaustive()
    }
}

impl FileSystem {
    /// The file system that shows a repository.
    ///
    /// # Errors
    /// If the view names a revision, folder or branch that does not exist.
    pub fn new(repo: Repo, settings: Settings) -> Result<Self> {
        let Settings { view, author, clock, background_ingest } = settings;
        let started = clock();
        let root = root_place(&repo, &view, started)?;
        let ingest = match background_ingest {
            true => IngestQueue::start().map_err(|error| Error::Background(error.to_string()))?,
            false => IngestQueue::idle(),
        };
        let this = Self {
            inodes: Inodes::new(root),
            handles: Handles::default(),
            history: History::default(),
            tensor_names: TensorNames::default(),
            moving_names: MovingNames::default(),
            worktrees: Mutex::default(),
            teller: OnceLock::new(),
            stored_lens: Mutex::default(),
            cached_content: CachedContent::default(),
            ingest,
            view,
            author,
            clock,
            started,
            repo,
        };
        if let View::Worktree(branch) = &this.view {
            this.worktree(branch)?;
        }
        Ok(this)
    }

    /// The repository that is shown.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What an inode number stands for.
    pub(super) fn place(&self, ino: u64) -> Result<Arc<Place>> {
        self.inodes.find(ino).ok_or(Error::Repo(crate::repo::Error::Stale))
    }

    /// The worktree of a branch, opened at first use and kept.
    pub(super) fn worktree(&self, branch: &BranchName) -> Result<Arc<Tenant>> {
        let mut worktrees = self.worktrees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worktree) = worktrees.get(branch) {
            return Ok(Arc::clone(worktree));
        }
        let (tenant, _) = self.repo.worktree(branch)?.adopt()?;
        let worktree = Arc::new(tenant);
        worktrees.insert(branch.clone(), Arc::clone(&worktree));
        Ok(worktree)
    }

    /// The worktrees that somebody looked into.
    pub(super) fn open_worktrees(&self) -> Vec<Arc<Tenant>> {
        self.worktrees.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The worktree, if somebody looked into it before.
    pub(super) fn find_worktree(&self, branch: &BranchName) -> Option<Arc<Tenant>> {
        self.worktrees.lock().unwrap_or_else(PoisonError::into_inner).get(branch).cloned()
    }

    /// Names in worktrees whose meaning was changed by others, as the kernel knows the directories: what it cached of
    /// them is stale.
    pub fn take_stale_names(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut stale = Vec::new();
        for worktree in self.open_worktrees() {
            for Invalidation { parent, name } in worktree.take_invalidations()? {
                let place = Place::Worktree { branch: worktree.branch().clone(), node: parent };
                let parent = self.inodes.number(&Identity::Place(Arc::new(place)));
                stale.extend(parent.map(|parent| (parent, name.as_bytes().to_vec())));
            }
        }
        Ok(stale)
    }

    /// Names of refs that the kernel may remember and that may have moved.
    pub fn take_moving_names(&self) -> Vec<(u64, Vec<u8>)> {
        self.moving_names.take(self.now())
    }

    /// Says who can tell the kernel that names moved.
    pub fn set_teller(&self, teller: Teller) {
        // There is one mount for a file system, and it says so once.
        let _ = self.teller.set(teller);
    }

    /// Lets the kernel forget names that were moved, and waits until it has.
    pub(super) fn announce(&self) {
        if let Some(teller) = self.teller.get() {
            teller();
        }
    }

    /// A file of some worktree may be complete.
    pub(super) fn settled(&self, worktree: &Arc<Tenant>) {
        self.ingest.settled(Arc::clone(worktree));
    }

    /// Why the last file could not be stored in the background, if it could not.
    pub(super) fn ingest_trouble(&self) -> Option<String> {
        self.ingest.trouble()
    }

    /// Makes what was done in worktrees durable: the last thing before the mount goes away.
    pub fn sync(&self) -> Result<()> {
        for worktree in self.open_worktrees() {
            worktree.sync_complete()?;
            worktree.sync_records()?;
        }
        Ok(())
    }

    /// The branches that have worktrees: all that exist, and the current one though it may have no commit yet.
    pub(super) fn branch_names(&self) -> Result<Vec<BranchName>> {
        let mut names: Vec<_> = self.repo.refs().branches()?.into_iter().map(|(name, _)| name).collect();
        if let Head::Branch(current) = self.repo.refs().head()?
            && !names.contains(&current)
        {
            names.push(current);
        }
        Ok(names)
    }

    /// The top directory of a branch: empty if it is the current one and has no commit yet.
    pub(super) fn branch_dir(&self, name: &BranchName) -> Result<Option<SnapshotDir>> {
        match self.repo.refs().branch(name)? {
            Some(commit) => self.commit_dir(commit).map(Some),
            None if self.repo.refs().head()? == Head::Branch(name.clone()) => Ok(Some(SnapshotDir {
                tree: Tree::empty_id(),
                attributes: Attributes { mode: FOLDER_MODE, modified: self.started },
                commit: None,
            })),
            None => Ok(None),
        }
    }

    /// The top directory of a tag's commit.
    pub(super) fn tag_dir(&self, name: &TagName) -> Result<Option<SnapshotDir>> {
        self.repo.refs().tag(name)?.map(|tag| self.commit_dir(tag.commit)).transpose()
    }

    /// The top directory of a commit.
    pub(super) fn commit_dir(&self, id: CommitId) -> Result<SnapshotDir> {
        commit_dir(&self.repo, id)
    }

    /// The bytes that a file takes in the store; its length if that cannot be told, so that damage does not keep
    /// anyone from listing a directory.
    pub(super) fn stored_len(&self, id: RecipeId, len: u64) -> u64 {
        /// Entries are small, but a mount may live for months.
        const REMEMBERED: usize = 1 << 18;
        let known = || self.stored_lens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&stored) = known().get(&id) {
            return stored;
        }
        let measure = |recipe: Arc<Recipe>| self.repo.stored_len(&recipe);
        let Ok(stored) = self.repo.recipe(id).and_then(measure) else { return len };
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id, stored);
        stored
    }
}

fn commit_dir(repo: &Repo, id: CommitId) -> Result<SnapshotDir> {
    let commit = repo.commit(id)?;
    let attributes = Attributes { mode: 0o755, modified: commit.committer.time };
    Ok(SnapshotDir { tree: commit.tree, attributes, commit: Some(id) })
}

/// What stands at inode 1.
fn root_place(repo: &Repo, view: &View, now: Timestamp) -> Result<Place> {
    match view {
        View::All => Ok(Place::Root),
        View::Worktree(branch) => Ok(Place::Worktree { branch: branch.clone(), node: NodeId::ROOT }),
        View::Snapshot { revision, folder } => {
            let mut dir = commit_dir(repo, repo.resolve(revision, now)?)?;
            for name in folder.split('/').filter(|name| !name.is_empty()) {
                dir = child_dir(repo, &dir, &Name::new(name)?)?;
            }
            Ok(Place::Dir(dir))
        }
    }
}

fn child_dir(repo: &Repo, dir: &SnapshotDir, name: &Name) -> Result<SnapshotDir> {
    let tree = repo.tree(dir.tree)?;
    let entry = tree.find(name).ok_or(Error::NoEntry)?;
    match entry.node {
        crate::repo::Node::Dir(tree) => {
            Ok(SnapshotDir { tree, attributes: entry.attributes, commit: dir.commit })
        }
        crate::repo::Node::File { .. } | crate::repo::Node::Symlink(_) => Err(Error::NotADirectory),
    }
}

/// For how long the names in a directory hold.
pub(super) fn names_lifetime(parent: &Place) -> Lifetime {
    match parent {
        _ if parent.is_immutable() => Lifetime::Immutable,
        Place::Worktree { .. } => Lifetime::Shared,
        _ => Lifetime::Followed,
    }
}
