//! What can go wrong between a key and its bytes.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::id::ObjectKey;
use crate::store::object::{Kind, SourceError};
use crate::task::Stopped;
use crate::units::ByteSize;

/// A result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed, was full, or refused.
    #[error(transparent)]
    Disk(DiskError),
    /// No pack holds the object.
    #[error("object {key} is not in the store")]
    NotFound {
        /// The object.
        key: ObjectKey,
    },
    /// The object is in a pack that is not here, although its sidecar is.
    #[error("object {key} is in pack {}, which is missing", pack.display())]
    Elsewhere {
        /// The object.
        key: ObjectKey,
        /// Where the pack file would be.
        pack: PathBuf,
    },
    /// What is stored under the key is not what was put there. Other objects are unaffected.
    #[error("object {key} in {} is damaged: {what}", pack.display())]
    Corrupt {
        /// The object.
        key: ObjectKey,
        /// The pack file that holds it.
        pack: PathBuf,
        /// What does not add up.
        what: String,
    },
    /// A pack can be used neither through its sidecar nor by itself.
    #[error("pack {} is damaged: {what}", path.display())]
    DamagedPack {
        /// The pack file.
        path: PathBuf,
        /// What does not add up.
        what: &'static str,
    },
    /// The object is in no pack that can be read.
    #[error("object {key} is in no pack that can be read, and pack {} cannot be: {what}", pack.display())]
    Unreadable {
        /// The object.
        key: ObjectKey,
        /// A pack that may hold it.
        pack: PathBuf,
        /// Why that one cannot be read.
        what: String,
    },
    /// The key belongs to an object of another kind.
    #[error("object {key} is a {found:?}, not a {expected:?}")]
    WrongKind {
        /// The object.
        key: ObjectKey,
        /// What was asked for.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
    /// More bytes were asked for than the object has.
    #[error("{wanted} bytes at {offset} reach beyond the {len} bytes of object {key}")]
    OutOfRange {
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// Where the read began.
        offset: u64,
        /// How many bytes were asked for.
        wanted: u64,
    },
    /// The bytes to store could not be read.
    #[error(transparent)]
    Source(SourceError),
    /// Who asked for it does not want it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The bytes to store were not the same when they were read again. Nothing was stored.
    #[error("the bytes changed while they were being stored")]
    Changed,
    /// The metadata is not what its id names.
    #[error("metadata does not hash to the id {key} that it is stored under")]
    WrongId {
        /// The first half of the id.
        key: ObjectKey,
    },
    /// A coder did not give back what it was given. The object was not stored.
    #[error("a coder did not reproduce frame {frame} of object {key}")]
    Coder {
        /// The object.
        key: ObjectKey,
        /// Which frame of it.
        frame: u32,
    },
    /// Too little room is left to begin or go on writing.
    #[error(
        "the disk of {} has {} left, and the setting core.reserve keeps {} of it free",
        path.display(), ByteSize(*available), ByteSize(*reserve)
    )]
    Full {
        /// Where the store writes.
        path: PathBuf,
        /// Bytes that can still be written.
        available: u64,
        /// Bytes that are kept free.
        reserve: u64,
    },
    /// Somebody else is writing the store anew.
    #[error("{} is being repacked already", path.display())]
    Busy {
        /// Where the packs are.
        path: PathBuf,
    },
    /// Other bytes are stored under the key meanwhile: neither of the two replaces the other. Nothing was stored.
    #[error("object {key} would be stored with other bytes than are in {} under the same key", pack.display())]
    Collision {
        /// The object.
        key: ObjectKey,
        /// The pack that has other bytes.
        pack: PathBuf,
    },
    /// A file could not be given a second name, so that it could stay where its bytes are. Nothing was stored.
    #[error(transparent)]
    Unlinkable(DiskError),
    /// An earlier write of this transaction failed: it can only be dropped.
    #[error("an earlier write of this transaction failed: {why}")]
    Poisoned {
        /// What went wrong then.
        why: String,
        /// Whether that was a disk that is full.
        is_full: bool,
    },
    /// Recipes, trees and commits are no longer than [`METADATA_MAX`](super::METADATA_MAX).
    #[error("object {key} of {len} bytes is longer than metadata can be")]
    TooLong {
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
    },
    /// The resident index failed; it can be deleted at any time.
    #[error("the index failed: {0}")]
    Index(String),
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        error.stopped().map_or(StoreError::Disk(error), StoreError::Stopped)
    }
}

impl From<SourceError> for StoreError {
    fn from(error: SourceError) -> Self {
        match error.stopped() {
            Some(stopped) => StoreError::Stopped(stopped),
            None => StoreError::Source(error),
        }
    }
}

impl StoreError {
    /// What the store said, if the bytes to store or to compare are those of an object of it.
    pub(in crate::store) fn of_object_source(self) -> Self {
        match self {
            StoreError::Source(error) => match error.into_cause().downcast() {
                Ok(error) => *error,
                Err(cause) => StoreError::Source(SourceError::new(cause)),
            },
            error => error,
        }
    }

    /// Whether the cause is a disk or quota that is full.
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::Full { .. } => true,
            StoreError::Poisoned { is_full, .. } => *is_full,
            StoreError::Disk(error) => error.is_full(),
            _ => false,
        }
    }

    /// Whether another copy of the object may be read all the same. A file that is gone is none's: it was written anew.
    pub(in crate::store) fn is_of_one_copy(&self) -> bool {
        match self {
            StoreError::Disk(error) => error.source.kind() != std::io::ErrorKind::NotFound,
            error => error.is_corruption(),
        }
    }

    /// Whether stored bytes are wrong, as opposed to absent or unreadable.
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            StoreError::Corrupt { .. } | StoreError::DamagedPack { .. } | StoreError::TooLong { .. }
        )
    }
}
