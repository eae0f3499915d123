//! What writers left in a lent file that others have open still to read it.
//!
//! Those go on reading the lent file, and the kernel writes to it for whoever writes next. So its bytes are copied when the
//! last writer goes, and the copy is the file: it is complete, commits take it, and nothing is left to be recovered of it
//! when this process dies. The lent file stays *apart*, named by no record, until a writer comes, before whose opening is
//! answered a record says that the file is being written in it again; or until nobody has it open any more.
//!
//! While it is apart, another process may begin to write to the file. Then whoever has it open here goes on with what is
//! no longer the file at this path, as if that had been moved away (`nodes/apply.rs`).

use super::error::{Error, Result};
use super::lend::Lending;
use super::nodes::{Body, Content, NodeId};
use super::open_files::{OpenFile, Staged};
use super::record::Record;
use super::state::State;
use crate::id::StagingId;
use std::sync::Arc;

impl Lending<'_> {
    /// Makes what the last writer left in a lent file that others still read the file's bytes, in a staging file of its own;
    /// durable if `was_synced`. Does nothing if more writers came than had begun when nobody wrote, nobody reads any more, or no
    /// name leads to it.
    pub(super) fn settle_apart(
        &self,
        node: NodeId,
        lent: &Staged,
        was_synced: bool,
        begun_writers: u64,
    ) -> Result<()> {
        let is_safe = {
            let state = self.tenant.state();
            let file = state.nodes.file_of(lent.0).map(|(_, file)| file);
            match state.open.get(&node) {
                Some(open) if open.is_written(lent.0) && state.nodes.is_linked(node) => {
                    file.is_some_and(|file| file.is_safe_in(lent.0))
                }
                Some(_) | None => return Ok(()),
            }
        };
        // What a power cut brings back must not be what the next writer writes to, and nobody else may throw away the file.
        let is_durable = was_synced || is_safe;
        let copy = self.tenant.fresh_staging_file()?;
        let len = lent.1.len();
        let copied = len.map_err(Error::from).and_then(|len| {
            self.tenant.giving().copy_staged(&*lent.1, len, &*copy.1)?;
            // What was read is what was written, unless the disk lost it before.
            lent.1.check_kept().map_err(|_| self.tenant.staging().lose(lent.0))?;
            if is_durable {
                copy.1.sync()?;
                self.tenant.repo().disk().sync_dir(&self.tenant.staging().dir())?;
            }
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
                    true => self.append_apart(state, node, (&copy, len), is_durable).map(|()| true),
                    false => Ok(false),
                }
            })
        });
        match settled {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => {
                self.tenant.drop_fresh(&copy);
                settled.map(|_| ())
            }
        }
    }

    /// Records that the copy is the file.
    fn append_apart(
        &self,
        state: &mut State,
        node: NodeId,
        (copy, len): (&Staged, u64),
        is_durable: bool,
    ) -> Result<()> {
        let path = state.nodes.path_of(node)?;
        let attributes = state.lent_attributes(node)?;
        let (staging, modified) = (copy.0, attributes.modified);
        let records = [
            Record::Open { path, attributes, staging, at: modified },
            Record::Settle { staging, len, modified },
            Record::Synced { staging, len, complete: true },
        ];
        state.append_all(self.tenant.repo(), if is_durable { &records } else { &records[..2] })?;
        if !is_durable {
            state.unsynced.insert(staging, Arc::clone(&copy.1));
        }
        state.say_modified(node);
        Ok(())
    }

    /// Whether the file's bytes are elsewhere than in the lent file.
    pub(super) fn is_apart(&self, state: &State, node: NodeId) -> bool {
        apart(state, node).is_some()
    }

    /// A writer comes: the file is being written in the lent one from now on, if that was apart.
    pub(super) fn write_apart(&self, state: &mut State, node: NodeId) -> Result<()> {
        let Some(staging) = apart(state, node) else { return Ok(()) };
        if !state.nodes.is_linked(node) {
            return state.nodes.change_file(node, |file| file.open(Content::Staged { staging, len: 0 }));
        }
        let attributes = state.lent_attributes(node)?;
        let path = state.nodes.path_of(node)?;
        let id = state.open.get(&node).and_then(OpenFile::writing).map(|(_, file)| file.id()).transpose()?;
        // Nobody removes it while it is lent; who did so all the same took away what would be written.
        let named = self.tenant.repo().disk().stat(&self.tenant.staging().path(staging))?;
        if named.map(|named| named.id) != id {
            return Err(Error::Stale);
        }
        let record = Record::Open { path, attributes, staging, at: attributes.modified };
        // As many as there were copies, for which there was room: emptying the file must not fail for want of it.
        state.append_making_room(self.tenant.repo(), record)?;
        state.say_modified(node);
        Ok(())
    }

    /// The end of the last who had a file open whose lent one is apart; whether it was that. What was lent is let go.
    pub(super) fn end_apart(&self, node: NodeId) -> Result<bool> {
        if apart(&self.tenant.state(), node).is_none() {
            return Ok(false);
        }
        self.tenant.change(|state| {
            let Some(lent) = apart(state, node) else { return Ok(false) };
            let is_over = |open: &&mut OpenFile| open.is_written(lent) && !open.is_lent_to_readers();
            if let Some(open) = state.open.get_mut(&node).filter(is_over) {
                open.give_back();
            }
            Ok(true)
        })
    }
}

/// The lent file of a node, if the file's bytes are elsewhere.
fn apart(state: &State, node: NodeId) -> Option<StagingId> {
    let (lent, _) = state.open.get(&node).filter(|open| open.is_lent())?.writing()?;
    let Body::File(file) = &state.nodes.get(node).ok()?.body else { return None };
    (file.is_complete() && file.current.staging() != Some(*lent)).then_some(*lent)
}
