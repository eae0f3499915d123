//! Staging files that others read and write by themselves, without a word to us: a kernel that was handed the descriptor.
//!
//! Nothing is told of what they write, so what is wanted is asked of the disk: the length, the time, and whether a sync
//! covers it. What is handed on can only be read, and is not marked: the kernel opens the file anew for whoever writes. So a
//! process that dies leaves a file that counts as being written as long as somebody still has it open for that, and no
//! longer, by what the disk tells of writers ([`DiskFile::has_writers`]).
//!
//! Whoever opens the file while it is lent is given the same staging file, readers as well, and keeps it. So it is not
//! complete when the last writer goes and readers stay: a later writer would write to it. What the writer left is copied
//! then, and the copy is the version that a commit takes; the lent file is complete when nobody has it open any more.

use super::error::{Error, Result};
use super::nodes::NodeId;
use super::open_files::{OpenFile, Staged};
use super::record::Record;
use super::state::State;
use super::tenant::Tenant;
use crate::disk::DiskFile;
use crate::history::Attributes;
use crate::units::Timestamp;
use std::sync::Arc;

/// The files of a worktree that are written here, as what may be lent.
#[derive(Debug, Clone, Copy)]
pub struct Lending<'a> {
    tenant: &'a Tenant,
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
        // This process does.
        file.has_writers().is_ok_and(|has_writers| has_writers).then_some(file)
    }

    /// Notes that what [`Lending::lendable`] gave is lent until nobody has the file open any more. To be called before
    /// anybody can write by it; whoever opens the file from now on reads and writes it as well.
    ///
    /// # Errors
    /// If the disk does not tell the file's time, or nobody writes to it. Then it may not be lent.
    pub fn lend(&self, node: NodeId) -> Result<()> {
        let mut state = self.tenant.state();
        let open = state.open.get_mut(&node).ok_or(Error::Stale)?;
        let (_, file) = open.writing().ok_or(Error::Stale)?;
        let modified = file.modified()?;
        open.lend(modified);
        Ok(())
    }

    /// Whether a node's staging file is lent.
    pub fn is_lent(&self, node: NodeId) -> bool {
        self.tenant.state().open.get(&node).is_some_and(OpenFile::is_lent)
    }

    /// When a lent file was last changed in any way, by the disk; `None` if it is not lent.
    pub fn changed(&self, node: NodeId) -> Option<Timestamp> {
        let state = self.tenant.state();
        let open = state.open.get(&node).filter(|open| open.is_lent())?;
        let (_, file) = open.writing()?;
        file.changed().ok().map(Timestamp::from)
    }

    /// Makes what the last writer left in a lent file that others still read a version of its own, in a staging file of its
    /// own. Does nothing if somebody writes again, or nobody reads any more.
    pub(super) fn settle_apart(&self, node: NodeId, lent: &Staged) -> Result<()> {
        let begun_writers = {
            let state = self.tenant.state();
            match state.open.get(&node) {
                Some(open) if open.is_written(lent.0) => open.begun_writers,
                Some(_) | None => return Ok(()),
            }
        };
        let copy = self.tenant.fresh_staging_file()?;
        let len = lent.1.len();
        let copied = len.map_err(Error::from).and_then(|len| {
            self.tenant.copy_staged(&*lent.1, len, &*copy.1)?;
            Ok(len)
        });
        let settled = copied.and_then(|len| {
            self.tenant.change(|state| {
                let is_untouched = state.open.get(&node).is_some_and(|open| {
                    open.is_written(lent.0)
                        && open.is_lent_to_readers()
                        && open.begun_writers == begun_writers
                });
                let is_current = state.nodes.by_staging(lent.0) == Some(node) && state.nodes.is_linked(node);
                match is_untouched && is_current {
                    true => self.append_apart(state, node, lent, &copy, len).map(|()| true),
                    false => Ok(false),
                }
            })
        });
        if !matches!(settled, Ok(true)) {
            self.tenant.drop_fresh(&copy);
        }
        settled.map(|_| ())
    }

    /// Records that the copy is what a commit takes, and that the file goes on in the lent one.
    fn append_apart(
        &self,
        state: &mut State,
        node: NodeId,
        lent: &Staged,
        copy: &Staged,
        len: u64,
    ) -> Result<()> {
        let path = state.nodes.path_of(node)?;
        let attributes = state.lent_attributes(node)?;
        let (at, modified) = (attributes.modified, attributes.modified);
        let records = [
            Record::Open { path: path.clone(), attributes, staging: copy.0, at },
            Record::Settle { staging: copy.0, len, modified },
            Record::Open { path, attributes, staging: lent.0, at },
        ];
        state.append_all(self.tenant.repo(), &records)?;
        state.unsynced.insert(copy.0, Arc::clone(&copy.1));
        state.say_modified(node);
        Ok(())
    }
}

impl State {
    /// Mode and time of a node: the time is the disk's if its bytes are in a lent file that was written to since.
    pub(super) fn lent_attributes(&mut self, node: NodeId) -> Result<Attributes> {
        let attributes = self.nodes.get(node)?.attributes;
        match self.open.get_mut(&node).and_then(OpenFile::lent_since) {
            Some((said, file)) => match file.modified()? {
                now if now == *said => Ok(attributes),
                now => Ok(Attributes { modified: now.into(), ..attributes }),
            },
            None => Ok(attributes),
        }
    }

    /// Somebody said when the bytes of a node changed: that stands until they do.
    pub(super) fn say_modified(&mut self, node: NodeId) {
        if let Some((said, file)) = self.open.get_mut(&node).and_then(OpenFile::lent_since)
            && let Ok(now) = file.modified()
        {
            *said = now;
        }
    }
}
