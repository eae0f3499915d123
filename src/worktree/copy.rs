//! One process's copy of a worktree, and how it keeps up with the others.
//!
//! Owns locking. Every change goes through the journal first and is then applied like anybody else's. Three locks, in
//! this order: `changing` (this process's changes, one after the other), the worktree's lock file (other processes'),
//! and the copy itself. Only the copy is needed to look, and it is never held over a sync, a decode, or a wait for
//! somebody else: who looks does not wait for who writes.

use super::error::{Error, Result};
use super::folder::Folder;
use super::group_sync::GroupSync;
use super::journal::{Journal, News, Place, Standing};
use super::nodes::{Invalidation, NodeId, Nodes};
#[cfg(test)]
use super::open_files::OpenFile;
use super::open_files::OpenFiles;
use super::record::Record;
use crate::disk::{Disk, DiskFile, Patience};
use crate::history::{BranchName, Name, Repo, Tree};
use crate::id::{CommitId, StagingId, TreeId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The worktree of one branch, as every process may use it: looked at, changed in whole files, committed. Writing into
/// files needs a [`Tenant`](super::Tenant). Threads and processes share it; every method is one atomic step.
pub struct Worktree {
    pub(super) repo: Repo,
    branch: BranchName,
    pub(super) dir: PathBuf,
    /// Held while this process changes the tree.
    changing: Mutex<Folder>,
    state: Mutex<State>,
    pub(super) syncs: GroupSync,
}

/// The copy of the tree with what this process has open in it.
#[derive(Debug)]
pub(super) struct State {
    pub journal: Journal,
    pub nodes: Nodes,
    pub open: OpenFiles,
    /// Descriptors that wrote bytes which are complete and not known to be durable: the disk tells them, and only them
    /// for sure, if it lost some.
    pub unsynced: HashMap<StagingId, Arc<dyn DiskFile>>,
    /// Staging files of which the disk lost bytes, and no record can say so yet: only this process knows.
    pub untold: BTreeSet<StagingId>,
    /// Staging files that no record needs any more, durably: what is left is to remove them.
    pub freed: Vec<StagingId>,
    /// Nodes that somebody outside refers to by number.
    pub pins: HashSet<NodeId>,
}

impl fmt::Debug for Worktree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worktree").field(&self.dir).finish()
    }
}

/// Where the worktree of a branch lies.
pub(super) fn place(repo: &Repo, branch: &BranchName) -> Place {
    let dir = repo.root().join("worktrees").join(branch.escaped());
    Place { disk: Arc::clone(repo.disk()), dir, quarantine: repo.root().join("quarantine") }
}

impl Worktree {
    /// Opens the worktree of a branch, creating it from the branch's tip if it has none.
    pub(crate) fn open(repo: &Repo, branch: &BranchName) -> Result<Self> {
        let place = place(repo, branch);
        let journal = open_or_create(repo, branch, &place)?;
        let worktree = Self {
            repo: repo.clone(),
            branch: branch.clone(),
            dir: place.dir,
            changing: Mutex::default(),
            state: Mutex::new(State {
                journal,
                nodes: Nodes::new(),
                open: OpenFiles::new(),
                unsynced: HashMap::new(),
                untold: BTreeSet::new(),
                freed: Vec::new(),
                pins: HashSet::new(),
            }),
            syncs: GroupSync::default(),
        };
        worktree.read(|_| Ok(()))?;
        Ok(worktree)
    }

    /// Whether a branch has a worktree on disk.
    pub(crate) fn exists(repo: &Repo, branch: &BranchName) -> Result<bool> {
        Ok(Journal::open(&place(repo, branch))?.is_some())
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
        let (base, announced) = self.read(|state| Ok((state.nodes.base, state.nodes.announced.clone())))?;
        self.base_among(base, &announced)
    }

    /// A commit whose ref swap succeeded just before a crash counts as the base although no generation says so.
    pub(super) fn base_among(
        &self,
        base: Option<CommitId>,
        announced: &[CommitId],
    ) -> Result<Option<CommitId>> {
        if announced.is_empty() {
            return Ok(base);
        }
        let tip = self.repo.refs().branch(&self.branch)?;
        Ok(tip.filter(|tip| announced.contains(tip)).or(base))
    }

    /// Whether the worktree at its path is still this one: not deleted, and not replaced by another of the same name.
    ///
    /// # Errors
    /// [`Error::Replaced`] if it is not; everything that would change it fails like this as well.
    pub fn check_held(&self) -> Result<()> {
        self.read(|state| match state.journal.standing()? {
            Standing::Newest | Standing::Superseded => Ok(()),
            Standing::Gone => Err(state.journal.gone()),
        })
    }

    /// Whether nobody here has anything of it open or refers to a node of it by number.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        state.open.is_empty() && state.pins.is_empty() && state.unsynced.is_empty() && state.untold.is_empty()
    }

    /// Names whose meaning changed since the last call, by whatever process: a kernel that caches must forget them.
    pub fn take_invalidations(&self) -> Result<Vec<Invalidation>> {
        self.read(|state| Ok(std::mem::take(&mut state.nodes.invalidations)))
    }

    /// Keeps a node although it may be removed, because somebody refers to it by number.
    pub fn pin(&self, node: NodeId) -> Result<()> {
        let mut state = self.state();
        state.nodes.get(node)?;
        state.pins.insert(node);
        Ok(())
    }

    /// Undoes [`Worktree::pin`]: a node that was removed and is not open is gone now.
    pub fn unpin(&self, node: NodeId) -> Result<()> {
        let mut state = self.state();
        state.pins.remove(&node);
        state.let_go(node);
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another thread happened between two whole steps: a step that fails in the middle says so.
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
    ///
    /// # Errors
    /// [`Error::Replaced`] if it is not the worktree at its path any more.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.change_unlocked(|| {
            let mut state = self.state();
            act(&mut state)
        })
    }

    /// Does something while nobody else changes the tree, this process included; what it takes of the copy, and for
    /// how long, is its own affair.
    pub(super) fn change_unlocked<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut folder = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = loop {
            let lock = folder.lock(&**self.disk(), &self.dir)?;
            if self.is_current(&mut folder)? {
                break lock;
            }
            folder.forget();
        };
        act()
    }

    /// Catches up with what others did. Whether the lock that is held is the worktree's, so that nobody appends now.
    fn is_current(&self, folder: &mut Folder) -> Result<bool> {
        if folder.is_as_seen(self.disk().stat(&self.dir)?) {
            return self.state().catch_up(self).map(|()| true);
        }
        self.repo.check_held()?;
        let mut state = self.state();
        state.catch_up(self)?;
        loop {
            // In this order: what changes after the look shows the next time.
            let clock = state.journal.file().changed()?;
            let look = self.disk().stat(&self.dir)?;
            if !folder.locks(self.disk().stat(&self.dir.join("lock"))?) {
                return Ok(false);
            }
            match state.journal.standing()? {
                Standing::Newest => {
                    folder.saw(look, clock);
                    return Ok(true);
                }
                Standing::Gone => return Err(state.journal.gone()),
                Standing::Superseded => {
                    state.follow()?;
                    state.catch_up(self)?;
                }
            }
        }
    }

    /// Reads a directory of the history into the copy before it is changed, so that it is not read while the copy is
    /// held. Whoever changes it catches up with the others then.
    pub(super) fn read_ahead(&self, dir: NodeId) -> Result<()> {
        let unread = self.state().nodes.unread(dir);
        unread.map_or(Ok(()), |id| self.fill(dir, id))
    }

    fn fill(&self, dir: NodeId, id: TreeId) -> Result<()> {
        let tree = self.repo.tree(id)?;
        self.state().nodes.fill(dir, id, &tree)
    }

    /// Looks at the tree as it is now, and into this directory of it, which is read before if it is in the history.
    pub(super) fn read_in<T>(&self, dir: NodeId, look: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        if state.journal.has_news()? {
            state.catch_up(self)?;
        }
        let Some(id) = state.nodes.unread(dir) else { return look(&mut state) };
        drop(state);
        self.fill(dir, id)?;
        self.read(look)
    }

    /// The same for a directory of which a name is about to change, and for what that name leads to.
    pub(super) fn read_ahead_of(&self, dir: NodeId, name: &Name) -> Result<()> {
        self.read_ahead(dir)?;
        match self.read(|state| Ok(state.nodes.loaded_child(dir, name)))? {
            Some(child) => self.read_ahead(child),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl Worktree {
    /// Whether nobody holds the copy at this moment.
    pub(crate) fn is_copy_free(&self) -> bool {
        self.state.try_lock().is_ok()
    }

    /// How many last writers of a file are gone without a record that its bytes are complete.
    pub(super) fn closing(&self, node: NodeId) -> u32 {
        self.state().open.get(&node).map_or(0, OpenFile::closing)
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

    /// The same with a record that makes room although others of its kind do not: it is written on a full disk too.
    pub(super) fn append_making_room(&mut self, worktree: &Worktree, record: Record) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.journal.append_making_room(&record)?;
        self.apply(worktree, &record)?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// Appends records that change no name, by one write, and applies them.
    pub(super) fn append_all(&mut self, worktree: &Worktree, records: &[Record]) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.journal.append_all(records)?;
        records.iter().try_for_each(|record| self.apply(worktree, record))?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// Appends a record and applies it; a kernel that caches is to hear of it.
    pub(super) fn append_announced(&mut self, worktree: &Worktree, record: Record) -> Result<()> {
        self.journal.append(&record)?;
        self.apply(worktree, &record)
    }

    /// Applies a record that is in the journal. If that fails, for want of a descriptor perhaps, everything is read again
    /// before anybody looks: a copy that lacks a record would stay wrong.
    pub(super) fn apply(&mut self, worktree: &Worktree, record: &Record) -> Result<()> {
        let (open, pins) = (&self.open, &self.pins);
        let in_use = |node| open.contains_key(&node) || pins.contains(&node);
        self.nodes.apply(record, &worktree.repo, &in_use).inspect_err(|_| self.journal.start_over())
    }

    /// Reads and applies what others appended.
    fn catch_up(&mut self, worktree: &Worktree) -> Result<()> {
        loop {
            let (records, superseded) = match self.journal.read_on()? {
                News::Records(records) => (records, false),
                News::Superseded(records) => (records, true),
            };
            // What somebody else threw away, they remove.
            let own = std::mem::take(&mut self.nodes.garbage);
            let applied = records.iter().try_for_each(|record| self.apply(worktree, record));
            self.nodes.garbage = own;
            applied?;
            if !superseded {
                return self.untold.iter().try_for_each(|staging| self.nodes.note_lost(*staging));
            }
            self.follow()?;
        }
    }

    /// Goes over to the next generation, whose tree is the same but for its base.
    fn follow(&mut self) -> Result<()> {
        if self.journal.follow()? {
            let head = self.journal.head().inspect_err(|_| self.journal.start_over())?;
            for record in head {
                if let Record::Reset { base, .. } = record {
                    self.nodes.base = base;
                    self.nodes.announced.clear();
                }
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

/// How often a worktree is made anew because somebody deleted it while it was made.
const ATTEMPTS: u32 = 8;

fn open_or_create(repo: &Repo, branch: &BranchName, place: &Place) -> Result<Journal> {
    for _ in 0..ATTEMPTS {
        if let Some(journal) = Journal::open(place)? {
            return Ok(journal);
        }
        match create(repo, branch, place) {
            // Its folder went.
            Err(error) if error.is_absence() => {}
            created => return created,
        }
    }
    Err(Error::Replaced(place.dir.clone()))
}

/// Lays the folders and the first generation of a worktree.
fn create(repo: &Repo, branch: &BranchName, place: &Place) -> Result<Journal> {
    let Place { disk, dir, .. } = place;
    // Whoever finds a journal finds the folder for staged bytes.
    disk.create_dir_all(&dir.join("staged"))?;
    disk.sync_dir(dir)?;
    disk.sync_dir(&repo.root().join("worktrees"))?;
    let _lock = disk.lock(&dir.join("lock"), true, Patience::BRIEF)?;
    if let Some(journal) = Journal::open(place)? {
        return Ok(journal);
    }
    // On a full disk nothing can be created, and looking needs it.
    drop(disk.lock(&dir.join("holds"), false, Patience::BRIEF)?);
    let base = repo.refs().branch(branch)?;
    let tree: TreeId = match base {
        Some(commit) => repo.commit(commit)?.tree,
        None => Tree::empty_id(),
    };
    Journal::create(place, &[Record::Reset { base, tree }, Record::Run { run: disk.run(dir) }])
}
