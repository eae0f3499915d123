//! What looks at a worktree, thinks, and then changes it, while somebody else saves into it.

use super::error::{Error, Result};
use crate::worktree;

/// How often something is done anew because a file was saved under its hands.
const ATTEMPTS: usize = 8;

/// Does something that looks at a worktree and then changes it, anew if the worktree changed in between.
pub(super) fn unless_stale<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match work() {
            Err(Error::Worktree(worktree::Error::Stale)) => {}
            done => return done,
        }
    }
    work()
}
