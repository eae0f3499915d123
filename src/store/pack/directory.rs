//! The directory of a pack: which objects it holds and where their frames lie.
//!
//! The same bytes end every pack and are, copied, its sidecar (`.cix`): so a sidecar is rebuilt by copying, and either
//! of the two is enough. Parsing is total: the checksum and the bounds of the sections are checked when it is opened,
//! each entry when it is looked at, and any bytes give an answer or an error without allocating.
//!
//! Layout (integers little-endian, offsets from the beginning of the directory unless said otherwise):
//! head, section table, sections (fan-out, entries sorted by key, cells, signatures and others), footer. `docs/format.md` draws each byte.

use std::collections::HashMap;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::Mapped;
use crate::id::ObjectKey;
use crate::similarity::{Anchor, Signature, anchor_blocks};
use crate::store::object::{Kind, Marks};
use crate::tensor::Dtype;

use super::directory_layout::{
    ATTACHED_LEN, CAST_SHIFT, CELL_LEN, ENTRY_LEN, FILE_SHIFT, HAS_BASE, HINT_LEN, IS_FORMULA, bucket_of,
    u32_at, u64_at,
};
use super::entry::{Entry, Frame, Through, frame_count, frame_len};
use super::footer::{FOOTER_LEN, Footer, Malformed};
use super::sections::{fan_bits, parse_head};

type Parsed<T> = Result<T, Malformed>;

/// A row and its signature.
const SIGNED_LEN: usize = 4 + Signature::LEN;

/// An open directory.
pub struct Directory {
    bytes: Mapped,
    footer: Footer,
    count: usize,
    fan_out: Range<usize>,
    /// Bits of a key that choose a bucket; the fan-out has 2^bits + 1 rows, or none.
    fan_bits: u32,
    entries: Range<usize>,
    cells: Range<usize>,
    signatures: Range<usize>,
    /// The lengths of attached files.
    attached: Range<usize>,
    hints: Range<usize>,
    anchors: Range<usize>,
}

impl Directory {
    /// Opens the bytes of a sidecar, or of the end of a pack from its directory on.
    pub fn open(mapped: Mapped) -> Parsed<Self> {
        let bytes = (*mapped).as_ref();
        let footer = Footer::parse(bytes)?;
        let body = &bytes[..bytes.len() - FOOTER_LEN];
        if body.len() as u64 != footer.directory_len {
            return Err("length of the directory differs");
        }
        if xxh3_64(body) != footer.directory_checksum {
            return Err("checksum of the directory differs");
        }
        let (count, sections) = parse_head(body)?;
        let [fan_out, entries, cells, signatures, attached, hints, anchors] = sections;
        if Some(entries.len()) != count.checked_mul(ENTRY_LEN) {
            return Err("entries do not fill their section");
        }
        let fan_bits = fan_bits(fan_out.len())?;
        if !attached.len().is_multiple_of(ATTACHED_LEN)
            || attached.len() / ATTACHED_LEN > usize::from(u16::MAX)
        {
            return Err("attached files of an impossible number");
        }
        let bytes = mapped;
        Ok(Self {
            bytes,
            footer,
            count,
            fan_out,
            fan_bits,
            entries,
            cells,
            signatures,
            attached,
            hints,
            anchors,
        })
    }

    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The bytes as they lie in a sidecar file.
    pub fn as_bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// How many objects there are; their rows are `0..len`.
    pub fn len(&self) -> usize {
        self.count
    }

    fn entry_bytes(&self, row: usize) -> &[u8] {
        &self.as_bytes()[self.entries.clone()][row * ENTRY_LEN..][..ENTRY_LEN]
    }

    /// The rows of tensors that have a signature, with it.
    pub fn signatures(&self) -> impl Iterator<Item = (usize, Signature)> {
        let (rows, _) = self.as_bytes()[self.signatures.clone()].as_chunks::<SIGNED_LEN>();
        rows.iter().filter_map(|signed| {
            let (row, signature) = signed.split_first_chunk::<4>()?;
            let row = u32::from_le_bytes(*row) as usize;
            (row < self.count).then_some((row, Signature::from_bytes(signature.try_into().ok()?)))
        })
    }

    /// What objects are found by, of each row that has something.
    pub fn marks(&self) -> HashMap<usize, Marks> {
        let signed = self
            .signatures()
            .map(|(row, signature)| (row, Marks { signature: Some(signature), anchors: Vec::new() }));
        let mut marks: HashMap<usize, Marks> = signed.collect();
        for (row, anchors) in self.anchors() {
            marks.entry(row).or_default().anchors = anchors.to_vec();
        }
        marks
    }

    /// The lengths of the files that are attached to the pack, from the one with number 1 on.
    pub fn attached(&self) -> impl ExactSizeIterator<Item = u64> {
        let (lens, _) = self.as_bytes()[self.attached.clone()].as_chunks::<ATTACHED_LEN>();
        lens.iter().map(|len| u64::from_le_bytes(*len))
    }

    /// The rows of objects in attached files with what they may be coded as differences to.
    pub fn hints(&self) -> impl Iterator<Item = (usize, ObjectKey)> {
        let (rows, _) = self.as_bytes()[self.hints.clone()].as_chunks::<HINT_LEN>();
        rows.iter().map(|hint| (u32_at(hint, 0) as usize, key_at(hint, 4)))
    }

    /// The rows of objects that have anchors, with the record of them.
    pub fn anchors(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut rest = &self.as_bytes()[self.anchors.clone()];
        std::iter::from_fn(move || {
            let (row, behind) = rest.split_first_chunk::<4>()?;
            let row = u32::from_le_bytes(*row) as usize;
            // One that is not there says nothing of how long its record is.
            let len = (row < self.count).then(|| u64_at(self.entry_bytes(row), 16))?;
            let len = usize::try_from(anchor_blocks(len)).ok()?.checked_mul(Anchor::LEN)?;
            let (record, behind) = behind.split_at_checked(len)?;
            rest = behind;
            Some((row, record))
        })
    }

    /// The key of a row.
    pub fn key(&self, row: usize) -> ObjectKey {
        key_at(self.entry_bytes(row), 0)
    }

    /// The rows with this key: none, or one for each kind of object that has it.
    pub fn rows(&self, key: &ObjectKey) -> Range<usize> {
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
    pub fn entry(&self, row: usize) -> Parsed<Entry> {
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
        let through = match (bytes[39] & IS_FORMULA, bytes[39] >> CAST_SHIFT) {
            (0, 0) => None,
            (0, code) => Some(Through::Cast(Dtype::from_code(code).map_err(|_| "unknown element type")?)),
            (_, 0) => Some(Through::Formula),
            (_, _) => return Err("a formula that is cast"),
        };
        let place = u64_at(bytes, 24);
        let entry = Entry {
            key: key_at(bytes, 0),
            len: u64_at(bytes, 16),
            file: (place >> FILE_SHIFT) as u16,
            offset: place & ((1 << FILE_SHIFT) - 1),
            kind: Kind::from_code(bytes[36]).ok_or("unknown kind of object")?,
            dtype: Dtype::from_code(bytes[37]).map_err(|_| "unknown element type")?,
            depth: bytes[38],
            base,
            through,
        };
        self.check(&entry, first_frame)?;
        Ok((entry, first_frame))
    }

    fn check(&self, entry: &Entry, first_frame: usize) -> Parsed<()> {
        let last = frame_count(entry.len).checked_add(first_frame as u64);
        if last.is_none_or(|last| last > (self.cells.len() / CELL_LEN) as u64) {
            return Err("frames lie beyond the directory");
        }
        if entry.offset > self.end_of_payloads(entry)? {
            return Err("payload lies beyond the pack");
        }
        if (entry.depth == 0) != entry.base.is_none() || entry.through.is_some() && entry.base.is_none() {
            return Err("depth contradicts base");
        }
        Ok(())
    }

    /// Where the payloads end in the file that an object lies in.
    fn end_of_payloads(&self, entry: &Entry) -> Parsed<u64> {
        match usize::from(entry.file).checked_sub(1) {
            None => Ok(self.footer.directory_offset),
            Some(attached) => {
                self.attached().nth(attached).ok_or("payload lies in a file that is not attached")
            }
        }
    }

    fn cell(&self, index: usize) -> Parsed<&[u8]> {
        let cells = &self.as_bytes()[self.cells.clone()];
        cells.chunks_exact(CELL_LEN).nth(index).ok_or("cell lies beyond the directory")
    }

    /// Frame `index` of the object in `row`.
    pub fn frame(&self, row: usize, index: u64) -> Parsed<Frame> {
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
            Some(end) if end <= self.end_of_payloads(&entry)? => Ok(frame),
            _ => Err("frame lies beyond the pack"),
        }
    }

    /// How many bytes the object in `row` takes in the pack.
    pub fn stored_len(&self, row: usize) -> Parsed<u64> {
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
