//! Keeping the staging files of a worktree from being removed, by whatever process.

use crate::disk::{self, Disk, DiskError, Patience};
use std::fmt;
use std::path::Path;

/// As long as it lives, no staging file is removed.
pub(super) struct Hold {
    /// Absent on a disk where nothing can be removed.
    _lock: Option<Box<dyn Send + Sync>>,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

impl Hold {
    /// Waits for who is removing some in the folder of a worktree.
    pub(super) fn take(disk: &dyn Disk, worktree: &Path) -> disk::Result<Self> {
        match disk.lock(&worktree.join("holds"), false, Patience::BRIEF) {
            Err(error) if is_unwritable(&error) => Ok(Self { _lock: None }),
            held => Ok(Self { _lock: held? }),
        }
    }
}

/// Whether nothing can be written there, so that nothing can be removed either.
fn is_unwritable(error: &DiskError) -> bool {
    matches!(error.source.raw_os_error(), Some(libc::EROFS | libc::EACCES))
}
