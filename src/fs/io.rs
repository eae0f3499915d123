//! Files by their inode: opening, closing, attributes. What is done with one that is open is in `open_file.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::attr::{Attr, Kind};
use super::change::writable;
use super::changes::{Changes, SetTime};
use super::errno::{Error, Result};
use super::file_system::FileSystem;
use super::handle::Handle;
use super::namespace::ControlFile;
use super::node::node;
use super::open_file::OpenFile;
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

    /// What an open file's number stands for.
    pub fn opened(&self, handle: u64) -> Result<OpenFile<'_>> {
        Ok(OpenFile { shared: &self.shared, handle: self.shared.handles.get(handle)?, asker: 0 })
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

    /// The last descriptor of a handle is gone: when whoever still reads it is done, what was written is
    /// complete.
    pub fn release(&self, handle: u64) {
        let Some(closed) = self.shared.handles.remove(handle) else { return };
        self.shared.lending.closed(handle);
        let fill = match &*closed {
            Handle::Snapshot(file) => file.close(),
            Handle::Worktree(open) => open.reader.close(),
            Handle::Array(_) | Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => None,
        };
        if let Some(fill) = fill {
            self.shared.fills.send(fill);
        }
        // The last who reads a file that the kernel wrote completes it.
        let lent = closed.worktree().filter(|open| !open.write && open.worktree.lending().is_lent(open.node));
        let lent = lent.map(|open| (Arc::clone(&open.worktree), open.node));
        drop(closed);
        if let Some((worktree, _)) = lent.filter(|(worktree, node)| !worktree.lending().is_lent(*node)) {
            self.shared.ingest.settled(worktree);
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
            let at = |time| match time {
                SetTime::Now => self.shared.now(),
                SetTime::At(time) => time,
            };
            let modified = changes.modified.map(at);
            if changes.mode.is_some() || modified.is_some() {
                worktree.names().set_attributes(node, changes.mode, modified)?;
            }
            if changes.drops_privileges {
                drop_privileges(worktree, node)?;
            }
            if changes != Changes::default() {
                self.shared.note_changes(worktree, [node]);
            }
            if let Some(accessed) = changes.accessed {
                worktree.note_access(node, at(accessed), self.shared.now());
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

    /// Copies all bytes of a file, at most `len` from `offset` on, into another one without touching one, if the first file is
    /// complete and the other one empty. Returns how many; `None` if they are to be read and written.
    pub fn copy(&self, from: u64, handle: u64, offset: u64, len: u64) -> Result<Option<u64>> {
        // What cannot be told of it does not keep it from being read.
        let given = self.shared.place(from).and_then(|place| node(&place).given(&self.shared));
        let Ok(Some(given)) = given else { return Ok(None) };
        // The answer has room for no more.
        let is_all = offset == 0 && !given.is_empty() && given.len() <= len.min(u64::from(u32::MAX));
        Ok((is_all && self.opened(handle)?.take(&given)?).then_some(given.len()))
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
