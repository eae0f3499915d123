//! Where the bytes of a new object come from.
//!
//! A source is read twice: once for its key, once to be coded. It knows no object and no format.

use std::error::Error;

use crate::disk::{DiskError, DiskFile};
use crate::task::Stopped;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the bytes to store: {0}")]
pub struct SourceError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// Wraps what the source's own reader said.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// What the source's own reader said.
    pub fn into_cause(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }

    /// The number of the system's error that it is, if it is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.causes().find_map(|cause| cause.downcast_ref::<std::io::Error>()?.raw_os_error())
    }

    /// Whether the bytes ended before the length that the source gave: somebody cut it meanwhile.
    pub fn ended_early(&self) -> bool {
        self.causes().any(|cause| {
            let io = cause.downcast_ref::<std::io::Error>();
            io.is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
        })
    }

    /// Whether the task that they were read for was stopped.
    pub fn stopped(&self) -> Option<Stopped> {
        self.causes().find_map(|cause| cause.downcast_ref().copied())
    }

    /// What the source's own reader said, and why it did.
    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        std::iter::successors(self.source(), |&cause| cause.source())
    }
}

impl From<DiskError> for SourceError {
    fn from(error: DiskError) -> Self {
        Self::new(error)
    }
}

impl From<std::io::Error> for SourceError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}

/// Bytes of a known length that can be read at any place, by many threads at once.
pub trait Source: Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// [`SourceError`] if any of these bytes cannot be read or do not exist.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError>;
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        let start = usize::try_from(offset).ok();
        let wanted = start.and_then(|start| self.get(start..start.checked_add(buf.len())?));
        buf.copy_from_slice(wanted.ok_or(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}

macro_rules! source_as_slice {
    ($($bytes:ty),*) => {$(
        impl Source for $bytes {
            fn len(&self) -> u64 {
                Source::len(&self[..])
            }

            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
                Source::read_exact_at(&self[..], buf, offset)
            }
        }
    )*};
}
source_as_slice!(&[u8], Vec<u8>);

/// A part of another source.
#[derive(Clone, Copy)]
pub struct Slice<'a> {
    /// The whole.
    pub source: &'a dyn Source,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
}

impl Source for Slice<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        let end = offset.checked_add(buf.len() as u64);
        let start = self.offset.checked_add(offset);
        match (end, start) {
            (Some(end), Some(start)) if end <= self.len => self.source.read_exact_at(buf, start),
            _ => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// An open file as a source, at the length it has when it is taken.
#[derive(Debug, Clone, Copy)]
pub struct FileSource<'a> {
    file: &'a dyn DiskFile,
    len: u64,
}

impl<'a> FileSource<'a> {
    /// The whole file.
    ///
    /// # Errors
    /// If its length cannot be learned.
    pub fn new(file: &'a dyn DiskFile) -> Result<Self, SourceError> {
        Ok(Self { file, len: file.len()? })
    }

    /// The first `len` bytes, whatever follows them.
    pub fn up_to(file: &'a dyn DiskFile, len: u64) -> Self {
        Self { file, len }
    }
}

impl Source for FileSource<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_reads_its_part_and_nothing_beyond() {
        let whole: &&[u8] = &&b"0123456789"[..];
        let slice = Slice { source: whole, offset: 3, len: 4 };
        let mut buf = [0; 3];
        slice.read_exact_at(&mut buf, 1).unwrap();
        assert_eq!(&buf, b"456");
        assert!(slice.read_exact_at(&mut buf, 2).is_err());
        assert!(slice.read_exact_at(&mut buf, u64::MAX).is_err());
        assert!(Slice { source: whole, offset: 9, len: 9 }.read_exact_at(&mut buf, 0).is_err());
    }
}
