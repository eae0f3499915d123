//! One process's copy of a worktree, and how it keeps up with the others.
//!
//! Owns locking: the copy behind a mutex, the journal behind the worktree's lock file while it is appended to. Every
//! change goes through the journal first and is then applied like anybody else's.

use super::super::error::{Error, Result};
use super::super::path::TreePath;
use super::super::refs::BranchName;
use super::super::repository::Repo;
use super::super::tree::{Entry, Node, Tree};
use super::journal::{Journal, News};
use super::nodes::{Body, Content, File, Invalidation, NodeId, Nodes};
use super::record::{Record, StagingId};
use crate::disk::{Disk, DiskFile, Patience};
use crate::id::{CommitId, TreeId};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Staging files that nobody needs may pile up to this many before the journal is synced to let them go.
const GARBAGE_MAX: usize = 256;

/// The writable tree of one branch. Threads and processes share it; every method is one atomic step.
pub struct Worktree {
    pub(super) repo: Repo,
    branch: BranchName,
    dir: PathBuf,
    state: Mutex<State>,
    /// Held shared while open files may exist here; see [`Worktree::adopt`].
    tenancy: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// Files that a process was writing when it ended; they are complete now with the bytes that arrived.
pub type Interrupted = Vec<TreePath>;

/// The copy of the tree with what this process has open in it.
#[derive(Debug)]
pub(super) struct State {
    pub journal: Journal,
    pub nodes: Nodes,
    pub open: HashMap<NodeId, OpenFile>,
    /// Nodes that somebody outside refers to by number.
    pub pins: HashSet<NodeId>,
}

/// What this process has open of one file.
#[derive(Debug, Default)]
pub(super) struct OpenFile {
    pub readers: u32,
    pub writers: u32,
    /// The staging file that its bytes are in, if they are in one.
    pub staged: Option<(StagingId, Arc<dyn DiskFile>)>,
    /// Whether a writer that is still at work here has begun that staging file, so that it goes on in place.
    pub began: bool,
}

impl fmt::Debug for Worktree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worktree").field(&self.dir).finish()
    }
}

impl Worktree {
    /// Opens the worktree of a branch, creating it from the branch's tip if it has none. A worktree without changes
    /// follows its branch.
    pub(in crate::repo) fn open(repo: &Repo, branch: &BranchName) -> Result<Self> {
        let dir = repo.root().join("worktrees").join(branch.escaped());
        let disk = repo.disk().clone();
        let journal = match Journal::open(disk.clone(), &dir)? {
            Some(journal) => journal,
            None => create(repo, branch, &dir)?,
        };
        let state = State { journal, nodes: Nodes::new(), open: HashMap::new(), pins: HashSet::new() };
        let worktree = Self {
            repo: repo.clone(),
            branch: branch.clone(),
            dir,
            state: Mutex::new(state),
            tenancy: Mutex::new(None),
        };
        worktree.read(|_| Ok(()))?;
        Ok(worktree)
    }

    /// Whether a branch has a worktree on disk.
    pub(in crate::repo) fn exists(repo: &Repo, branch: &BranchName) -> Result<bool> {
        Ok(Journal::open(repo.disk().clone(), &repo.root().join("worktrees").join(branch.escaped()))?
            .is_some())
    }

    /// The branch that it belongs to.
    pub fn branch(&self) -> &BranchName {
        &self.branch
    }

    /// The repository that it belongs to.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The commit that the worktree started from; `None` before the first.
    pub fn base(&self) -> Result<Option<CommitId>> {
        self.read(|state| self.base_of(state))
    }

    /// A commit whose ref swap succeeded just before a crash counts as the base although no generation says so.
    pub(super) fn base_of(&self, state: &State) -> Result<Option<CommitId>> {
        if state.nodes.announced.is_empty() {
            return Ok(state.nodes.base);
        }
        let tip = self.repo.refs().branch(&self.branch)?;
        Ok(tip.filter(|tip| state.nodes.announced.contains(tip)).or(state.nodes.base))
    }

    /// Names whose meaning changed since the last call, by whatever process: a kernel that caches must forget them.
    pub fn take_invalidations(&self) -> Result<Vec<Invalidation>> {
        self.read(|state| Ok(std::mem::take(&mut state.nodes.invalidations)))
    }

    /// Keeps a node although it may be removed, because somebody refers to it by number.
    pub fn pin(&self, node: NodeId) -> Result<()> {
        self.read(|state| {
            state.nodes.get(node)?;
            state.pins.insert(node);
            Ok(())
        })
    }

    /// Undoes [`Worktree::pin`]: a node that was removed and is not open is gone now.
    pub fn unpin(&self, node: NodeId) -> Result<()> {
        self.read(|state| {
            state.pins.remove(&node);
            state.let_go(node);
            Ok(())
        })
    }

    /// Declares that this process is the one that has files open here. If no other process says so, files that one was
    /// writing when it ended are settled with the bytes that arrived, and leftover staging files are removed.
    pub fn adopt(&self) -> Result<Interrupted> {
        let lock = |exclusive| self.disk().lock(&self.dir.join("tenants"), exclusive, Patience::Try);
        let interrupted = match lock(true)? {
            Some(_alone) => self.recover()?,
            None => Vec::new(),
        };
        *self.tenancy.lock().unwrap_or_else(PoisonError::into_inner) = lock(false)?;
        Ok(interrupted)
    }

    /// Like [`Worktree::adopt`] for a process that opens no files: recovers what a dead process left, if no living one
    /// has the worktree open.
    pub fn recover_if_abandoned(&self) -> Result<Interrupted> {
        match self.disk().lock(&self.dir.join("tenants"), true, Patience::Try)? {
            Some(_alone) => self.recover(),
            None => Ok(Vec::new()),
        }
    }

    /// Makes every staged file complete with the bytes that are on disk, and names those for which that is a change.
    fn recover(&self) -> Result<Interrupted> {
        self.change(|state| {
            let mut interrupted = Vec::new();
            let stagings: Vec<StagingId> = state.nodes.stagings().collect();
            for staging in stagings {
                interrupted.extend(self.recover_staged(state, staging)?);
            }
            self.sweep(state)?;
            interrupted.sort();
            interrupted.dedup();
            Ok(interrupted)
        })
    }

    /// The path of a staged file that was not complete, or whose bytes never reached the disk.
    fn recover_staged(&self, state: &mut State, staging: StagingId) -> Result<Option<TreePath>> {
        let Some(node) = state.nodes.by_staging(staging) else { return Ok(None) };
        let found = state.nodes.get(node)?;
        let modified = found.attributes.modified;
        let Body::File(File { current, complete }) = found.body else { return Ok(None) };
        let Content::Staged { staging: written, len } = current else { return Ok(None) };
        if written != staging || !state.nodes.is_linked(node) {
            return Ok(None);
        }
        let path = state.nodes.path_of(node)?;
        match self.disk().stat(&self.staging_path(staging))? {
            Some(stat) if complete == Some(current) && stat.len == len => return Ok(None),
            Some(stat) => state.append(self, Record::Settle { staging, len: stat.len, modified })?,
            // The name was durable, the bytes never were.
            None => self.fall_back(state, &path, complete)?,
        }
        Ok(Some(path))
    }

    /// Brings back the last version of a file that is in the store; if there is none, the file goes.
    fn fall_back(&self, state: &mut State, path: &TreePath, complete: Option<Content>) -> Result<()> {
        let resolved = state.nodes.resolve(path, &self.repo)?.ok_or(Error::Stale)?;
        let attributes = state.nodes.get(resolved)?.attributes;
        let at = attributes.modified;
        let (attributes, node) = match (complete, self.base_of(state)?) {
            (Some(Content::Stored { recipe, len }), _) => (attributes, Node::File { recipe, len }),
            (_, Some(base)) => match self.repo.find_in_tree(self.repo.commit(base)?.tree, path)? {
                Some(Entry { attributes, node: node @ Node::File { .. }, .. }) => (attributes, node),
                _ => return state.append(self, Record::Remove { path: path.clone(), at }),
            },
            (_, None) => return state.append(self, Record::Remove { path: path.clone(), at }),
        };
        state.append(self, Record::Put { path: path.clone(), attributes, node, at })
    }

    /// Removes staging files that no node needs. Nobody else is writing here.
    fn sweep(&self, state: &mut State) -> Result<()> {
        let needed: HashSet<String> = state.nodes.stagings().map(|staging| staging.to_string()).collect();
        let staged = self.dir.join("staged");
        let leftovers: Vec<String> =
            self.disk().list(&staged)?.into_iter().filter(|name| !needed.contains(name)).collect();
        if !leftovers.is_empty() {
            state.journal.sync()?;
        }
        for name in leftovers {
            self.disk().remove_file(&staged.join(name))?;
        }
        state.nodes.garbage.clear();
        Ok(())
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        self.repo.disk()
    }

    pub(super) fn staging_path(&self, staging: StagingId) -> PathBuf {
        self.dir.join("staged").join(staging.to_string())
    }

    pub(super) fn staging_dir(&self) -> PathBuf {
        self.dir.join("staged")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the tree as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        if state.journal.has_news()? {
            state.catch_up(self)?;
        }
        look(&mut state)
    }

    /// Changes the tree: nobody else appends in between.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let _lock = self.disk().lock(&self.dir.join("lock"), true, Patience::BRIEF)?;
        state.catch_up(self)?;
        while state.journal.is_superseded()? {
            state.follow(false)?;
            state.catch_up(self)?;
        }
        let result = act(&mut state)?;
        if state.nodes.garbage.len() >= GARBAGE_MAX {
            state.sync(self)?;
        }
        Ok(result)
    }

    /// Removes the worktree from the disk. Nobody may use it afterwards.
    pub(in crate::repo) fn delete(repo: &Repo, branch: &BranchName) -> Result<()> {
        let dir = repo.root().join("worktrees").join(branch.escaped());
        if repo.disk().stat(&dir)?.is_none() {
            return Ok(());
        }
        for name in repo.disk().list(&dir.join("staged"))? {
            repo.disk().remove_file(&dir.join("staged").join(name))?;
        }
        repo.disk().remove_dir(&dir.join("staged"))?;
        for name in repo.disk().list(&dir)? {
            repo.disk().remove_file(&dir.join(name))?;
        }
        repo.disk().remove_dir(&dir)?;
        Ok(repo.disk().sync_dir(&repo.root().join("worktrees"))?)
    }
}

impl State {
    /// Appends a record that a kernel asked for, and applies it: the kernel knows which names it changed.
    pub(super) fn append(&mut self, worktree: &Worktree, record: Record) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.append_announced(worktree, record)?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// Appends a record and applies it; a kernel that caches is to hear of it.
    pub(super) fn append_announced(&mut self, worktree: &Worktree, record: Record) -> Result<()> {
        self.journal.append(&record)?;
        self.apply(worktree, &record)
    }

    fn apply(&mut self, worktree: &Worktree, record: &Record) -> Result<()> {
        let (open, pins) = (&self.open, &self.pins);
        self.nodes.apply(record, &worktree.repo, &|node| open.contains_key(&node) || pins.contains(&node))
    }

    /// Reads and applies what others appended.
    fn catch_up(&mut self, worktree: &Worktree) -> Result<()> {
        loop {
            let (records, superseded) = match self.journal.read_on()? {
                News::Records(records) => (records, false),
                News::Superseded(records) => (records, true),
            };
            // What somebody else threw away, they remove.
            let own_garbage = std::mem::take(&mut self.nodes.garbage);
            for record in &records {
                self.apply(worktree, record)?;
            }
            self.nodes.garbage = own_garbage;
            if !superseded {
                return Ok(());
            }
            self.follow(true)?;
        }
    }

    /// Goes over to the next generation, whose tree is the same but for its base.
    fn follow(&mut self, end_marked: bool) -> Result<()> {
        if self.journal.follow(end_marked)?
            && let Record::Reset { base, .. } = self.journal.first()?
        {
            self.nodes.base = base;
            self.nodes.announced.clear();
        }
        Ok(())
    }

    /// Makes every record durable and removes the staging files that no record needs.
    pub(super) fn sync(&mut self, worktree: &Worktree) -> Result<()> {
        self.journal.sync()?;
        for staging in std::mem::take(&mut self.nodes.garbage) {
            let path = worktree.staging_path(staging);
            if worktree.disk().stat(&path)?.is_some() {
                worktree.disk().remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Forgets a removed node that nobody has open or refers to.
    pub(super) fn let_go(&mut self, node: NodeId) {
        if !self.open.contains_key(&node) && !self.pins.contains(&node) {
            self.nodes.forget(node);
        }
    }
}

/// Lays the folders and the first generation of a worktree.
fn create(repo: &Repo, branch: &BranchName, dir: &Path) -> Result<Journal> {
    let disk = repo.disk();
    // Whoever finds a journal finds the folder for staged bytes.
    disk.create_dir_all(&dir.join("staged"))?;
    disk.sync_dir(dir)?;
    disk.sync_dir(&repo.root().join("worktrees"))?;
    let _lock = disk.lock(&dir.join("lock"), true, Patience::BRIEF)?;
    if let Some(journal) = Journal::open(disk.clone(), dir)? {
        return Ok(journal);
    }
    let base = repo.refs().branch(branch)?;
    let tree: TreeId = match base {
        Some(commit) => repo.commit(commit)?.tree,
        None => Tree::empty_id(),
    };
    Journal::create(disk.clone(), dir, &[Record::Reset { base, tree }])
}
