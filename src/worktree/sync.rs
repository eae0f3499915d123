//! Making what a worktree's journal says durable: one sync for all who wait, and nothing held while the disk works.

use super::copy::{State, Worktree};
use super::error::{Error, Result};
use super::journal::Standing;
use super::nodes::Body;
use super::record::Record;
use crate::disk::{DiskFile, Patience};

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

impl Worktree {
    /// Makes every record durable that was appended before, and removes the staging files that no record needs. The
    /// bytes that records name may be durable or not: what is not is never believed after a power cut, and what it
    /// replaced is kept until it is.
    ///
    /// # Errors
    /// [`Error::Replaced`] if the worktree is not the one at its path any more: then nothing may be acknowledged.
    pub fn sync_records(&self) -> Result<()> {
        self.syncs.join(|| self.sync_now())
    }

    fn sync_now(&self) -> Result<()> {
        let (file, garbage, (generation, position)) = self.read(|state| {
            let garbage = std::mem::take(&mut state.nodes.garbage);
            // A descriptor keeps the room of a file that has no name any more.
            garbage.iter().for_each(|staging| drop(state.unsynced.remove(staging)));
            Ok((state.journal.file(), garbage, state.journal.position()))
        })?;
        if let Err(error) = file.sync() {
            // The next sync would succeed without what this one lost: all of it is written anew, or it stays an error.
            let anew = self.change_unlocked(|| {
                let (_, end) = self.state().journal.position();
                self.take_back(end)
            });
            if anew.is_err() {
                self.state().nodes.garbage.extend(garbage);
                return Err(error.into());
            }
        }
        let state = self.state();
        state.journal.note_durable(generation, position);
        // What cannot be told is not known to be gone: the records are durable in the file that is held.
        let standing = state.journal.standing();
        drop(state);
        if matches!(standing, Ok(Standing::Gone)) {
            return Err(Error::Replaced(self.dir.clone()));
        }
        self.state().freed.extend(garbage);
        self.remove_freed();
        Ok(())
    }

    /// Removes the staging files that no record needs, if there are any.
    pub(crate) fn let_go_of_garbage(&self) -> Result<()> {
        let (garbage, freed) = {
            let state = self.state();
            (state.nodes.garbage.len(), state.freed.len())
        };
        match (garbage, freed) {
            (0, 0) => Ok(()),
            (0, _) => {
                self.check_held()?;
                self.remove_freed();
                Ok(())
            }
            (_, _) => self.sync_records(),
        }
    }

    /// Removes the staging files that nothing durable needs. Those that a snapshot may still need, or that the disk does
    /// not let go, are for later: what was made durable is not undone by that. Needs to know that the worktree is the one
    /// at its path.
    fn remove_freed(&self) {
        let freed = std::mem::take(&mut self.state().freed);
        if freed.is_empty() {
            return;
        }
        let alone = self.disk().lock(&self.dir.join("holds"), true, Patience::Try);
        let left = |staging: StagingId| match self.disk().remove_file(&self.staging_path(staging)) {
            Ok(()) => None,
            Err(error) if error.is_absence() => None,
            Err(_) => Some(staging),
        };
        // Whoever started over meanwhile may have given the number of one to a file that is needed.
        let unneeded = |state: &mut State| {
            Ok(freed.iter().copied().filter(|staging| state.nodes.by_staging(*staging).is_none()).collect())
        };
        let later: Vec<StagingId> = match (alone, self.read(unneeded)) {
            // A disk that is told of each block that is free again takes its time: many wait for it at once.
            (Ok(Some(_alone)), Ok::<Vec<StagingId>, Error>(unneeded)) => {
                self.repo.store().threads().map(unneeded.into_iter(), left).into_iter().flatten().collect()
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => freed,
        };
        self.state().freed.extend(later);
    }

    /// Makes complete files durable that are not yet: their bytes, not the records about them.
    ///
    /// # Errors
    /// [`Error::LostBytes`] if the disk did not take the bytes of some; those are named from now on, the others are
    /// durable.
    pub fn sync_complete(&self) -> Result<()> {
        let untold = self.state().untold.clone();
        untold.into_iter().try_for_each(|staging| self.tell_lost(staging))?;
        let unsynced: Vec<(StagingId, Arc<dyn DiskFile>)> =
            self.state().unsynced.iter().map(|(staging, file)| (*staging, Arc::clone(file))).collect();
        if unsynced.is_empty() {
            return Ok(());
        }
        // Together they cost one wait for the disk; then each tells how it went.
        let at_once = unsynced.len() >= TOGETHER;
        if at_once {
            self.disk().sync_below(&self.staging_dir())?;
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
        let begun = self.read(|state| match state.nodes.is_lost(staging) {
            // The disk tells once; a sync that succeeds now says nothing.
            true => Err(state.lost_bytes(staging)),
            false => Ok(state.begin_sync(staging)),
        })?;
        let Some(complete) = begun else {
            self.state().unsynced.remove(&staging);
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
        self.disk().sync_dir(&self.staging_dir())?;
        self.change(|state| {
            let mut records = Vec::with_capacity(durable.len());
            for Synced { staging, len, complete } in durable {
                state.unsynced.remove(&staging);
                // It may have been let go meanwhile: then nobody asks any more.
                if state.nodes.by_staging(staging).is_some_and(|node| state.nodes.is_linked(node)) {
                    records.push(Record::Synced { staging, len, complete });
                }
            }
            state.append_all(self, &records)
        })
    }

    /// Notes for good that the disk lost bytes of a staging file. The result is the error to tell of it.
    ///
    /// A disk that loses bytes often takes no record of it either. Then this process says so, and tries again with each
    /// sync.
    pub(super) fn lose(&self, staging: StagingId) -> Error {
        let error = {
            let mut state = self.state();
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
        self.change(|state| {
            if state.nodes.by_staging(staging).is_some_and(|node| state.nodes.is_linked(node)) {
                state.append(self, Record::Lost { staging })?;
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
