//! Writing the directory of a pack: entries sorted by key, their cells, the fan-out over them, what they are found by.

use std::collections::HashMap;

use crate::id::ObjectKey;
use crate::similarity::{Anchor, anchor_blocks};
use crate::store::object::{Kind, Marks};

use super::directory_layout::{
    CAST_SHIFT, CELL_LEN, ENTRY_LEN, FILE_SHIFT, HAS_BASE, HEAD_LEN, IS_FORMULA, MAGIC, MAX_FAN_BITS,
    SECTION_ANCHORS, SECTION_ATTACHED, SECTION_CELLS, SECTION_ENTRIES, SECTION_FAN_OUT, SECTION_HINTS,
    SECTION_LEN, SECTION_SIGNATURES, VERSION, VERSION_ATTACHED, VERSION_FORMULAS, bucket_of,
};
use super::entry::{Entry, Frame, Record, Through};

/// Below this many entries a binary search needs no help.
const FAN_OUT_FROM: usize = 256;
/// Average entries per bucket of the fan-out, as a power of two: one cache line or two.
const BUCKET_BITS: u32 = 4;

/// What a directory says beside its objects.
#[derive(Default)]
pub struct Beside<'a> {
    /// What content is found by.
    pub marks: HashMap<ObjectKey, Marks>,
    /// The lengths of the attached files.
    pub attached: &'a [u64],
    /// For objects in them, what they may be coded as differences to.
    pub hints: HashMap<ObjectKey, Vec<ObjectKey>>,
}

/// The directory of these objects, without the footer. The same objects in the same order give the same bytes.
pub fn build_directory(objects: &mut [Record], beside: &Beside<'_>) -> Vec<u8> {
    objects.sort_by_key(|(entry, _)| (entry.key, entry.kind));
    let has_formulas = objects
        .iter()
        .any(|(entry, _)| entry.kind == Kind::Formula || entry.through == Some(Through::Formula));
    let keys: Vec<ObjectKey> = objects.iter().map(|(entry, _)| entry.key).collect();
    let (mut entries, mut cells) = (Vec::with_capacity(objects.len() * ENTRY_LEN), Vec::new());
    for (entry, frames) in objects.iter() {
        push_entry(&mut entries, entry, (cells.len() / CELL_LEN) as u32);
        push_cells(&mut cells, entry, frames);
    }
    let (mut signed, mut hints, mut anchors) = (Vec::new(), Vec::new(), Vec::new());
    for (row, (entry, _)) in objects.iter().enumerate().filter(|(_, (entry, _))| entry.kind == Kind::Content)
    {
        let marks = beside.marks.get(&entry.key);
        if let Some(signature) = marks.and_then(|marks| marks.signature) {
            signed.extend((row as u32).to_le_bytes());
            signed.extend(signature.to_bytes());
        }
        if let Some(Marks { anchors: record, .. }) = marks.filter(|marks| !marks.anchors.is_empty()) {
            debug_assert_eq!((record.len() / Anchor::LEN) as u64, anchor_blocks(entry.len));
            anchors.extend((row as u32).to_le_bytes());
            anchors.extend(record);
        }
        let of_this = beside.hints.get(&entry.key).filter(|_| entry.is_attached());
        for hint in of_this.into_iter().flatten() {
            hints.extend((row as u32).to_le_bytes());
            hints.extend(hint.as_bytes());
        }
    }
    let sections = [
        (SECTION_FAN_OUT, fan_out(&keys)),
        (SECTION_ENTRIES, entries),
        (SECTION_CELLS, cells),
        (SECTION_SIGNATURES, signed),
        (SECTION_ATTACHED, beside.attached.iter().flat_map(|len| len.to_le_bytes()).collect()),
        (SECTION_HINTS, hints),
        (SECTION_ANCHORS, anchors),
    ];
    let version = match (beside.attached.is_empty(), has_formulas) {
        (_, true) => VERSION_FORMULAS,
        (false, false) => VERSION_ATTACHED,
        (true, false) => VERSION,
    };
    assemble(version, objects.len(), &sections)
}

fn push_entry(entries: &mut Vec<u8>, entry: &Entry, first_cell: u32) {
    let base = if entry.base.is_some() { HAS_BASE } else { 0 };
    let through = match entry.through {
        None => 0,
        Some(Through::Cast(from)) => from.code() << CAST_SHIFT,
        Some(Through::Formula) => IS_FORMULA,
    };
    entries.extend(entry.key.as_bytes());
    entries.extend(entry.len.to_le_bytes());
    entries.extend((entry.offset | u64::from(entry.file) << FILE_SHIFT).to_le_bytes());
    entries.extend(first_cell.to_le_bytes());
    entries.extend([entry.kind.code(), entry.dtype.code(), entry.depth, base | through]);
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

fn assemble(version: u32, count: usize, sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let sections: Vec<_> = sections.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(version.to_le_bytes());
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
