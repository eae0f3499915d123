//! A file that is read forward, a little at a time, over payloads that are passed over.

use super::Bytes;
use super::bytes::{Read, Trouble, block};

/// Bytes that are read at once.
const WINDOW: u64 = 64 << 10;

/// A place in a file, and the bytes around it.
pub(super) struct Cursor<'a> {
    file: &'a dyn Bytes,
    /// No more than so many bytes of it are looked at.
    end: u64,
    /// Where it is.
    pub at: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Cursor<'a> {
    /// The beginning of a file.
    pub fn new(file: &'a dyn Bytes) -> Self {
        Self::up_to(file, u64::MAX)
    }

    /// The beginning of a file, of which nothing is looked at behind so many bytes.
    pub fn up_to(file: &'a dyn Bytes, most: u64) -> Self {
        Self { file, end: file.len().min(most), at: 0, window: Vec::new(), window_at: 0 }
    }

    /// Bytes behind it.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, len: u64) -> Read<()> {
        match len <= self.left() {
            true => self.at += len,
            false => return Err(Trouble::None),
        }
        Ok(())
    }

    /// So many bytes, which the caller can afford.
    pub fn take(&mut self, len: u64) -> Read<&[u8]> {
        let start = self.at;
        self.skip(len)?;
        let has_it = start >= self.window_at && self.at <= self.window_at + self.window.len() as u64;
        if !has_it {
            let wanted = len.max(WINDOW).min(self.end - start);
            self.window = block(self.file, start, wanted as usize)?;
            self.window_at = start;
        }
        let from = (start - self.window_at) as usize;
        Ok(&self.window[from..from + len as usize])
    }

    /// So many bytes.
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        Ok(self.take(N as u64)?.try_into().expect("as many as were asked for"))
    }

    /// A byte.
    pub fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A text of at most so many bytes; what is no UTF-8 in it is U+FFFD.
    pub fn text(&mut self, len: u64, most: u64) -> Read<String> {
        if len > most {
            return Err(Trouble::None);
        }
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }
}
