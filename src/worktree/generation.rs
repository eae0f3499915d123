//! One generation of a worktree's journal: a file with a header, named `journal.<n>`.
//!
//! Owns its name, its header with the mark of what is durable, and whether it still is the one that counts. Complete and
//! durable before it gets its name.

use super::error::{Error, Result};
use super::frames::{self, HEADER_LEN, Header, MARK_OFFSET, split_frame};
use super::record::Record;
use crate::disk::{self, Disk, DiskError, DiskFile, FileId};
use crate::random::unpredictable;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    pub(super) fn journal(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("journal.{generation}"))
    }
}

/// Where the tail of a generation started in the one before, if no position of that one leads into it.
pub(super) const STARTS_OVER: u64 = u64::MAX;

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

/// A generation that is there.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) place: Place,
    pub(super) file: Arc<dyn DiskFile>,
    id: FileId,
    pub(super) header: Header,
    /// Why it could only be opened for reading.
    read_only: Option<i32>,
}

impl Generation {
    /// Starts the first one of a new incarnation with these records, durably.
    pub(super) fn create(place: &Place, records: &[Record]) -> Result<Self> {
        let header = Header { generation: 1, incarnation: Some(unpredictable()), ..Header::default() };
        write_generation(place, header, records, &[])?;
        Self::open(place, 1)
    }

    /// Opens the newest one; `None` if there is no journal.
    pub(super) fn newest(place: &Place) -> Result<Option<Self>> {
        loop {
            let names = match place.disk.list(&place.dir) {
                Err(error) if error.is_absence() => return Ok(None),
                names => names?,
            };
            let Some(newest) = names.iter().filter_map(|name| generation_of(name)).max() else {
                return Ok(None);
            };
            match Self::open(place, newest) {
                // A newer one took its place since it was listed.
                Err(error) if error.is_absence() => {}
                opened => return opened.map(Some),
            }
        }
    }

    /// Opens one by its number.
    pub(super) fn open(place: &Place, generation: u64) -> Result<Self> {
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
        Ok(Self { place: place.clone(), id: file.id()?, file: file.into(), header, read_only })
    }

    /// Its number among those of the worktree.
    pub(super) fn number(&self) -> u64 {
        self.header.generation
    }

    /// Whether it can be written to.
    pub(super) fn check_writable(&self) -> Result<()> {
        let Some(code) = self.read_only else { return Ok(()) };
        let source = io::Error::from_raw_os_error(code);
        Err(DiskError { operation: "write", path: self.place.journal(self.number()), source }.into())
    }

    /// Up to where the file is known to be durable; 0 if it is not known.
    pub(super) fn durable_len(&self) -> Result<u64> {
        if !self.header.has_mark() {
            return Ok(0);
        }
        let mut mark = [0; frames::MARK_LEN];
        self.file.read_exact_at(&mut mark, MARK_OFFSET)?;
        Ok(frames::decode_mark(&self.header, &mark).unwrap_or(0))
    }

    /// Notes that everything before `position` is durable. A wish: without it, damage behind the last
    /// note is taken for what a crash left.
    pub(super) fn note_durable(&self, position: u64) {
        if self.header.has_mark() {
            let mark = frames::encode_mark(&self.header, position);
            let _ = self.file.write_all_at(&mark, MARK_OFFSET);
        }
    }

    /// The start of the names of what was cut off journals of this worktree.
    pub(super) fn cut_prefix(&self) -> String {
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
        let same = Self::newest(&self.place)?.is_some_and(|newest| {
            newest.header.generation > generation && self.header.same_incarnation(&newest.header)
        });
        Ok(if same { Standing::Superseded } else { Standing::Gone })
    }

    /// The one after it.
    pub(super) fn next(&self, header: Header, tail: Vec<Record>) -> Next {
        let incarnation = Some(self.header.incarnation.unwrap_or_else(unpredictable));
        let header = Header { generation: self.header.generation + 1, incarnation, ..header };
        Next { place: self.place.clone(), header, tail }
    }

    /// The records between two positions.
    pub(super) fn records_in(&self, start: u64, end: u64) -> Result<Vec<Record>> {
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

    /// The records that stand for everything before the snapshot that this generation started from.
    pub(super) fn head(&self) -> Result<Vec<Record>> {
        self.records_in(self.header.len(), self.header.tail)
    }

    /// The error of a worktree that is no longer the one that was opened.
    pub(super) fn gone(&self) -> Error {
        Error::Replaced(self.place.dir.clone())
    }

    /// The error of one whose file does not hold what it should.
    pub(super) fn damaged(&self, what: &str) -> Error {
        Error::DamagedJournal { path: self.place.journal(self.header.generation), what: what.to_owned() }
    }
}

/// A generation that is about to be written.
#[derive(Debug)]
pub(super) struct Next {
    place: Place,
    pub(super) header: Header,
    pub(super) tail: Vec<Record>,
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
