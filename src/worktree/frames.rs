//! How the records of a journal lie in its file: the header, and the frame around each record.
//!
//! Pure: bytes in, bytes out. Each frame's checksum covers the record and where it lies (file offset, generation and
//! incarnation), so that a whole frame is recognised anywhere and never taken for one of another place. Version 1 had
//! neither incarnation nor mark, and checksums of the record alone; it is still read and appended to, and the next
//! generation is of version 2.

use super::error::{Error, Result};
use super::record::Record;

use crate::wire::{Reader, WireError, Writer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: &[u8; 4] = b"CJRN";
const VERSION: u16 = 2;
const KIND: &str = "worktree journal";
/// Magic, version, generation, where the tail starts here, where it started in the generation before, checksum.
const FIELDS_V1: u64 = 4 + 2 + 8 + 8 + 8 + 8;
/// The same with the incarnation.
const FIELDS: u64 = FIELDS_V1 + 16;
/// Where the mark of what is durable lies, and how long it is: a position and its checksum.
pub(super) const MARK_OFFSET: u64 = FIELDS;
pub(super) const MARK_LEN: usize = 8 + 8;
/// The longest header.
pub(super) const HEADER_LEN: u64 = FIELDS + MARK_LEN as u64;
/// Length and checksum of one record.
const FRAME_LEN: u64 = 4 + 8;
/// No record is longer: two paths at their limit and what belongs to them.
const RECORD_MAX: usize = 1 << 20;
/// So far behind a record that does not check whole ones are looked for, in bytes.
const SEARCH_MAX: usize = 16 << 20;

/// What a generation says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub generation: u64,
    /// Where the records of after the snapshot start, and where they started in the generation before.
    pub tail: u64,
    pub origin: u64,
    /// The worktree's incarnation; `None` in version 1.
    pub incarnation: Option<u128>,
}

impl Header {
    /// How many bytes stand before the first record.
    pub(super) fn len(&self) -> u64 {
        if self.has_mark() { HEADER_LEN } else { FIELDS_V1 }
    }

    /// Whether what is durable is noted.
    pub(super) fn has_mark(&self) -> bool {
        self.incarnation.is_some()
    }

    /// Whether a newer generation is of the same worktree. One of version 1 cannot tell.
    pub(super) fn same_incarnation(&self, newer: &Header) -> bool {
        self.incarnation.is_none() || self.incarnation == newer.incarnation
    }

    /// The bytes, with an empty mark.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = Writer::record(MAGIC, if self.has_mark() { VERSION } else { 1 });
        header.u64(self.generation);
        header.u64(self.tail);
        header.u64(self.origin);
        if let Some(incarnation) = self.incarnation {
            header.raw(&incarnation.to_le_bytes());
        }
        let mut bytes = header.finish();
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes.resize(self.len() as usize, 0);
        bytes
    }

    /// Reads the start of a file that is called this generation.
    pub(super) fn decode(bytes: &[u8], generation: u64) -> std::result::Result<Self, WireError> {
        let first = bytes.get(..FIELDS_V1 as usize).ok_or(WireError::Truncated(KIND))?;
        if let Ok(reader) = Reader::record(first, MAGIC, 1, KIND) {
            return Self::fields(reader, first, generation, false);
        }
        let fields = bytes.get(..FIELDS as usize).ok_or(WireError::Truncated(KIND))?;
        let reader = Reader::record(fields, MAGIC, VERSION, KIND)?;
        if bytes.len() < HEADER_LEN as usize {
            return Err(WireError::Truncated(KIND));
        }
        Self::fields(reader, fields, generation, true)
    }

    fn fields(
        mut reader: Reader<'_>,
        bytes: &[u8],
        generation: u64,
        incarnated: bool,
    ) -> std::result::Result<Self, WireError> {
        let found = reader.u64("generation")?;
        let (tail, origin) = (reader.u64("tail start")?, reader.u64("tail origin")?);
        let incarnation =
            if incarnated { Some(u128::from_le_bytes(reader.array("incarnation")?)) } else { None };
        let checksum = reader.u64("checksum")?;
        let header = Self { generation: found, tail, origin, incarnation };
        let covered = &bytes[..bytes.len() - 8];
        match found == generation && checksum == xxh3_64(covered) && tail >= header.len() {
            true => Ok(header),
            false => Err(WireError::Invalid("header")),
        }
    }

    /// What the checksum of a frame at an offset starts from.
    fn seed(&self, offset: u64) -> u64 {
        let Some(incarnation) = self.incarnation else { return 0 };
        let place = [incarnation as u64, (incarnation >> 64) as u64, self.generation, offset];
        xxh3_64(&place.map(u64::to_le_bytes).concat())
    }
}

/// The mark that everything before `position` is durable.
pub(super) fn encode_mark(header: &Header, position: u64) -> [u8; MARK_LEN] {
    let bytes = position.to_le_bytes();
    let mut mark = [0; MARK_LEN];
    mark[..8].copy_from_slice(&bytes);
    mark[8..].copy_from_slice(&xxh3_64_with_seed(&bytes, header.seed(MARK_OFFSET)).to_le_bytes());
    mark
}

/// The position that a mark tells; `None` if it was never written whole.
pub(super) fn decode_mark(header: &Header, mark: &[u8; MARK_LEN]) -> Option<u64> {
    let position = u64::from_le_bytes(*mark.first_chunk()?);
    (encode_mark(header, position) == *mark).then_some(position)
}

/// A record with its length and checksum, to lie at an offset.
pub(super) fn frame(header: &Header, offset: u64, record: &Record) -> Result<Vec<u8>> {
    let payload = record.encode();
    if payload.len() > RECORD_MAX {
        return Err(Error::RecordTooLong);
    }
    let mut bytes = Vec::with_capacity(payload.len() + FRAME_LEN as usize);
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(xxh3_64_with_seed(&payload, header.seed(offset)).to_le_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

/// How long a record is with its frame.
pub(super) fn len_of(record: &Record) -> u64 {
    FRAME_LEN + record.encode().len() as u64
}

/// The payload of the record at an offset and what follows it; `None` if no whole record is there.
pub(super) fn split_frame<'a>(header: &Header, offset: u64, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let len = u32::from_le_bytes(*len) as usize;
    if len > RECORD_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(len)?;
    let expected = xxh3_64_with_seed(payload, header.seed(offset)).to_le_bytes();
    (expected == *checksum).then_some((payload, rest))
}

/// Whether a whole record lies somewhere in what follows an offset.
pub(super) fn holds_a_frame(header: &Header, offset: u64, bytes: &[u8]) -> bool {
    // Every record has a kind: an empty payload, as zeros seem to frame, is none.
    let is_record = |payload: &[u8]| Record::decode(payload).is_ok();
    (0..bytes.len().min(SEARCH_MAX)).any(|at| {
        split_frame(header, offset + at as u64, &bytes[at..]).is_some_and(|(payload, _)| is_record(payload))
    })
}
