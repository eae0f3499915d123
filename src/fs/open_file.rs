//! What is done with an open file: reading, writing, making durable.
//!
//! Its number was looked up once, for all that one request does with it.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, PoisonError};

use crate::disk::DiskFile;
use crate::task::{Either, Silent, Stop, Task};
use crate::worktree::Given;

use super::asker::Asker;
use super::command::Commands;
use super::completion::Closer;
use super::errno::{Error, Result};
use super::handle::{Handle, OpenNode};
use super::superblock::Superblock;
use super::worktrees::{drop_privileges, with_room};

/// A file of the disk that the kernel may be handed.
pub(super) enum Backing<'a> {
    /// The plain copy of a file of the history.
    Copy(&'a dyn DiskFile),
    /// The staging file of a file that is being written.
    Staging(&'a OpenNode, Arc<dyn DiskFile>),
}

impl Backing<'_> {
    /// Its descriptor, where the system has it.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Backing::Copy(file) => file.as_fd(),
            Backing::Staging(_, file) => file.as_fd(),
        }
    }

    /// Notes that the kernel is about to have it.
    pub fn lend(&self) -> io::Result<()> {
        match self {
            Backing::Copy(_) => Ok(()),
            Backing::Staging(open, given) => {
                open.worktree.lending().lend(open.node, given).map_err(io::Error::other)
            }
        }
    }
}

/// An open file, or directory, of a mount.
pub struct OpenFile<'a> {
    pub(super) shared: &'a Superblock,
    pub(super) handle: Arc<Handle>,
    /// The thread that asks, as the kernel numbers them; 0 if it is not known.
    pub(super) asker: u32,
}

impl OpenFile<'_> {
    /// The same for one thread, whose signals end what takes long.
    pub fn asked_by(self, asker: u32) -> Self {
        Self { asker, ..self }
    }

    /// Whether its bytes lie on the disk, or can: for all who have it open the kernel has to be told the same of it.
    pub(super) fn is_on_disk(&self) -> bool {
        match &*self.handle {
            Handle::Snapshot(_) | Handle::Worktree(_) => true,
            Handle::Array(_) | Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => false,
        }
    }

    /// What the kernel may read without us, and of a worktree, if `lends`, also write.
    pub(super) fn backing(&self, lends: impl FnOnce() -> bool) -> Option<Backing<'_>> {
        match &*self.handle {
            Handle::Snapshot(file) => file.copy().map(Backing::Copy),
            Handle::Worktree(open) if open.write && open.has_begun() && lends() => {
                open.worktree.lending().lendable(open.node).map(|file| Backing::Staging(open, file))
            }
            _ => None,
        }
    }

    /// Notes that a program was given so many bytes from `offset`: whoever wants all of a file gets a plain copy of it.
    pub fn note_read(&self, offset: u64, len: usize) {
        let fill = match &*self.handle {
            Handle::Snapshot(file) => file.note_read(offset, len as u64),
            Handle::Worktree(open) => open.reader.note_read(offset, len as u64),
            Handle::Array(_) | Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_) => None,
        };
        if let Some(fill) = fill {
            self.shared.fills.send(fill);
        }
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end of the file. Returns how many.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match &*self.handle {
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
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        match &*self.handle {
            Handle::Worktree(open) if open.write => {
                open.act(|worktree, node| {
                    with_room(worktree, || worktree.write_at(node, offset, bytes, self.shared.now()))
                })?;
                open.wrote();
                self.shared.note_changes(&open.worktree, [open.node]);
                Ok(())
            }
            Handle::Control(said) => {
                let asker: Arc<dyn Stop> = Arc::new(Asker::of_thread(self.asker));
                let stop = Either(Arc::clone(&asker), Arc::new(self.shared.ending.clone()));
                let task = Task::new(Arc::new(stop), Arc::new(Silent));
                let result = Commands::of(self.shared).carry_out(bytes, &task);
                let text = match &result {
                    Ok(text) | Err(text) => text.clone().into_bytes(),
                };
                *said.lock().unwrap_or_else(PoisonError::into_inner) = text;
                result.map(|_| ()).map_err(|_| match asker.is_asked() {
                    true => Error::Interrupted,
                    false => Error::CommandFailed,
                })
            }
            Handle::Worktree(_)
            | Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Listing(_) => Err(Error::BadHandle),
        }
    }

    /// Takes the bytes of another file if it has none itself; copies nothing. Whether it did.
    pub fn take(&self, given: &Given) -> Result<bool> {
        let Handle::Worktree(open) = &*self.handle else { return Err(Error::BadHandle) };
        if !open.write {
            return Err(Error::BadHandle);
        }
        let taken = open.act(|worktree, node| Ok(worktree.take(node, given, self.shared.now())?))?;
        if taken {
            open.took();
            self.shared.note_changes(&open.worktree, [open.node]);
        }
        Ok(taken)
    }

    /// Takes from it what would let others run it as somebody else: who may not keep it wrote to it.
    pub fn drop_privileges(&self) -> Result<()> {
        match &*self.handle {
            Handle::Worktree(open) => open.act(drop_privileges),
            _ => Ok(()),
        }
    }

    /// Somebody closed a descriptor of it, maybe the last; `closer` tells how that one is doing, given the thread that opened it.
    pub fn flush(&self, closer: impl FnOnce(u32) -> Closer) {
        if let Handle::Worktree(open) = &*self.handle {
            open.closing(closer);
        }
    }

    /// Makes it durable: bytes, name and attributes.
    pub fn fsync(&self) -> Result<()> {
        match &*self.handle {
            Handle::Worktree(open) => open.act(|worktree, node| Ok(worktree.sync(node)?)),
            // Snapshots are durable since they were committed.
            Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Control(_)
            | Handle::Listing(_) => Ok(()),
        }
    }

    /// Makes sure that a file has room up to `offset + len`, extending it with zeros unless `keep_len`.
    pub fn allocate(&self, offset: u64, len: u64, keep_len: bool) -> Result<()> {
        let Handle::Worktree(open) = &*self.handle else { return Err(Error::BadHandle) };
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
}

/// Copies what `bytes` has from `offset`; returns how many that are.
fn copy_from(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let len = rest.len().min(buf.len());
    buf[..len].copy_from_slice(&rest[..len]);
    len
}
