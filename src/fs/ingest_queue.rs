//! Storing large files in the background, soon after they are complete, so that a commit finds little left to do.
//!
//! Small files wait for the commit: each batch is a pack, and packs of a few bytes help nobody. A failure loses
//! nothing: the file stays staged, and the commit tries again. No file and no worktree ends the thread.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::repo::{BranchName, Error};

use super::ingest_batch::{Storer, panic_text};
use super::worktrees::OpenWorktree;

/// Shorter files wait for the commit, in bytes.
const LARGE: u64 = 1 << 20;
/// A file that is renamed or written again within this time is not stored twice.
const QUIET: Duration = Duration::from_millis(300);
/// A steady stream of files is not waited out for longer than this.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Complete files that wait for a commit are made durable so long after they were written: often enough that little is
/// lost with the power, seldom enough that it costs little. ext4 takes as long.
const WRITE_BACK: Duration = Duration::from_secs(5);

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
        Self { sender: None, trouble: Arc::default(), thread: None }
    }

    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = unbounded();
        let trouble = Arc::default();
        let told = Arc::clone(&trouble);
        let thread = thread::Builder::new().name("ingest".into()).spawn(move || work(&receiver, &told))?;
        Ok(Self { sender: Some(sender), trouble, thread: Some(thread) })
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

    /// Why the last batch could not be stored, if it could not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
fn work(receiver: &Receiver<Message>, trouble: &Mutex<Option<String>>) {
    let (mut waiting, mut written, mut storer) = (Waiting::new(), Written::default(), Storer::default());
    while let Some(first) = next(receiver, &mut written, trouble) {
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
            written.note(worktree);
        }
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        drop(askers);
    }
}

/// The next message; `None` when nobody sends any more. In between, what was written is made durable when it is time.
fn next(
    receiver: &Receiver<Message>,
    written: &mut Written,
    trouble: &Mutex<Option<String>>,
) -> Option<Message> {
    loop {
        let Some(due) = written.due else { return receiver.recv().ok() };
        match receiver.recv_deadline(due) {
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
            // Under a steady stream of messages it is time as well.
            Ok(message) if Instant::now() < due => return Some(message),
            Ok(message) => {
                written.sync(trouble);
                return Some(message);
            }
        }
        written.sync(trouble);
    }
}

/// Worktrees with complete files that the disk may not have yet.
#[derive(Default)]
struct Written {
    worktrees: BTreeMap<BranchName, Arc<OpenWorktree>>,
    due: Option<Instant>,
}

impl Written {
    fn note(&mut self, worktree: Arc<OpenWorktree>) {
        self.worktrees.insert(worktree.branch().clone(), worktree);
        self.due.get_or_insert_with(|| Instant::now() + WRITE_BACK);
    }

    /// Makes what waits for a commit durable before long, as any file system does.
    fn sync(&mut self, trouble: &Mutex<Option<String>>) {
        self.due = None;
        for worktree in std::mem::take(&mut self.worktrees).into_values() {
            let synced = guarded(|| match worktree.sync_complete() {
                // A worktree that is gone has nothing more to be made durable.
                Ok(()) | Err(Error::Replaced(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            });
            if let Err(error) = synced {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                self.note(worktree);
            }
        }
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

/// Does a piece of work that may panic, which is a failure of that piece: the thread goes on.
fn guarded(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_text(&*panic)))
}
