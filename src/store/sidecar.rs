//! The directory of a pack: which objects it holds and where their frames lie.
//!
//! The same bytes end every pack and are, copied, its sidecar (`.cix`): so a sidecar is rebuilt by copying, and either
//! of the two is enough. Parsing is total: the checksum and the bounds of the sections are checked when it is opened,
//! each entry when it is looked at, and any bytes give an answer or an error without allocating.
//!
//! Layout (integers little-endian, offsets from the beginning of the directory unless said otherwise):
//! head, section table, sections (fan-out, entries sorted by key, cells, signatures), footer. `docs/format.md` draws each byte.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::FRAME_LEN;
use crate::disk::Sealed;
use crate::id::{ObjectKey, PackId};
use crate::similarity::Signature;
use crate::tensor::Dtype;

use super::kind::Kind;

const MAGIC: [u8; 8] = *b"CORALDIR";
const VERSION: u32 = 1;
const HEAD_LEN: usize = 24;
const SECTION_LEN: usize = 24;
const SECTION_FAN_OUT: u32 = 1;
const SECTION_ENTRIES: u32 = 2;
const SECTION_CELLS: u32 = 3;
const SECTION_SIGNATURES: u32 = 4;

const ENTRY_LEN: usize = 40;
const CELL_LEN: usize = 16;
/// A row and its signature.
const SIGNED_LEN: usize = 4 + Signature::LEN;
const HAS_BASE: u8 = 1;
/// Where in the flags the code of the type lies that the base is cast from; 0, which is no number's, if it is not.
const CAST_SHIFT: u32 = 2;

const FOOTER_MAGIC: [u8; 8] = *b"CORALEND";
/// Bytes of the footer that ends a pack and a sidecar.
pub(super) const FOOTER_LEN: usize = 72;

/// Below this many entries a binary search needs no help.
const FAN_OUT_FROM: usize = 256;
/// Average entries per bucket of the fan-out, as a power of two: one cache line or two.
const BUCKET_BITS: u32 = 4;
const MAX_FAN_BITS: u32 = 24;

/// Why bytes are not a directory.
pub(super) type Malformed = &'static str;
type Parsed<T> = std::result::Result<T, Malformed>;

/// Where one frame of an object lies and how it is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where its stored bytes begin, from the beginning of the object's payload.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) tag: u8,
    /// XXH3-64 of the stored bytes.
    pub(super) checksum: u64,
}

/// What a directory says of one object, without its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    pub(super) kind: Kind,
    pub(super) dtype: Dtype,
    /// Bytes of the object.
    pub(super) len: u64,
    /// How many bases deep the deepest chain below it is.
    pub(super) depth: u8,
    pub(super) base: Option<ObjectKey>,
    /// The type of the base's elements, if it is not the base's bytes that this is a difference to but their cast.
    pub(super) cast: Option<Dtype>,
    /// Where its payload begins in the pack.
    pub(super) offset: u64,
}

/// An entry with all its frames.
pub(super) type Record = (Entry, Arc<[Frame]>);

/// How many frames an object of `len` bytes has.
pub(super) fn frame_count(len: u64) -> u64 {
    len.div_ceil(FRAME_LEN as u64)
}

/// How many bytes frame `index` of an object of `len` bytes covers.
pub(super) fn frame_len(len: u64, index: u64) -> usize {
    (len - index * FRAME_LEN as u64).min(FRAME_LEN as u64) as usize
}

/// The directory of these objects, without the footer. The same objects in the same order give the same bytes.
pub(super) fn build(objects: &mut [Record], signatures: &HashMap<ObjectKey, Signature>) -> Vec<u8> {
    objects.sort_by_key(|(entry, _)| (entry.key, entry.kind));
    let keys: Vec<ObjectKey> = objects.iter().map(|(entry, _)| entry.key).collect();
    let (mut entries, mut cells) = (Vec::with_capacity(objects.len() * ENTRY_LEN), Vec::new());
    for (entry, frames) in objects.iter() {
        push_entry(&mut entries, entry, (cells.len() / CELL_LEN) as u32);
        push_cells(&mut cells, entry, frames);
    }
    let mut signed = Vec::new();
    for (row, (entry, _)) in objects.iter().enumerate().filter(|(_, (entry, _))| entry.kind == Kind::Content)
    {
        if let Some(signature) = signatures.get(&entry.key) {
            signed.extend((row as u32).to_le_bytes());
            signed.extend(signature.to_bytes());
        }
    }
    let sections = [
        (SECTION_FAN_OUT, fan_out(&keys)),
        (SECTION_ENTRIES, entries),
        (SECTION_CELLS, cells),
        (SECTION_SIGNATURES, signed),
    ];
    assemble(objects.len(), &sections)
}

fn push_entry(entries: &mut Vec<u8>, entry: &Entry, first_cell: u32) {
    let base = if entry.base.is_some() { HAS_BASE } else { 0 };
    let cast = entry.cast.map_or(0, Dtype::code) << CAST_SHIFT;
    entries.extend(entry.key.as_bytes());
    entries.extend(entry.len.to_le_bytes());
    entries.extend(entry.offset.to_le_bytes());
    entries.extend(first_cell.to_le_bytes());
    entries.extend([entry.kind.code(), entry.dtype.code(), entry.depth, base | cast]);
}

fn push_cells(cells: &mut Vec<u8>, entry: &Entry, frames: &[Frame]) {
    if let Some(base) = &entry.base {
        cells.extend(base.as_bytes());
    }
    for frame in frames {
        cells.extend((frame.end | u64::from(frame.tag) << 56).to_le_bytes());
        cells.extend(frame.checksum.to_le_bytes());
    }
}

/// For each value of the leading bits of a key, how many keys have less. Empty where it does not pay.
fn fan_out(sorted: &[ObjectKey]) -> Vec<u8> {
    if sorted.len() < FAN_OUT_FROM {
        return Vec::new();
    }
    let bits = (sorted.len().ilog2() - BUCKET_BITS).min(MAX_FAN_BITS);
    let (mut table, mut row) = (Vec::new(), 0);
    for bucket in 0..=1usize << bits {
        while row < sorted.len() && bucket_of(&sorted[row], bits) < bucket {
            row += 1;
        }
        table.extend((row as u32).to_le_bytes());
    }
    table
}

fn bucket_of(key: &ObjectKey, bits: u32) -> usize {
    let [a, b, c, d, ..] = *key.as_bytes();
    (u64::from(u32::from_be_bytes([a, b, c, d])) << bits >> 32) as usize
}

fn assemble(count: usize, sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let sections: Vec<_> = sections.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((sections.len() as u32).to_le_bytes());
    out.extend((count as u64).to_le_bytes());
    let mut offset = HEAD_LEN + sections.len() * SECTION_LEN;
    for (id, bytes) in &sections {
        out.extend(u64::from(*id).to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        out.extend((bytes.len() as u64).to_le_bytes());
        offset += bytes.len();
    }
    for (_, bytes) in &sections {
        out.extend_from_slice(bytes);
    }
    out
}

/// What ends a pack: where its directory is, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    /// Where the directory begins in the pack: the end of the payloads.
    pub(super) directory_offset: u64,
    pub(super) directory_len: u64,
    /// XXH3-64 of the directory.
    pub(super) directory_checksum: u64,
    pub(super) pack: PackId,
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = [0; FOOTER_LEN];
        out[..8].copy_from_slice(&self.directory_offset.to_le_bytes());
        out[8..16].copy_from_slice(&self.directory_len.to_le_bytes());
        out[16..24].copy_from_slice(&self.directory_checksum.to_le_bytes());
        out[24..56].copy_from_slice(self.pack.as_bytes());
        out[56..64].copy_from_slice(&FOOTER_MAGIC);
        let checksum = xxh3_64(&out[..64]);
        out[64..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads the footer that ends `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Parsed<Self> {
        let start = bytes.len().checked_sub(FOOTER_LEN).ok_or("too short for a footer")?;
        let bytes = &bytes[start..];
        if bytes[56..64] != FOOTER_MAGIC {
            return Err("no footer at the end");
        }
        if u64_at(bytes, 64) != xxh3_64(&bytes[..64]) {
            return Err("checksum of the footer differs");
        }
        let pack = bytes[24..56].try_into().expect("a slice of 32 bytes is an array of 32");
        Ok(Self {
            directory_offset: u64_at(bytes, 0),
            directory_len: u64_at(bytes, 8),
            directory_checksum: u64_at(bytes, 16),
            pack: PackId::from_bytes(pack),
        })
    }

    /// How long the whole pack file must be; `None` if no file can be.
    pub(super) fn pack_len(&self) -> Option<u64> {
        self.directory_offset.checked_add(self.directory_len)?.checked_add(FOOTER_LEN as u64)
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes is an array of 8"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes is an array of 4"))
}

/// An open directory.
pub(super) struct Directory {
    bytes: Sealed,
    footer: Footer,
    count: usize,
    fan_out: Range<usize>,
    /// Bits of a key that choose a bucket; the fan-out has 2^bits + 1 rows, or none.
    fan_bits: u32,
    entries: Range<usize>,
    cells: Range<usize>,
    signatures: Range<usize>,
}

impl Directory {
    /// Opens the bytes of a sidecar, or of the end of a pack from its directory on.
    pub(super) fn open(sealed: Sealed) -> Parsed<Self> {
        let bytes = (*sealed).as_ref();
        let footer = Footer::parse(bytes)?;
        let body = &bytes[..bytes.len() - FOOTER_LEN];
        if body.len() as u64 != footer.directory_len {
            return Err("length of the directory differs");
        }
        if xxh3_64(body) != footer.directory_checksum {
            return Err("checksum of the directory differs");
        }
        let (count, sections) = parse_head(body)?;
        let [fan_out, entries, cells, signatures] = sections;
        if Some(entries.len()) != count.checked_mul(ENTRY_LEN) {
            return Err("entries do not fill their section");
        }
        let fan_bits = fan_bits(fan_out.len())?;
        Ok(Self { bytes: sealed, footer, count, fan_out, fan_bits, entries, cells, signatures })
    }

    pub(super) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The bytes as they lie in a sidecar file.
    pub(super) fn as_bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// How many objects there are; their rows are `0..len`.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn entry_bytes(&self, row: usize) -> &[u8] {
        &self.as_bytes()[self.entries.clone()][row * ENTRY_LEN..][..ENTRY_LEN]
    }

    /// The rows of tensors that have a signature, with it.
    pub(super) fn signatures(&self) -> impl Iterator<Item = (usize, Signature)> {
        let (rows, _) = self.as_bytes()[self.signatures.clone()].as_chunks::<SIGNED_LEN>();
        rows.iter().filter_map(|signed| {
            let (row, signature) = signed.split_first_chunk::<4>()?;
            let row = u32::from_le_bytes(*row) as usize;
            (row < self.count).then_some((row, Signature::from_bytes(signature.try_into().ok()?)))
        })
    }

    /// The key of a row.
    pub(super) fn key(&self, row: usize) -> ObjectKey {
        key_at(self.entry_bytes(row), 0)
    }

    /// The rows with this key: none, or one for each kind of object that has it.
    pub(super) fn rows(&self, key: &ObjectKey) -> Range<usize> {
        let Range { mut start, mut end } = self.bucket(key);
        while start < end {
            let middle = start.midpoint(end);
            if self.key(middle) < *key { start = middle + 1 } else { end = middle }
        }
        while end < self.count && self.key(end) == *key {
            end += 1;
        }
        start..end
    }

    /// The rows among which the key would be.
    fn bucket(&self, key: &ObjectKey) -> Range<usize> {
        if self.fan_out.is_empty() {
            return 0..self.count;
        }
        let bucket = bucket_of(key, self.fan_bits);
        let table = &self.as_bytes()[self.fan_out.clone()];
        let row = |bucket: usize| (u32_at(table, bucket * 4) as usize).min(self.count);
        row(bucket)..row(bucket + 1)
    }

    /// What a row says of its object.
    pub(super) fn entry(&self, row: usize) -> Parsed<Entry> {
        self.entry_with_cell(row).map(|(entry, _)| entry)
    }

    /// The entry and its first frame's cell.
    fn entry_with_cell(&self, row: usize) -> Parsed<(Entry, usize)> {
        let bytes = self.entry_bytes(row);
        let cell = u32_at(bytes, 32) as usize;
        let (base, first_frame) = match bytes[39] & HAS_BASE {
            0 => (None, cell),
            _ => (Some(key_at(self.cell(cell)?, 0)), cell + 1),
        };
        let cast = match bytes[39] >> CAST_SHIFT {
            0 => None,
            code => Some(Dtype::from_code(code).map_err(|_| "unknown element type")?),
        };
        let entry = Entry {
            key: key_at(bytes, 0),
            len: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
            kind: Kind::from_code(bytes[36]).ok_or("unknown kind of object")?,
            dtype: Dtype::from_code(bytes[37]).map_err(|_| "unknown element type")?,
            depth: bytes[38],
            base,
            cast,
        };
        self.check(&entry, first_frame)?;
        Ok((entry, first_frame))
    }

    fn check(&self, entry: &Entry, first_frame: usize) -> Parsed<()> {
        let last = frame_count(entry.len).checked_add(first_frame as u64);
        if last.is_none_or(|last| last > (self.cells.len() / CELL_LEN) as u64) {
            return Err("frames lie beyond the directory");
        }
        if entry.offset > self.footer.directory_offset {
            return Err("payload lies beyond the pack");
        }
        if (entry.depth == 0) != entry.base.is_none() || entry.cast.is_some() && entry.base.is_none() {
            return Err("depth contradicts base");
        }
        Ok(())
    }

    fn cell(&self, index: usize) -> Parsed<&[u8]> {
        let cells = &self.as_bytes()[self.cells.clone()];
        cells.chunks_exact(CELL_LEN).nth(index).ok_or("cell lies beyond the directory")
    }

    /// Frame `index` of the object in `row`.
    pub(super) fn frame(&self, row: usize, index: u64) -> Parsed<Frame> {
        let (entry, first) = self.entry_with_cell(row)?;
        if index >= frame_count(entry.len) {
            return Err("frame lies beyond the object");
        }
        let at = first + index as usize;
        let cell = self.cell(at)?;
        let start = if index == 0 { 0 } else { end_of(self.cell(at - 1)?) };
        let frame = Frame { start, end: end_of(cell), tag: cell[7], checksum: u64_at(cell, 8) };
        let stored = frame.end.checked_sub(frame.start).ok_or("frames overlap")?;
        if stored > frame_len(entry.len, index) as u64 {
            return Err("frame is longer than what it stores");
        }
        match entry.offset.checked_add(frame.end) {
            Some(end) if end <= self.footer.directory_offset => Ok(frame),
            _ => Err("frame lies beyond the pack"),
        }
    }

    /// How many bytes the object in `row` takes in the pack.
    pub(super) fn stored_len(&self, row: usize) -> Parsed<u64> {
        let len = self.entry(row)?.len;
        match frame_count(len) {
            0 => Ok(0),
            frames => Ok(self.frame(row, frames - 1)?.end),
        }
    }
}

fn key_at(bytes: &[u8], at: usize) -> ObjectKey {
    ObjectKey::from_bytes(bytes[at..at + 16].try_into().expect("a slice of 16 bytes is an array of 16"))
}

/// The end in a frame's cell: its lower 56 bits; the tag is the upper 8.
fn end_of(cell: &[u8]) -> u64 {
    u64_at(cell, 0) & ((1 << 56) - 1)
}

/// The count and the places of fan-out, entries, cells and signatures; an absent section is an empty one.
fn parse_head(body: &[u8]) -> Parsed<(usize, [Range<usize>; 4])> {
    if body.len() < HEAD_LEN || body[..8] != MAGIC {
        return Err("no directory where one should begin");
    }
    if u32_at(body, 8) != VERSION {
        return Err("directory of another version");
    }
    let table = (u32_at(body, 12) as usize).checked_mul(SECTION_LEN);
    let table = table.and_then(|len| body[HEAD_LEN..].get(..len)).ok_or("section table is cut off")?;
    let count = usize::try_from(u64_at(body, 16)).map_err(|_| "more objects than can be")?;
    let mut found = [0..0, 0..0, 0..0, 0..0];
    for row in table.chunks_exact(SECTION_LEN) {
        let range = section_range(row, body.len())?;
        // A later version's section is one that this one can do without.
        if let Ok(id @ SECTION_FAN_OUT..=SECTION_SIGNATURES) = u32::try_from(u64_at(row, 0)) {
            found[id as usize - 1] = range;
        }
    }
    Ok((count, found))
}

fn section_range(row: &[u8], body_len: usize) -> Parsed<Range<usize>> {
    let (offset, len) = (u64_at(row, 8), u64_at(row, 16));
    match offset.checked_add(len) {
        Some(end) if end <= body_len as u64 => Ok(offset as usize..end as usize),
        _ => Err("section lies beyond the directory"),
    }
}

fn fan_bits(len: usize) -> Parsed<u32> {
    match len {
        0 => Ok(0),
        _ if len.is_multiple_of(4) && len > 8 && (len / 4 - 1).is_power_of_two() => {
            let bits = (len / 4 - 1).ilog2();
            if bits <= MAX_FAN_BITS { Ok(bits) } else { Err("fan-out is too large") }
        }
        _ => Err("fan-out of an impossible size"),
    }
}
