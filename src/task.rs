//! What takes long, as seen by who asked for it: it can be stopped, and it tells how far it is.
//!
//! A [`Task`] goes along as a parameter. Knows no clock, no terminal and no signal: who asks has a [`Stop`] and a
//! [`Progress`] of his own, and neither changes what is done. **A stop is an error like any other**: whoever meets it
//! leaves things as any failure would, and nobody checks after the point at which a change happens.

#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// That a task was stopped by who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopped;

/// Whether a task is to stop. Asked often, by many threads; once it is, it stays so.
pub trait Stop: Send + Sync {
    /// Whether it is.
    fn is_asked(&self) -> bool;
}

/// Stops the tasks that were made with it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct StopHandle(Arc<AtomicBool>);

impl StopHandle {
    /// Asks for it. Tasks end at their next check.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stop for StopHandle {
    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Asked for as soon as either of two is.
pub struct Either(pub Arc<dyn Stop>, pub Arc<dyn Stop>);

impl Stop for Either {
    fn is_asked(&self) -> bool {
        self.0.is_asked() || self.1.is_asked()
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes of files or tensors.
    Bytes,
    /// Files, directories and links.
    Files,
    /// Objects of the store.
    Objects,
    /// Commits.
    Commits,
    /// Tensors.
    Tensors,
    /// Packs of the store.
    Packs,
}

/// A part of a task that has a length of its own. Several may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// What is done, in a word: `hashing`.
    pub doing: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// How much there is, if that is known; an estimate.
    pub total: Option<u64>,
}

/// Hears how far tasks are.
pub trait Progress: Send + Sync {
    /// Hears of a step that begins. It ends when what is returned is dropped.
    fn begin(&self, step: Step) -> Box<dyn Meter>;
}

/// Hears how far one step is.
pub trait Meter: Send + Sync {
    /// Hears that so many more are done. Called often, by many threads.
    fn advance(&self, more: u64);
}

/// Hears and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Step) -> Box<dyn Meter> {
        Box::new(Silent)
    }
}

impl Meter for Silent {
    fn advance(&self, _: u64) {}
}

/// Something that takes long. Clones are the same task. The default one is never stopped, and nobody hears of it.
#[derive(Clone)]
pub struct Task {
    stop: Arc<dyn Stop>,
    progress: Arc<dyn Progress>,
}

impl Default for Task {
    fn default() -> Self {
        Self::new(Arc::new(StopHandle::default()), Arc::new(Silent))
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_stopped", &self.stop.is_asked()).finish_non_exhaustive()
    }
}

impl Task {
    /// A task that ends when `stop` says so, and of which `progress` hears.
    pub fn new(stop: Arc<dyn Stop>, progress: Arc<dyn Progress>) -> Self {
        Self { stop, progress }
    }

    /// Ends what is done with `?` if the task is to stop.
    ///
    /// # Errors
    /// [`Stopped`] if it is.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.stop.is_asked() { Err(Stopped) } else { Ok(()) }
    }

    /// Begins a step.
    pub fn begin(&self, doing: &'static str, unit: Unit, total: Option<u64>) -> Box<dyn Meter> {
        self.progress.begin(Step { doing, unit, total })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Recorder;
    use super::*;

    #[test]
    fn whoever_holds_the_handle_stops_all_clones() {
        let handle = StopHandle::default();
        let task = Task::new(Arc::new(handle.clone()), Arc::new(Silent));
        let other = task.clone();
        assert_eq!(task.check(), Ok(()));
        handle.stop();
        assert_eq!((task.check(), other.check()), (Err(Stopped), Err(Stopped)));
        assert_eq!(Task::default().check(), Ok(()));
    }

    #[test]
    fn either_of_two_is_enough() {
        let handles = [StopHandle::default(), StopHandle::default()];
        for asked in 0..2 {
            let task = |at: usize| -> Arc<dyn Stop> { Arc::new(handles[at].clone()) };
            assert_eq!(Either(task(0), task(1)).is_asked(), asked > 0);
            handles[asked].stop();
            assert!(Either(task(0), task(1)).is_asked() && Either(task(1), task(0)).is_asked());
        }
    }

    #[test]
    fn steps_may_overlap_and_end_when_they_are_dropped() {
        let recorder = Arc::new(Recorder::default());
        let task = Task::new(Arc::new(StopHandle::default()), recorder.clone());
        let (bytes, files) =
            (task.begin("hashing", Unit::Bytes, Some(10)), task.begin("looking", Unit::Files, None));
        bytes.advance(4);
        files.advance(1);
        bytes.advance(6);
        drop(bytes);
        let seen: Vec<_> =
            recorder.steps().iter().map(|seen| (seen.step.doing, seen.done, seen.ended)).collect();
        assert_eq!(seen, [("hashing", 10, true), ("looking", 1, false)]);
    }
}
