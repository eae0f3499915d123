//! Making what a worktree's journal says durable: one sync for all who wait, and nothing held while the disk works.

use super::error::{Error, Result};
use super::generation::Standing;
use super::record::Record;
use super::state::State;
use super::worktree::Worktree;
use crate::disk::Patience;
use crate::id::StagingId;

impl Worktree {
    /// Makes every record durable that was appended before, and removes the staging files that no record needs. The
    /// bytes that records name may be durable or not: what is not is never believed after a power cut, and what it
    /// replaced is kept until it is.
    ///
    /// # Errors
    /// [`Error::Replaced`] if the worktree is not the one at its path any more: then nothing may be acknowledged.
    pub fn sync_records(&self) -> Result<()> {
        match self.still_for.is_this_thread() {
            // Whoever waits for this thread must not be waited for.
            true => sync_now(self),
            false => self.syncs.join(|| sync_now(self)),
        }
    }

    /// Appends the records that `plan` makes for the tree as it is, and applies them when they are durable. What the disk
    /// does not take is taken back: after any error nothing has changed, unless the disk refuses that as well.
    pub(super) fn append_durably(&self, plan: impl FnOnce(&mut State) -> Result<Vec<Record>>) -> Result<()> {
        self.change_unlocked(|| {
            let (records, file, before) = {
                let mut state = self.state();
                let records = plan(&mut state)?;
                let (_, before) = state.journal.position();
                state.journal.append_all(&records)?;
                (records, state.journal.file(), before)
            };
            if let Err(error) = file.sync() {
                // What went wrong is told. If this goes wrong as well it is in doubt, as after any failed sync: then it
                // is read again, so that this process sees what all others do.
                if take_back(self, before).is_err() {
                    self.state().journal.start_over();
                }
                return Err(error.into());
            }
            // They stand. A copy that cannot follow them, for want of a tree perhaps, is read again before anybody looks.
            let mut state = self.state();
            let _ = records.iter().try_for_each(|record| state.apply(self.repo(), record));
            Ok(())
        })?;
        // They are durable already: what else there is to do can wait, unless all this was done to something that is gone.
        match self.sync_records() {
            Err(error @ Error::Replaced(_)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Removes the staging files that no record needs, if there are any.
pub(crate) fn let_go_of_garbage(worktree: &Worktree) -> Result<()> {
    let (garbage, freed) = {
        let mut state = worktree.state();
        let garbage = take_garbage(&mut state);
        let has_some = !garbage.is_empty();
        state.nodes.garbage.extend(garbage);
        (has_some, state.freed.len())
    };
    match (garbage, freed) {
        (false, 0) => Ok(()),
        (false, _) => {
            worktree.check_held()?;
            remove_freed(worktree);
            Ok(())
        }
        (true, _) => worktree.sync_records(),
    }
}

/// Takes the staging files that no node needs and that are not lent: they are to be removed.
fn take_garbage(state: &mut State) -> Vec<StagingId> {
    let open = state.open.values().filter(|open| open.is_lent());
    let lent: Vec<StagingId> = open.filter_map(|open| open.writing().map(|(staging, _)| *staging)).collect();
    let known = std::mem::take(&mut state.nodes.garbage).into_iter();
    // What is a file again since it was let go is none either.
    let known = known.filter(|staging| state.nodes.by_staging(*staging).is_none());
    let (kept, garbage) = known.partition(|staging| lent.contains(staging));
    state.nodes.garbage = kept;
    garbage
}

fn sync_now(worktree: &Worktree) -> Result<()> {
    let (file, garbage, (generation, position)) = worktree.read(|state| {
        let garbage = take_garbage(state);
        // A descriptor keeps the room of a file that has no name any more, whoever took that away.
        let State { unsynced, nodes, .. } = state;
        unsynced.retain(|staging, _| nodes.by_staging(*staging).is_some());
        Ok((state.journal.file(), garbage, state.journal.position()))
    })?;
    if let Err(error) = file.sync() {
        // The next sync would succeed without what this one lost: all of it is written anew, or it stays an error.
        let anew = worktree.change_unlocked(|| {
            let (_, end) = worktree.state().journal.position();
            take_back(worktree, end)
        });
        if anew.is_err() {
            worktree.state().nodes.garbage.extend(garbage);
            return Err(error.into());
        }
    }
    let state = worktree.state();
    // The next one begins durable.
    if state.journal.generation.number() == generation {
        state.journal.generation.note_durable(position);
    }
    // What cannot be told is not known to be gone: the records are durable in the file that is held.
    let standing = state.journal.generation.standing();
    drop(state);
    if matches!(standing, Ok(Standing::Gone)) {
        return Err(Error::Replaced(worktree.dir.clone()));
    }
    worktree.state().freed.extend(garbage);
    remove_freed(worktree);
    Ok(())
}

/// Removes the staging files that nothing durable needs. Those that a snapshot may still need, or that the disk does
/// not let go, are for later: what was made durable is not undone by that. Needs to know that the worktree is the one
/// at its path.
fn remove_freed(worktree: &Worktree) {
    let freed = std::mem::take(&mut worktree.state().freed);
    if freed.is_empty() {
        return;
    }
    let alone = worktree.repo().disk().lock(&worktree.dir.join("holds"), true, Patience::Try);
    let left =
        |staging: StagingId| match worktree.repo().disk().remove_file(&worktree.staging().path(staging)) {
            Ok(()) => None,
            Err(error) if error.is_absence() => None,
            Err(_) => Some(staging),
        };
    // Whoever started over meanwhile may have given the number of one to a file that is needed.
    let unneeded = |state: &mut State| {
        Ok(freed.iter().copied().filter(|staging| state.nodes.by_staging(*staging).is_none()).collect())
    };
    let later: Vec<StagingId> = match (alone, worktree.read(unneeded)) {
        // A disk that is told of each block that is free again takes its time: many wait for it at once.
        (Ok(Some(_alone)), Ok::<Vec<StagingId>, Error>(unneeded)) => {
            worktree.repo().store().threads().map(unneeded.into_iter(), left).into_iter().flatten().collect()
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => freed,
    };
    worktree.state().freed.extend(later);
}

/// Goes on without what was appended behind a position, in a new generation: others may have read it.
fn take_back(worktree: &Worktree, position: u64) -> Result<()> {
    let (next, head) = worktree.state().journal.without_end(position)?;
    next.write(&head)?;
    worktree.state().journal.start(&next)
}
