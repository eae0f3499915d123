//! Storing large files in the background, soon after they are complete, so that a commit finds little left to do; and
//! coding those that commits left as they were saved.
//!
//! Small files wait for the commit: each batch is a pack, and packs of a few bytes help nobody. A failure loses
//! nothing: the file stays staged, and the commit tries again. No file and no worktree ends the thread. Whoever waits for
//! a commit comes first: it leaves large files as they are, and the work at hand is left for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::history::BranchName;
use crate::store::{Store, StoreError};
use crate::task::{Either, Silent, StopHandle, Stopped, Task};
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
/// What gave way to a commit waits so long for it to be made: then there is nothing left of it to do.
const AFTER_GIVING_WAY: Duration = Duration::from_secs(3);

/// How often who waits looks whether to wait on.
const LOOK: Duration = Duration::from_millis(50);

enum Message {
    /// A file of the worktree may be complete.
    Settled(Arc<OpenWorktree>),
    /// A name of the worktree is gone, and what it led to may take room that nothing needs.
    Freed(Arc<OpenWorktree>),
    /// Commits left files in the store as they were saved.
    Attached(Store),
    /// Store what is complete without waiting, and answer by hanging up.
    Drain(Sender<()>),
}

/// A thread that stores what is complete.
pub(super) struct IngestQueue {
    sender: Option<Sender<Message>>,
    trouble: Arc<Mutex<Option<String>>>,
    write_back: Arc<WriteBack>,
    /// Ends all that is at work: whoever comes next goes on with it.
    stop: StopHandle,
    /// Ends the batch at hand.
    batch: Arc<Mutex<StopHandle>>,
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
        let (write_back, stop) = (Arc::new(WriteBack::idle()), StopHandle::default());
        Self { sender: None, trouble: Arc::default(), write_back, stop, batch: Arc::default(), thread: None }
    }

    /// Starts the thread. `tell` hears of what cannot be stored, once as long as it is the same.
    pub fn start(tell: impl Fn(&str) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = unbounded();
        let trouble = Arc::default();
        let told = Arc::clone(&trouble);
        let write_back = Arc::new(WriteBack::start()?);
        let later = Arc::clone(&write_back);
        let stop = StopHandle::default();
        let coding = Task::new(Arc::new(stop.clone()), Arc::new(Silent));
        let batch = Arc::default();
        let at_hand = Arc::clone(&batch);
        let (storer, coder, ending) = (Storer::default(), Coder::new(coding), stop.clone());
        let mut worker = Worker { storer, coder, write_back: later, at_hand, ending };
        let thread = thread::Builder::new()
            .name("ingest".into())
            .spawn(move || work(&receiver, &told, &mut worker, &tell))?;
        Ok(Self { sender: Some(sender), trouble, write_back, stop, batch, thread: Some(thread) })
    }

    /// Tells that a file of a worktree may be complete.
    pub fn settled(&self, worktree: Arc<OpenWorktree>) {
        self.send(Message::Settled(worktree));
    }

    /// Tells that a name of a worktree is gone: the room that its bytes took can be given back.
    pub fn freed(&self, worktree: Arc<OpenWorktree>) {
        self.send(Message::Freed(worktree));
    }

    /// Whether anything is done in the background.
    pub fn is_at_work(&self) -> bool {
        self.sender.is_some()
    }

    /// Leaves what is at hand to be done later: somebody waits for a commit, which wants the same processors.
    pub fn give_way(&self) {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }

    /// Tells that there may be files in a store that wait to be coded.
    pub fn attached(&self, store: &Store) {
        if store.attached_len() > 0 {
            self.send(Message::Attached(store.clone()));
        }
    }

    /// Waits until everything that is complete now was tried to be stored.
    ///
    /// # Errors
    /// [`Stopped`] if the task is; what is at hand goes on.
    pub fn drain(&self, task: &Task) -> std::result::Result<(), Stopped> {
        let (answer, done) = bounded(0);
        if self.send(Message::Drain(answer)) {
            // The answer is that the thread hangs up.
            while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                task.check()?;
            }
        }
        Ok(())
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
    /// Waits until the thread has left what is at hand.
    fn drop(&mut self) {
        self.stop.stop();
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported when it happened, and nothing depends on its result.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Worker {
    storer: Storer,
    coder: Coder,
    write_back: Arc<WriteBack>,
    /// Ends the batch at hand.
    at_hand: Arc<Mutex<StopHandle>>,
    /// Ends all of them.
    ending: StopHandle,
}

/// Collects what settled until it is quiet for a while, stores it, and goes on.
fn work(
    receiver: &Receiver<Message>,
    trouble: &Mutex<Option<String>>,
    worker: &mut Worker,
    tell: &dyn Fn(&str),
) {
    compute_at_length();
    let mut waiting = Waiting::default();
    let mut askers = Vec::new();
    loop {
        // What gave way to somebody is taken up again when it has been quiet for a while.
        let patience = if waiting.is_empty() { Duration::MAX } else { AFTER_GIVING_WAY };
        match receiver.recv_timeout(patience) {
            Ok(first) => note(first, &mut waiting, &mut askers),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Not so many messages: a file that is saved is several.
        let until = Instant::now() + WAIT_MAX;
        while askers.is_empty() && Instant::now() < until {
            match receiver.recv_timeout(QUIET) {
                Ok(message) => note(message, &mut waiting, &mut askers),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let failed = worker.round(&mut waiting);
        let before = trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(why) = failed.as_deref().filter(|_| failed != before) {
            tell(why);
        }
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        // Who asked hears of it when nothing waits any more.
        if waiting.is_empty() {
            askers.clear();
        }
    }
}

impl Worker {
    /// Does what waits; what gave way waits on. The result is what failed last.
    fn round(&mut self, waiting: &mut Waiting) -> Option<String> {
        let Waiting { worktrees, attached } = std::mem::take(waiting);
        // First, so that what is stored now can be a difference to it.
        let mut failed = attached.and_then(|store| guarded(|| self.coder.code(&store)).err());
        for (branch, Work { worktree, freed }) in worktrees {
            // Of a worktree that was deleted nothing is left to store.
            if worktree.is_gone() {
                continue;
            }
            let stop = StopHandle::default();
            *self.at_hand.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
            let stop = Either(Arc::new(stop), Arc::new(self.ending.clone()));
            let task = Task::new(Arc::new(stop), Arc::new(Silent));
            let done = guarded(|| {
                // Letting go needs a journal that is durable, so it is done for many names at once.
                let swept = if freed { worktree.sync_records() } else { Ok(()) };
                let stored = self.storer.store(&worktree, LARGE, &task);
                // The index only saves time: without it the store goes on.
                let _ = worktree.repo().store().update_index();
                stored.and(swept.map_err(|error| error.to_string()))
            });
            // What goes wrong in one that was deleted meanwhile is nobody's trouble.
            failed = done.err().filter(|_| !worktree.is_gone()).or(failed);
            if task.check().is_err() {
                waiting.worktrees.insert(branch, Work { worktree: Arc::clone(&worktree), freed: false });
            }
            self.write_back.written(worktree);
        }
        failed
    }
}

/// Codes what lies in stores as it was saved.
struct Coder {
    task: Task,
    /// What was left because it is damaged, in bytes: it is not tried again as long as it is all that there is.
    damaged: u64,
    damage: Option<String>,
}

impl Coder {
    fn new(task: Task) -> Self {
        Self { task, damaged: 0, damage: None }
    }

    fn code(&mut self, store: &Store) -> std::result::Result<(), String> {
        if self.damaged > 0 && store.attached_len() == self.damaged {
            return self.damage.clone().map_or(Ok(()), Err);
        }
        let done = store.code_attached(&self.task);
        // The index only saves time: without it the store goes on.
        let _ = store.update_index();
        (self.damaged, self.damage) = (0, None);
        match done {
            // Another process may be at it.
            Ok(_) | Err(StoreError::Busy { .. } | StoreError::Stopped(_)) => Ok(()),
            Err(error) => {
                if error.is_corruption() {
                    (self.damaged, self.damage) = (store.attached_len(), Some(error.to_string()));
                }
                Err(error.to_string())
            }
        }
    }
}

/// What is to be done.
#[derive(Default)]
struct Waiting {
    worktrees: BTreeMap<BranchName, Work>,
    /// Where files wait to be coded.
    attached: Option<Store>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.worktrees.is_empty() && self.attached.is_none()
    }
}

struct Work {
    worktree: Arc<OpenWorktree>,
    /// Whether staging files are to be let go.
    freed: bool,
}

fn note(message: Message, waiting: &mut Waiting, askers: &mut Vec<Sender<()>>) {
    let (worktree, freed) = match message {
        Message::Settled(worktree) => (worktree, false),
        Message::Freed(worktree) => (worktree, true),
        Message::Attached(store) => {
            waiting.attached = Some(store);
            return;
        }
        Message::Drain(asker) => return askers.push(asker),
    };
    let branch = worktree.branch().clone();
    waiting.worktrees.entry(branch).or_insert(Work { worktree, freed: false }).freed |= freed;
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file_system_and_disk, save};
    use super::*;
    use crate::worktree::Branches;

    #[test]
    fn what_goes_wrong_in_a_worktree_that_is_deleted_meanwhile_is_no_trouble() {
        let (core, _disk) = file_system_and_disk();
        save(&core, "worktree/main", "a", &[7; 2 << 20]);
        let main = BranchName::new("main").unwrap();
        let worktree = core.shared.worktrees.find(&main).unwrap();
        for deletes in [false, true] {
            let repo = core.repo().clone();
            let main = main.clone();
            let storer = Storer::taking(move |_, _, _, _, _| {
                if deletes {
                    Branches::of(&repo).delete_worktree(&main).unwrap();
                }
                Err(crate::worktree::Error::UncommittedChanges("nothing".into()))
            });
            let coder = Coder::new(Task::default());
            let (write_back, at_hand) = (Arc::new(WriteBack::idle()), Arc::default());
            let ending = StopHandle::default();
            let mut worker = Worker { storer, coder, write_back, at_hand, ending };
            let work = Work { worktree: Arc::clone(&worktree), freed: true };
            let mut waiting = Waiting::default();
            waiting.worktrees.insert(worktree.branch().clone(), work);
            assert_eq!(worker.round(&mut waiting).is_some(), !deletes);
        }
    }
}
