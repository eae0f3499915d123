//! What looks at a worktree, thinks, and then changes it, while somebody else saves into it.

use super::error::{Error, Result};
use crate::history;
use crate::worktree::{self, Worktree, while_still};

/// How often something is done anew because a file was saved under its hands.
const ATTEMPTS: usize = 8;
/// How often, before whoever saves has to wait for it.
const ATTEMPTS_BESIDE: usize = 2;

/// Does something that looks at a worktree and then changes it, anew if the worktree changed in between.
///
/// # Errors
/// [`Error::SavedMeanwhile`] if it changed each time.
pub(super) fn unless_stale<T>(work: impl FnMut() -> Result<T>) -> Result<T> {
    attempts(ATTEMPTS, work).unwrap_or(Err(Error::SavedMeanwhile))
}

/// The same of something that takes little time and, if `keeps`, must lose nothing that was closed: in the end nobody else saves until
/// it is done. `work` is told what it may take of files that somebody writes.
///
/// # Errors
/// If somebody else does not let go of the worktree.
pub(super) fn in_the_end_still<T>(
    worktree: &Worktree,
    keeps: bool,
    mut work: impl FnMut(BeingWritten) -> Result<T>,
) -> Result<T> {
    if !keeps {
        return unless_stale(|| work(BeingWritten::PassedOver));
    }
    if let Some(done) = attempts(ATTEMPTS_BESIDE, || work(BeingWritten::Refused)) {
        return done;
    }
    while_still(worktree, || match work(BeingWritten::Taken) {
        Err(error) if is_written_on(&error) => work(BeingWritten::PassedOver),
        done => done,
    })?
}

/// What becomes of files that somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeingWritten {
    /// They may be closed before something happens to them, which would not be known: then that is [`Stale`](worktree::Error::Stale).
    Refused,
    /// They are taken with the bytes that they have: who closed one meanwhile has all of his.
    Taken,
    /// They are taken as they were when last complete.
    PassedOver,
}

/// Whether a file could not be taken because somebody wrote to it.
fn is_written_on(error: &Error) -> bool {
    let Error::Worktree(worktree::Error::NotKept(why)) = error else { return false };
    matches!(**why, worktree::Error::History(history::Error::KeepsChanging(_)))
}

/// `None` if it was too late each time.
fn attempts<T>(count: usize, mut work: impl FnMut() -> Result<T>) -> Option<Result<T>> {
    let is_done = |done: &Result<T>| !matches!(done, Err(Error::Worktree(worktree::Error::Stale)));
    (0..count).map(|_| work()).find(is_done)
}
