//! The journal of a worktree: an append-only file of records, shared by every process that uses the worktree.
//!
//! Owns the framing, the generations and what a torn end means. Knows nothing of what records do.
//!
//! A generation is the file `journal.<n>`; the highest one counts. A commit starts the next generation, which holds
//! the committed tree, what is still being written, and every record that came after the snapshot. It is complete
//! and durable before it gets its name. Appending and starting a generation need the worktree's lock; reading does
//! not. Each record is framed by its length and a checksum; an end that does not check is what a crash left, and is
//! cut off by the next writer.

use super::super::error::{Error, Result};
use super::record::Record;
use crate::disk::{Disk, DiskFile};
use crate::wire::{Reader, WireError, Writer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"CJRN";
const VERSION: u16 = 1;
/// Magic, version, generation, where the tail starts here, where it started in the generation before, checksum.
const HEADER_LEN: u64 = 4 + 2 + 8 + 8 + 8 + 8;
/// Length and checksum of one record.
const FRAME_LEN: u64 = 4 + 8;
/// No record is longer: two paths, and Linux ends paths at 4 KiB.
const RECORD_MAX: u32 = 1 << 20;

/// One generation of a journal, read up to a position.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Box<dyn DiskFile>,
    generation: u64,
    /// Where this copy's tail starts, and where the same records started in the generation before.
    tail: (u64, u64),
    /// Everything before it was read or appended.
    position: u64,
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
    /// Starts the first generation with these records, durably.
    pub(super) fn create(disk: Arc<dyn Disk>, dir: &Path, records: &[Record]) -> Result<Self> {
        write_generation(&*disk, dir, 1, records, &[], 0)?;
        Self::open_generation(disk, dir, 1)
    }

    /// Opens the newest generation; nothing is read yet. `None` if there is no journal.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Option<Self>> {
        if disk.stat(dir)?.is_none() {
            return Ok(None);
        }
        let newest = disk.list(dir)?.iter().filter_map(|name| generation_of(name)).max();
        newest.map(|generation| Self::open_generation(disk, dir, generation)).transpose()
    }

    fn open_generation(disk: Arc<dyn Disk>, dir: &Path, generation: u64) -> Result<Self> {
        let path = path_of(dir, generation);
        let file = disk.open(&path, true).or_else(|error| match error.source.raw_os_error() {
            Some(libc::EROFS | libc::EACCES) => disk.open(&path, false),
            _ => Err(error),
        })?;
        let mut header = [0; HEADER_LEN as usize];
        file.read_exact_at(&mut header, 0)?;
        let tail = parse_header(&header, generation)
            .map_err(|error| Error::DamagedFile { path: path.clone(), what: error.to_string() })?;
        Ok(Self { disk, dir: dir.to_owned(), file, generation, tail, position: HEADER_LEN })
    }

    /// The generation, and how much of it was read or appended: a point in the history of the worktree.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.generation, self.position)
    }

    /// Whether somebody appended since.
    pub(super) fn has_news(&self) -> Result<bool> {
        Ok(self.file.len()? > self.position)
    }

    /// Reads what others appended. Records after one that does not check are not believed.
    pub(super) fn read_on(&mut self) -> Result<News> {
        let mut records = Vec::new();
        let end = self.file.len()?;
        let mut bytes = vec![0; end.saturating_sub(self.position) as usize];
        self.file.read_exact_at(&mut bytes, self.position)?;
        let mut rest = &bytes[..];
        while let Some((payload, after)) = split_frame(rest) {
            let record = Record::decode(payload).map_err(|error| self.damaged(&error.to_string()))?;
            self.position += (rest.len() - after.len()) as u64;
            rest = after;
            match record {
                Record::Superseded => return Ok(News::Superseded(records)),
                other => records.push(other),
            }
        }
        Ok(News::Records(records))
    }

    /// Appends a record. Visible to other processes when it returns, durable after [`Journal::sync`]. Needs the
    /// worktree's lock and everything read.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        let frame = frame(record);
        // What a crash left behind the last whole record must not swallow this one.
        if self.has_news()? {
            self.file.set_len(self.position)?;
        }
        if let Err(error) = self.file.write_all_at(&frame, self.position) {
            // The end is cut off now, or by the next writer.
            let _ = self.file.set_len(self.position);
            return Err(error.into());
        }
        self.position += frame.len() as u64;
        Ok(())
    }

    /// Makes every appended record durable.
    pub(super) fn sync(&self) -> Result<()> {
        Ok(self.file.sync()?)
    }

    /// Whether a newer generation exists. A writer asks before it appends: the process that started the newer one may
    /// have ended before it could say so here.
    pub(super) fn is_superseded(&self) -> Result<bool> {
        Ok(self.disk.stat(&path_of(&self.dir, self.generation + 1))?.is_some())
    }

    /// Starts the next generation: `head` stands for everything before `since`, the records from there on follow. It is
    /// durable when this returns, and this journal is it. Needs the worktree's lock and everything read.
    pub(super) fn start_generation(&mut self, head: &[Record], since: u64) -> Result<()> {
        let mut tail = vec![0; (self.position - since) as usize];
        self.file.read_exact_at(&mut tail, since)?;
        let next = self.generation + 1;
        write_generation(&*self.disk, &self.dir, next, head, &tail, since)?;
        self.append(&Record::Superseded)?;
        let old = self.generation;
        let end = self.position - frame(&Record::Superseded).len() as u64;
        let mut journal = Self::open_generation(self.disk.clone(), &self.dir, next)?;
        journal.position = journal.tail.0 + (end - since);
        *self = journal;
        // A leftover only costs space; the next generation sweeps it.
        for generation in (1..=old).rev() {
            if self.disk.remove_file(&path_of(&self.dir, generation)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Goes over to the next generation after [`News::Superseded`] or [`Journal::is_superseded`], everything read. The
    /// result tells whether its records go on where this one ended; if not, everything is to be read from its start.
    pub(super) fn follow(&mut self, end_marked: bool) -> Result<bool> {
        let newest = Self::open(self.disk.clone(), &self.dir)?.ok_or(Error::Stale)?;
        let marker = if end_marked { frame(&Record::Superseded).len() as u64 } else { 0 };
        let end = self.position - marker;
        let (here, there) = newest.tail;
        let continues = newest.generation == self.generation + 1 && end >= there;
        let position = if continues { here + (end - there) } else { HEADER_LEN };
        *self = Journal { position, ..newest };
        Ok(continues)
    }

    /// The first record of this generation, a [`Record::Reset`].
    pub(super) fn first(&self) -> Result<Record> {
        let mut frame = [0; FRAME_LEN as usize];
        self.file.read_exact_at(&mut frame, HEADER_LEN)?;
        let len = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]).min(RECORD_MAX);
        let mut payload = vec![0; len as usize];
        self.file.read_exact_at(&mut payload, HEADER_LEN + FRAME_LEN)?;
        Record::decode(&payload).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::DamagedFile { path: path_of(&self.dir, self.generation), what: what.to_owned() }
    }
}

fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("journal.{generation}"))
}

fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("journal.")?.parse().ok()
}

/// Writes a whole generation and gives it its name when it is durable.
fn write_generation(
    disk: &dyn Disk,
    dir: &Path,
    generation: u64,
    head: &[Record],
    tail: &[u8],
    since: u64,
) -> Result<()> {
    let head: Vec<u8> = head.iter().flat_map(frame).collect();
    let mut header = Writer::record(MAGIC, VERSION);
    header.u64(generation);
    header.u64(HEADER_LEN + head.len() as u64);
    header.u64(since);
    let mut bytes = header.finish();
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    bytes.extend(head);
    bytes.extend(tail);
    Ok(disk.replace(&path_of(dir, generation), &bytes)?)
}

fn parse_header(header: &[u8], generation: u64) -> std::result::Result<(u64, u64), WireError> {
    let (fields, checksum) = header.split_at(header.len() - 8);
    let mut reader = Reader::record(fields, MAGIC, VERSION, "worktree journal")?;
    let found = reader.u64("generation")?;
    let tail = (reader.u64("tail start")?, reader.u64("tail origin")?);
    match found == generation && checksum == xxh3_64(fields).to_le_bytes() && tail.0 >= HEADER_LEN {
        true => Ok(tail),
        false => Err(WireError::Invalid("header")),
    }
}

/// A record with its length and checksum.
fn frame(record: &Record) -> Vec<u8> {
    let payload = record.encode();
    let mut bytes = Vec::with_capacity(payload.len() + FRAME_LEN as usize);
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(xxh3_64(&payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// The payload of the first record and what follows it; `None` if no whole record is there.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let len = u32::from_le_bytes(*len);
    let (payload, rest) = rest.split_at_checked(len as usize)?;
    (len <= RECORD_MAX && xxh3_64(payload).to_le_bytes() == *checksum).then_some((payload, rest))
}

#[cfg(test)]
mod tests {
    use super::super::super::path::TreePath;
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::id::TreeId;
    use crate::units::Timestamp;

    fn disk() -> (Arc<dyn Disk>, PathBuf) {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let dir = PathBuf::from("/w");
        disk.create_dir_all(&dir).expect("create");
        (disk, dir)
    }

    fn remove(path: &str) -> Record {
        Record::Remove { path: TreePath::parse(path).expect("valid"), at: Timestamp::EPOCH }
    }

    const RESET: Record = Record::Reset { base: None, tree: TreeId::from_bytes([0; 32]) };

    fn records(news: News) -> Vec<Record> {
        match news {
            News::Records(records) => records,
            News::Superseded(_) => panic!("superseded"),
        }
    }

    #[test]
    fn a_second_reader_sees_what_the_first_appends() {
        let (disk, dir) = disk();
        let mut writer = Journal::create(disk.clone(), &dir, &[RESET]).expect("create");
        assert_eq!(records(writer.read_on().expect("read")), [RESET]);
        let mut reader = Journal::open(disk, &dir).expect("open").expect("exists");
        assert_eq!(records(reader.read_on().expect("read")), [RESET]);
        writer.append(&remove("a")).expect("append");
        assert!(reader.has_news().expect("stat"));
        assert_eq!(records(reader.read_on().expect("read")), [remove("a")]);
        assert!(!reader.has_news().expect("stat"));
    }

    #[test]
    fn a_torn_record_is_passed_over_and_cut_off_by_the_next_writer() {
        let (disk, dir) = disk();
        let mut writer = Journal::create(disk.clone(), &dir, &[RESET]).expect("create");
        writer.read_on().expect("read");
        writer.append(&remove("a")).expect("append");
        let path = dir.join("journal.1");
        let len = disk.stat(&path).expect("stat").expect("exists").len;
        disk.open(&path, true).expect("open").set_len(len - 3).expect("cut");
        let mut next = Journal::open(disk.clone(), &dir).expect("open").expect("exists");
        assert_eq!(records(next.read_on().expect("read")), [RESET]);
        next.append(&remove("b")).expect("append");
        let mut last = Journal::open(disk, &dir).expect("open").expect("exists");
        assert_eq!(records(last.read_on().expect("read")), [RESET, remove("b")]);
    }

    #[test]
    fn a_reader_follows_into_the_next_generation_without_reading_twice() {
        let (disk, dir) = disk();
        let mut writer = Journal::create(disk.clone(), &dir, &[RESET]).expect("create");
        writer.read_on().expect("read");
        let mut reader = Journal::open(disk.clone(), &dir).expect("open").expect("exists");
        writer.append(&remove("before")).expect("append");
        let (_, snapshot) = writer.position();
        writer.append(&remove("after")).expect("append");
        records(reader.read_on().expect("read"));
        writer.append(&remove("late")).expect("append");
        writer.start_generation(&[RESET], snapshot).expect("start");
        writer.append(&remove("new")).expect("append");
        match reader.read_on().expect("read") {
            News::Superseded(records) => assert_eq!(records, [remove("late")]),
            News::Records(records) => panic!("{records:?}"),
        }
        assert!(reader.follow(true).expect("follow"));
        assert_eq!(records(reader.read_on().expect("read")), [remove("new")]);
        let mut fresh = Journal::open(disk, &dir).expect("open").expect("exists");
        assert_eq!(
            records(fresh.read_on().expect("read")),
            [RESET, remove("after"), remove("late"), remove("new")]
        );
    }

    #[test]
    fn a_reader_that_missed_a_generation_starts_over() {
        let (disk, dir) = disk();
        let mut writer = Journal::create(disk.clone(), &dir, &[RESET]).expect("create");
        writer.read_on().expect("read");
        let mut reader = Journal::open(disk, &dir).expect("open").expect("exists");
        for _ in 0..2 {
            let (_, position) = writer.position();
            writer.start_generation(&[RESET], position).expect("start");
        }
        assert!(matches!(reader.read_on().expect("read"), News::Superseded(_)));
        assert!(!reader.follow(true).expect("follow"));
        assert_eq!(records(reader.read_on().expect("read")), [RESET]);
    }
}
