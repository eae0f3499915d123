//! Threads for what may take long, so that the session's threads are always free to answer `stat`.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Sender, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that run jobs in the order of their coming. Waiting jobs are bounded by whoever sends
/// them: each is a system call that waits for its answer.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts `count` threads, which end when this is dropped and all jobs are done.
    pub fn start(count: usize) -> io::Result<Self> {
        let (jobs, waiting) = unbounded::<Job>();
        for number in 0..count {
            let waiting = waiting.clone();
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                for job in waiting {
                    // A job that panics drops its reply, which answers EIO; the thread goes on. The job owns what it
                    // touches or shares it through locks that recover from poisoning.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(Self { jobs })
    }

    /// Runs a job on one of the threads.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads end only after this is dropped, so somebody always receives.
        let _ = self.jobs.send(Box::new(job));
    }
}
