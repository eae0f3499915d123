//! What a snapshot remembers of a file that it holds for unfinished, and who knows whether it was.

use super::error::Result;
use crate::disk::Disk;
use crate::id::StagingId;
use std::path::Path;
use std::time::SystemTime;

/// Who hears of it when files of a worktree are closed.
pub trait CloseListener: Send + Sync {
    /// Waits until files that were closed before this was called are complete, or must be held for open by somebody else.
    fn settle(&self);
}

/// A staging file that was being written, and what it was like then.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub staging: StagingId,
    /// Its length, and when it was last written; `None` if it was gone.
    seen: Option<(u64, SystemTime)>,
}

impl Unfinished {
    /// What the staging file at a path is like now.
    pub fn at(disk: &dyn Disk, path: &Path, staging: StagingId) -> Result<Self> {
        let seen = disk.stat(path)?.map(|stat| (stat.len, stat.modified));
        Ok(Self { staging, seen })
    }

    /// Whether nobody wrote to it between two looks.
    pub fn is_as(&self, later: &Self) -> bool {
        self.seen == later.seen
    }
}
