//! The journal of a worktree: an append-only file of records, shared by every process that uses the worktree.
//!
//! Owns how far this process is, what it appends, and what a damaged or torn end means. Knows nothing of what records do;
//! their file is a `generation`, how they are framed is in `frames`.
//!
//! A generation is the file `journal.<n>`; the highest one counts. A commit starts the next generation, which holds
//! the committed tree, what is still being written, and every record that came after the snapshot. It is complete
//! and durable before it gets its name. Appending and starting a generation need the worktree's lock; reading does
//! not.
//!
//! All generations of one worktree carry the random id of its *incarnation*: a worktree that was deleted and made again
//! is another one, and who still has the first one open finds out before it acknowledges anything.
//!
//! Every sync notes in the header up to where the file is durable. A record before that mark which does not check is
//! damage, and an error; behind it, it is what a crash left, and the next writer cuts it off.

use super::error::Result;
use super::frames::{self, Header, split_frame};
use super::generation::{Generation, Next, Place, STARTS_OVER, make_quarantine};
use super::record::Record;
use crate::disk::DiskFile;
use crate::history::TreePath;
use std::sync::Arc;

/// Room that is kept on the disk behind the last record, in bytes: records that make room fit into it when everything
/// else is full. Most take less than a hundred bytes, and when it is used up there is more as soon as something was freed.
const RESERVE: u64 = 64 << 10;

/// One generation of a journal, read up to a position.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) generation: Generation,
    /// Everything before it was read or appended.
    position: u64,
    /// Where the records end and the word is that the next generation goes on, if that was read or appended.
    ended: Option<u64>,
    /// How long the file was when it was last looked at. It still is as long as the lock is held since.
    looked_at: Option<u64>,
    /// Up to where the disk has room for this file.
    reserved: u64,
}

/// What reading on found.
#[derive(Debug)]
pub(super) enum News {
    /// Records that others appended.
    Records(Vec<Record>),
    /// Records up to the end of this generation; [`Journal::follow`] goes on.
    Superseded(Vec<Record>),
}

impl Journal {
    /// Starts the journal of a new incarnation with these records, durably.
    pub(super) fn create(place: &Place, records: &[Record]) -> Result<Self> {
        Generation::create(place, records).map(Self::at_start)
    }

    /// Opens the newest generation; nothing is read yet. `None` if there is no journal.
    pub(super) fn open(place: &Place) -> Result<Option<Self>> {
        Ok(Generation::newest(place)?.map(Self::at_start))
    }

    fn at_start(generation: Generation) -> Self {
        let position = generation.header.len();
        Self { generation, position, ended: None, looked_at: None, reserved: 0 }
    }

    /// The generation, and how much of it was read or appended: a point in the history of the worktree.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.generation.number(), self.position)
    }

    /// The file, for syncing it without holding anything.
    pub(super) fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.generation.file)
    }

    /// Whether somebody appended since, or the next generation waits to be followed.
    pub(super) fn has_news(&self) -> Result<bool> {
        Ok(self.ended.is_some() || self.generation.file.len()? > self.position)
    }

    /// Lets everything be read again: what was read could not be applied.
    pub(super) fn start_over(&mut self) {
        self.position = self.generation.header.len();
        self.ended = None;
    }

    /// Reads what others appended. Records behind one that does not check are not believed.
    ///
    /// # Errors
    /// [`DamagedJournal`](super::error::Error::DamagedJournal) if a record does not check that was durable.
    pub(super) fn read_on(&mut self) -> Result<News> {
        let before = (self.position, self.ended);
        // What was not handed over is read again.
        self.read_news().inspect_err(|_| (self.position, self.ended) = before)
    }

    fn read_news(&mut self) -> Result<News> {
        let (mut records, mut stuck) = (Vec::new(), None);
        // Where nothing lies behind what was read there is nothing that could be damaged.
        let len = self.generation.file.len()?;
        self.looked_at = Some(len);
        if len == self.position && len > self.generation.header.len() && self.ended.is_none() {
            return Ok(News::Records(records));
        }
        loop {
            if self.ended.is_some() || self.read_whole_frames(&mut records)? {
                return Ok(News::Superseded(records));
            }
            if self.position >= self.generation.durable_len()? {
                return Ok(News::Records(records));
            }
            // What is durable now may have been on its way when it was read; twice in the same place it is damage.
            if stuck.replace(self.position) == Some(self.position) {
                return Err(self
                    .generation
                    .damaged(&format!("the record at byte {} does not check", self.position)));
            }
        }
    }

    /// Reads whole records up to the first that does not check. The result tells whether the last one says that the next
    /// generation goes on.
    fn read_whole_frames(&mut self, records: &mut Vec<Record>) -> Result<bool> {
        let bytes = self.rest()?;
        let mut rest = &bytes[..];
        while let Some((payload, after)) = split_frame(&self.generation.header, self.position, rest) {
            let record =
                Record::decode(payload).map_err(|error| self.generation.damaged(&error.to_string()))?;
            let start = self.position;
            self.position += (rest.len() - after.len()) as u64;
            rest = after;
            match record {
                Record::Superseded => {
                    self.ended = Some(start);
                    return Ok(true);
                }
                other => records.push(other),
            }
        }
        Ok(false)
    }

    /// What lies behind the position.
    fn rest(&mut self) -> Result<Vec<u8>> {
        let end = self.generation.file.len()?;
        self.looked_at = Some(end);
        let mut bytes = vec![0; end.saturating_sub(self.position) as usize];
        self.generation.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }

    /// Appends a record. Visible to other processes when it returns, durable after [`Journal::file`] was synced. Needs
    /// the worktree's lock and everything read.
    ///
    /// # Errors
    /// [`RecordTooLong`](super::error::Error::RecordTooLong) and [`Path`](crate::history::Error::Path) for what no reader would believe; nothing was written then.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        self.append_all(std::slice::from_ref(record))
    }

    /// The same with a record that makes room although others of its kind do not.
    pub(super) fn append_making_room(&mut self, record: &Record) -> Result<()> {
        self.write_all(std::slice::from_ref(record), true)
    }

    /// Appends records by one write: all are there when it returns, or none if it fails.
    pub(super) fn append_all(&mut self, records: &[Record]) -> Result<()> {
        self.write_all(records, records.iter().all(Record::makes_room))
    }

    fn write_all(&mut self, records: &[Record], makes_room: bool) -> Result<()> {
        self.generation.check_writable()?;
        let mut bytes = Vec::new();
        for record in records {
            // A directory may have moved deeper than anything new can be: no reader believes such a path.
            record.paths().into_iter().flatten().try_for_each(TreePath::check)?;
            bytes.extend(frames::frame(&self.generation.header, self.position + bytes.len() as u64, record)?);
        }
        // What a crash left behind the last whole record must not swallow this one; and where the disk lost records that
        // were written to it, what follows would lie behind a gap.
        let len = self.looked_at.take().map_or_else(|| self.generation.file.len(), Ok)?;
        match len {
            len if len > self.position || self.ended.is_some() => self.cut()?,
            len if len < self.position => {
                return Err(self.generation.damaged("it lost records that were written to it"));
            }
            _ => {}
        }
        self.take_room(bytes.len() as u64, makes_room)?;
        if let Err(error) = self.generation.file.write_all_at(&bytes, self.position) {
            // The end is cut off now, or by the next writer.
            let _ = self.generation.file.set_len(self.position);
            self.reserved = 0;
            return Err(error.into());
        }
        self.position += bytes.len() as u64;
        self.looked_at = Some(self.position);
        Ok(())
    }

    /// Cuts off what follows the last whole record. If whole records lie in it, which were appended and never made
    /// durable, a copy is set aside first.
    fn cut(&mut self) -> Result<()> {
        if self.position < self.generation.durable_len()? {
            return Err(self.generation.damaged("what is durable was not read"));
        }
        let rest = self.rest()?;
        if frames::holds_a_frame(&self.generation.header, self.position, &rest) {
            if !self.generation.header.has_mark() {
                let what = format!("the record at byte {} does not check, later ones do", self.position);
                return Err(self.generation.damaged(&what));
            }
            let (generation, position) = self.position();
            let name = format!("{}{generation}.{position}", self.generation.cut_prefix());
            make_quarantine(&*self.generation.place.disk, &self.generation.place.quarantine)?;
            self.generation.place.disk.replace(&self.generation.place.quarantine.join(name), &rest)?;
        }
        self.reserved = 0;
        Ok(self.generation.file.set_len(self.position)?)
    }

    /// Sees to it that `len` bytes fit behind the position, and that as much as [`RESERVE`] is left for records that make
    /// room; those may use it up.
    fn take_room(&mut self, len: u64, makes_room: bool) -> Result<()> {
        let end = self.position + len;
        if end + RESERVE <= self.reserved {
            return Ok(());
        }
        match self.generation.file.reserve(end + 2 * RESERVE) {
            Ok(()) => self.reserved = end + 2 * RESERVE,
            // With an unknown reserve the write itself tells.
            Err(_) if makes_room => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The next generation: its head will stand for everything before `since`, the records from there on follow. Needs the
    /// worktree's lock and everything read.
    pub(super) fn next_generation(&self, since: u64) -> Result<Next> {
        let tail = self.generation.records_in(since, self.position)?;
        Ok(self.generation.next(Header { origin: since, ..Header::default() }, tail))
    }

    /// The next generation without what was appended from `until` on and did not become durable, and its head. Others may
    /// have read that already: they start over.
    pub(super) fn without_end(&self, until: u64) -> Result<(Next, Vec<Record>)> {
        let tail = self.generation.records_in(self.generation.header.tail, until)?;
        Ok((
            self.generation.next(Header { origin: STARTS_OVER, ..Header::default() }, tail),
            self.generation.head()?,
        ))
    }

    /// Goes over to a generation that was written. Needs the worktree's lock, held since [`Journal::next_generation`].
    pub(super) fn start(&mut self, next: &Next) -> Result<()> {
        // The next generation counts from here on whatever becomes of what follows.
        let end = self.position;
        let told = self.append(&Record::Superseded);
        self.ended = Some(end);
        let old = self.generation.number();
        let generation = Generation::open(&self.generation.place, next.header.generation)?;
        let position = generation.header.tail + next.tail.iter().map(frames::len_of).sum::<u64>();
        *self = Self { position, ..Self::at_start(generation) };
        if told.is_ok() {
            // A leftover only costs space; the next generation sweeps it.
            for generation in (1..=old).rev() {
                if self.generation.place.disk.remove_file(&self.generation.place.journal(generation)).is_err()
                {
                    break;
                }
            }
        }
        // What fills the disk before the next record must leave room for one that empties it. The record tells if not.
        let _ = self.take_room(0, true);
        Ok(())
    }

    /// Goes over to the next generation after [`News::Superseded`] or [`Superseded`](super::generation::Standing::Superseded), everything read. The
    /// result tells whether its records go on where this one ended; if not, everything is to be read from its start.
    pub(super) fn follow(&mut self) -> Result<bool> {
        let newest = Generation::newest(&self.generation.place)?.ok_or_else(|| self.generation.gone())?;
        if !self.generation.header.same_incarnation(&newest.header) {
            return Err(self.generation.gone());
        }
        let end = self.ended.unwrap_or(self.position);
        let (here, there) = (newest.header.tail, newest.header.origin);
        let continues = newest.number() == self.generation.number() + 1 && end >= there;
        let position = if continues { here.saturating_add(end - there) } else { newest.header.len() };
        if position > newest.file.len()? {
            return Err(newest.damaged("it is shorter than what it continues"));
        }
        *self = Self { position, ..Self::at_start(newest) };
        Ok(continues)
    }
}

#[cfg(test)]
mod tests;
