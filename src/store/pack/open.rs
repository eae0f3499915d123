//! A pack that is being written: payloads appended in order.
//!
//! Short writes are gathered in a buffer. What was appended can be read at once. Knows no keys: only bytes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{DiskFile, Result};

use super::range_source::{PackBytes, Wanted};
use super::sealed::PACK_HEAD;

/// Enough to make the cost of a write call vanish; what is as long is written at once.
const BUFFER_LEN: usize = 64 << 10;
/// After so many bytes the disk is asked to begin taking them, while more are being coded: otherwise it idles until the
/// pack is synced, which is then over a quarter of the time of storing noise.
const SYNC_BEGIN_LEN: u64 = 8 << 20;

pub struct OpenPack {
    pub path: PathBuf,
    file: Box<dyn DiskFile>,
    body: Mutex<Body>,
    attached: Mutex<Vec<Arc<Attached>>>,
}

/// A complete file, which nobody ever changes, that objects are taken from as they lie in it.
pub struct Attached {
    /// Where it is, to be given another name.
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
    /// How many of its bytes may be objects.
    pub len: u64,
}

struct Body {
    /// Bytes in the file.
    written: u64,
    /// Bytes that come after them.
    buffer: Vec<u8>,
    /// Bytes of the file that the disk was asked to take.
    sync_begun: u64,
}

impl OpenPack {
    /// Begins a pack in an empty file.
    pub fn new(path: PathBuf, file: Box<dyn DiskFile>) -> Self {
        let body = Body { written: 0, buffer: PACK_HEAD.to_vec(), sync_begun: 0 };
        Self { path, file, body: Mutex::new(body), attached: Mutex::default() }
    }

    /// Attaches a file; its number in this pack.
    ///
    /// # Errors
    /// If there are as many as a pack can have: the file is given back.
    pub fn attach(&self, file: Arc<Attached>) -> std::result::Result<u16, Arc<Attached>> {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        match u16::try_from(attached.len() + 1) {
            Ok(number) if number < u16::MAX => {
                attached.push(file);
                Ok(number)
            }
            _ => Err(file),
        }
    }

    /// The files that are attached, in the order of their numbers.
    pub fn attached(&self) -> Vec<Arc<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the bytes of the file with a number are: 0 is the pack itself, others were attached.
    pub fn bytes_of(pack: &Arc<Self>, file: u16) -> Arc<dyn PackBytes> {
        let attached = pack.attached.lock().unwrap_or_else(PoisonError::into_inner);
        match usize::from(file).checked_sub(1).and_then(|at| attached.get(at)) {
            Some(attached) => Arc::clone(attached) as Arc<dyn PackBytes>,
            None => Arc::clone(pack) as Arc<dyn PackBytes>,
        }
    }

    fn body(&self) -> MutexGuard<'_, Body> {
        // A panic cannot happen between two steps that must go together; a failed write poisons the transaction.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the next byte will lie.
    pub fn len(&self) -> u64 {
        self.body().len()
    }

    /// Appends `bytes` and returns where they begin.
    pub fn append(&self, bytes: &[u8]) -> Result<u64> {
        let mut body = self.body();
        let offset = body.len();
        if body.buffer.len() + bytes.len() > BUFFER_LEN {
            body.flush(&*self.file)?;
        }
        if bytes.len() >= BUFFER_LEN {
            self.file.write_all_at(bytes, offset)?;
            body.written += bytes.len() as u64;
        } else {
            body.buffer.extend_from_slice(bytes);
        }
        body.begin_sync(&*self.file);
        Ok(offset)
    }

    /// Forgets what was appended from `len` on.
    pub fn rewind(&self, len: u64) -> Result<()> {
        let mut body = self.body();
        body.flush(&*self.file)?;
        self.file.set_len(len)?;
        body.written = len;
        body.sync_begun = body.sync_begun.min(len);
        Ok(())
    }

    /// Makes everything appended so far durable.
    pub fn sync(&self) -> Result<()> {
        self.body().flush(&*self.file)?;
        self.file.sync()
    }
}

impl PackBytes for OpenPack {
    fn len(&self) -> u64 {
        self.len()
    }

    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> crate::store::error::Result<()> {
        let end = wanted.last().map_or(0, |range| range.offset + range.buf.len() as u64);
        let mut body = self.body();
        if end > body.written {
            body.flush(&*self.file)?;
        }
        drop(body);
        wanted.iter_mut().try_for_each(|range| Ok(self.file.read_exact_at(range.buf, range.offset)?))
    }

    /// It is written by who reads it: nobody removes it meanwhile.
    fn hold(&self) -> crate::store::error::Result<Option<Arc<dyn PackBytes>>> {
        Ok(None)
    }
}

impl PackBytes for Attached {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> crate::store::error::Result<()> {
        wanted.iter_mut().try_for_each(|range| Ok(self.file.read_exact_at(range.buf, range.offset)?))
    }

    fn hold(&self) -> crate::store::error::Result<Option<Arc<dyn PackBytes>>> {
        Ok(None)
    }
}

impl Body {
    fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn begin_sync(&mut self, file: &dyn DiskFile) {
        let len = self.written - self.sync_begun;
        if len >= SYNC_BEGIN_LEN {
            file.begin_sync(self.sync_begun, len);
            self.sync_begun = self.written;
        }
    }

    fn flush(&mut self, file: &dyn DiskFile) -> Result<()> {
        file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
