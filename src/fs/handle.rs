//! Open files and directories: what the kernel's handle numbers stand for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::history::{FileReader, ReaderSlot};
use crate::tensors::Array;
use crate::worktree::{NodeAttributes, NodeId, Release, Tenant};

use super::attr::Kind;
use super::auto_events::AutoEvents;
use super::completion::{Closer, Closings};
use super::errno::{Error, Result};
use super::ingest_queue::IngestQueue;
use super::opening::OpenMode;
use super::place::Place;
use super::workers::Lane;
use super::worktrees::OpenWorktree;

/// Something open.
#[derive(Debug)]
pub(super) enum Handle {
    /// A file of a snapshot.
    Snapshot(FileReader),
    /// A tensor as an `.npy` file.
    Array(Array),
    /// A file made up when it was opened.
    Generated(Arc<[u8]>),
    /// `.coral/ctl`: what the last command said.
    Control(Mutex<Vec<u8>>),
    /// A file of a worktree.
    Worktree(OpenNode),
    /// A directory.
    Listing(OpenDir),
}

impl Handle {
    /// Where reading it waits.
    pub fn read_lane(&self) -> Lane {
        match self {
            Handle::Snapshot(_) | Handle::Array(_) => Lane::Read,
            Handle::Worktree(_) => Lane::Change,
            Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => Lane::Look,
        }
    }

    /// Where writing to it waits: the first write copies what the file had.
    pub fn write_lane(&self) -> Lane {
        match self {
            Handle::Worktree(open) if open.has_begun() => Lane::Change,
            Handle::Worktree(_) | Handle::Control(_) => Lane::Long,
            Handle::Snapshot(_) | Handle::Array(_) | Handle::Generated(_) | Handle::Listing(_) => Lane::Look,
        }
    }

    /// The file of a worktree that it is.
    pub fn worktree(&self) -> Option<&OpenNode> {
        match self {
            Handle::Worktree(open) => Some(open),
            Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Control(_)
            | Handle::Listing(_) => None,
        }
    }
}

/// An open file of a worktree; closed when this is dropped.
#[derive(Debug)]
pub(super) struct OpenNode {
    pub worktree: Arc<OpenWorktree>,
    pub node: NodeId,
    pub write: bool,
    /// What was looked up to read it, if it is stored.
    pub reader: ReaderSlot,
    /// Whether a writer has begun: what follows goes on in the same staging file, and copies nothing.
    begun: AtomicBool,
    closing: Option<Closing>,
}

/// What is known of the end of an opening for writing.
#[derive(Debug)]
struct Closing {
    /// The opening's number among the closings.
    number: u64,
    /// The thread that opened it.
    opener: u32,
    /// Whether a mapping may write to it without its descriptor.
    may_map: bool,
    /// Whether a descriptor was closed since the last write.
    is_noted: AtomicBool,
    /// Whether the last one was closed by the death of its process.
    is_killed: AtomicBool,
    /// Whether the last one was closed by the process that opened it.
    is_opener: AtomicBool,
    /// Whether it is recorded that it was.
    is_recorded: AtomicBool,
    end: Ending,
}

/// Who hears of the end of an opening for writing.
#[derive(Debug)]
pub(super) struct Ending {
    pub closings: Arc<Closings>,
    pub queue: Arc<IngestQueue>,
    pub events: AutoEvents,
}

impl OpenNode {
    /// A file that was opened for reading.
    pub fn reader(worktree: Arc<OpenWorktree>, node: NodeId) -> Self {
        Self {
            worktree,
            node,
            write: false,
            reader: ReaderSlot::default(),
            begun: AtomicBool::new(false),
            closing: None,
        }
    }

    /// A file that was opened for writing; `begun` if it has a staging file of its own already.
    pub fn writer(
        worktree: Arc<OpenWorktree>,
        node: NodeId,
        (mode, begun): (OpenMode, bool),
        end: Ending,
    ) -> Self {
        let closing = Closing {
            number: end.closings.number(),
            opener: mode.opener,
            may_map: mode.may_map,
            is_noted: AtomicBool::new(false),
            is_killed: AtomicBool::new(false),
            is_opener: AtomicBool::new(false),
            is_recorded: AtomicBool::new(false),
            end,
        };
        Self {
            worktree,
            node,
            write: true,
            reader: ReaderSlot::default(),
            begun: AtomicBool::new(begun),
            closing: Some(closing),
        }
    }

    /// Does something with the file.
    pub fn act<T>(&self, act: impl FnOnce(&Tenant, NodeId) -> Result<T>) -> Result<T> {
        act(&self.worktree, self.node).map_err(|error| self.worktree.explained(error))
    }

    /// Whether a write copies nothing any more.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Something was written: whoever closed a descriptor was not the last.
    pub fn wrote(&self) {
        self.begun.store(true, Ordering::Relaxed);
        if let Some(closing) = &self.closing
            && closing.is_noted.swap(false, Ordering::Relaxed)
        {
            closing.end.closings.end(closing.number);
        }
    }

    /// It took the bytes of another file: the next write copies them.
    pub fn took(&self) {
        self.wrote();
        self.begun.store(false, Ordering::Relaxed);
    }

    /// Somebody closed a descriptor, maybe the last.
    pub fn closing(&self, closer: impl FnOnce(u32) -> Closer) {
        if let Some(closing) = &self.closing {
            let closer = closer(closing.opener);
            closing.is_killed.store(closer == Closer::Killed, Ordering::Relaxed);
            closing.is_opener.store(closer == Closer::Opener, Ordering::Relaxed);
            closing.is_noted.store(true, Ordering::Relaxed);
            closing.end.closings.note(closing.number);
            // A mapping may go on writing without a word.
            if closer == Closer::Opener && self.has_begun() && !closing.may_map {
                // For want of it, only what the kernel tells last makes the file complete.
                let is_recorded = self.worktree.closes().note(self.node).unwrap_or(false);
                closing.is_recorded.fetch_or(is_recorded, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is recorded that it was closed, so long ago that somebody has it open still.
    fn is_overdue(&self) -> bool {
        let is_awaited = |closing: &Closing| closing.end.closings.is_awaited(closing.number);
        self.is_recorded() && self.closing.as_ref().is_some_and(|closing| !is_awaited(closing))
    }

    /// Whether it is recorded that it was closed.
    pub fn is_recorded(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.is_recorded.load(Ordering::Relaxed))
    }

    /// Takes the record of a close back.
    fn void(&self) {
        // Where it cannot be taken back now, it is tried again.
        if let Some(closing) = &self.closing
            && self.worktree.closes().void(self.node).is_ok()
        {
            closing.is_recorded.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for OpenNode {
    fn drop(&mut self) {
        // release(2) has nobody to report to. What failed here is found again as an unfinished file by the next process
        // that opens the worktree.
        let is_killed =
            self.closing.as_ref().is_some_and(|closing| closing.is_killed.load(Ordering::Relaxed));
        let how = if is_killed { Release::Interrupted } else { Release::Complete };
        if let Some(closing) = &self.closing {
            closing.end.closings.releasing(closing.number);
        }
        if let Some(changed) = self.worktree.lending().changed(self.node) {
            self.worktree.note_change_not_before(self.node, changed);
        }
        let path =
            self.closing.as_ref().and_then(|closing| closing.end.events.path(&self.worktree, self.node));
        let _ = self.worktree.release(self.node, self.write, how);
        if let Some(closing) = &self.closing {
            closing.end.closings.end(closing.number);
            closing.end.queue.settled(Arc::clone(&self.worktree));
            closing.end.events.closed(&self.worktree, self.node, path, !is_killed);
        }
    }
}

/// An open directory. Its listing is one instant: that at which reading it began, or began anew.
#[derive(Debug)]
pub(super) struct OpenDir {
    pub place: Arc<Place>,
    list: Mutex<Option<Listing>>,
}

/// The names in a directory. Nodes of a worktree have their numbers only while it is held.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub names: Arc<dyn Names>,
    pub _worktree: Option<Arc<OpenWorktree>>,
}

/// Names by their positions. A directory may have millions, of which nobody wants to know more than how they are called.
pub(super) trait Names: fmt::Debug + Send + Sync {
    /// The name at a position, made up for the occasion or not; `None` behind the last one.
    fn at(&self, position: usize) -> Option<Cow<'_, Listed>>;
}

impl Names for Vec<Listed> {
    fn at(&self, position: usize) -> Option<Cow<'_, Listed>> {
        self.get(position).map(Cow::Borrowed)
    }
}

impl Listing {
    /// The names from a position on, each with the position after it.
    pub fn from(&self, position: u64) -> impl Iterator<Item = (u64, Cow<'_, Listed>)> {
        (position..).map_while(|at| Some((at + 1, self.names.at(usize::try_from(at).ok()?)?)))
    }
}

impl OpenDir {
    pub fn new(place: Arc<Place>) -> Self {
        Self { place, list: Mutex::default() }
    }

    /// The listing; at position 0 a new one, as rewinddir(3) wants it.
    pub fn listing(&self, position: u64, list: impl FnOnce() -> Result<Listing>) -> Result<Listing> {
        let known = || self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if position > 0
            && let Some(listing) = known().clone()
        {
            return Ok(listing);
        }
        let listing = list()?;
        *known() = Some(listing.clone());
        Ok(listing)
    }
}

/// A name in an open directory.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub place: Arc<Place>,
    /// What is known already of a node of a worktree.
    pub known: Option<NodeAttributes>,
}

impl Listed {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// All that is open.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: RwLock<HashMap<u64, Arc<Handle>>>,
    last: AtomicU64,
}

impl Handles {
    /// Gives something a number that was never used before.
    pub fn insert(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(handle));
        number
    }

    /// What a number stands for.
    pub fn get(&self, number: u64) -> Result<Arc<Handle>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&number).cloned().ok_or(Error::BadHandle)
    }

    /// Closes; what is still being read lives until that is done.
    pub fn remove(&self, number: u64) -> Option<Arc<Handle>> {
        // Dropping it may do I/O, so not under the lock.
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }

    /// Closes what was closed already but for the kernel's last word, which does not come any more when the session ends. Of
    /// what somebody else holds open, after a fork(2) perhaps, that word would not have come.
    pub fn close_noted(&self) {
        let is_noted = |handle: &Handle| {
            let closing = handle.worktree().and_then(|open| open.closing.as_ref());
            closing.is_some_and(|closing| {
                closing.is_noted.load(Ordering::Relaxed)
                    && closing.is_opener.load(Ordering::Relaxed)
                    && closing.end.closings.is_awaited(closing.number)
            })
        };
        let closed: Vec<Arc<Handle>> = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            let numbers: Vec<u64> =
                open.iter().filter(|(_, handle)| is_noted(handle)).map(|(number, _)| *number).collect();
            numbers.iter().filter_map(|number| open.remove(number)).collect()
        };
        drop(closed);
    }

    /// Takes back what was recorded of closes that cannot have been the last. To be called now and then.
    pub fn void_overdue(&self) {
        let overdue: Vec<Arc<Handle>> = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            let is_overdue = |handle: &&Arc<Handle>| handle.worktree().is_some_and(OpenNode::is_overdue);
            open.values().filter(is_overdue).cloned().collect()
        };
        // One after the other is let go: who closes it meanwhile is not to wait for all.
        overdue.into_iter().for_each(|handle| handle.worktree().into_iter().for_each(OpenNode::void));
    }

    /// What is still open was not closed: the session ends, and nobody will hear whether it is whole.
    pub fn interrupt(&self) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let closings = open.values().filter_map(|handle| handle.worktree()?.closing.as_ref());
        closings.for_each(|closing| closing.is_killed.store(true, Ordering::Relaxed));
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
