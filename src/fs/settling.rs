//! Waiting for files that were closed just now: in this mount, and in the others of the same repository.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use crate::daemons::{Daemons, Request};
use crate::history::Repo;
use crate::task::Task;

use super::completion::Closings;
use super::ingest_queue::IngestQueue;
use super::worktrees::OpenWorktree;

/// Those who hear of closes, and what is done with what they heard.
pub(super) struct Settling {
    closings: Arc<Closings>,
    /// It has worktrees, which have this: it goes when the mount does, on the mount's own thread.
    queue: Weak<IngestQueue>,
    daemons: Daemons,
    /// Where the sockets of the repository's daemons are.
    run: PathBuf,
}

impl Settling {
    pub fn of(repo: &Repo, closings: &Arc<Closings>, queue: &Arc<IngestQueue>) -> Self {
        let run = repo.root().join("run");
        let (closings, queue) = (Arc::clone(closings), Arc::downgrade(queue));
        Self { closings, queue, daemons: Daemons::new(), run }
    }

    /// Waits until files that were closed through this mount are complete, or somebody else still has them open.
    pub fn here(&self, worktrees: &[Arc<OpenWorktree>]) {
        self.closings.wait();
        self.mapped(worktrees);
    }

    /// The same through any mount of the repository.
    pub fn everywhere(&self, worktrees: &[Arc<OpenWorktree>]) {
        // This one among them hears of it as well, and says no more than it does now. Who cannot be asked hears of nothing.
        let _ = self.daemons.ask_all(&self.run, Request::Settle, &Task::default());
        self.here(worktrees);
    }

    /// Completes files that were closed and that nobody writes to any more through a mapping.
    pub fn mapped(&self, worktrees: &[Arc<OpenWorktree>]) {
        for worktree in worktrees {
            // What cannot be recorded now is tried again at the next look.
            if !worktree.lending().settle_mapped().unwrap_or_default().is_empty()
                && let Some(queue) = self.queue.upgrade()
            {
                queue.settled(Arc::clone(worktree));
            }
        }
    }
}
