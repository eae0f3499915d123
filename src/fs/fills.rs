//! Filling plain copies beside those who read.
//!
//! One thread does it, in turn for all files that are wanted: each is filled on all threads of the crew for a while, and
//! only as far ahead of its readers as they want it. When the mount ends, what is being filled is given up.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, unbounded};

use crate::history::Fill;
use crate::task::{Silent, StopHandle, Task};
use crate::threads::compute_at_length;

use super::workers::shielded;

/// The thread that fills.
pub(super) struct Fills {
    sender: Option<Sender<Fill>>,
    stop: StopHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Fills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fills").field("runs", &self.thread.is_some()).finish_non_exhaustive()
    }
}

impl Fills {
    /// Nothing is filled.
    pub fn idle() -> Self {
        Self { sender: None, stop: StopHandle::default(), thread: None }
    }

    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = unbounded::<Fill>();
        let stop = StopHandle::default();
        let task = Task::new(Arc::new(stop.clone()), Arc::new(Silent));
        let fill = move || {
            compute_at_length();
            let mut waiting = VecDeque::new();
            while let Some(fill) = waiting.pop_front().or_else(|| receiver.recv().ok()) {
                // A copy is for speed only: without one, readers decode, and are told what is wrong with the packs.
                let mut has_more = false;
                shielded(|| has_more = fill.run(&task).unwrap_or(false));
                waiting.extend(receiver.try_iter());
                waiting.extend(has_more.then_some(fill));
            }
        };
        let thread = thread::Builder::new().name("fill".into()).spawn(fill)?;
        Ok(Self { sender: Some(sender), stop, thread: Some(thread) })
    }

    /// Fills a copy on, when its turn comes.
    pub fn send(&self, fill: Fill) {
        if let Some(sender) = &self.sender {
            // The thread ends after this does.
            let _ = sender.send(fill);
        }
    }
}

impl Drop for Fills {
    fn drop(&mut self) {
        self.stop.stop();
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic: what it does is shielded.
            let _ = thread.join();
        }
    }
}
