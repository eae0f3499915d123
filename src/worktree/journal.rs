//! The journal of a worktree: an append-only file of records, shared by every process that uses the worktree.
//!
//! Owns the generations, and what a damaged or torn end means. Knows nothing of what records do; how they are framed is
//! in `frames`.
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

use super::error::{Error, Result};
use super::frames::{self, HEADER_LEN, Header, MARK_OFFSET, split_frame};
use super::record::Record;
use crate::disk::{self, Disk, DiskError, DiskFile, FileId};
use crate::history::TreePath;
use crate::random::unpredictable;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Room that is kept on the disk behind the last record, in bytes: records that make room fit into it when everything
/// else is full. Most take less than a hundred bytes, and when it is used up there is more as soon as something was freed.
const RESERVE: u64 = 64 << 10;

/// Where the journal of a worktree lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub disk: Arc<dyn Disk>,
    /// The worktree's folder.
    pub dir: PathBuf,
    /// Where what is set aside goes.
    pub quarantine: PathBuf,
}

impl Place {
    fn journal(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("journal.{generation}"))
    }
}

/// Where the tail of a generation started in the one before, if no position of that one leads into it.
const STARTS_OVER: u64 = u64::MAX;

/// One generation of a journal, read up to a position.
#[derive(Debug)]
pub(super) struct Journal {
    place: Place,
    file: Arc<dyn DiskFile>,
    id: FileId,
    header: Header,
    /// Everything before it was read or appended.
    position: u64,
    /// Where the records end and the word is that the next generation goes on, if that was read or appended.
    ended: Option<u64>,
    /// How long the file was when it was last looked at. It still is as long as the lock is held since.
    looked_at: Option<u64>,
    /// Up to where the disk has room for this file.
    reserved: u64,
    /// Why it could only be opened for reading.
    read_only: Option<i32>,
}

/// What reading on found.
#[derive(Debug)]
pub(super) enum News {
    /// Records that others appended.
    Records(Vec<Record>),
    /// Records up to the end of this generation; [`Journal::follow`] goes on.
    Superseded(Vec<Record>),
}

/// Where a journal's file is, compared with where it was when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the newest generation.
    Newest,
    /// A newer one of the same worktree is there.
    Superseded,
    /// The worktree was deleted, or another one has its place.
    Gone,
}

impl Journal {
    /// Starts the first generation of a new incarnation with these records, durably.
    pub(super) fn create(place: &Place, records: &[Record]) -> Result<Self> {
        let header = Header { generation: 1, incarnation: Some(unpredictable()), ..Header::default() };
        write_generation(place, header, records, &[])?;
        Self::open_generation(place, 1)
    }

    /// Opens the newest generation; nothing is read yet. `None` if there is no journal.
    pub(super) fn open(place: &Place) -> Result<Option<Self>> {
        loop {
            let names = match place.disk.list(&place.dir) {
                Err(error) if error.is_absence() => return Ok(None),
                names => names?,
            };
            let Some(newest) = names.iter().filter_map(|name| generation_of(name)).max() else {
                return Ok(None);
            };
            match Self::open_generation(place, newest) {
                // A newer one took its place since it was listed.
                Err(error) if error.is_absence() => {}
                opened => return opened.map(Some),
            }
        }
    }

    fn open_generation(place: &Place, generation: u64) -> Result<Self> {
        let (disk, path) = (&place.disk, place.journal(generation));
        let mut read_only = None;
        let file = disk.open(&path, true).or_else(|error| match error.source.raw_os_error() {
            Some(code @ (libc::EROFS | libc::EACCES)) => {
                read_only = Some(code);
                disk.open(&path, false)
            }
            _ => Err(error),
        })?;
        let mut bytes = vec![0; HEADER_LEN.min(file.len()?) as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let header = Header::decode(&bytes, generation)
            .map_err(|error| Error::DamagedJournal { path: path.clone(), what: error.to_string() })?;
        let (position, id) = (header.len(), file.id()?);
        Ok(Self {
            place: place.clone(),
            file: file.into(),
            id,
            header,
            position,
            ended: None,
            looked_at: None,
            reserved: 0,
            read_only,
        })
    }

    /// The generation, and how much of it was read or appended: a point in the history of the worktree.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.header.generation, self.position)
    }

    /// The file, for syncing it without holding anything.
    pub(super) fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Whether somebody appended since, or the next generation waits to be followed.
    pub(super) fn has_news(&self) -> Result<bool> {
        Ok(self.ended.is_some() || self.file.len()? > self.position)
    }

    /// Lets everything be read again: what was read could not be applied.
    pub(super) fn start_over(&mut self) {
        self.position = self.header.len();
        self.ended = None;
    }

    /// Reads what others appended. Records behind one that does not check are not believed.
    ///
    /// # Errors
    /// [`Error::DamagedJournal`] if a record does not check that was durable.
    pub(super) fn read_on(&mut self) -> Result<News> {
        let before = (self.position, self.ended);
        // What was not handed over is read again.
        self.read_news().inspect_err(|_| (self.position, self.ended) = before)
    }

    fn read_news(&mut self) -> Result<News> {
        let (mut records, mut stuck) = (Vec::new(), None);
        // Where nothing lies behind what was read there is nothing that could be damaged.
        let len = self.file.len()?;
        self.looked_at = Some(len);
        if len == self.position && len > self.header.len() && self.ended.is_none() {
            return Ok(News::Records(records));
        }
        loop {
            if self.ended.is_some() || self.read_whole_frames(&mut records)? {
                return Ok(News::Superseded(records));
            }
            if self.position >= self.durable_len()? {
                return Ok(News::Records(records));
            }
            // What is durable now may have been on its way when it was read; twice in the same place it is damage.
            if stuck.replace(self.position) == Some(self.position) {
                return Err(self.damaged(&format!("the record at byte {} does not check", self.position)));
            }
        }
    }

    /// Reads whole records up to the first that does not check. The result tells whether the last one says that the next
    /// generation goes on.
    fn read_whole_frames(&mut self, records: &mut Vec<Record>) -> Result<bool> {
        let bytes = self.rest()?;
        let mut rest = &bytes[..];
        while let Some((payload, after)) = split_frame(&self.header, self.position, rest) {
            let record = Record::decode(payload).map_err(|error| self.damaged(&error.to_string()))?;
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
        let end = self.file.len()?;
        self.looked_at = Some(end);
        let mut bytes = vec![0; end.saturating_sub(self.position) as usize];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }

    /// Up to where the file is known to be durable; 0 if it is not known.
    fn durable_len(&self) -> Result<u64> {
        if !self.header.has_mark() {
            return Ok(0);
        }
        let mut mark = [0; frames::MARK_LEN];
        self.file.read_exact_at(&mut mark, MARK_OFFSET)?;
        Ok(frames::decode_mark(&self.header, &mark).unwrap_or(0))
    }

    /// Appends a record. Visible to other processes when it returns, durable after [`Journal::file`] was synced. Needs
    /// the worktree's lock and everything read.
    ///
    /// # Errors
    /// [`Error::RecordTooLong`] and [`Path`](crate::history::Error::Path) for what no reader would believe; nothing was written then.
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
        if let Some(code) = self.read_only {
            let (path, source) =
                (self.place.journal(self.header.generation), io::Error::from_raw_os_error(code));
            return Err(DiskError { operation: "write", path, source }.into());
        }
        let mut bytes = Vec::new();
        for record in records {
            // A directory may have moved deeper than anything new can be: no reader believes such a path.
            record.paths().into_iter().flatten().try_for_each(TreePath::check)?;
            bytes.extend(frames::frame(&self.header, self.position + bytes.len() as u64, record)?);
        }
        // What a crash left behind the last whole record must not swallow this one; and where the disk lost records that
        // were written to it, what follows would lie behind a gap.
        let len = self.looked_at.take().map_or_else(|| self.file.len(), Ok)?;
        match len {
            len if len > self.position || self.ended.is_some() => self.cut()?,
            len if len < self.position => return Err(self.damaged("it lost records that were written to it")),
            _ => {}
        }
        self.take_room(bytes.len() as u64, makes_room)?;
        if let Err(error) = self.file.write_all_at(&bytes, self.position) {
            // The end is cut off now, or by the next writer.
            let _ = self.file.set_len(self.position);
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
        if self.position < self.durable_len()? {
            return Err(self.damaged("what is durable was not read"));
        }
        let rest = self.rest()?;
        if frames::holds_a_frame(&self.header, self.position, &rest) {
            if !self.header.has_mark() {
                let what = format!("the record at byte {} does not check, later ones do", self.position);
                return Err(self.damaged(&what));
            }
            let (generation, position) = self.position();
            let name = format!("{}{generation}.{position}", self.cut_prefix());
            make_quarantine(&*self.place.disk, &self.place.quarantine)?;
            self.place.disk.replace(&self.place.quarantine.join(name), &rest)?;
        }
        self.reserved = 0;
        Ok(self.file.set_len(self.position)?)
    }

    /// Sees to it that `len` bytes fit behind the position, and that as much as [`RESERVE`] is left for records that make
    /// room; those may use it up.
    fn take_room(&mut self, len: u64, makes_room: bool) -> Result<()> {
        let end = self.position + len;
        if end + RESERVE <= self.reserved {
            return Ok(());
        }
        match self.file.reserve(end + 2 * RESERVE) {
            Ok(()) => self.reserved = end + 2 * RESERVE,
            // With an unknown reserve the write itself tells.
            Err(_) if makes_room => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Notes that everything before `position` of this generation is durable. A wish: without it, damage behind the last
    /// note is taken for what a crash left.
    pub(super) fn note_durable(&self, generation: u64, position: u64) {
        if generation == self.header.generation && self.header.has_mark() {
            let mark = frames::encode_mark(&self.header, position);
            let _ = self.file.write_all_at(&mark, MARK_OFFSET);
        }
    }

    /// The start of the names of what was cut off journals of this worktree.
    fn cut_prefix(&self) -> String {
        format!("{}journal.", self.aside_prefix())
    }

    /// The start of the names of what was set aside of this worktree.
    pub(super) fn aside_prefix(&self) -> String {
        format!("worktree-{:032x}-", self.header.incarnation.unwrap_or_default())
    }

    /// Whether records were cut off that nobody had made durable: they may have named files that nothing names now.
    pub(super) fn was_cut(&self) -> Result<bool> {
        let Place { disk, quarantine, .. } = &self.place;
        let prefix = self.cut_prefix();
        Ok(disk.stat(quarantine)?.is_some()
            && disk.list(quarantine)?.iter().any(|name| name.starts_with(&prefix)))
    }

    /// Whether this is still the journal of the worktree at its path. A writer asks before it acknowledges anything.
    pub(super) fn standing(&self) -> Result<Standing> {
        let generation = self.header.generation;
        let stat = |generation| self.place.disk.stat(&self.place.journal(generation));
        // A process that started the next generation may have ended before it could say so here.
        if stat(generation + 1)?.is_none() && stat(generation)?.is_some_and(|named| named.id == self.id) {
            return Ok(Standing::Newest);
        }
        let same = Self::open(&self.place)?.is_some_and(|newest| {
            newest.header.generation > generation && self.header.same_incarnation(&newest.header)
        });
        Ok(if same { Standing::Superseded } else { Standing::Gone })
    }

    /// The next generation: its head will stand for everything before `since`, the records from there on follow. Needs the
    /// worktree's lock and everything read.
    pub(super) fn next_generation(&self, since: u64) -> Result<Next> {
        let tail = self.records_in(since, self.position)?;
        Ok(self.next(Header { origin: since, ..Header::default() }, tail))
    }

    /// The next generation without what was appended from `until` on and did not become durable, and its head. Others may
    /// have read that already: they start over.
    pub(super) fn without_end(&self, until: u64) -> Result<(Next, Vec<Record>)> {
        let tail = self.records_in(self.header.tail, until)?;
        Ok((self.next(Header { origin: STARTS_OVER, ..Header::default() }, tail), self.head()?))
    }

    fn next(&self, header: Header, tail: Vec<Record>) -> Next {
        let incarnation = Some(self.header.incarnation.unwrap_or_else(unpredictable));
        let header = Header { generation: self.header.generation + 1, incarnation, ..header };
        Next { place: self.place.clone(), header, tail }
    }

    /// The records between two positions.
    fn records_in(&self, start: u64, end: u64) -> Result<Vec<Record>> {
        let mut bytes = vec![0; end.min(self.file.len()?).saturating_sub(start) as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        let (mut records, mut at, mut rest) = (Vec::new(), start, &bytes[..]);
        while let Some((payload, after)) = split_frame(&self.header, at, rest) {
            records.push(Record::decode(payload).map_err(|error| self.damaged(&error.to_string()))?);
            at += (rest.len() - after.len()) as u64;
            rest = after;
        }
        match at == end {
            true => Ok(records),
            false => Err(self.damaged(&format!("the record at byte {at} does not check"))),
        }
    }

    /// Goes over to a generation that was written. Needs the worktree's lock, held since [`Journal::next_generation`].
    pub(super) fn start(&mut self, next: &Next) -> Result<()> {
        // The next generation counts from here on whatever becomes of what follows.
        let end = self.position;
        let told = self.append(&Record::Superseded);
        self.ended = Some(end);
        let old = self.header.generation;
        let mut journal = Self::open_generation(&self.place, next.header.generation)?;
        journal.position = journal.header.tail + next.tail.iter().map(frames::len_of).sum::<u64>();
        *self = journal;
        if told.is_ok() {
            // A leftover only costs space; the next generation sweeps it.
            for generation in (1..=old).rev() {
                if self.place.disk.remove_file(&self.place.journal(generation)).is_err() {
                    break;
                }
            }
        }
        // What fills the disk before the next record must leave room for one that empties it. The record tells if not.
        let _ = self.take_room(0, true);
        Ok(())
    }

    /// Goes over to the next generation after [`News::Superseded`] or [`Standing::Superseded`], everything read. The
    /// result tells whether its records go on where this one ended; if not, everything is to be read from its start.
    pub(super) fn follow(&mut self) -> Result<bool> {
        let newest = Self::open(&self.place)?.ok_or_else(|| self.gone())?;
        if !self.header.same_incarnation(&newest.header) {
            return Err(self.gone());
        }
        let end = self.ended.unwrap_or(self.position);
        let (here, there) = (newest.header.tail, newest.header.origin);
        let continues = newest.header.generation == self.header.generation + 1 && end >= there;
        let position = if continues { here.saturating_add(end - there) } else { newest.header.len() };
        if position > newest.file.len()? {
            return Err(newest.damaged("it is shorter than what it continues"));
        }
        *self = Journal { position, ..newest };
        Ok(continues)
    }

    /// The records that stand for everything before the snapshot that this generation started from.
    pub(super) fn head(&self) -> Result<Vec<Record>> {
        self.records_in(self.header.len(), self.header.tail)
    }

    /// The error of a worktree that is no longer the one that was opened.
    pub(super) fn gone(&self) -> Error {
        Error::Replaced(self.place.dir.clone())
    }

    fn damaged(&self, what: &str) -> Error {
        Error::DamagedJournal { path: self.place.journal(self.header.generation), what: what.to_owned() }
    }
}

/// A generation that is about to be written.
#[derive(Debug)]
pub(super) struct Next {
    place: Place,
    header: Header,
    tail: Vec<Record>,
}

impl Next {
    /// Writes it with its head, durably.
    pub(super) fn write(&self, head: &[Record]) -> Result<()> {
        write_generation(&self.place, self.header.clone(), head, &self.tail)
    }
}

/// Makes the folder for what is set aside, durably: what is moved there leaves a place that was.
pub(super) fn make_quarantine(disk: &dyn Disk, quarantine: &Path) -> disk::Result<()> {
    disk.create_dir_all(quarantine)?;
    quarantine.parent().map_or(Ok(()), |around| disk.sync_dir(around))
}

fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("journal.")?.parse().ok()
}

/// Writes a whole generation and gives it its name when it is durable.
fn write_generation(place: &Place, mut header: Header, head: &[Record], tail: &[Record]) -> Result<()> {
    let head_len: u64 = head.iter().map(frames::len_of).sum();
    header.tail = header.len() + head_len;
    let mut bytes = header.encode();
    for record in head.iter().chain(tail) {
        let frame = frames::frame(&header, bytes.len() as u64, record)?;
        bytes.extend(frame);
    }
    let mark = frames::encode_mark(&header, bytes.len() as u64);
    bytes[MARK_OFFSET as usize..][..mark.len()].copy_from_slice(&mark);
    Ok(place.disk.replace(&place.journal(header.generation), &bytes)?)
}

#[cfg(test)]
mod tests;
