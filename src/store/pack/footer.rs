//! What ends a pack and a sidecar alike: where the directory is, its checksum, and the pack's id.

use xxhash_rust::xxh3::xxh3_64;

use crate::id::PackId;

use super::directory_layout::u64_at;

const FOOTER_MAGIC: [u8; 8] = *b"CORALEND";
/// Bytes of the footer.
pub const FOOTER_LEN: usize = 72;

/// Why bytes are not a directory, or not a footer.
pub type Malformed = &'static str;

/// The footer of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Where the directory begins in the pack: the end of the payloads.
    pub directory_offset: u64,
    pub directory_len: u64,
    /// XXH3-64 of the directory.
    pub directory_checksum: u64,
    pub pack: PackId,
}

impl Footer {
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
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
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
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
    pub fn pack_len(&self) -> Option<u64> {
        self.directory_offset.checked_add(self.directory_len)?.checked_add(FOOTER_LEN as u64)
    }
}
