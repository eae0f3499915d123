//! What a process has open of one file: one state machine for those who read and those who write.
//!
//! ```text
//!              open                     begin, resume                    last writer gone
//! (nothing) --------> Reading(held?) ------------------> Writing(staged) ----------------> Reading(held)
//!                                                                  \-- killed -----------> Reading(nothing)
//! ```
//!
//! A staging file may be lent (`lend.rs`): then whoever has the file open reads and writes it without being heard. It stays
//! `Writing` until nobody has it open any more.
//!
//! Between a writer's last word and the record that its bytes are complete others come and go: they may write on in the
//! same staging file and close it as well. Until the record of each is made the file is neither let go nor given up.
//!
//! Owns the counts and which staging file is held. Knows no journal: what is recorded of it is `tenant.rs`'s.

use super::nodes::NodeId;
use crate::disk::DiskFile;
use crate::id::StagingId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// A staging file that is open.
pub(super) type Staged = (StagingId, Arc<dyn DiskFile>);

/// All that a process has open, by node.
pub(super) type OpenFiles = HashMap<NodeId, OpenFile>;

/// How a writer lets go of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is done: what is there is a whole version.
    Complete,
    /// It was killed: what is there may be half of one.
    Interrupted,
}

/// What this process has open of one file.
#[derive(Debug, Default)]
pub(super) struct OpenFile {
    readers: u32,
    pub(super) writers: u32,
    /// Last writers that are gone, and whose bytes are not yet recorded as complete.
    closing: u32,
    access: Access,
    /// How long the staging file is that is being written, as far as that is known without asking the disk: nobody else
    /// writes to it.
    len: Option<u64>,
    /// Whether bytes were written since the last sync of them began.
    written: bool,
    /// Openings for writing so far: whoever finds the same number twice knows that nobody wrote in between, if nobody writes.
    pub(super) begun_writers: u64,
    /// What is known of the staging file that is being written, if it is lent.
    lent: Option<Lent>,
    /// When it was last opened or read, by the clock of [`Readers`](super::readers::Readers).
    used: u64,
}

/// A staging file that others write without saying so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lent {
    /// The disk's time of its bytes when the file's own was last said: as long as it is this one, what was said stands.
    pub(super) modified: SystemTime,
    /// The disk's time of its bytes when a writer was killed, as long as nobody wrote since.
    killed: Option<SystemTime>,
    /// Whether somebody writes to it though nobody has the file open: through a mapping, or as one whose opening we do not
    /// hear of any more; or it is to be looked at again for another reason.
    pub(super) is_mapped: bool,
}

impl Lent {
    /// A writer lets go of it, when its bytes are of this time.
    fn leave(&mut self, how: Release, modified: Option<SystemTime>) {
        match how {
            Release::Interrupted => self.killed = modified,
            // Who closes without writing completes nothing.
            Release::Complete => self.killed = self.killed.filter(|killed| Some(*killed) == modified),
        }
    }

    /// How the last who wrote to it let go.
    fn left(&self) -> Release {
        if self.killed.is_some() { Release::Interrupted } else { Release::Complete }
    }
}

/// What the holders of an open file do with it.
#[derive(Debug)]
enum Access {
    /// They read. If the bytes are in a staging file, it is held as a rule, so that they stay when the name goes: see
    /// `readers.rs`.
    Reading(Option<Staged>),
    /// Some write, to this staging file.
    Writing(Staged),
}

impl Default for Access {
    fn default() -> Self {
        Access::Reading(None)
    }
}

impl OpenFile {
    /// A file that was created by the one who writes to it.
    pub(super) fn created(staged: Staged) -> Self {
        Self { writers: 1, access: Access::Writing(staged), len: Some(0), written: true, ..Self::default() }
    }

    /// One more has it open. `bytes` is the staging file with what it reads, if that is not held already.
    pub(super) fn open(&mut self, write: bool, bytes: Option<Staged>) {
        if let (Access::Reading(held), Some(bytes)) = (&mut self.access, bytes) {
            *held = Some(bytes);
        }
        *self.count(write) += 1;
        self.begun_writers += u64::from(write);
    }

    /// It is opened or read now. If nobody holds its bytes, `bytes` is the staging file that has them.
    pub(super) fn use_at(&mut self, now: u64, bytes: Option<Staged>) {
        self.used = now;
        if let (Access::Reading(held @ None), Some(bytes)) = (&mut self.access, bytes) {
            *held = Some(bytes);
        }
    }

    /// The staging file that is held for readers alone, and when it was last used.
    pub(super) fn held_to_read(&self) -> Option<(u64, &Staged)> {
        match &self.access {
            Access::Reading(held) => held.as_ref().map(|held| (self.used, held)),
            Access::Writing(_) => None,
        }
    }

    /// Lets the descriptor of a staging file go that is held for readers alone.
    pub(super) fn spare(&mut self, staging: StagingId) {
        if self.held_to_read().is_some_and(|(_, (held, _))| *held == staging) {
            self.access = Access::Reading(None);
        }
    }

    /// Those who have it open for writing write to this staging file from now on; it has this length, if that is known.
    pub(super) fn begin(&mut self, staged: Staged, len: Option<u64>) {
        self.access = Access::Writing(staged);
        self.lent = None;
        self.len = len;
        self.written = true;
    }

    /// What is written to the staging file is not told from now on. `given` is the same file, open to be read: nothing is
    /// held by us any more that could write to it. Its bytes are of this time as long as nobody writes.
    pub(super) fn lend(&mut self, given: Arc<dyn DiskFile>, modified: SystemTime) {
        if let Access::Writing((_, file)) = &mut self.access {
            *file = given;
        }
        self.lent.get_or_insert(Lent { modified, killed: None, is_mapped: false });
        self.len = None;
        self.written = true;
    }

    /// Whether whoever has it open reads and writes the staging file without being heard.
    pub(super) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Whether it is lent to some who only read: what they see is what the next writer writes.
    pub(super) fn is_lent_to_readers(&self) -> bool {
        self.is_lent() && self.readers > 0
    }

    /// What is known of a lent staging file, and the file itself.
    pub(super) fn lent(&mut self) -> Option<(&mut Lent, &dyn DiskFile)> {
        match (&mut self.lent, &self.access) {
            (Some(lent), Access::Writing((_, file))) => Some((lent, &**file)),
            _ => None,
        }
    }

    /// Nothing is written to the staging file any more: the file has other bytes, which are complete. Who has it open stays.
    pub(super) fn give_back(&mut self) {
        read(self, None);
        self.len = None;
    }

    /// Bytes were written up to an offset, or it is not known how many: a sync that began before does not cover them. Once
    /// it is not known it stays so: two who cut and write at once may tell of it in another order than they did it.
    pub(super) fn note_written(&mut self, end: Option<u64>) {
        self.len = self.len.zip(end).map(|(len, end)| len.max(end));
        self.written = true;
    }

    /// The length of a staging file that is being written.
    pub(super) fn written_len(&self, staging: StagingId) -> Option<crate::disk::Result<u64>> {
        let (_, file) = self.writing().filter(|(writing, _)| *writing == staging)?;
        Some(self.len.map_or_else(|| file.len(), Ok))
    }

    /// A sync begins: it covers what was written before.
    pub(super) fn begin_sync(&mut self) {
        self.written = false;
    }

    /// Whether a sync that succeeded covers all that was written, as far as that is told.
    pub(super) fn is_synced(&self) -> bool {
        !self.written
    }

    /// One fewer has it open. The result is the staging file that may be complete now, if it was the last writer's, or, of
    /// one that is lent, the last one's of all: who gets it says [`OpenFile::closed`] in the end.
    #[must_use]
    pub(super) fn close(&mut self, write: bool, how: Release) -> Option<Staged> {
        let count = self.count(write);
        *count = count.saturating_sub(1);
        let (writers, readers) = (self.writers, self.readers);
        let (is_end, how) = match self.lent() {
            // A reader who goes makes it complete if he is the last of all; a writer if he is the last writer, because the
            // bytes are copied for those who read.
            Some((lent, file)) => {
                if write {
                    lent.leave(how, file.modified().ok());
                }
                let leaves_bytes = write && lent.left() == Release::Complete;
                (writers == 0 && (readers == 0 || leaves_bytes), lent.left())
            }
            None => (write && writers == 0, how),
        };
        match (&self.access, is_end, how) {
            (Access::Writing(staged), true, Release::Complete) => {
                self.closing += 1;
                Some(staged.clone())
            }
            (Access::Writing(_), true, Release::Interrupted) => {
                // Without the descriptor the mark is gone: anybody sees that nobody is at work.
                read(self, None);
                None
            }
            _ => None,
        }
    }

    /// Begins the end of a lent file that is written to though nobody has it open, if it is one: as [`OpenFile::close`].
    #[must_use]
    pub(super) fn end_mapped(&mut self) -> Option<Staged> {
        let staged = self
            .writing()
            .filter(|_| self.writers == 0 && self.lent.is_some_and(|lent| lent.is_mapped))?
            .clone();
        self.closing += 1;
        Some(staged)
    }

    /// Whether nobody writes to a staging file any more that was being written. As long as the file is held still, its
    /// length is what it stays.
    pub(super) fn is_written(&self, staging: StagingId) -> bool {
        self.writers == 0 && self.writing().is_some_and(|(written, _)| *written == staging)
    }

    /// Takes the bytes of the last writer for a version that never changes, unless somebody began to write again.
    pub(super) fn settle(&mut self, staging: StagingId) {
        if self.is_written(staging)
            && let Access::Writing(settled) = &self.access
        {
            let settled = settled.clone();
            read(self, Some(settled));
        }
    }

    /// A last writer's end is over, recorded or failed. What nobody writes to any more, and nobody is about to record, is
    /// given up.
    pub(super) fn closed(&mut self) {
        self.closing = self.closing.saturating_sub(1);
        let stays = self.is_lent_to_readers() || self.lent.is_some_and(|lent| lent.is_mapped);
        if self.writers == 0 && self.closing == 0 && !stays && self.writing().is_some() {
            read(self, None);
        }
    }

    /// Whether nobody has it open or writes to it.
    pub(super) fn is_closed(&self) -> bool {
        self.readers == 0
            && self.writers == 0
            && self.closing == 0
            && self.lent.is_none_or(|lent| !lent.is_mapped)
    }

    #[cfg(test)]
    pub(super) fn closing(&self) -> u32 {
        self.closing
    }

    /// The staging file that is held.
    pub(super) fn held(&self) -> Option<&Staged> {
        match &self.access {
            Access::Reading(held) => held.as_ref(),
            Access::Writing(staged) => Some(staged),
        }
    }

    /// The staging file that is being written.
    pub(super) fn writing(&self) -> Option<&Staged> {
        match &self.access {
            Access::Reading(_) => None,
            Access::Writing(staged) => Some(staged),
        }
    }

    fn count(&mut self, write: bool) -> &mut u32 {
        if write { &mut self.writers } else { &mut self.readers }
    }
}

/// Nobody writes to a file any more.
fn read(open: &mut OpenFile, held: Option<Staged>) {
    open.access = Access::Reading(held);
    open.lent = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, SimulatedDisk};
    use std::path::Path;

    fn staged(number: u64) -> Staged {
        let disk = SimulatedDisk::new();
        (StagingId(number), Arc::from(disk.create_new(Path::new("/staged")).unwrap()))
    }

    fn number(staged: Option<&Staged>) -> Option<u64> {
        staged.map(|staged| staged.0.0)
    }

    #[test]
    fn the_last_writer_settles_what_it_wrote_and_readers_keep_it() {
        let mut file = OpenFile::created(staged(1));
        file.open(true, None);
        file.open(false, None);
        assert!(file.close(true, Release::Complete).is_none());
        assert!(!file.is_written(StagingId(1)));
        let complete = file.close(true, Release::Complete).unwrap();
        assert!(file.is_written(complete.0));
        file.settle(complete.0);
        assert!(!file.is_written(complete.0));
        file.closed();
        assert_eq!((number(file.writing()), number(file.held())), (None, Some(1)));
        assert!(!file.is_closed());
        assert!(file.close(false, Release::Complete).is_none() && file.is_closed());
    }

    #[test]
    fn what_somebody_writes_to_again_is_not_settled() {
        let mut file = OpenFile::created(staged(1));
        let complete = file.close(true, Release::Complete).unwrap();
        file.open(true, None);
        assert!(!file.is_written(complete.0));
        file.settle(complete.0);
        file.begin(staged(2), None);
        file.closed();
        assert_eq!(number(file.writing()), Some(2));
    }

    #[test]
    fn the_end_of_one_writer_gives_up_nothing_of_the_next() {
        let mut file = OpenFile::created(staged(1));
        let first = file.close(true, Release::Complete).unwrap();
        file.open(true, None);
        let second = file.close(true, Release::Complete).unwrap();
        // The first found a writer at work; its end comes when that one is gone, and not yet recorded.
        file.closed();
        assert!(file.is_written(first.0) && !file.is_closed());
        file.settle(second.0);
        file.closed();
        assert_eq!(number(file.held()), Some(1));
        assert!(file.is_closed());
    }

    #[test]
    fn a_version_that_could_not_be_recorded_is_given_up() {
        let mut file = OpenFile::created(staged(1));
        let _ = file.close(true, Release::Complete).unwrap();
        file.closed();
        assert!(file.held().is_none() && file.is_closed());
    }

    #[test]
    fn a_killed_writer_settles_nothing_and_holds_nothing() {
        let mut file = OpenFile::created(staged(1));
        assert!(file.close(true, Release::Interrupted).is_none());
        assert!(file.held().is_none() && !file.is_written(StagingId(1)) && file.is_closed());
    }

    fn lent_file(number: u64) -> OpenFile {
        let mut file = OpenFile::created(staged(number));
        let given = Arc::clone(&file.writing().unwrap().1);
        let modified = given.modified().unwrap();
        file.lend(given, modified);
        file
    }

    #[test]
    fn a_mapping_keeps_a_lent_file_from_being_complete() {
        let mut file = lent_file(1);
        assert!(file.end_mapped().is_none());
        let _ = file.close(true, Release::Complete).unwrap();
        file.lent().unwrap().0.is_mapped = true;
        file.closed();
        assert!(!file.is_closed() && number(file.writing()) == Some(1));
        let last = file.end_mapped().unwrap();
        file.lent().unwrap().0.is_mapped = false;
        file.settle(last.0);
        file.closed();
        assert!(file.is_closed() && number(file.held()) == Some(1));
    }

    #[test]
    fn who_opens_a_killed_writer_s_file_and_writes_nothing_completes_nothing() {
        let mut file = lent_file(1);
        file.open(false, None);
        assert!(file.close(true, Release::Interrupted).is_none());
        file.open(true, None);
        assert!(file.close(true, Release::Complete).is_none());
        file.open(true, None);
        file.writing().unwrap().1.write_all_at(b"more", 0).unwrap();
        assert!(file.close(true, Release::Complete).is_some());
    }

    #[test]
    fn a_lent_file_is_written_until_nobody_has_it_open() {
        let mut file = lent_file(1);
        file.open(false, None);
        let first = file.close(true, Release::Complete).unwrap();
        assert!(file.is_written(first.0) && file.is_lent_to_readers());
        file.closed();
        assert_eq!(number(file.writing()), Some(1), "its readers see what the next one writes");
        file.open(true, None);
        assert!(file.close(true, Release::Interrupted).is_none());
        assert_eq!(number(file.writing()), Some(1));
        assert!(file.close(false, Release::Complete).is_none(), "a killed writer's bytes are not complete");
        assert!(file.held().is_none() && file.is_closed());

        let mut file = lent_file(2);
        file.open(false, None);
        let first = file.close(true, Release::Complete).unwrap();
        let last = file.close(false, Release::Complete).unwrap();
        file.settle(last.0);
        assert!(!file.is_written(first.0));
        file.closed();
        file.closed();
        assert!(file.is_closed());
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut file = OpenFile::created(staged(1));
        assert!(!file.is_synced());
        file.begin_sync();
        assert!(file.is_synced());
        file.note_written(Some(5));
        assert!(!file.is_synced());
    }

    #[test]
    fn the_length_is_known_until_a_write_fails_or_somebody_cuts() {
        let mut file = OpenFile::created(staged(1));
        let len = |file: &OpenFile| file.written_len(StagingId(1)).map(crate::disk::Result::unwrap);
        file.note_written(Some(10));
        file.note_written(Some(4));
        assert_eq!((len(&file), file.written_len(StagingId(2)).is_none()), (Some(10), true));
        file.note_written(None);
        file.note_written(Some(20));
        assert_eq!(len(&file), Some(0), "as the disk says");
    }
}
