//! What is written: every version of every file has bytes of its own that say which version it is, so that whatever is
//! read back is known for one of them, or for none.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A version of some file: no two are the same.
pub type Version = u64;

/// The bytes of a version: up to some tens of kilobytes.
pub fn bytes(version: Version) -> Vec<u8> {
    let mut state = version.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let len = match step() % 4 {
        0 => 100,
        1 => 5_000,
        _ => 40_000,
    };
    let mut bytes = format!("version {version}\n").into_bytes();
    while bytes.len() < len {
        bytes.extend(step().to_le_bytes());
    }
    bytes
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// There is no file.
    Nothing,
    /// A whole version.
    Whole(Version),
    /// Something that was never saved.
    Torn,
}

pub fn held(bytes: &[u8]) -> Held {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let version = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("version ")?.parse().ok());
    match version {
        Some(version) if self::bytes(version) == bytes => Held::Whole(version),
        _ => Held::Torn,
    }
}

pub fn held_at(path: &Path) -> Held {
    match fs::read(path) {
        Ok(bytes) => held(&bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Held::Nothing,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
