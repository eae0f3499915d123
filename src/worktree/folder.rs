//! One look at the folder of a worktree that stands for looks at what is in it.
//!
//! Owns the descriptor of the lock file and what the folder was like when everything in it was found as it should be: the
//! lock file that is held, this worktree's journal, no newer generation. Names come and go there when a generation
//! starts, when somebody makes a lock file anew and when the worktree is deleted, and the folder itself moves with its
//! worktree or its repository. Each of these shows at its path: there is another folder, or it changed since (its time of
//! change, which nobody can set). Clocks of disks have steps, so that two changes in one step look like one: a look counts
//! for later only if the disk's clock, as a file tells it that was written before, had gone on for longer than a step.

use super::error::{Error, Result};
use crate::disk::{Disk, FileId, LockFile, Patience, Stat};

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The longest step of a disk's clock that is known: that of FAT. Most have some milliseconds.
const STEP: Duration = Duration::from_secs(2);

/// What one process knows of the folder between its changes.
#[derive(Debug, Default)]
pub(super) struct Folder {
    lock: Option<(FileId, Arc<dyn LockFile>)>,
    seen: Option<(FileId, SystemTime)>,
}

impl Folder {
    /// Holds off other processes that would append. Whether the lock is still that of the folder is for the caller to ask.
    ///
    /// # Errors
    /// [`Error::Replaced`] if there is no such folder any more.
    pub(super) fn lock(&mut self, disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Send + Sync>> {
        let gone = |error: crate::disk::DiskError| match error.is_absence() {
            true => Error::Replaced(dir.to_owned()),
            false => error.into(),
        };
        let lock = match &self.lock {
            Some((_, lock)) => Arc::clone(lock),
            None => {
                let lock = disk.open_lock(&dir.join("lock")).map_err(gone)?;
                self.seen = None;
                Arc::clone(&self.lock.insert((lock.id()?, lock)).1)
            }
        };
        Ok(lock.lock(Patience::BRIEF).map_err(gone)?.expect("a lock that is waited for is held"))
    }

    /// Whether what lies at the path of the lock file is what is locked.
    pub(super) fn locks(&self, there: Option<Stat>) -> bool {
        self.lock.as_ref().is_some_and(|(id, _)| there.is_some_and(|stat| stat.id == *id))
    }

    /// Lets go of a lock file that is no longer the folder's.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the folder is the one in which everything was found as it should be, and did not change since.
    pub(super) fn is_as_seen(&self, there: Option<Stat>) -> bool {
        self.seen.is_some() && self.seen == there.map(|stat| (stat.id, stat.changed))
    }

    /// Everything in the folder is as it should be; it was looked at before that, and before it was looked at the disk's
    /// clock had come to `clock`.
    pub(super) fn saw(&mut self, there: Option<Stat>, clock: SystemTime) {
        let settled = there.filter(|stat| clock.duration_since(stat.changed).is_ok_and(|since| since > STEP));
        self.seen = settled.map(|stat| (stat.id, stat.changed));
    }
}
