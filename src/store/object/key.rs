//! How bytes get their key.
//!
//! Content: XXH3-128 (seed: the code of the kind), big-endian; where that is taken by other bytes, the first half
//! of a BLAKE3 in a mode of its own. Metadata: the first half of its BLAKE3 id.

use xxhash_rust::xxh3::Xxh3;

use crate::codec::FRAME_LEN;
use crate::id::ObjectKey;

use super::kind::Kind;
use super::source::{Source, SourceError};

/// Separates these digests from those of metadata, which are plain BLAKE3.
const COLLISION_CONTEXT: &str = "coral content key after an XXH3-128 collision, version 1";

/// Which digest a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Content,
    ContentAfterCollision,
    Metadata,
}

impl Digest {
    /// The digests that a key of this kind may be.
    pub fn of_kind(kind: Kind) -> &'static [Digest] {
        match kind {
            Kind::Content => &[Digest::Content, Digest::ContentAfterCollision],
            Kind::Recipe | Kind::Tree | Kind::Commit | Kind::Formula => &[Digest::Metadata],
        }
    }
}

/// Hashes an object piece by piece.
pub enum KeyHasher {
    Xxh3(Box<Xxh3>),
    Blake3(Box<blake3::Hasher>),
}

impl KeyHasher {
    pub fn new(digest: Digest) -> Self {
        match digest {
            Digest::Content => Self::Xxh3(Box::new(Xxh3::with_seed(Kind::Content.code().into()))),
            Digest::ContentAfterCollision => {
                Self::Blake3(Box::new(blake3::Hasher::new_derive_key(COLLISION_CONTEXT)))
            }
            Digest::Metadata => Self::Blake3(Box::default()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Xxh3(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    pub fn finish(&self) -> ObjectKey {
        match self {
            Self::Xxh3(hasher) => ObjectKey::from_bytes(hasher.digest128().to_be_bytes()),
            Self::Blake3(hasher) => metadata_key(hasher.finalize().as_bytes()),
        }
    }
}

/// The key of a source's bytes.
pub fn key_of(digest: Digest, source: &dyn Source) -> Result<ObjectKey, SourceError> {
    let mut hasher = KeyHasher::new(digest);
    let (len, mut offset) = (source.len(), 0);
    let mut buf = vec![0; len.min(FRAME_LEN as u64) as usize];
    while offset < len {
        let part = &mut buf[..(len - offset).min(FRAME_LEN as u64) as usize];
        source.read_exact_at(part, offset)?;
        hasher.update(part);
        offset += part.len() as u64;
    }
    Ok(hasher.finish())
}

/// The key that content has which need not be stored, unless other content of the same hash is stored under it.
///
/// # Errors
/// If it cannot be read.
pub fn content_key(source: &dyn Source) -> Result<ObjectKey, SourceError> {
    key_of(Digest::Content, source)
}

/// The key of the metadata with this BLAKE3.
pub fn metadata_key(id: &[u8; 32]) -> ObjectKey {
    let mut key = [0; ObjectKey::LEN];
    key.copy_from_slice(&id[..ObjectKey::LEN]);
    ObjectKey::from_bytes(key)
}
