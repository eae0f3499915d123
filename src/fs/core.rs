//! The file system without FUSE: plain arguments in, attributes, bytes or a typed error out.
//!
//! Its operations are in the files named after them. Every one is safe to call from any number of threads; none holds
//! a lock while it decodes, reads a disk or waits.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::history::{self, Attributes, BranchName, Head, Name, Repo, TagName, Tree};
use crate::id::{CommitId, RecipeId};
use crate::recipe::Recipe;
use crate::tensors::Tensors;
use crate::units::Timestamp;
use crate::worktree::Invalidation;

use super::attr::Lifetime;
use super::completion::Closings;
use super::errno::{Error, Result};
use super::handle::Handles;
use super::history::History;
use super::index::Index;
use super::ingest_queue::IngestQueue;
use super::inode::{Identity, Inodes};
use super::io::CachedContent;
use super::meter::{Meter, Operation, Seen, is_trouble};
use super::moving::MovingNames;
use super::place::{Place, SnapshotDir};
use super::worktrees::{OpenWorktree, WorktreeNode, Worktrees, explained};

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
    pub(super) tensors: Tensors,
    pub(super) moving_names: MovingNames,
    worktrees: Worktrees,
    pub(super) closings: Arc<Closings>,
    /// Asks for the kernel to be told; set by whoever can.
    teller: OnceLock<Teller>,
    stored_lens: Mutex<HashMap<RecipeId, u64>>,
    pub(super) cached_content: CachedContent,
    pub(super) ingest: Arc<IngestQueue>,
    index: Index,
    pub(super) meter: Meter,
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
            tensors: Tensors::of(&repo),
            moving_names: MovingNames::default(),
            worktrees: Worktrees::default(),
            closings: Arc::default(),
            teller: OnceLock::new(),
            stored_lens: Mutex::default(),
            cached_content: CachedContent::default(),
            ingest: Arc::new(ingest),
            index: Index::default(),
            meter: Meter::default(),
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

    /// Counts an answer; one that says more of the repository or the machine than of what was asked is remembered.
    pub(super) fn note_answer(&self, operation: Operation, took: Duration, told: Option<&Error>) {
        self.meter.count(operation, took, told);
        if let Some(error) = told.filter(|error| is_trouble(error.errno())) {
            let (at, errno) = (self.now(), error.errno());
            self.meter.remember(Seen { at, operation, errno, what: error.to_string() });
        }
    }

    /// What an inode number stands for.
    pub(super) fn place(&self, ino: u64) -> Result<Arc<Place>> {
        self.inodes.find(ino).ok_or(Error::Repo(crate::history::Error::Stale))
    }

    /// The worktree of a branch, opened at first use.
    pub(super) fn worktree(&self, branch: &BranchName) -> Result<Arc<OpenWorktree>> {
        let open = || {
            // The kernel may still know the top of the worktree of a branch that is gone: looking must not make another.
            if !self.may_have_worktree(branch)? {
                self.repo.refs().existing_branch(branch)?;
            }
            // What was interrupted is named by `coral status`.
            let (tenant, _) = self.repo.worktree(branch)?.adopt()?;
            Ok(tenant)
        };
        self.explain(self.worktrees.find_or_open(branch, open))
    }

    /// A result of something done in the repository: where that was moved away or replaced, an error is of that.
    pub(super) fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| explained(&self.repo, error))
    }

    fn may_have_worktree(&self, branch: &BranchName) -> Result<bool> {
        Ok(self.repo.refs().branch(branch)?.is_some()
            || self.repo.refs().head()? == Head::Branch(branch.clone())
            || self.repo.has_worktree(branch)?)
    }

    /// The worktree that a node is in.
    pub(super) fn worktree_of(&self, at: &WorktreeNode) -> Result<Arc<OpenWorktree>> {
        match at.opening() {
            None => self.worktree(at.branch()),
            Some(opening) => {
                let open = self.worktrees.find(at.branch()).filter(|open| open.opening() == opening);
                open.ok_or(Error::Repo(history::Error::Stale))
            }
        }
    }

    /// Does something with a node of a worktree. A worktree that was taken away under it is let go; its top is then that
    /// of the one that stands in its place, and all its other nodes are stale.
    pub(super) fn within<T>(
        &self,
        at: &WorktreeNode,
        act: impl Fn(&Arc<OpenWorktree>) -> Result<T>,
    ) -> Result<T> {
        let worktree = self.worktree_of(at)?;
        let act = |worktree: &Arc<OpenWorktree>| act(worktree).map_err(|error| worktree.explained(error));
        match act(&worktree) {
            Err(Error::Repo(history::Error::Stale | history::Error::Replaced(_))) if worktree.is_gone() => {
                self.worktrees.drop_gone(&worktree);
                act(&self.worktree_of(at)?)
            }
            other => other,
        }
    }

    /// The worktrees that somebody looked into.
    pub(super) fn open_worktrees(&self) -> Vec<Arc<OpenWorktree>> {
        self.worktrees.all()
    }

    /// The worktree, if somebody looked into it before.
    pub(super) fn find_worktree(&self, branch: &BranchName) -> Option<Arc<OpenWorktree>> {
        self.worktrees.find(branch)
    }

    /// Lets worktrees go that were deleted or replaced, and those that nobody uses any more. For now and then.
    pub(super) fn tidy(&self) {
        for worktree in self.open_worktrees() {
            // What cannot be told is asked again.
            let is_deleted = self.may_have_worktree(worktree.branch()).is_ok_and(|may| !may);
            if is_deleted || worktree.is_gone() {
                self.worktrees.drop_gone(&worktree);
            }
        }
        self.worktrees.drop_idle(|opening| self.inodes.knows(opening));
    }

    /// Names in worktrees whose meaning was changed by others, as the kernel knows the directories: what it cached of
    /// them is stale.
    pub fn take_stale_names(&self) -> Vec<(u64, Vec<u8>)> {
        let mut stale = Vec::new();
        for worktree in self.open_worktrees() {
            // A worktree that cannot be read says so to whoever uses it.
            for Invalidation { parent, name } in worktree.take_invalidations().unwrap_or_default() {
                let place = Place::Worktree(WorktreeNode::new(&worktree, parent));
                let parent = self.inodes.number(&Identity::Place(Arc::new(place)));
                stale.extend(parent.map(|parent| (parent, name.as_bytes().to_vec())));
            }
        }
        stale
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

    /// Why the last file could not be stored in the background, if it could not.
    pub(super) fn ingest_trouble(&self) -> Option<String> {
        self.ingest.trouble()
    }

    /// Takes the index, which only one process can have: without it packs are searched one by one.
    pub(super) fn attach_index(&self) {
        self.index.attach(self.repo.store());
    }

    /// Tries again to take the index, if there is none. For now and then.
    pub(super) fn want_index(&self) {
        self.index.want(self.repo.store());
    }

    /// Why there is no index, if there is none.
    pub fn index_trouble(&self) -> Option<String> {
        self.index.trouble()
    }

    /// Makes what was done in worktrees durable: the last thing before the mount goes away.
    pub fn sync(&self) -> Result<()> {
        self.handles.close_noted();
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
        View::Worktree(branch) => Ok(Place::Worktree(WorktreeNode::root(branch.clone()))),
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
        crate::history::Node::Dir(tree) => {
            Ok(SnapshotDir { tree, attributes: entry.attributes, commit: dir.commit })
        }
        crate::history::Node::File { .. } | crate::history::Node::Symlink(_) => Err(Error::NotADirectory),
    }
}

/// For how long the names in a directory hold.
pub(super) fn names_lifetime(parent: &Place) -> Lifetime {
    match parent {
        _ if parent.is_immutable() => Lifetime::Immutable,
        Place::Worktree(_) => Lifetime::Shared,
        _ => Lifetime::Followed,
    }
}
