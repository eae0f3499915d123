//! The layout of a directory as numbers, for who builds one and for who reads it. `docs/format.md` draws each byte.

use crate::id::ObjectKey;

pub const MAGIC: [u8; 8] = *b"CORALDIR";
pub const VERSION: u32 = 1;
/// The version of a directory of a pack with attached files.
pub const VERSION_ATTACHED: u32 = 2;
/// The version of a directory with formulas, whether or not files are attached.
pub const VERSION_FORMULAS: u32 = 3;
/// Magic, version, number of sections, number of objects.
pub const HEAD_LEN: usize = 24;
/// A row of the section table: what it is, where it begins, how long it is.
pub const SECTION_LEN: usize = 24;
pub const SECTION_FAN_OUT: u32 = 1;
pub const SECTION_ENTRIES: u32 = 2;
pub const SECTION_CELLS: u32 = 3;
pub const SECTION_SIGNATURES: u32 = 4;
/// The lengths of the files that are attached.
pub const SECTION_ATTACHED: u32 = 5;
/// What objects in attached files may be coded as differences to.
pub const SECTION_HINTS: u32 = 6;
/// What content is found by that lies in other bytes.
pub const SECTION_ANCHORS: u32 = 7;

pub const ENTRY_LEN: usize = 40;
/// A base's key, or a frame.
pub const CELL_LEN: usize = 16;
pub const HAS_BASE: u8 = 1;
/// The base is a formula.
pub const IS_FORMULA: u8 = 2;
/// Where in the flags the code of the type lies that the base is cast from; 0, which is no number's, if it is not.
pub const CAST_SHIFT: u32 = 2;
pub const MAX_FAN_BITS: u32 = 24;
/// Where in the place of a payload the number of its file lies: above it, where it begins in the file.
pub const FILE_SHIFT: u32 = 48;
/// A row and the key of what its object may be coded as a difference to.
pub const HINT_LEN: usize = 4 + 16;
/// The length of an attached file.
pub const ATTACHED_LEN: usize = 8;

/// The bucket of the fan-out that a key belongs to: its leading bits.
pub fn bucket_of(key: &ObjectKey, bits: u32) -> usize {
    let [a, b, c, d, ..] = *key.as_bytes();
    (u64::from(u32::from_be_bytes([a, b, c, d])) << bits >> 32) as usize
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes is an array of 8"))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes is an array of 4"))
}
