//! One object where it lies: what its directory says, and its stored frames.

use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::ObjectKey;
use crate::tensor::{Dtype, Lane};

use super::error::{Result, StoreError};
use super::kind::Kind;
use super::open_pack::OpenPack;
use super::pack::Pack;
use super::sidecar::{Entry, Frame};

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// Coded by itself.
    Compressed,
    /// At least in part as a lossless difference to a base.
    Delta,
    /// Not at all: it is its base in another float type.
    Cast,
}

/// What can be said of an object without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// What it is.
    pub kind: Kind,
    /// How its bytes were coded; other tensors of other types may share them.
    pub dtype: Dtype,
    /// Its bytes.
    pub len: u64,
    /// The bytes it takes on disk, without its share of the directory (some 40 bytes and 16 per frame).
    pub stored_len: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// What it is a difference to.
    pub base: Option<ObjectKey>,
    /// How many bases have to be decoded before it, at most.
    pub depth: u8,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) entry: Entry,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Sealed { pack: Arc<Pack>, row: usize },
    Open { pack: Arc<OpenPack>, frames: Arc<[Frame]> },
}

impl Object {
    pub(super) fn sealed(pack: &Arc<Pack>, row: usize) -> Result<Self> {
        let entry = pack.directory.entry(row).map_err(|what| StoreError::Corrupt {
            key: pack.directory.key(row),
            pack: pack.path.clone(),
            what: what.into(),
        })?;
        Ok(Self { entry, place: Place::Sealed { pack: Arc::clone(pack), row } })
    }

    pub(super) fn open(pack: &Arc<OpenPack>, entry: Entry, frames: &Arc<[Frame]>) -> Self {
        Self { entry, place: Place::Open { pack: Arc::clone(pack), frames: Arc::clone(frames) } }
    }

    /// The layout that its frames are coded with.
    pub(super) fn lane(&self) -> Lane {
        self.entry.dtype.lane()
    }

    pub(super) fn info(&self) -> Result<ObjectInfo> {
        let Entry { kind, dtype, len, depth, base, cast, .. } = self.entry;
        let stored_len = self.stored_len()?;
        let encoding = match base {
            Some(_) if cast.is_some() && stored_len == 0 => Encoding::Cast,
            Some(_) => Encoding::Delta,
            None if stored_len == len => Encoding::Raw,
            None => Encoding::Compressed,
        };
        Ok(ObjectInfo { kind, dtype, len, stored_len, encoding, base, depth })
    }

    pub(super) fn stored_len(&self) -> Result<u64> {
        match &self.place {
            Place::Sealed { pack, row } => pack.directory.stored_len(*row).map_err(|what| self.corrupt(what)),
            Place::Open { frames, .. } => Ok(frames.last().map_or(0, |frame| frame.end)),
        }
    }

    pub(super) fn frame(&self, index: u64) -> Result<Frame> {
        match &self.place {
            Place::Sealed { pack, row } => {
                pack.directory.frame(*row, index).map_err(|what| self.corrupt(what))
            }
            Place::Open { frames, .. } => frames
                .get(index as usize)
                .copied()
                .ok_or_else(|| self.corrupt("frame lies beyond the object")),
        }
    }

    /// Replaces `stored` by the stored bytes of a frame, checked against their checksum.
    pub(super) fn read_stored(&self, frame: &Frame, stored: &mut Vec<u8>) -> Result<()> {
        stored.resize((frame.end - frame.start) as usize, 0);
        self.read_exactly(frame, stored)
    }

    /// Fills `stored`, which is as long as the frame's stored bytes, with them, checked against their checksum.
    pub(super) fn read_exactly(&self, frame: &Frame, stored: &mut [u8]) -> Result<()> {
        let offset = self.entry.offset + frame.start;
        match &self.place {
            Place::Sealed { pack, .. } => pack.read(stored, offset)?,
            Place::Open { pack, .. } => pack.read(stored, offset)?,
        }
        match xxh3_64(stored) == frame.checksum {
            true => Ok(()),
            false => Err(self.corrupt("checksum of a frame differs")),
        }
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { key: self.entry.key, pack: self.path().to_owned(), what: what.into() }
    }

    /// Other bytes than this object's want its key.
    pub(super) fn collision(&self) -> StoreError {
        StoreError::Collision { key: self.entry.key, pack: self.path().to_owned() }
    }

    /// Whether both lie in one pack.
    pub(super) fn lies_with(&self, other: &Self) -> bool {
        self.path() == other.path()
    }

    fn path(&self) -> &Path {
        match &self.place {
            Place::Sealed { pack, .. } => &pack.path,
            Place::Open { pack, .. } => &pack.path,
        }
    }
}
