//! Opening, reading, writing, making durable and closing.

use std::os::fd::BorrowedFd;
use std::sync::PoisonError;
use std::time::Duration;

use crate::disk::DiskFile;

use super::attr::{Attr, Kind};
use super::change::writable;
use super::changes::{Changes, SetTime};
use super::command::Commands;
use super::completion::Closer;
use super::errno::{Error, Result};
use super::file_system::FileSystem;
use super::handle::Handle;
use super::namespace::ControlFile;
use super::node::node;
use super::opening::{OpenMode, Opened, Seek};
use super::place::Place;
use super::worktrees::{drop_privileges, with_room};

/// So long a sync of a directory waits for the word that files which were closed are complete. What was synced of them is
/// durable without it; with it, it counts as whole after a power cut.
const CLOSING: Duration = Duration::from_millis(100);

impl FileSystem {
    /// Opens a file.
    pub fn open(&self, ino: u64, mode: OpenMode) -> Result<Opened> {
        let place = self.shared.place(ino)?;
        let node = node(&place);
        if node.kind() == Some(Kind::Dir) {
            return Err(Error::IsADirectory);
        }
        if (mode.write || mode.truncate) && !node.takes_writing() {
            return Err(Error::ReadOnly);
        }
        let (handle, cache) = node.open(ino, &self.shared, mode)?;
        let is_writer = mode.write || mode.truncate;
        Ok(Opened { handle: self.shared.handles.insert(handle), cache, is_writer })
    }

    /// Whether an open file is one of the history: the kernel may read it without us, if there is a plain copy.
    pub(super) fn is_of_history(&self, handle: u64) -> bool {
        self.shared.handles.get(handle).is_ok_and(|handle| matches!(*handle, Handle::Snapshot(_)))
    }

    /// Whether an open file is read from a plain copy.
    pub(super) fn has_copy(&self, handle: u64) -> bool {
        self.with_copy(handle, |_| ()).is_some()
    }

    /// Does something with the descriptor of the plain copy that an open file is read from, if it is.
    pub(super) fn with_copy<T>(&self, handle: u64, act: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        match &*self.shared.handles.get(handle).ok()? {
            Handle::Snapshot(file) => file.copy().and_then(DiskFile::as_fd).map(act),
            _ => None,
        }
    }

    /// Notes that a program was given so many bytes from `offset`: whoever wants all of a file gets a plain copy of it.
    pub(super) fn note_read(&self, handle: u64, offset: u64, len: usize) {
        let Ok(handle) = self.shared.handles.get(handle) else { return };
        let fill = match &*handle {
            Handle::Snapshot(file) => file.note_read(offset, len as u64),
            Handle::Worktree(open) => open.reader.note_read(offset, len as u64),
            Handle::Array(_) | Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => None,
        };
        if let Some(fill) = fill {
            self.shared.fills.send(fill);
        }
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end of the file. Returns how many.
    pub fn read(&self, handle: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match &*self.shared.handles.get(handle)? {
            Handle::Snapshot(file) => Ok(file.read_at(offset, buf)?),
            Handle::Array(array) => Ok(array.read_at(offset, buf)?),
            Handle::Generated(bytes) => Ok(copy_from(bytes, offset, buf)),
            Handle::Control(said) => {
                Ok(copy_from(&said.lock().unwrap_or_else(PoisonError::into_inner), offset, buf))
            }
            Handle::Worktree(open) => open
                .act(|worktree, node| Ok(worktree.staging().read_held(node, &open.reader, offset, buf)?)),
            Handle::Listing(_) => Err(Error::IsADirectory),
        }
    }

    /// Writes all of `bytes` at `offset`. For `.coral/ctl`, carries out the commands in them.
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        match &*self.shared.handles.get(handle)? {
            Handle::Worktree(open) if open.write => {
                open.act(|worktree, node| {
                    with_room(worktree, || worktree.write_at(node, offset, bytes, self.shared.now()))
                })?;
                open.wrote();
                self.shared.note_changes(&open.worktree, [open.node]);
                Ok(())
            }
            Handle::Control(said) => {
                let result = Commands::of(&self.shared).carry_out(bytes);
                let text = match &result {
                    Ok(text) | Err(text) => text.clone().into_bytes(),
                };
                *said.lock().unwrap_or_else(PoisonError::into_inner) = text;
                result.map(|_| ()).map_err(|_| Error::CommandFailed)
            }
            Handle::Worktree(_)
            | Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Listing(_) => Err(Error::BadHandle),
        }
    }

    /// Takes from an open file what would let others run it as somebody else: who may not keep it wrote to it.
    pub fn drop_privileges(&self, handle: u64) -> Result<()> {
        match &*self.shared.handles.get(handle)? {
            Handle::Worktree(open) => open.act(drop_privileges),
            _ => Ok(()),
        }
    }

    /// Somebody closed a descriptor of an open file, maybe the last; `closer` tells how that one is doing.
    pub fn flush(&self, handle: u64, closer: impl FnOnce() -> Closer) -> Result<()> {
        if let Handle::Worktree(open) = &*self.shared.handles.get(handle)? {
            open.closing(closer);
        }
        Ok(())
    }

    /// Makes an open file durable: bytes, name and attributes.
    pub fn fsync(&self, handle: u64) -> Result<()> {
        match &*self.shared.handles.get(handle)? {
            Handle::Worktree(open) => open.act(|worktree, node| Ok(worktree.sync(node)?)),
            // Snapshots are durable since they were committed.
            Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Control(_)
            | Handle::Listing(_) => Ok(()),
        }
    }

    /// Makes the names in a directory durable, and as a rule that files are complete which were closed before.
    pub fn fsync_dir(&self, ino: u64) -> Result<()> {
        match &*self.shared.place(ino)? {
            Place::Worktree(at) => {
                self.shared.closings.wait_at_most(CLOSING);
                self.shared.worktrees.within(at, |worktree| Ok(worktree.sync(at.node())?))
            }
            _ => Ok(()),
        }
    }

    /// The last descriptor and mapping of a handle are gone: when whoever still reads it is done, what was written is
    /// complete.
    pub fn release(&self, handle: u64) {
        let Some(closed) = self.shared.handles.remove(handle) else { return };
        let fill = match &*closed {
            Handle::Snapshot(file) => file.close(),
            Handle::Worktree(open) => open.reader.close(),
            Handle::Array(_) | Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => None,
        };
        if let Some(fill) = fill {
            self.shared.fills.send(fill);
        }
    }

    /// Changes attributes and length. A file that nobody else has open for writing is complete then.
    pub fn setattr(&self, ino: u64, changes: Changes, handle: Option<u64>) -> Result<Attr> {
        // Shells open `.coral/ctl` to truncate it.
        if let Place::Control(ControlFile::Ctl) = &*self.shared.place(ino)? {
            return self.getattr(ino);
        }
        writable(&self.shared, ino, |worktree, node| {
            if let Some(len) = changes.len {
                self.shared.cached_content.forget(ino);
                with_room(worktree, || worktree.set_len(node, len, self.shared.now()))?;
            }
            let modified = changes.modified.map(|time| match time {
                SetTime::Now => self.shared.now(),
                SetTime::At(time) => time,
            });
            if changes.mode.is_some() || modified.is_some() {
                worktree.names().set_attributes(node, changes.mode, modified)?;
            }
            if changes.drops_privileges {
                drop_privileges(worktree, node)?;
            }
            if changes != Changes::default() {
                self.shared.note_changes(worktree, [node]);
            }
            Ok(())
        })?;
        if changes.len.is_some()
            && let Some(Ok(handle)) = handle.map(|handle| self.shared.handles.get(handle))
            && let Handle::Worktree(open) = &*handle
        {
            open.wrote();
        }
        self.getattr(ino)
    }

    /// Makes sure that a file has room up to `offset + len`, extending it with zeros unless `keep_len`.
    pub fn allocate(&self, handle: u64, offset: u64, len: u64, keep_len: bool) -> Result<()> {
        let handle = self.shared.handles.get(handle)?;
        let Handle::Worktree(open) = &*handle else { return Err(Error::BadHandle) };
        let end = offset.checked_add(len).ok_or(Error::Invalid)?;
        let now = open.act(|worktree, node| Ok(worktree.names().attributes(node)?.len))?;
        if end.saturating_sub(now) > self.shared.space()?.available {
            return Err(Error::NoSpace);
        }
        match end > now && !keep_len {
            true => {
                open.act(|worktree, node| Ok(worktree.set_len(node, end, self.shared.now())?))?;
                open.wrote();
                self.shared.note_changes(&open.worktree, [open.node]);
                Ok(())
            }
            false => Ok(()),
        }
    }

    /// Where the next data or hole is: files are shown without holes.
    pub fn seek(&self, ino: u64, offset: u64, to: Seek) -> Result<u64> {
        let len = self.getattr(ino)?.len;
        match to {
            _ if offset >= len => Err(Error::BeyondEnd),
            Seek::Data => Ok(offset),
            Seek::Hole => Ok(len),
        }
    }
}

/// Copies what `bytes` has from `offset`; returns how many that are.
fn copy_from(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let len = rest.len().min(buf.len());
    buf[..len].copy_from_slice(&rest[..len]);
    len
}
