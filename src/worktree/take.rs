//! Giving an empty file that is being written the bytes of another one: nothing is copied.
//!
//! What is stored is named by its recipe; what waits to be stored is a staging file that never changes, and gets a second
//! name. A file longer than one call may copy arrives in pieces. Until the last of them the staging file stays empty, and
//! stands for the first bytes of the other file as far as this process goes; whoever wants more of it than its length, or
//! changes it, has those bytes copied first. Of a process that dies before the last piece is left what it was before: empty, and
//! not complete.

use super::copying::Giving;
use super::error::{Error, Result};
use super::given::{Given, Prefix};
use super::nodes::{Body, Content, NodeId};
use super::open_files::OpenFile;
use super::record::Record;
use super::state::State;
use super::tenant::Tenant;
use crate::disk::DiskFile;
use crate::history::Attributes;
use crate::id::{RecipeId, StagingId};
use crate::units::Timestamp;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// One piece of a file that is given: so many bytes from an offset, the same in both files.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

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

    /// Copies what a staging file only stands for, so that it can be read, synced and changed; unless `keep`, it stands
    /// for nothing any more instead.
    pub(super) fn fill(&self, node: NodeId, keep: bool) -> Result<()> {
        if self.worktree.state().open.get(&node).is_none_or(|open| open.prefix.is_none()) {
            return Ok(());
        }
        let _alone = self.worktree.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let (prefix, file) = {
            let mut state = self.worktree.state();
            let Some(open) = state.open.get_mut(&node) else { return Ok(()) };
            let file = open.writing().map(|(_, file)| Arc::clone(file));
            if !keep {
                open.prefix = None;
            }
            let Some((prefix, file)) = open.prefix.as_mut().zip(file) else { return Ok(()) };
            prefix.is_copied = true;
            (prefix.clone(), file)
        };
        let copied = match &prefix.of {
            Given::Stored { recipe, .. } => self.copy_stored(*recipe, prefix.len, &*file),
            Given::Staged { file: from, .. } => self.copy_staged(&**from, prefix.len, &*file),
        };
        if let Some(open) = self.worktree.state().open.get_mut(&node) {
            match &copied {
                Ok(()) => {
                    open.prefix = None;
                    open.note_written(Some(prefix.len));
                }
                Err(_) => open.prefix = Some(Prefix { is_copied: false, ..prefix }),
            }
        }
        if copied.is_err() {
            // Half of it would be taken for all.
            let _ = file.set_len(0);
        }
        copied
    }

    /// [`Giving::fill`] for every file that is open here.
    pub(super) fn fill_all(&self) -> Result<()> {
        let state = self.worktree.state();
        let open = state.open.iter().filter(|(_, open)| open.prefix.is_some());
        let waiting: Vec<NodeId> = open.map(|(node, _)| *node).collect();
        drop(state);
        waiting.into_iter().try_for_each(|node| self.fill(node, true))
    }

    /// Copies the first bytes of a stored file into an empty one.
    fn copy_stored(&self, recipe: RecipeId, len: u64, to: &dyn DiskFile) -> Result<()> {
        const PIECE: usize = 4 << 20;
        let reader = self.worktree.repo().reader(&self.worktree.repo().recipe(recipe)?);
        let mut buf = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
        let mut offset = 0;
        while offset < len {
            let wanted = PIECE.min(usize::try_from(len - offset).unwrap_or(PIECE));
            let got = reader.read_at(offset, &mut buf[..wanted])?;
            if got == 0 {
                return Err(Error::Stale);
            }
            to.write_all_at(&buf[..got], offset)?;
            offset += got as u64;
        }
        Ok(())
    }
}

impl Tenant {
    /// Lets a file that is being written here have the bytes of another one, if it has none yet or was given those before
    /// this piece. With the last piece it is complete, and as durable as any once its name is synced; whoever writes
    /// on writes to a copy. `false` if it has other bytes or no name, or is lent: then nothing has changed.
    ///
    /// The caller sees to it that nobody writes to it meanwhile.
    ///
    /// # Errors
    /// As [`Tenant::write_at`]. Nothing has changed then.
    pub fn take(&self, node: NodeId, given: &Given, piece: Piece, now: Timestamp) -> Result<bool> {
        let Some(end) = piece.offset.checked_add(piece.len).filter(|end| *end <= given.len()) else {
            return Ok(false);
        };
        if end < given.len() {
            return stand_for(&mut self.state(), node, given, piece, now);
        }
        match given {
            Given::Stored { recipe, len } => self.change(|state| {
                let Some(staging) = empty(state, node, given, piece.offset)? else { return Ok(false) };
                let records = [
                    Record::Settle { staging, len: 0, modified: now },
                    Record::Stored { staging, recipe: *recipe, len: *len },
                ];
                state.append_all(self.repo(), &records)?;
                state.open.get_mut(&node).map(OpenFile::give_back);
                Ok(true)
            }),
            Given::Staged { path, file, len } => {
                if empty(&self.state(), node, given, piece.offset)?.is_none() {
                    return Ok(false);
                }
                let Some(staging) = self.second_name(path, &**file)? else { return Ok(false) };
                let taken = self.change(|state| {
                    if empty(state, node, given, piece.offset)?.is_none() {
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
                    state.open.get_mut(&node).map(OpenFile::give_back);
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

/// The staging file of a node if that is empty, or stands for the bytes that are given up to an offset, and is its file.
fn empty(state: &State, node: NodeId, given: &Given, offset: u64) -> Result<Option<StagingId>> {
    let Some(open) = state.open.get(&node).filter(|open| !open.is_lent()) else { return Ok(None) };
    let Some(staging) = open.writing().map(|(staging, _)| *staging) else { return Ok(None) };
    let is_next = match &open.prefix {
        Some(prefix) => !prefix.is_copied && prefix.len == offset && prefix.of.is_same(given),
        None => offset == 0 && open.written_len(staging).transpose()? == Some(0),
    };
    let is_current = state.nodes.by_staging(staging) == Some(node) && state.nodes.is_linked(node);
    Ok((is_next && is_current).then_some(staging))
}

/// Lets an empty staging file stand for the first bytes of another file. Whether it does.
fn stand_for(state: &mut State, node: NodeId, given: &Given, piece: Piece, now: Timestamp) -> Result<bool> {
    if empty(state, node, given, piece.offset)?.is_none() {
        return Ok(false);
    }
    let attributes = Attributes { modified: now, ..state.nodes.get(node)?.attributes };
    state.nodes.set_modified(node, attributes)?;
    let Some(open) = state.open.get_mut(&node) else { return Ok(false) };
    let len = piece.offset + piece.len;
    open.prefix = Some(Prefix { of: given.clone(), len, is_copied: false });
    open.note_written(Some(len));
    Ok(true)
}
