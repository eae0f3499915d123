//! What keeps a mount in step with its repository: what others changed, what nobody uses any more, and the end.

use std::sync::Arc;
use std::time::Duration;

use crate::history;
use crate::task::Task;
use crate::worktree::Invalidation;

use super::errno::{Error, Result};
use super::inode::Identity;
use super::meter::{Question, Seen, is_trouble};
use super::place::Place;
use super::superblock::Superblock;
use super::worktrees::WorktreeNode;

/// The upkeep of one mount.
pub(super) struct Upkeep<'a>(&'a Superblock);

impl<'a> Upkeep<'a> {
    /// That of this mount.
    pub fn of(shared: &'a Superblock) -> Self {
        Self(shared)
    }

    /// Counts an answer; one that says more of the repository or the machine than of what was asked is told to people.
    pub fn note_answer(&self, question: &Question, took: Duration, told: Option<&Error>) {
        self.0.meter.count(question.operation, took, told);
        if let Some(error) = told.filter(|error| is_trouble(error.errno())) {
            let (at, operation, errno) = (self.0.now(), question.operation, error.errno());
            let path = self.0.inodes.path(question.ino, &question.name);
            let seen = Seen { at, operation, path, errno, what: error.to_string() };
            self.0.log.line(at, &seen);
            self.0.meter.remember(seen);
        }
    }

    /// Lets worktrees go that were deleted or replaced, and those that nobody uses any more. To be called now and then.
    pub fn tidy(&self) {
        self.0.handles.void_overdue();
        self.0.settle_mapped();
        self.0.worktrees.tidy(|opening| self.0.inodes.knows(opening));
    }

    /// Names in worktrees whose meaning was changed by others, as the kernel knows the directories: what it cached of
    /// them is stale.
    pub fn take_stale_names(&self) -> Vec<(u64, Vec<u8>)> {
        let mut stale = Vec::new();
        for worktree in self.0.worktrees.all() {
            // A worktree that cannot be read says so to whoever uses it.
            for Invalidation { parent, name } in worktree.names().take_invalidations().unwrap_or_default() {
                let place = Place::Worktree(WorktreeNode::new(&worktree, parent));
                let parent = self.0.inodes.number(&Identity::Place(Arc::new(place)));
                stale.extend(parent.map(|parent| (parent, name.as_bytes().to_vec())));
            }
        }
        stale
    }

    /// Names of refs that the kernel may remember and that may have moved.
    pub fn take_moving_names(&self) -> Vec<(u64, Vec<u8>)> {
        self.0.moving_names.take(self.0.now())
    }

    /// Takes the index, which only one process can have: without it packs are searched one by one.
    pub fn attach_index(&self) {
        self.0.index.attach(self.0.repo.store());
    }

    /// Goes on with what an earlier mount left unfinished.
    pub fn go_on(&self) {
        self.0.ingest.attached(self.0.repo.store());
    }

    /// Tries again to take the index, if there is none. To be called now and then.
    pub fn want_index(&self) {
        self.0.index.want(self.0.repo.store());
    }

    /// Waits until all large files that are complete are in the store, and coded.
    ///
    /// # Errors
    /// Why the last of them could not be stored; they stay where they are. [`Stopped`](history::Error::Stopped) if the task is:
    /// what is at hand goes on.
    pub fn drain(&self, task: &Task) -> Result<()> {
        self.0.settle();
        self.0.repo.store().refresh().map_err(history::Error::from)?;
        self.0.ingest.attached(self.0.repo.store());
        self.0.ingest.drain(task).map_err(history::Error::from)?;
        match self.0.ingest.trouble() {
            Some(trouble) => Err(Error::Background(trouble)),
            None => Ok(()),
        }
    }

    /// Looks at the repository again after somebody else changed it: worktrees without changes follow their branches.
    pub fn refresh(&self) -> Result<()> {
        self.tidy();
        for worktree in self.0.worktrees.all() {
            worktree.follow_branch()?;
        }
        self.0.announce();
        self.0.repo.store().refresh().map_err(history::Error::from)?;
        // The index only saves time: without it the store goes on.
        let _ = self.0.repo.store().update_index();
        self.0.ingest.attached(self.0.repo.store());
        Ok(())
    }

    /// Looks how much room there is: while there is little the kernel writes nothing by itself, and what it is writing now
    /// finds the room that plain copies took. To be called now and then.
    pub fn keep_room(&self) {
        let Ok(space) = self.0.space() else { return };
        if self.0.lending.note_room(space) {
            self.0.repo.plain().give_way();
            // What cannot be let go now is let go later.
            let _ = self.0.worktrees.all().iter().try_for_each(|worktree| worktree.sync_records());
        }
    }

    /// Makes what was done in worktrees durable: the last thing before the mount goes away.
    pub fn sync(&self) -> Result<()> {
        self.0.handles.close_noted();
        for worktree in self.0.worktrees.all() {
            worktree.staging().sync()?;
            worktree.sync_records()?;
        }
        Ok(())
    }
}
