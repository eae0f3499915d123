//! The head of a directory: how many objects there are, and where its sections lie. Parsing is total.

use std::ops::Range;

use super::directory_layout::{
    HEAD_LEN, MAGIC, MAX_FAN_BITS, SECTION_ANCHORS, SECTION_FAN_OUT, SECTION_LEN, VERSION, VERSION_ATTACHED,
    VERSION_FORMULAS, u32_at, u64_at,
};
use super::footer::Malformed;

/// That a program of another version wrote it: it is not damaged.
pub const OTHER_VERSION: Malformed = "directory of another version: a newer program reads it";

type Parsed<T> = Result<T, Malformed>;

/// The places of the sections, in the order of their numbers; an absent one is empty.
pub type Sections = [Range<usize>; SECTION_ANCHORS as usize];

/// The count of objects and the places of the sections.
pub fn parse_head(body: &[u8]) -> Parsed<(usize, Sections)> {
    if body.len() < HEAD_LEN || body[..8] != MAGIC {
        return Err("no directory where one should begin");
    }
    if !matches!(u32_at(body, 8), VERSION | VERSION_ATTACHED | VERSION_FORMULAS) {
        return Err(OTHER_VERSION);
    }
    let table = (u32_at(body, 12) as usize).checked_mul(SECTION_LEN);
    let table = table.and_then(|len| body[HEAD_LEN..].get(..len)).ok_or("section table is cut off")?;
    let count = usize::try_from(u64_at(body, 16)).map_err(|_| "more objects than can be")?;
    let mut found = Sections::default();
    for row in table.chunks_exact(SECTION_LEN) {
        let range = section_range(row, body.len())?;
        // A later version's section is one that this one can do without.
        if let Ok(id @ SECTION_FAN_OUT..=SECTION_ANCHORS) = u32::try_from(u64_at(row, 0)) {
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

/// How many bits of a key choose a bucket of a fan-out of `len` bytes.
pub fn fan_bits(len: usize) -> Parsed<u32> {
    match len {
        0 => Ok(0),
        _ if len.is_multiple_of(4) && len > 8 && (len / 4 - 1).is_power_of_two() => {
            let bits = (len / 4 - 1).ilog2();
            if bits <= MAX_FAN_BITS { Ok(bits) } else { Err("fan-out is too large") }
        }
        _ => Err("fan-out of an impossible size"),
    }
}
