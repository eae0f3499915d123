//! Making complete files durable that wait for a commit, some seconds after they were written, as any file system does.
//!
//! A thread of its own: the disk takes as long as it takes, and nobody who stores or commits waits for that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::history::BranchName;

use super::ingest_batch::guarded;
use super::worktrees::OpenWorktree;

/// So long after they were written: often enough that little is lost with the power, seldom enough that it costs little.
/// ext4 takes as long.
const DELAY: Duration = Duration::from_secs(5);

/// The thread.
pub(super) struct WriteBack {
    sender: Option<Sender<Arc<OpenWorktree>>>,
    trouble: Arc<Mutex<Option<String>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for WriteBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBack").field("runs", &self.thread.is_some()).finish_non_exhaustive()
    }
}

impl WriteBack {
    /// One that makes nothing durable.
    pub fn idle() -> Self {
        Self { sender: None, trouble: Arc::default(), thread: None }
    }

    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = unbounded();
        let trouble = Arc::default();
        let told = Arc::clone(&trouble);
        let thread =
            thread::Builder::new().name("write-back".into()).spawn(move || work(&receiver, &told))?;
        Ok(Self { sender: Some(sender), trouble, thread: Some(thread) })
    }

    /// Tells that a worktree may have complete files that the disk has not.
    pub fn written(&self, worktree: Arc<OpenWorktree>) {
        if let Some(sender) = &self.sender {
            // Nobody listens only when the mount goes, and its files stay complete all the same.
            let _ = sender.send(worktree);
        }
    }

    /// What went wrong the last time.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for WriteBack {
    /// Waits for the sync at hand, and begins no other.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported when it happened, and nothing depends on its result.
            let _ = thread.join();
        }
    }
}

/// Gathers worktrees for a while, makes their files durable, and goes on.
fn work(receiver: &Receiver<Arc<OpenWorktree>>, trouble: &Mutex<Option<String>>) {
    let mut written: BTreeMap<BranchName, Arc<OpenWorktree>> = BTreeMap::new();
    loop {
        if written.is_empty() {
            let Ok(first) = receiver.recv() else { return };
            written.insert(first.branch().clone(), first);
        }
        let due = Instant::now() + DELAY;
        loop {
            match receiver.recv_deadline(due) {
                Ok(worktree) => drop(written.insert(worktree.branch().clone(), worktree)),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let mut failed = None;
        written.retain(|_, worktree| {
            let synced = guarded(|| worktree.staging().sync().map_err(|error| error.to_string()));
            // A worktree that is gone has nothing more to be made durable.
            let synced = if worktree.is_gone() { Ok(()) } else { synced };
            let is_left = synced.is_err();
            failed = synced.err().or(failed.take());
            is_left
        });
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}
