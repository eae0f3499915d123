//! The worktrees that a mount has open: opened at first use, each in a slot of its own, and let go when nobody needs
//! them any more or when others took them away.
//!
//! Opening a worktree may take long: it replays a journal, and may wait for whoever recovers it. Only those who want
//! that worktree wait. What is open is found without waiting.
//!
//! A node's number means something only in the [`Opening`] that gave it out: a branch that was deleted and made again
//! has another worktree, whose nodes are numbered anew.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::history::{self, BranchName, Repo};
use crate::units::Timestamp;
use crate::worktree::{self, Interrupted, Kind, NodeId, Tenant};

use super::changes::without_privileges;
use super::errno::{Error, Result};

/// How often in a row a worktree must be seen idle before it is let go: opening it again costs its journal's replay.
const IDLE_LOOKS: u32 = 10;

/// One opening of one worktree in this mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Opening(u64);

impl Opening {
    /// Of the top of a worktree, which is the same node in every opening.
    const ANY: Opening = Opening(0);
}

/// A node of a branch's worktree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WorktreeNode {
    branch: BranchName,
    opening: Opening,
    node: NodeId,
}

impl WorktreeNode {
    /// The top directory of whatever worktree the branch has.
    pub fn root(branch: BranchName) -> Self {
        Self { branch, opening: Opening::ANY, node: NodeId::ROOT }
    }

    /// A node of an open worktree.
    pub fn new(worktree: &OpenWorktree, node: NodeId) -> Self {
        let branch = worktree.branch().clone();
        match node {
            NodeId::ROOT => Self::root(branch),
            node => Self { branch, opening: worktree.opening, node },
        }
    }

    pub fn branch(&self) -> &BranchName {
        &self.branch
    }

    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether the node is one of this open worktree.
    pub fn is_in(&self, worktree: &OpenWorktree) -> bool {
        self.is_root() || self.opening == worktree.opening
    }

    pub fn is_root(&self) -> bool {
        self.node == NodeId::ROOT
    }

    /// The opening that the node lives in; `None` for the top, which is in all.
    pub fn opening(&self) -> Option<Opening> {
        (!self.is_root()).then_some(self.opening)
    }
}

/// A worktree that this mount has open.
#[derive(Debug)]
pub(super) struct OpenWorktree {
    tenant: Tenant,
    opening: Opening,
    /// Files whose last bytes were in doubt when it was opened.
    taken_back: Vec<Interrupted>,
    times: Mutex<HashMap<NodeId, Times>>,
}

/// Times of a node that are remembered by the mount, and recorded nowhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When it was last changed.
    pub changed: Timestamp,
    /// When it was last read, as somebody said who set it.
    pub accessed: Option<Timestamp>,
}

impl Deref for OpenWorktree {
    type Target = Tenant;

    fn deref(&self) -> &Tenant {
        &self.tenant
    }
}

impl OpenWorktree {
    /// Whether it was deleted, or replaced by another of the same branch.
    pub fn is_gone(&self) -> bool {
        matches!(self.tenant.check_held(), Err(worktree::Error::Replaced(_) | worktree::Error::Stale))
    }

    /// What an error comes from that something in it met: where it is gone, or its repository is, that is the reason,
    /// whatever the disk said.
    pub fn explained(&self, error: Error) -> Error {
        match error.errno() {
            libc::EIO if self.is_gone() => worktree::Error::Stale.into(),
            libc::EIO => explained(self.tenant.repo(), error),
            _ => error,
        }
    }

    /// Which opening of the branch's worktree this is.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// Files whose last bytes were in doubt when this mount opened it, and what became of them.
    pub fn taken_back(&self) -> &[Interrupted] {
        &self.taken_back
    }

    /// Notes that a node changed: its bytes, its attributes, its name, or the names in it.
    pub fn note_change(&self, node: NodeId, at: Timestamp) {
        let mut times = self.times_of_all();
        times
            .entry(node)
            .and_modify(|times| times.changed = at)
            .or_insert(Times { changed: at, accessed: None });
    }

    /// Notes that a node changed at an instant, unless it changed later as well.
    pub fn note_change_not_before(&self, node: NodeId, at: Timestamp) {
        if self.times(node).is_none_or(|times| times.changed < at) {
            self.note_change(node, at);
        }
    }

    /// Notes that somebody set the time at which a node was last read.
    pub fn note_access(&self, node: NodeId, accessed: Timestamp, now: Timestamp) {
        self.times_of_all().insert(node, Times { changed: now, accessed: Some(accessed) });
    }

    /// The times of a node that was changed through this opening.
    pub fn times(&self, node: NodeId) -> Option<Times> {
        self.times_of_all().get(&node).copied()
    }

    /// Forgets when a node changed, if it is no more.
    pub fn forget_lost_change(&self, node: NodeId) {
        if self.times(node).is_some() && self.tenant.names().attributes(node).is_err() {
            self.times_of_all().remove(&node);
        }
    }

    fn times_of_all(&self) -> MutexGuard<'_, HashMap<NodeId, Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error comes from that something in a repository met: where that was moved away or replaced, that is the reason.
pub(super) fn explained(repo: &Repo, error: Error) -> Error {
    match (error.errno(), repo.check_held()) {
        (libc::EIO, Err(replaced @ history::Error::Replaced(_))) => replaced.into(),
        _ => error,
    }
}

/// Takes from a file what would let others run it as somebody else.
pub(super) fn drop_privileges(worktree: &Tenant, node: NodeId) -> Result<()> {
    let known = worktree.names().attributes(node)?;
    let left = without_privileges(known.mode);
    if known.kind == Kind::File && left != known.mode {
        worktree.names().set_attributes(node, Some(left), None)?;
    }
    Ok(())
}

/// Does something that needs room on the disk. If there is none, lets plain copies go, and staging files that nothing
/// needs any more, and tries once again.
pub(super) fn with_room<T>(worktree: &Tenant, act: impl Fn() -> worktree::Result<T>) -> Result<T> {
    match act().map_err(Error::from) {
        Err(error) if error.errno() == libc::ENOSPC => {
            worktree.repo().plain().give_way();
            worktree.sync_records()?;
            Ok(act()?)
        }
        other => other,
    }
}

/// All that is open, by branch.
#[derive(Debug, Default)]
pub(super) struct Worktrees {
    slots: Mutex<BTreeMap<BranchName, Arc<Slot>>>,
    last: AtomicU64,
}

/// The place of one branch's worktree.
#[derive(Debug, Default)]
struct Slot {
    open: RwLock<Option<Arc<OpenWorktree>>>,
    /// Held while it is being opened.
    opening: Mutex<()>,
    /// How often in a row it was seen idle.
    idle: AtomicU32,
}

impl Slot {
    fn find(&self) -> Option<Arc<OpenWorktree>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_if(&self, condition: impl FnOnce(&Arc<OpenWorktree>) -> bool) -> Option<Arc<OpenWorktree>> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some(worktree) if condition(worktree) => open.take(),
            Some(_) | None => None,
        }
    }
}

impl Worktrees {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<BranchName, Arc<Slot>>> {
        // Nothing waits, opens or closes under this lock.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, branch: &BranchName) -> Option<Arc<Slot>> {
        self.slots().get(branch).cloned()
    }

    /// The worktree of a branch, if it is open.
    pub fn find(&self, branch: &BranchName) -> Option<Arc<OpenWorktree>> {
        self.slot(branch)?.find()
    }

    /// The worktree of a branch, opened by `open` if it is not yet. Others that want it wait, and have it then.
    pub fn find_or_open(
        &self,
        branch: &BranchName,
        open: impl FnOnce() -> Result<(Tenant, Vec<Interrupted>)>,
    ) -> Result<Arc<OpenWorktree>> {
        let slot = Arc::clone(self.slots().entry(branch.clone()).or_default());
        if let Some(worktree) = slot.find() {
            return Ok(worktree);
        }
        let _opening = slot.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worktree) = slot.find() {
            return Ok(worktree);
        }
        let opening = Opening(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let worktree = Arc::new({
            let (tenant, taken_back) = open()?;
            OpenWorktree { tenant, opening, taken_back, times: Mutex::default() }
        });
        slot.idle.store(0, Ordering::Relaxed);
        *slot.open.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&worktree));
        Ok(worktree)
    }

    /// All that are open, by name.
    pub fn all(&self) -> Vec<Arc<OpenWorktree>> {
        let slots: Vec<_> = self.slots().values().cloned().collect();
        slots.iter().filter_map(|slot| slot.find()).collect()
    }

    /// Lets a worktree go that is gone from the disk; who has files open in it keeps it.
    pub fn drop_gone(&self, gone: &Arc<OpenWorktree>) {
        let slot = self.slot(gone.branch());
        drop(slot.and_then(|slot| slot.take_if(|open| Arc::ptr_eq(open, gone))));
    }

    /// Lets worktrees go that nobody has used at the last looks: nothing is open in them, and `is_known` says that the
    /// kernel knows no node of that opening.
    pub fn drop_idle(&self, is_known: impl Fn(Opening) -> bool) {
        let slots: Vec<_> =
            self.slots().iter().map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect();
        let mut idle = Vec::new();
        for (_, slot) in &slots {
            // Whoever uses a worktree holds it, and gets it only through the slot.
            idle.extend(slot.take_if(|open| {
                let is_idle = Arc::strong_count(open) == 1 && !is_known(open.opening) && open.is_idle();
                let looks = if is_idle { slot.idle.load(Ordering::Relaxed) + 1 } else { 0 };
                slot.idle.store(looks, Ordering::Relaxed);
                looks >= IDLE_LOOKS
            }));
        }
        drop(slots);
        self.slots().retain(|_, slot| slot.find().is_some() || Arc::strong_count(slot) > 1);
        // Closing may do I/O, so under no lock.
        drop(idle);
    }
}
