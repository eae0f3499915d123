//! Storing large files in the background, soon after they are complete, so that a commit finds little left to do.
//!
//! Small files wait for the commit: each batch is a pack, and packs of a few bytes help nobody. A failure loses
//! nothing: the file stays staged, and the commit tries again. No file and no worktree ends the thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::history::BranchName;
use crate::threads::compute_at_length;

use super::ingest_batch::{Storer, guarded};
use super::worktrees::OpenWorktree;
use super::write_back::WriteBack;

/// Shorter files wait for the commit, in bytes.
const LARGE: u64 = 1 << 20;
/// A file that is renamed or written again within this time is not stored twice.
const QUIET: Duration = Duration::from_millis(300);
/// A steady stream of files is not waited out for longer than this.
const WAIT_MAX: Duration = Duration::from_secs(6);

enum Message {
    /// A file of the worktree may be complete.
    Settled(Arc<OpenWorktree>),
    /// A name of the worktree is gone, and what it led to may take room that nothing needs.
    Freed(Arc<OpenWorktree>),
    /// Store what is complete without waiting, and answer by hanging up.
    Drain(Sender<()>),
}

/// A thread that stores what is complete.
pub(super) struct IngestQueue {
    sender: Option<Sender<Message>>,
    trouble: Arc<Mutex<Option<String>>>,
    write_back: Arc<WriteBack>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for IngestQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestQueue").field("runs", &self.thread.is_some()).finish_non_exhaustive()
    }
}

impl IngestQueue {
    /// A queue that stores nothing: everything waits for the commit.
    pub fn idle() -> Self {
        Self { sender: None, trouble: Arc::default(), write_back: Arc::new(WriteBack::idle()), thread: None }
    }

    /// Starts the thread. `tell` hears of what cannot be stored, once as long as it is the same.
    pub fn start(tell: impl Fn(&str) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = unbounded();
        let trouble = Arc::default();
        let told = Arc::clone(&trouble);
        let write_back = Arc::new(WriteBack::start()?);
        let later = Arc::clone(&write_back);
        let thread = thread::Builder::new()
            .name("ingest".into())
            .spawn(move || work(&receiver, &told, &later, &tell))?;
        Ok(Self { sender: Some(sender), trouble, write_back, thread: Some(thread) })
    }

    /// Tells that a file of a worktree may be complete.
    pub fn settled(&self, worktree: Arc<OpenWorktree>) {
        self.send(Message::Settled(worktree));
    }

    /// Tells that a name of a worktree is gone: the room that its bytes took can be given back.
    pub fn freed(&self, worktree: Arc<OpenWorktree>) {
        self.send(Message::Freed(worktree));
    }

    /// Waits until everything that is complete now was tried to be stored.
    pub fn drain(&self) {
        let (answer, done) = bounded(0);
        if self.send(Message::Drain(answer)) {
            // The answer is that the thread hangs up.
            let _ = done.recv();
        }
    }

    /// Why the last batch could not be stored or made durable, if it could not.
    pub fn trouble(&self) -> Option<String> {
        let stored = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stored.or_else(|| self.write_back.trouble())
    }

    fn send(&self, message: Message) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.send(message).is_ok())
    }
}

impl Drop for IngestQueue {
    /// Waits for the batch at hand.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported when it happened, and nothing depends on its result.
            let _ = thread.join();
        }
    }
}

/// Collects what settled until it is quiet for a while, stores it, and goes on.
fn work(
    receiver: &Receiver<Message>,
    trouble: &Mutex<Option<String>>,
    write_back: &WriteBack,
    tell: &dyn Fn(&str),
) {
    compute_at_length();
    let (mut waiting, mut storer) = (Waiting::new(), Storer::default());
    while let Ok(first) = receiver.recv() {
        let mut askers = Vec::new();
        note(first, &mut waiting, &mut askers);
        // Not so many messages: a file that is saved is several.
        let until = Instant::now() + WAIT_MAX;
        while askers.is_empty() && Instant::now() < until {
            match receiver.recv_timeout(QUIET) {
                Ok(message) => note(message, &mut waiting, &mut askers),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let mut failed = None;
        for Work { worktree, freed } in std::mem::take(&mut waiting).into_values() {
            // Of a worktree that was deleted nothing is left to store.
            if worktree.is_gone() {
                continue;
            }
            let done = guarded(|| {
                // Letting go needs a journal that is durable, so it is done for many names at once.
                let swept = if freed { worktree.sync_records() } else { Ok(()) };
                let stored = storer.store(&worktree, LARGE);
                // The index only saves time: without it the store goes on.
                let _ = worktree.repo().store().update_index();
                stored.and(swept.map_err(|error| error.to_string()))
            });
            failed = done.err().or(failed);
            write_back.written(worktree);
        }
        let before = trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(why) = failed.as_deref().filter(|_| failed != before) {
            tell(why);
        }
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        drop(askers);
    }
}

/// What is to be done, by branch.
type Waiting = BTreeMap<BranchName, Work>;

struct Work {
    worktree: Arc<OpenWorktree>,
    /// Whether staging files are to be let go.
    freed: bool,
}

fn note(message: Message, waiting: &mut Waiting, askers: &mut Vec<Sender<()>>) {
    let (worktree, freed) = match message {
        Message::Settled(worktree) => (worktree, false),
        Message::Freed(worktree) => (worktree, true),
        Message::Drain(asker) => return askers.push(asker),
    };
    let branch = worktree.branch().clone();
    waiting.entry(branch).or_insert(Work { worktree, freed: false }).freed |= freed;
}
