//! One object where it lies: what its directory says, and its stored frames.

use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::error::{Result, StoreError};
use crate::store::object::{Encoding, ObjectInfo};
use crate::tensor::Lane;

use super::entry::{Entry, Frame, Through};
use super::open::OpenPack;
use super::range_source::{PackBytes, Wanted};
use super::sealed::Pack;

#[derive(Clone)]
pub struct Object {
    pub entry: Entry,
    lies: Lies,
}

#[derive(Clone)]
enum Lies {
    Sealed { pack: Arc<Pack>, row: usize, bytes: Arc<dyn PackBytes> },
    Open { pack: Arc<OpenPack>, bytes: Arc<dyn PackBytes>, frames: Arc<[Frame]> },
}

impl Object {
    pub fn sealed(pack: &Arc<Pack>, row: usize) -> Result<Self> {
        let entry = pack.directory.entry(row).map_err(|what| StoreError::Corrupt {
            key: pack.directory.key(row),
            pack: pack.path.clone(),
            what: what.into(),
        })?;
        // The directory was asked, and it has the same files.
        let bytes = Arc::clone(pack.bytes_of(entry.file).unwrap_or(&pack.bytes));
        Ok(Self { entry, lies: Lies::Sealed { pack: Arc::clone(pack), row, bytes } })
    }

    pub fn open(pack: &Arc<OpenPack>, entry: Entry, frames: &Arc<[Frame]>) -> Self {
        let bytes = OpenPack::bytes_of(pack, entry.file);
        Self { entry, lies: Lies::Open { pack: Arc::clone(pack), bytes, frames: Arc::clone(frames) } }
    }

    /// The layout that its frames are coded with.
    pub fn lane(&self) -> Lane {
        self.entry.dtype.lane()
    }

    pub fn info(&self) -> Result<ObjectInfo> {
        let Entry { kind, dtype, len, depth, base, through, .. } = self.entry;
        let stored_len = self.stored_len()?;
        let encoding = match base {
            Some(_) => match through.filter(|_| stored_len == 0) {
                Some(Through::Cast(_)) => Encoding::Cast,
                Some(Through::Formula) => Encoding::Computed,
                None => Encoding::Delta,
            },
            None if stored_len == len => Encoding::Raw,
            None => Encoding::Compressed,
        };
        // A formula is no tensor that anybody could look at.
        let base = base.filter(|_| through != Some(Through::Formula));
        Ok(ObjectInfo { kind, dtype, len, stored_len, encoding, base, depth })
    }

    pub fn stored_len(&self) -> Result<u64> {
        match &self.lies {
            Lies::Sealed { pack, row, .. } => {
                pack.directory.stored_len(*row).map_err(|what| self.corrupt(what))
            }
            Lies::Open { frames, .. } => Ok(frames.last().map_or(0, |frame| frame.end)),
        }
    }

    pub fn frame(&self, index: u64) -> Result<Frame> {
        match &self.lies {
            Lies::Sealed { pack, row, .. } => {
                pack.directory.frame(*row, index).map_err(|what| self.corrupt(what))
            }
            Lies::Open { frames, .. } => frames
                .get(index as usize)
                .copied()
                .ok_or_else(|| self.corrupt("frame lies beyond the object")),
        }
    }

    /// Replaces `stored` by the stored bytes of a frame, checked against their checksum.
    pub fn read_stored(&self, frame: &Frame, stored: &mut Vec<u8>) -> Result<()> {
        stored.resize((frame.end - frame.start) as usize, 0);
        let offset = self.entry.offset + frame.start;
        if !stored.is_empty() {
            self.bytes().read_ranges(&mut [Wanted { offset, buf: stored }])?;
        }
        self.check(frame, stored)
    }

    /// Where the bytes of the file are that it lies in.
    pub fn bytes(&self) -> &dyn PackBytes {
        match &self.lies {
            Lies::Sealed { bytes, .. } | Lies::Open { bytes, .. } => &**bytes,
        }
    }

    /// Tells the files that objects lie in apart.
    pub fn file_address(&self) -> (usize, u16) {
        let pack = match &self.lies {
            Lies::Sealed { pack, .. } => Arc::as_ptr(pack).addr(),
            Lies::Open { pack, .. } => Arc::as_ptr(pack).addr(),
        };
        (pack, self.entry.file)
    }

    /// Holds the bytes of its file, if that can be.
    pub fn hold(&mut self) -> Result<()> {
        if let Lies::Sealed { bytes, .. } = &mut self.lies
            && let Some(held) = bytes.hold()?
        {
            *bytes = held;
        }
        Ok(())
    }

    /// Compares the stored bytes of a frame with their checksum.
    pub fn check(&self, frame: &Frame, stored: &[u8]) -> Result<()> {
        match xxh3_64(stored) == frame.checksum {
            true => Ok(()),
            false => Err(self.corrupt("checksum of a frame differs")),
        }
    }

    pub fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { key: self.entry.key, pack: self.path().to_owned(), what: what.into() }
    }

    /// Other bytes than this object's want its key.
    pub fn collision(&self) -> StoreError {
        StoreError::Collision { key: self.entry.key, pack: self.path().to_owned() }
    }

    /// Whether both lie in one pack.
    pub fn lies_with(&self, other: &Self) -> bool {
        self.path() == other.path()
    }

    /// Where its pack is.
    pub fn path(&self) -> &Path {
        match &self.lies {
            Lies::Sealed { pack, .. } => &pack.path,
            Lies::Open { pack, .. } => &pack.path,
        }
    }
}
