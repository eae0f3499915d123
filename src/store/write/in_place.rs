//! Objects that stay where they lie: in complete files that become part of the store under a second name, and are coded
//! later.
//!
//! Costs no reading and no writing: the bytes were hashed before, and are compared with that whenever they are read.
//! Nothing is stored as a difference to them until they are coded: see `care/attached.rs`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::RAW_TAG;
use crate::disk::DiskFile;
use crate::id::ObjectKey;
use crate::store::error::{Result, StoreError};
use crate::store::object::{Digest, Hashed, Kind, Marks, Source, Treatment};
use crate::store::pack::{Attached, Entry, Frame, frame_count, frame_len};
use crate::tensor::Dtype;

use super::incoming::Incoming;
use super::ingest::{Ingest, Outcome, Put};
use super::writer::Writer;

/// A complete file that a transaction may keep.
pub struct AttachedFile {
    number: u16,
    len: u64,
}

impl fmt::Debug for AttachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachedFile").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Ingest {
    /// Lets objects stay in the first `len` bytes of the file at `path`, which lies on the disk of the store, is complete, and
    /// is never written again by anybody. If any do, the file belongs to the store as well from the seal on, under a name of
    /// its own. `None` if there are too many already.
    pub fn attach(&self, path: PathBuf, file: Arc<dyn DiskFile>, len: u64) -> Option<AttachedFile> {
        let number = self.writer.pack.attach(Arc::new(Attached { path, file, len })).ok()?;
        Some(AttachedFile { number, len })
    }

    /// Like [`Ingest::put_hashed`], but what is new stays in the file at `offset`, where `source` reads it. It is read
    /// only to be compared with what is stored.
    ///
    /// # Errors
    /// As [`Ingest::put_hashed`]; [`StoreError::Changed`] if it was hashed at another length.
    pub fn put_in_place(
        &self,
        dtype: Dtype,
        source: &dyn Source,
        bases: &[ObjectKey],
        hashed: &Hashed,
        (file, offset): (&AttachedFile, u64),
    ) -> Result<Put> {
        let (len, key) = (source.len(), hashed.key);
        let lies_in_file = offset.checked_add(len).is_some_and(|end| end <= file.len);
        if !lies_in_file || frame_count(len) != hashed.frames.len() as u64 {
            return Err(StoreError::Changed);
        }
        let (kind, digest) = (Kind::Content, Digest::Content);
        let incoming = Incoming {
            kind,
            digest,
            key,
            dtype,
            source,
            len,
            bases,
            treatment: Treatment::default(),
            signature: None,
        };
        let keep = |_| {
            let is_kept = self.writer.keep_in_place(&incoming, hashed, file.number, offset)?;
            Ok(is_kept.then_some(Put { key, len, stored_len: len, outcome: Outcome::New }))
        };
        match self.unless_known(&incoming, keep)? {
            Some(put) => Ok(put),
            None => self.put_hashed(dtype, source, bases, key),
        }
    }
}

impl Writer {
    /// Records an object where it lies; `false` if its key was put by another thread meanwhile.
    fn keep_in_place(
        &self,
        incoming: &Incoming<'_>,
        hashed: &Hashed,
        file: u16,
        offset: u64,
    ) -> Result<bool> {
        let Incoming { kind, key, dtype, len, .. } = *incoming;
        let (base, through, depth) = (None, None, 0);
        let entry = Entry { key, kind, dtype, len, depth, base, through, file, offset };
        let mut end = 0;
        let frames = (0..).zip(&hashed.frames).map(|(index, &checksum)| {
            let start = end;
            end += frame_len(len, index) as u64;
            Frame { start, end, tag: RAW_TAG, checksum }
        });
        let frames = frames.collect();
        let mut transaction = self.transaction()?;
        if transaction.records.contains_key(&(key, kind)) {
            return Ok(false);
        }
        transaction.record(entry, frames, Marks::default());
        let hints: Vec<ObjectKey> = incoming.bases.iter().copied().filter(|hint| *hint != key).collect();
        if !hints.is_empty() {
            transaction.hints.insert(key, hints);
        }
        Ok(true)
    }
}
