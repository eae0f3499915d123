//! An open file of the simulated disk.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::super::error::at;
use super::super::{DiskFile, FileId, Result};
use super::{Fault, Ino, Inode, Lock, SimulatedDisk, State, errno, id_of, time};

/// A file, open.
#[derive(Debug)]
pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) ino: Ino,
    pub(super) path: PathBuf,
    pub(super) write: bool,
    pub(super) lock: Mutex<Option<Lock>>,
    /// As with the real one, a file whose sync failed stays unusable for syncing.
    pub(super) sync_failed: AtomicBool,
}

impl SimulatedFile {
    fn change_file<T>(&self, what: &'static str, f: impl FnOnce(&mut State) -> io::Result<T>) -> Result<T> {
        self.disk.change(what, &self.path, |state| if self.write { f(state) } else { errno(libc::EBADF) })
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if self.write {
            self.disk.state().writers.entry(self.ino).and_modify(|writers| *writers -= 1);
        }
    }
}

impl DiskFile for SimulatedFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_with("read", &self.path, |state| {
            let bytes = &state.file(self.ino)?.bytes;
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            let wanted = start.checked_add(buf.len()).and_then(|end| bytes.get(start..end));
            buf.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.change_file("write", |state| {
            let fitting = state.fitting(self.ino, offset, bytes.len() as u64)? as usize;
            let modified = state.operations;
            let file = state.file_mut(self.ino)?;
            file.modified = modified;
            file.write(&bytes[..fitting], offset);
            if fitting < bytes.len() { errno(libc::ENOSPC) } else { Ok(()) }
        })
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change_file("truncate", |state| {
            let modified = state.operations;
            let file = state.file_mut(self.ino)?;
            file.modified = modified;
            file.set_len(len);
            Ok(())
        })
    }

    fn len(&self) -> Result<u64> {
        at("stat", &self.path, self.disk.state().file(self.ino).map(|file| file.bytes.len() as u64))
    }

    fn reserve(&self, end: u64) -> Result<()> {
        self.change_file("reserve room in", |state| {
            let (used, file) = (state.available(), state.file(self.ino)?);
            let have = (file.bytes.len() as u64).max(file.reserved);
            if end.saturating_sub(have) > used {
                return errno(libc::ENOSPC);
            }
            let file = state.file_mut(self.ino)?;
            file.reserved = file.reserved.max(end);
            Ok(())
        })
    }

    fn id(&self) -> Result<FileId> {
        Ok(id_of(self.ino))
    }

    fn names(&self) -> Result<u64> {
        self.disk.read_with("stat", &self.path, |state| {
            let named = |inode: &Inode| match inode {
                Inode::Dir(dir) => dir.entries.values().filter(|ino| **ino == self.ino).count() as u64,
                Inode::File(_) => 0,
            };
            Ok(state.inodes.iter().map(named).sum())
        })
    }

    fn changed(&self) -> Result<SystemTime> {
        at("stat", &self.path, self.disk.state().file(self.ino).map(|file| time(file.modified)))
    }

    fn modified(&self) -> Result<SystemTime> {
        self.changed()
    }

    fn try_lock(&self) -> Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() && self.disk.state().try_lock(self.ino, true) {
            *lock = Some(Lock { disk: self.disk.clone(), ino: self.ino });
        }
        Ok(lock.is_some())
    }

    fn try_lock_shared(&self) -> Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody comes in between: letting go and taking are one step to all others.
        let mut state = self.disk.state();
        if lock.is_some() {
            state.share_lock(self.ino);
        } else if state.try_lock(self.ino, false) {
            *lock = Some(Lock { disk: self.disk.clone(), ino: self.ino });
        }
        Ok(lock.is_some())
    }

    fn to_write(&self) -> Result<Box<dyn DiskFile>> {
        Ok(self.disk.boxed(&self.path, self.ino, true))
    }

    fn is_locked(&self) -> Result<bool> {
        let own = self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        Ok(!own && self.disk.state().locks.contains_key(&self.ino))
    }

    fn has_writers(&self) -> Result<bool> {
        Ok(self.disk.state().writers.get(&self.ino).is_some_and(|writers| *writers > 0))
    }

    fn check_kept(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return at("keep bytes of", &self.path, errno(libc::EIO));
        }
        let mut state = self.disk.state();
        let kept = state.file_mut(self.ino).and_then(|file| match file.take_lost() {
            true => errno(libc::EIO),
            false => Ok(()),
        });
        self.sync_failed.fetch_or(kept.is_err(), Ordering::AcqRel);
        at("keep bytes of", &self.path, kept)
    }

    fn sync(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return at("sync", &self.path, errno(libc::EIO));
        }
        let mut state = self.disk.state();
        let fate = state.count();
        state.syncs += 1;
        // A machine that stopped has lost nothing until its power is cut; a disk that fails has.
        let stopped = matches!(state.fault, Some(Fault::From(..)));
        let result = state.file_mut(self.ino).and_then(|file| match fate {
            Ok(()) if file.take_lost() => errno(libc::EIO),
            Ok(()) => {
                file.sync();
                Ok(())
            }
            Err(error) => {
                if !stopped {
                    file.drop_unsynced();
                }
                Err(error)
            }
        });
        self.sync_failed.fetch_or(result.is_err(), Ordering::AcqRel);
        at("sync", &self.path, result)
    }
}
