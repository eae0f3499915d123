//! Threads for what may wait: for a disk, for a decoder, for another process.
//!
//! A request that waits is only ever in the way of its own kind: each kind has a [`Lane`] with threads of its own. A
//! lane starts a thread whenever a job finds none idle, up to a bound, and lets threads go that had nothing to do for a
//! while. Jobs beyond the bound wait in the order of their coming; each is a system call that waits for its answer, so
//! that those who send them bound them.
//!
//! Threads of the session may do short jobs themselves, which saves waking another thread, but only while others of
//! them still listen to the kernel: whatever the jobs wait for, one thread always listens.

use crate::threads::{answer_at_once, compute_at_length};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// What a request may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Names and attributes: locks that are held for moments.
    Look,
    /// A worktree that is not open yet: its journal, and whoever recovers it.
    Open,
    /// Content of the history: decoders, and the disk that packs are on.
    Read,
    /// Writing, and changing names: the page cache, and other processes that change the same worktree.
    Change,
    /// Syncs, copies of whole files, and commands.
    Long,
}

impl Lane {
    const ALL: [Lane; 5] = [Lane::Look, Lane::Open, Lane::Read, Lane::Change, Lane::Long];

    const fn limits(self) -> Limits {
        match self {
            // As many as the kernel's own background requests, and some for people.
            Lane::Look => Limits { name: "look", least: 1, most: 96, pace: Pace::Brief },
            Lane::Open => Limits { name: "open", least: 1, most: 32, pace: Pace::Usual },
            // Decoders use a core each, and the disk some more at once; buffers are one request's.
            Lane::Read => Limits { name: "read", least: 4, most: 24, pace: Pace::Usual },
            Lane::Change => Limits { name: "change", least: 2, most: 96, pace: Pace::Brief },
            Lane::Long => Limits { name: "long", least: 2, most: 64, pace: Pace::Long },
        }
    }
}

/// The bounds of a lane's threads.
#[derive(Debug, Clone, Copy)]
struct Limits {
    name: &'static str,
    least: usize,
    most: usize,
    pace: Pace,
}

/// How long the jobs of a lane take a processor.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// For moments: somebody waits for just that.
    Brief,
    /// As it comes.
    Usual,
    /// For as long as they get it.
    Long,
}

/// How long a thread above a lane's least number waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// All lanes.
#[derive(Debug)]
pub(super) struct Workers {
    lanes: [Crew; Lane::ALL.len()],
    here: Here,
}

impl Workers {
    /// Starts the least number of threads of each lane. `session_threads` listen to the kernel.
    pub fn start(session_threads: usize) -> io::Result<Self> {
        let [look, open, read, change, long] = Lane::ALL.map(|lane| Crew::start(lane.limits(), IDLE));
        Ok(Self { lanes: [look?, open?, read?, change?, long?], here: Here::new(session_threads) })
    }

    /// Runs a job in a lane, on another thread.
    pub fn send(&self, lane: Lane, job: impl FnOnce() + Send + 'static) {
        self.lanes[lane as usize].run(Box::new(job));
    }

    /// Leave to do a short job of a lane on this thread of the session, until it is dropped; `None` if too few others
    /// listen.
    pub fn here(&self, lane: Lane) -> Option<Turn<'_>> {
        self.here.enter(lane)
    }
}

/// Runs a job that may panic. It drops its reply then, which answers EIO; the thread goes on. The job owns what it
/// touches, or shares it through locks that recover from poisoning.
pub(super) fn shielded(job: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(job));
}

/// How many of the session's threads do jobs themselves.
#[derive(Debug)]
struct Here {
    looking: AtomicUsize,
    changing: AtomicUsize,
    look_most: usize,
    change_most: usize,
}

impl Here {
    /// Of the session's threads, one always listens; changes, which wait more often than looks, leave more of them.
    fn new(session_threads: usize) -> Self {
        let busy_most = session_threads.saturating_sub(1);
        let change_most = busy_most / 2;
        Self {
            looking: AtomicUsize::new(0),
            changing: AtomicUsize::new(0),
            look_most: busy_most - change_most,
            change_most,
        }
    }

    fn enter(&self, lane: Lane) -> Option<Turn<'_>> {
        let (count, most) = match lane {
            Lane::Look => (&self.looking, self.look_most),
            Lane::Change => (&self.changing, self.change_most),
            Lane::Open | Lane::Read | Lane::Long => return None,
        };
        let turn = Turn(count);
        // Dropping the turn gives back what was counted, also where there was no room.
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(turn)
    }
}

/// A thread of the session that does a job itself.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads of one lane. They end when this is dropped and all jobs are done.
#[derive(Debug)]
struct Crew {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    idle: Duration,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Threads that wait for work, also those that were woken and have not looked yet.
    idle: usize,
    threads: usize,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Crew {
    fn start(limits: Limits, idle: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared { limits, idle, state: Mutex::default(), work: Condvar::new() });
        let crew = Self { shared };
        for _ in 0..limits.least {
            crew.shared.lock().threads += 1;
            crew.spawn()?;
        }
        Ok(crew)
    }

    fn run(&self, job: Job) {
        let mut state = self.shared.lock();
        state.waiting.push_back(job);
        let short_of_threads = state.waiting.len() > state.idle && state.threads < self.shared.limits.most;
        state.threads += usize::from(short_of_threads);
        drop(state);
        self.shared.work.notify_one();
        if short_of_threads {
            // Where no thread can be had, the job waits for one of those that there are: some always are.
            let _ = self.spawn();
        }
    }

    /// Starts a thread that was counted already.
    fn spawn(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let spawned =
            thread::Builder::new().name(shared.limits.name.to_owned()).spawn(move || shared.serve());
        if spawned.is_err() {
            self.shared.lock().threads -= 1;
        }
        spawned.map(drop)
    }

    #[cfg(test)]
    fn threads(&self) -> usize {
        self.shared.lock().threads
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        match self.limits.pace {
            Pace::Brief => answer_at_once(),
            Pace::Usual => {}
            Pace::Long => compute_at_length(),
        }
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                shielded(job);
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, timeout) =
                self.work.wait_timeout(state, self.idle).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            let needless = state.waiting.is_empty() && state.threads > self.limits.least;
            if timeout.timed_out() && needless {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    fn crew(least: usize, most: usize, idle: Duration) -> Crew {
        Crew::start(Limits { name: "test", least, most, pace: Pace::Usual }, idle).unwrap()
    }

    #[test]
    fn a_job_never_waits_for_another_while_the_lane_may_grow() {
        let crew = crew(1, 8, IDLE);
        // Each job waits for all others: they end only if all run at once.
        let (all, (done, ended)) = (Arc::new(Barrier::new(8)), channel());
        for _ in 0..8 {
            let (all, done) = (Arc::clone(&all), done.clone());
            crew.run(Box::new(move || {
                all.wait();
                done.send(()).unwrap();
            }));
        }
        drop(done);
        assert_eq!(ended.iter().count(), 8);
    }

    #[test]
    fn a_lane_has_no_more_threads_than_its_bound_and_ends_idle_ones() {
        let crew = crew(1, 3, Duration::from_millis(1));
        let (gate, (done, ended)) = (Arc::new(Barrier::new(4)), channel());
        for number in 0..9 {
            let (gate, done) = (Arc::clone(&gate), done.clone());
            crew.run(Box::new(move || {
                if number < 3 {
                    gate.wait();
                }
                done.send(number).unwrap();
            }));
        }
        assert_eq!(crew.threads(), 3);
        gate.wait();
        drop(done);
        assert_eq!(ended.iter().count(), 9);
        while crew.threads() > 1 {
            thread::yield_now();
        }
    }

    #[test]
    fn what_waits_when_a_lane_is_closed_is_done_still() {
        let (gate, (done, ended)) = (Arc::new(Barrier::new(2)), channel());
        let closing = crew(1, 1, IDLE);
        let held = Arc::clone(&gate);
        closing.run(Box::new(move || {
            held.wait();
        }));
        closing.run(Box::new(move || done.send(()).unwrap()));
        drop(closing);
        gate.wait();
        assert_eq!(ended.iter().count(), 1);
    }

    #[test]
    fn a_job_that_panics_ends_nothing_but_itself() {
        let crew = crew(1, 1, IDLE);
        let (done, ended) = channel();
        crew.run(Box::new(|| panic!("on purpose")));
        crew.run(Box::new(move || done.send(()).unwrap()));
        assert_eq!(ended.iter().count(), 1);
    }

    #[test]
    fn one_thread_of_the_session_always_listens() {
        let here = Here::new(6);
        let turns: Vec<_> =
            (0..20).flat_map(|_| [here.enter(Lane::Look), here.enter(Lane::Change)]).flatten().collect();
        assert_eq!(turns.len(), 5);
        assert!(here.enter(Lane::Read).is_none() && here.enter(Lane::Look).is_none());
        drop(turns);
        assert!(here.enter(Lane::Look).is_some() && here.enter(Lane::Long).is_none());
        assert!(Here::new(1).enter(Lane::Look).is_none());
    }

    #[test]
    fn lanes_do_not_wait_for_each_other() {
        let workers = Workers::start(1).unwrap();
        let gate = Arc::new(Barrier::new(Lane::Long.limits().most + 1));
        for _ in 0..Lane::Long.limits().most {
            let gate = Arc::clone(&gate);
            workers.send(Lane::Long, move || {
                gate.wait();
            });
        }
        let (done, ended) = channel();
        for lane in Lane::ALL.into_iter().filter(|lane| *lane != Lane::Long) {
            let done = done.clone();
            workers.send(lane, move || done.send(lane).unwrap());
        }
        drop(done);
        assert_eq!(ended.iter().count(), Lane::ALL.len() - 1);
        gate.wait();
    }
}
