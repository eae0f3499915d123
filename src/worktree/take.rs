//! Giving an empty file that is being written the bytes of another one: nothing is copied.
//!
//! What is stored is named by its recipe; what waits to be stored is a staging file that never changes, and gets a second
//! name. Of a file longer than one call may copy nothing is given: what would have to be remembered until the last piece is
//! not durable when a program that copied less closes the file.

use super::copying::Giving;
use super::error::Result;
use super::given::Given;
use super::nodes::{Body, Content, NodeId};
use super::open_files::OpenFile;
use super::record::Record;
use super::state::State;
use super::tenant::Tenant;
use crate::disk::DiskFile;
use crate::history::Attributes;
use crate::id::StagingId;
use crate::units::Timestamp;
use std::path::Path;
use std::sync::Arc;

impl Giving<'_> {
    /// What a file gives to others; `None` if it is being written, or its bytes are lost.
    pub fn given(&self, node: NodeId) -> Result<Option<Given>> {
        let content = self.worktree.read(|state| match &state.nodes.get(node)?.body {
            Body::File(file) if file.is_complete() && !file.is_current_lost() => Ok(Some(file.current)),
            Body::File(_) | Body::Dir(_) | Body::Symlink(_) => Ok(None),
        })?;
        Ok(match content {
            Some(Content::Stored { recipe, len }) => Some(Given::Stored { recipe, len }),
            Some(Content::Staged { staging, len }) => Some(Given::Staged {
                path: self.worktree.staging().path(staging),
                file: self.worktree.staging().of_node(node, staging)?,
                len,
            }),
            None => None,
        })
    }
}

impl Tenant {
    /// Lets a file that is being written here have all the bytes of another one, if it has none yet. It is complete then, and
    /// as durable as any once its name is synced; whoever writes on writes to a copy. `false` if it has other bytes or no name, or is lent: then nothing has changed.
    ///
    /// The caller sees to it that nobody writes to it meanwhile.
    ///
    /// # Errors
    /// As [`Tenant::write_at`]. Nothing has changed then.
    pub fn take(&self, node: NodeId, given: &Given, now: Timestamp) -> Result<bool> {
        match given {
            Given::Stored { recipe, len } => self.change(|state| {
                let Some(staging) = empty(state, node)? else { return Ok(false) };
                let records = [
                    Record::Settle { staging, len: 0, modified: now },
                    Record::Stored { staging, recipe: *recipe, len: *len },
                ];
                state.append_all(self.repo(), &records)?;
                state.open.get_mut(&node).map(OpenFile::give_back);
                Ok(true)
            }),
            Given::Staged { path, file, len } => {
                if empty(&self.state(), node)?.is_none() {
                    return Ok(false);
                }
                let Some(staging) = self.second_name(path, &**file)? else { return Ok(false) };
                let taken = self.change(|state| {
                    if empty(state, node)?.is_none() {
                        return Ok(false);
                    }
                    let attributes = Attributes { modified: now, ..state.nodes.get(node)?.attributes };
                    let path = state.nodes.path_of(node)?;
                    let records = [
                        Record::Open { path, attributes, staging, at: now },
                        Record::Settle { staging, len: *len, modified: now },
                    ];
                    state.append_all(self.repo(), &records)?;
                    state.unsynced.insert(staging, Arc::clone(file));
                    // Who has it open reads on when its name goes and nobody needs the staging file.
                    let now = state.readers.tick();
                    state.readers.opened += 1;
                    if let Some(open) = state.open.get_mut(&node) {
                        open.give_back();
                        open.use_at(now, Some((staging, Arc::clone(file))));
                    }
                    Ok(true)
                });
                if !matches!(taken, Ok(true)) {
                    self.drop_fresh(&(staging, Arc::clone(file)));
                }
                taken
            }
        }
    }

    /// Gives a complete staging file, of any worktree, a second name among those of this one; `None` if it is gone or the disk
    /// cannot do that.
    fn second_name(&self, path: &Path, file: &dyn DiskFile) -> Result<Option<StagingId>> {
        loop {
            let staging = self.state().nodes.fresh_staging();
            let name = self.staging().path(staging);
            match self.repo().disk().link(path, &name) {
                Ok(()) => {
                    let named = self.repo().disk().stat(&name)?.map(|named| named.id);
                    if named == Some(file.id()?) {
                        return Ok(Some(staging));
                    }
                    // Another file had its name by then.
                    let _ = self.repo().disk().remove_file(&name);
                    return Ok(None);
                }
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(_) => return Ok(None),
            }
        }
    }
}

/// The staging file of a node if that is empty, and is its file.
fn empty(state: &State, node: NodeId) -> Result<Option<StagingId>> {
    let Some(open) = state.open.get(&node).filter(|open| !open.is_lent()) else { return Ok(None) };
    let Some(staging) = open.writing().map(|(staging, _)| *staging) else { return Ok(None) };
    let is_empty = open.written_len(staging).transpose()? == Some(0);
    let is_current = state.nodes.by_staging(staging) == Some(node) && state.nodes.is_linked(node);
    Ok((is_empty && is_current).then_some(staging))
}
