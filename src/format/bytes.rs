//! Random access to a file's bytes, as parsers need it.

use std::io;

/// A file whose bytes do not change while it is read.
pub trait Bytes {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before; anything else is the medium's trouble.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Bytes for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let source = usize::try_from(offset).ok().and_then(|start| self.get(start..)?.get(..buf.len()));
        buf.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> u64 {
        Bytes::len(self.as_slice())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buf, offset)
    }
}

/// Why a parser found nothing: there is nothing, or the medium failed.
#[derive(Debug)]
pub(super) enum Trouble {
    None,
    Medium(io::Error),
}

/// What a parser reads.
pub(super) type Read<T> = Result<T, Trouble>;

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Medium(error)
    }
}

/// A part of a file as a file of its own.
pub(super) struct Section<'a> {
    pub file: &'a dyn Bytes,
    pub start: u64,
    pub len: u64,
}

impl Bytes for Section<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.read_exact_at(buf, self.start + offset)
    }
}

/// The `N` bytes at `offset`, or `None` if the span `offset..end` has fewer.
pub(super) fn array<const N: usize>(file: &dyn Bytes, offset: u64, end: u64) -> io::Result<Option<[u8; N]>> {
    if end.checked_sub(offset).is_none_or(|left| left < N as u64) {
        return Ok(None);
    }
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Some(bytes))
}

/// The `len` bytes at `offset`; the caller has checked that the file has them and that `len` is affordable.
pub(super) fn block(file: &dyn Bytes, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
