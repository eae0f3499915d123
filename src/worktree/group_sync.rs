//! One sync for all who wait for one.

use super::error::Result;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who waits for a sync. One of them does it for all who came before it began.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// The last number that was given to a waiter.
    asked: u64,
    /// All waiters up to this number are served.
    done: u64,
    running: bool,
}

impl GroupSync {
    /// Returns when a run of `sync` that began after this call has succeeded, by whatever thread.
    pub(super) fn join(&self, sync: impl Fn() -> Result<()>) -> Result<()> {
        let mut progress = self.progress();
        progress.asked += 1;
        let number = progress.asked;
        loop {
            if progress.done >= number {
                return Ok(());
            }
            if !progress.running {
                break;
            }
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.running = true;
        let turn = Turn { all: self, covered: progress.asked };
        drop(progress);
        let result = sync();
        if result.is_ok() {
            turn.served();
        }
        result
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Being the one who syncs. However that ends, by a panic too, the others find that they are served, or try for
/// themselves and get an error of their own.
struct Turn<'a> {
    all: &'a GroupSync,
    covered: u64,
}

impl Turn<'_> {
    fn served(&self) {
        self.all.progress().done = self.covered;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.all.progress().running = false;
        self.all.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worktree::Error;
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    /// Longer than any wait that ends.
    const WATCHDOG: Duration = Duration::from_secs(20);

    /// What waiters get while the one who syncs `ends` in its own way.
    fn waiters_get(ends: fn() -> Result<()>) -> Vec<bool> {
        let group = Arc::new(GroupSync::default());
        let (begun, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        let leader = Arc::clone(&group);
        let leading = thread::spawn(move || {
            leader.join(|| {
                begun.send(()).expect("somebody waits");
                goes.recv().expect("somebody tells");
                ends()
            })
        });
        begins.recv().expect("it begins");
        let (told, tells) = mpsc::channel();
        for _ in 0..3 {
            let (waiter, told) = (Arc::clone(&group), told.clone());
            thread::spawn(move || told.send(waiter.join(|| Ok(())).is_ok()));
        }
        // Until all of them wait.
        while group.progress().asked < 4 {
            thread::yield_now();
        }
        go.send(()).expect("it waits");
        let ended = leading.join();
        assert!(!matches!(ended, Ok(Ok(()))));
        (0..3).map(|_| tells.recv_timeout(WATCHDOG).expect("nobody waits for ever")).collect()
    }

    #[test]
    fn who_waits_for_a_sync_that_panics_or_fails_syncs_itself() {
        assert_eq!(waiters_get(|| Err(Error::Stale)), [true; 3]);
        assert_eq!(waiters_get(|| panic!("as a bug would")), [true; 3]);
    }
}
