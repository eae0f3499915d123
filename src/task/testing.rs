//! What tests stop tasks with, and hear of them with: everything is counted, and what makes no sense is a panic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Meter, Progress, Step, Stop, Task};

/// Asks for a stop at one of the checks, and counts them.
#[derive(Debug)]
pub struct StopAt {
    at: u64,
    checks: AtomicU64,
}

impl StopAt {
    /// At the check with this number, counted from 0.
    pub fn check(at: u64) -> Self {
        Self { at, checks: AtomicU64::new(0) }
    }

    /// How many checks there were.
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::SeqCst)
    }
}

impl Stop for StopAt {
    fn is_asked(&self) -> bool {
        self.checks.fetch_add(1, Ordering::SeqCst) >= self.at
    }
}

/// A step as it was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub step: Step,
    pub done: u64,
    pub ended: bool,
}

/// Remembers all steps, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Recorder {
    /// What was heard so far.
    pub fn steps(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A task that this hears of and `stop` stops.
    pub fn task(&self, stop: Arc<dyn Stop>) -> Task {
        Task::new(stop, Arc::new(self.clone()))
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Seen)) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!steps[at].ended, "{:?} goes on after its end", steps[at]);
        change(&mut steps[at]);
    }
}

impl Progress for Recorder {
    fn begin(&self, step: Step) -> Box<dyn Meter> {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(Seen { step, done: 0, ended: false });
        Box::new(RecordedMeter { recorder: self.clone(), at: steps.len() - 1 })
    }
}

struct RecordedMeter {
    recorder: Recorder,
    at: usize,
}

impl Meter for RecordedMeter {
    fn advance(&self, more: u64) {
        self.recorder.change(self.at, |seen| {
            seen.done += more;
            let most = seen.step.total.unwrap_or(u64::MAX);
            assert!(seen.done <= most, "{} is more than all of {:?}", seen.done, seen.step);
        });
    }
}

impl Drop for RecordedMeter {
    fn drop(&mut self) {
        self.recorder.change(self.at, |seen| seen.ended = true);
    }
}
