//! Which thread alone changes a worktree for a while, so that it may do so several times without letting go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::thread::ThreadId;

/// The thread that alone changes a worktree for now, if there is one.
#[derive(Debug, Default)]
pub(super) struct StillFor(Mutex<Option<ThreadId>>);

impl StillFor {
    /// Whether that is this one.
    pub fn is_this_thread(&self) -> bool {
        *self.get() == Some(thread::current().id())
    }

    /// Makes it this one, which holds the worktree, until what is returned is dropped.
    pub fn begin(&self) -> Turn<'_> {
        Turn { still_for: self, before: self.get().replace(thread::current().id()) }
    }

    fn get(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Being that thread.
pub(super) struct Turn<'a> {
    still_for: &'a StillFor,
    before: Option<ThreadId>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.still_for.get() = self.before;
    }
}
