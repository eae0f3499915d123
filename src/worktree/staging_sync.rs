//! Making the bytes of staging files durable, and noting which are, and which the disk lost.

use super::error::{Error, Result};
use super::nodes::Body;
use super::record::Record;
use super::staging::Staging;
use super::state::State;
use crate::disk::DiskFile;
use crate::id::StagingId;
use std::sync::Arc;

/// So many files and more are synced with all that is on the disk, fewer one by one.
const TOGETHER: usize = 4;

/// Bytes of a staging file that are durable.
struct Synced {
    staging: StagingId,
    len: u64,
    /// Whether they were a complete version.
    complete: bool,
}

impl Staging<'_> {
    /// Makes complete files durable that are not yet: their bytes, not the records about them.
    ///
    /// # Errors
    /// [`Error::LostBytes`] if the disk did not take the bytes of some; those are named from now on, the others are
    /// durable.
    pub fn sync(&self) -> Result<()> {
        let untold = self.worktree.state().untold.clone();
        untold.into_iter().try_for_each(|staging| self.tell_lost(staging))?;
        let unsynced: Vec<(StagingId, Arc<dyn DiskFile>)> = self
            .worktree
            .state()
            .unsynced
            .iter()
            .map(|(staging, file)| (*staging, Arc::clone(file)))
            .collect();
        if unsynced.is_empty() {
            return Ok(());
        }
        // Together they cost one wait for the disk; then each tells how it went.
        let at_once = unsynced.len() >= TOGETHER;
        if at_once {
            self.worktree.repo().disk().sync_below(&self.dir())?;
        }
        let (mut durable, mut lost) = (Vec::new(), None);
        for (staging, file) in unsynced {
            match self.sync_version(staging, &file, at_once) {
                Ok(synced) => durable.extend(synced),
                Err(Error::LostBytes(path)) => lost = Some(Error::LostBytes(path)),
                Err(error) => return Err(error),
            }
        }
        self.note_synced(durable)?;
        lost.map_or(Ok(()), Err)
    }

    /// Makes the bytes of a staging file durable, as they are now, and its name; then notes it.
    pub(super) fn sync_bytes(&self, staging: StagingId, file: &Arc<dyn DiskFile>) -> Result<()> {
        let synced = self.sync_version(staging, file, false)?;
        self.note_synced(synced.into_iter().collect())
    }

    /// Makes the bytes of a staging file durable, if they are not `taken` by the disk since this process holds the file
    /// unchanged. The result is what is to be noted; nothing if nobody needs it any more.
    fn sync_version(
        &self,
        staging: StagingId,
        file: &Arc<dyn DiskFile>,
        taken: bool,
    ) -> Result<Option<Synced>> {
        let begun = self.worktree.read(|state| match state.nodes.is_lost(staging) {
            // The disk tells once; a sync that succeeds now says nothing.
            true => Err(state.lost_bytes(staging)),
            false => Ok(state.begin_sync(staging)),
        })?;
        let Some(complete) = begun else {
            self.worktree.state().unsynced.remove(&staging);
            return Ok(None);
        };
        let len = file.len()?;
        // Complete bytes do not change: those that the disk took are these.
        let synced = if taken && complete { file.check_kept() } else { file.sync() };
        match synced {
            Ok(()) => Ok(Some(Synced { staging, len, complete })),
            Err(_) => Err(self.lose(staging)),
        }
    }

    /// Makes the names of staging files durable whose bytes are, and notes them.
    fn note_synced(&self, durable: Vec<Synced>) -> Result<()> {
        if durable.is_empty() {
            return Ok(());
        }
        self.worktree.repo().disk().sync_dir(&self.dir())?;
        self.worktree.change(|state| {
            let mut records = Vec::with_capacity(durable.len());
            for Synced { staging, len, complete } in durable {
                state.unsynced.remove(&staging);
                // It may have been let go meanwhile: then nobody asks any more.
                if state.nodes.by_staging(staging).is_some_and(|node| state.nodes.is_linked(node)) {
                    records.push(Record::Synced { staging, len, complete });
                }
            }
            state.append_all(self.worktree.repo(), &records)
        })
    }

    /// Notes for good that the disk lost bytes of a staging file. The result is the error to tell of it.
    ///
    /// A disk that loses bytes often takes no record of it either. Then this process says so, and tries again with each
    /// sync.
    pub(super) fn lose(&self, staging: StagingId) -> Error {
        let error = {
            let mut state = self.worktree.state();
            state.unsynced.remove(&staging);
            if state.nodes.by_staging(staging).is_some() && state.nodes.note_lost(staging).is_ok() {
                state.untold.insert(staging);
            }
            state.lost_bytes(staging)
        };
        let _ = self.tell_lost(staging);
        error
    }

    fn tell_lost(&self, staging: StagingId) -> Result<()> {
        self.worktree.change(|state| {
            if state.nodes.by_staging(staging).is_some_and(|node| state.nodes.is_linked(node)) {
                state.append(self.worktree.repo(), Record::Lost { staging })?;
            }
            state.untold.remove(&staging);
            Ok(())
        })
    }
}

impl State {
    /// The error of a staging file of which the disk lost bytes.
    pub(super) fn lost_bytes(&self, staging: StagingId) -> Error {
        let path = self.nodes.by_staging(staging).and_then(|node| self.nodes.path_of(node).ok());
        Error::LostBytes(path.unwrap_or_default())
    }

    /// Whether what is in a staging file is the complete version of its file; `None` if nobody needs it. What is written
    /// from now on is not covered by the sync that begins.
    fn begin_sync(&mut self, staging: StagingId) -> Option<bool> {
        let node = self.nodes.by_staging(staging)?;
        // A later version that is being written has nothing to do with it.
        if let Some(open) = self.open.get_mut(&node)
            && open.held().is_some_and(|(held, _)| *held == staging)
        {
            open.begin_sync();
        }
        match &self.nodes.get(node).ok()?.body {
            Body::File(file) => Some(file.complete.and_then(|content| content.staging()) == Some(staging)),
            Body::Dir(_) | Body::Symlink(_) => None,
        }
    }
}
