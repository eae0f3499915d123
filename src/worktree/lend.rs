//! Staging files that others read and write by themselves, without a word to us: a kernel that was handed the descriptor.
//!
//! Nothing is told of what they write, so what is wanted is asked of the disk: the length, the time, whether a sync covers
//! it, and whether anybody writes still ([`DiskFile::has_writers`]). That is only told of others where we could not write
//! ourselves: so what is handed on, and what is kept, can only be read; the kernel opens the file anew for whoever writes, and
//! we do for a moment. A mapping may outlive the last close, and a process of which we do not hear any more may
//! write: the file is complete when the disk knows of no writer. A process that dies leaves a file that is being written
//! as long as somebody writes to it.
//!
//! Whoever opens the file while it is lent is given the same staging file, readers as well, and keeps it. So it is not
//! complete when the last writer goes and readers stay: a later writer would write to it. What the writer left is copied
//! then, and the copy is the file (`apart.rs`).

use super::error::{Error, Result};
use super::nodes::NodeId;
use super::open_files::{OpenFile, Staged};
use super::state::State;
use super::tenant::Tenant;
use crate::disk::DiskFile;
use crate::history::Attributes;
use crate::units::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The files of a worktree that are written here, as what may be lent.
#[derive(Debug, Clone, Copy)]
pub struct Lending<'a> {
    pub(super) tenant: &'a Tenant,
}

impl Tenant {
    /// Lending the files that are written here.
    pub fn lending(&self) -> Lending<'_> {
        Lending { tenant: self }
    }
}

impl Lending<'_> {
    /// The staging file that is being written here under a node, open to be read, if it may be lent: the disk tells
    /// whether anybody writes to it.
    pub fn lendable(&self, node: NodeId) -> Option<Arc<dyn DiskFile>> {
        let staging = {
            let state = self.tenant.state();
            let (staging, _) = state.open.get(&node)?.writing()?;
            (state.nodes.by_staging(*staging) == Some(node)).then_some(*staging)?
        };
        let file = self.tenant.staging().open(staging).ok()?;
        file.has_writers().is_ok().then_some(file)
    }

    /// Notes that what [`Lending::lendable`] gave is lent until nobody has the file open any more. To be called before
    /// anybody can write by it; whoever opens the file from now on reads and writes it as well.
    ///
    /// # Errors
    /// If the disk cannot tell who writes, or the file is another one by now. Then it may not be lent.
    pub fn lend(&self, node: NodeId, given: &Arc<dyn DiskFile>) -> Result<()> {
        let staging =
            self.tenant.state().open.get(&node).and_then(OpenFile::writing).map(|(staging, _)| *staging);
        // Not the one that is given: a kernel may keep that open when this process is gone, and the mark with it.
        let kept = self.tenant.staging().open(staging.ok_or(Error::Stale)?)?;
        let mut state = self.tenant.state();
        let open = state.open.get_mut(&node).ok_or(Error::Stale)?;
        let (_, file) = open.writing().ok_or(Error::Stale)?;
        let is_same = file.id()? == given.id()? && kept.id()? == given.id()?;
        if open.is_lent() || !is_same {
            return if is_same { Ok(()) } else { Err(Error::Stale) };
        }
        // The mark goes over without a moment in which nobody has it.
        if !file.try_lock_shared()? || !kept.try_lock_shared()? {
            return Err(Error::Stale);
        }
        let modified = kept.modified()?;
        open.lend(kept, modified);
        Ok(())
    }

    /// Completes files that nobody has open, and that nobody writes to any more through a mapping. Returns which.
    ///
    /// # Errors
    /// If one cannot be recorded; the others were.
    pub fn settle_mapped(&self) -> Result<Vec<NodeId>> {
        let mapped: Vec<(NodeId, Staged)> = {
            let mut state = self.tenant.state();
            state.open.iter_mut().filter_map(|(node, open)| Some((*node, open.end_mapped()?))).collect()
        };
        let mut settled = Vec::new();
        let mut failed = Ok(());
        for (node, staged) in mapped {
            let ended = self.tenant.end(node, &staged);
            self.tenant.ended(node);
            if ended.is_ok() && !self.is_lent(node) {
                settled.push(node);
            }
            failed = failed.and(ended);
        }
        failed.map(|()| settled)
    }

    /// Whether a node's staging file is lent.
    pub fn is_lent(&self, node: NodeId) -> bool {
        self.tenant.state().open.get(&node).is_some_and(OpenFile::is_lent)
    }

    /// Whether closing a lent file may copy or sync it.
    pub fn ends_slowly(&self, node: NodeId) -> bool {
        let state = self.tenant.state();
        let open = state.open.get(&node).filter(|open| open.is_lent());
        open.is_some_and(|open| open.is_lent_to_readers() || open.is_synced())
    }

    /// Whether somebody writes to a lent file still. The kernel may let go of what was closed a moment after it told.
    pub(super) fn is_written_to(&self, file: &dyn DiskFile) -> bool {
        const PAUSES: [u64; 5] = [0, 50, 200, 1000, 4000];
        PAUSES.into_iter().all(|pause| {
            std::thread::sleep(Duration::from_micros(pause));
            file.has_writers().unwrap_or(true)
        })
    }

    /// When a lent file was last changed in any way, by the disk; `None` if it is not lent.
    pub fn changed(&self, node: NodeId) -> Option<Timestamp> {
        let state = self.tenant.state();
        let open = state.open.get(&node).filter(|open| open.is_lent())?;
        let (_, file) = open.writing()?;
        file.changed().ok().map(Timestamp::from)
    }
}

impl State {
    /// Mode and time of a node: the time is the disk's if its bytes are in a lent file that was written to since.
    pub(super) fn lent_attributes(&mut self, node: NodeId) -> Result<Attributes> {
        let attributes = self.nodes.get(node)?.attributes;
        match self.open.get_mut(&node).and_then(OpenFile::lent) {
            Some((lent, file)) => match file.modified()? {
                now if now == lent.modified => Ok(attributes),
                now => Ok(Attributes { modified: now.into(), ..attributes }),
            },
            None => Ok(attributes),
        }
    }

    /// Keeps the time of a lent file that nobody may ask the disk for later.
    pub(super) fn keep_lent_time(&mut self, node: NodeId) -> Result<()> {
        let attributes = self.lent_attributes(node)?;
        if attributes != self.nodes.get(node)?.attributes {
            self.nodes.set_modified(node, attributes)?;
            self.say_modified(node);
        }
        Ok(())
    }

    /// Somebody said when the bytes of a node changed: that stands until they do.
    pub(super) fn say_modified(&mut self, node: NodeId) {
        if let Some((lent, file)) = self.open.get_mut(&node).and_then(OpenFile::lent)
            && let Ok(now) = file.modified()
        {
            lent.modified = now;
        }
    }
}
