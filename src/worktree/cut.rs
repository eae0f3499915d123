//! A snapshot is a cut: whatever was closed before something that it holds is in it.
//!
//! close(2) returns before the kernel's last word of it is heard, and that of a later close may be heard first. So who takes a
//! snapshot asks afterwards, of the files that it holds for unfinished, whether one was only waiting for that word: then it takes
//! another.

use super::error::{Error, Result};
use super::snapshot::{Snapshot, look};
use super::unfinished::{CloseListener, Unfinished};
use super::worktree::Worktree;
use crate::id::StagingId;
use std::sync::Arc;

/// How often a snapshot is taken. Anew only where somebody closed a file in the moment between its last byte and the snapshot:
/// where so many do, without end, that no moment is free of it, what there is must do.
const ATTEMPTS: u32 = 32;

/// Says who hears of closes in a worktree; asked for once.
pub fn hear_closes(worktree: &Worktree, closings: impl FnOnce() -> Arc<dyn CloseListener>) {
    worktree.closings.get_or_init(closings);
}

/// Waits until files that were closed before are complete.
pub fn say_all_closes(worktree: &Worktree) {
    if let Some(closings) = worktree.closings.get() {
        closings.settle();
    }
}

impl Worktree {
    /// The tree at one instant; what was closed before it is complete. With `include_open`, files that are being written are taken
    /// with the bytes that they have; otherwise as they were when last complete.
    pub fn snapshot(&self, include_open: bool) -> Result<Snapshot> {
        let mut attempt = 1;
        loop {
            let snapshot = look(self, include_open)?;
            if attempt == ATTEMPTS || !misses_a_close(self, &snapshot)? {
                return Ok(snapshot);
            }
            attempt += 1;
        }
    }
}

/// Whether a file that a snapshot holds for unfinished was closed before it was taken.
fn misses_a_close(worktree: &Worktree, snapshot: &Snapshot) -> Result<bool> {
    // Where nobody else changes anything, nobody can say that a file is complete: that was asked before.
    let is_asked = !snapshot.unfinished.is_empty() && !worktree.still_for.is_this_thread();
    let Some(closings) = worktree.closings.get().filter(|_| is_asked) else {
        return Ok(false);
    };
    closings.settle();
    for seen in &snapshot.unfinished {
        let (disk, path) = (worktree.repo().disk(), worktree.staging().path(seen.staging));
        // What was closed before is as it was.
        let is_as_seen = || Ok::<_, Error>(seen.is_as(&Unfinished::at(&**disk, &path, seen.staging)?));
        if is_finished(worktree, seen.staging)? && is_as_seen()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether what was being written in a staging file is complete, or no file any more.
fn is_finished(worktree: &Worktree, staging: StagingId) -> Result<bool> {
    worktree.read(|state| {
        let file = state.nodes.file_of(staging).map(|(_, file)| file);
        Ok(file.is_none_or(|file| file.is_complete() || file.current.staging() != Some(staging)))
    })
}
