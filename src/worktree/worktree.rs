//! The worktree of a branch as one process has it, and how it keeps up with the others.
//!
//! Owns locking. Every change goes through the journal first and is then applied like anybody else's. Three locks, in
//! this order: `changing` (this process's changes, one after the other), the worktree's lock file (other processes'),
//! and the copy itself. Only the copy is needed to look, and it is never held over a sync, a decode, or a wait for
//! somebody else: who looks does not wait for who writes.

use super::error::Result;
use super::folder::Folder;
use super::generation::{Place, Standing};
use super::group_sync::GroupSync;
use super::journal::Journal;
use super::state::State;
use super::still_for::StillFor;
use super::unfinished::CloseListener;
use crate::history::{BranchName, Repo};
use crate::id::CommitId;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The worktree of one branch, as every process may use it: looked at, changed in whole files, committed. Writing into
/// files needs a [`Tenant`](super::Tenant). Threads and processes share it; every method is one atomic step.
pub struct Worktree {
    repo: Repo,
    branch: BranchName,
    pub(super) dir: PathBuf,
    /// Held while this process changes the tree.
    changing: Mutex<Folder>,
    /// Who holds `changing` over several changes.
    pub(super) still_for: StillFor,
    state: Mutex<State>,
    pub(super) syncs: GroupSync,
    pub(super) closings: OnceLock<Arc<dyn CloseListener>>,
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
    /// Goes on from a journal that was opened.
    pub(super) fn of(repo: &Repo, branch: &BranchName, journal: Journal) -> Result<Self> {
        let worktree = Self {
            repo: repo.clone(),
            branch: branch.clone(),
            dir: place(repo, branch).dir,
            changing: Mutex::default(),
            still_for: StillFor::default(),
            state: Mutex::new(State::of(journal)),
            syncs: GroupSync::default(),
            closings: OnceLock::new(),
        };
        worktree.read(|_| Ok(()))?;
        Ok(worktree)
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
        base_among(&self.repo, &self.branch, base, &announced)
    }

    /// Whether the worktree at its path is still this one: not deleted, and not replaced by another of the same name.
    ///
    /// # Errors
    /// [`Replaced`](super::error::Error::Replaced) if it is not; everything that would change it fails like this as well.
    pub fn check_held(&self) -> Result<()> {
        self.read(|state| match state.journal.generation.standing()? {
            Standing::Newest | Standing::Superseded => Ok(()),
            Standing::Gone => Err(state.journal.generation.gone()),
        })
    }

    /// Whether nobody here has anything of it open or refers to a node of it by number.
    pub fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another thread happened between two whole steps: a step that fails in the middle says so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the tree as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        if state.journal.has_news()? {
            state.catch_up(&self.repo)?;
        }
        look(&mut state)
    }

    /// Changes the tree: nobody else appends in between.
    ///
    /// # Errors
    /// [`Replaced`](super::error::Error::Replaced) if it is not the worktree at its path any more.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.change_unlocked(|| {
            let mut state = self.state();
            act(&mut state)
        })
    }

    /// Does something while nobody else changes the tree, this process included; what it takes of the copy, and for
    /// how long, is its own affair.
    pub(super) fn change_unlocked<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.still_for.is_this_thread() {
            return act();
        }
        let mut folder = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = loop {
            let lock = folder.lock(&**self.repo.disk(), &self.dir)?;
            if self.is_current(&mut folder)? {
                break lock;
            }
            folder.forget();
        };
        act()
    }

    /// Catches up with what others did. Whether the lock that is held is the worktree's, so that nobody appends now.
    fn is_current(&self, folder: &mut Folder) -> Result<bool> {
        if folder.is_as_seen(self.repo.disk().stat(&self.dir)?) {
            return self.state().catch_up(&self.repo).map(|()| true);
        }
        self.repo.check_held()?;
        let mut state = self.state();
        state.catch_up(&self.repo)?;
        loop {
            // In this order: what changes after the look shows the next time.
            let clock = state.journal.file().changed()?;
            let look = self.repo.disk().stat(&self.dir)?;
            if !folder.locks(self.repo.disk().stat(&self.dir.join("lock"))?) {
                return Ok(false);
            }
            match state.journal.generation.standing()? {
                Standing::Newest => {
                    folder.saw(look, clock);
                    return Ok(true);
                }
                Standing::Gone => return Err(state.journal.generation.gone()),
                Standing::Superseded => {
                    state.follow()?;
                    state.catch_up(&self.repo)?;
                }
            }
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
    pub(super) fn closing(&self, node: super::nodes::NodeId) -> u32 {
        self.state().open.get(&node).map_or(0, super::open_files::OpenFile::closing)
    }
}

/// A commit whose ref swap succeeded just before a crash counts as the base although no generation says so.
pub(super) fn base_among(
    repo: &Repo,
    branch: &BranchName,
    base: Option<CommitId>,
    announced: &[CommitId],
) -> Result<Option<CommitId>> {
    if announced.is_empty() {
        return Ok(base);
    }
    let tip = repo.refs().branch(branch)?;
    Ok(tip.filter(|tip| announced.contains(tip)).or(base))
}
