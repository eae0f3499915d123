//! The write path: a transaction that stores what is new and seals it.
//!
//! Owns the policy of what is stored: equal bytes once (compared, not believed), and as a difference to what.

use std::sync::Arc;

use crate::formula::Formula;
use crate::id::ObjectKey;
use crate::store::catalog::{Packs, sign};
use crate::store::error::{Result, StoreError};
use crate::store::object::{Digest, Kind, METADATA_MAX, Source, Treatment, key_of, metadata_key};
use crate::store::options::Options;
use crate::store::pack::Object;
use crate::store::read::{Chain, Decoder};
use crate::tensor::Dtype;

use super::base_candidates::Candidates;
use super::incoming::Incoming;
use super::writer::Writer;

/// What became of an object that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The key that gets it back.
    pub key: ObjectKey,
    /// Its bytes.
    pub len: u64,
    /// The bytes that it takes in its pack, whether written now or before.
    pub stored_len: u64,
    /// Whether it had to be written.
    pub outcome: Outcome,
}

/// Whether an object was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was, and will be in the store with the seal.
    New,
    /// The same bytes were in the store or in this transaction already.
    Duplicate,
}

/// A write transaction. Many threads may put at once.
pub struct Ingest {
    pub(in crate::store) writer: Writer,
    /// The packs that everything that is put is compared with, and perhaps later ones.
    pub(in crate::store) compared: Arc<Packs>,
}

/// What is known of a key.
enum Known {
    Nothing,
    /// A copy that cannot be read.
    Damaged,
    Same(Object),
    Other,
}

impl Ingest {
    pub(in crate::store) fn begin(decoder: &Arc<Decoder>, options: Options) -> Result<Self> {
        let writer = Writer::begin(decoder, options)?;
        Ok(Self { compared: decoder.catalog.packs(), writer })
    }

    fn decoder(&self) -> &Decoder {
        &self.writer.decoder
    }

    /// Stores the bytes of `source` unless they are stored already. `dtype` says how to see them when coding;
    /// `bases` are the objects they may resemble, the likeliest first.
    ///
    /// # Errors
    /// [`StoreError::Changed`] if the source gave different bytes when it was read the second time. After an error
    /// of the disk the transaction can only be dropped; other errors concern this object alone.
    pub fn put(&self, dtype: Dtype, source: &dyn Source, bases: &[ObjectKey]) -> Result<Put> {
        self.put_hashed(dtype, source, bases, key_of(Digest::Content, source)?)
    }

    /// Like [`Ingest::put`] for bytes that were hashed before by a [`ContentHasher`](crate::store::ContentHasher), which saves
    /// reading them once more.
    ///
    /// # Errors
    /// [`StoreError::Changed`] if the bytes that are read now are not those that were hashed.
    pub fn put_hashed(
        &self,
        dtype: Dtype,
        source: &dyn Source,
        bases: &[ObjectKey],
        hashed: ObjectKey,
    ) -> Result<Put> {
        self.put_treated(dtype, source, bases, hashed, Treatment::default())
    }

    /// The same, stored as somebody wants it.
    ///
    /// # Errors
    /// As [`Ingest::put_hashed`].
    pub fn put_treated(
        &self,
        dtype: Dtype,
        source: &dyn Source,
        bases: &[ObjectKey],
        hashed: ObjectKey,
        treatment: Treatment,
    ) -> Result<Put> {
        let (kind, len) = (Kind::Content, source.len());
        let digest = Digest::Content;
        let incoming =
            Incoming { kind, digest, key: hashed, dtype, source, len, bases, treatment, signature: None };
        if let Some(put) = self.put_unless_known(&incoming)? {
            return Ok(put);
        }
        // Other bytes have the key: XXH3 collisions can be made on purpose. Or these are no longer the same bytes.
        if key_of(digest, source)? != hashed {
            return Err(StoreError::Changed);
        }
        let digest = Digest::ContentAfterCollision;
        let key = key_of(digest, source)?;
        let incoming = Incoming { digest, key, ..incoming };
        self.put_unless_known(&incoming)?.ok_or(StoreError::WrongId { key })
    }

    /// Stores a recipe, tree, commit or formula. `id` is the BLAKE3 of `bytes`.
    ///
    /// # Errors
    /// [`StoreError::WrongId`] if it is not; [`StoreError::TooLong`] beyond [`METADATA_MAX`].
    pub fn put_meta(&self, kind: Kind, id: &[u8; 32], bytes: &[u8]) -> Result<()> {
        let key = metadata_key(id);
        let len = bytes.len() as u64;
        if len > METADATA_MAX {
            return Err(StoreError::TooLong { key, len });
        }
        if blake3::hash(bytes) != *id {
            return Err(StoreError::WrongId { key });
        }
        let (digest, dtype) = (Digest::Metadata, Dtype::Opaque);
        let incoming = Incoming {
            kind,
            digest,
            key,
            dtype,
            source: &bytes,
            len,
            bases: &[],
            treatment: Treatment::default(),
            signature: None,
        };
        self.put_unless_known(&incoming)?.map(drop).ok_or(StoreError::WrongId { key })
    }

    /// Stores a formula and tells its key, which may be named among the bases of what it makes.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn put_formula(&self, formula: &Formula) -> Result<ObjectKey> {
        let bytes = formula.encode();
        let id = blake3::hash(&bytes);
        self.put_meta(Kind::Formula, id.as_bytes(), &bytes)?;
        Ok(metadata_key(id.as_bytes()))
    }

    /// Codes and stores what is not known; `None` if other bytes are known under the key.
    fn put_unless_known(&self, incoming: &Incoming<'_>) -> Result<Option<Put>> {
        self.unless_known(incoming, |is_damaged| {
            // What stands on the copy that is damaged is found whole again in one that stands on nothing.
            let treatment =
                Treatment { no_delta: incoming.treatment.no_delta || is_damaged, ..incoming.treatment };
            self.store_new(&Incoming { treatment, ..*incoming })
        })
    }

    /// Has `store` store what is not known, which hears whether a damaged copy is; `None` if other bytes are known under the key.
    pub(super) fn unless_known(
        &self,
        incoming: &Incoming<'_>,
        store: impl Fn(bool) -> Result<Option<Put>>,
    ) -> Result<Option<Put>> {
        loop {
            let is_damaged = match self.known(incoming)? {
                Known::Same(object) => return self.duplicate(incoming, &object).map(Some),
                Known::Other => return Ok(None),
                Known::Damaged => true,
                Known::Nothing => false,
            };
            if let Some(put) = store(is_damaged)? {
                return Ok(Some(put));
            }
            // Another thread put the key meanwhile.
        }
    }

    fn known(&self, incoming: &Incoming<'_>) -> Result<Known> {
        let own = self.writer.transaction()?.find(&self.writer.pack, incoming.kind, &incoming.key);
        let is_own = own.is_some();
        let found = match own {
            Some(object) => Some(object),
            None => self.decoder().catalog.find(incoming.kind, &incoming.key, None)?,
        };
        let Some(object) = found else { return Ok(Known::Nothing) };
        match self.same_bytes(&object, incoming.source) {
            Ok(true) => Ok(Known::Same(object)),
            Ok(false) => Ok(Known::Other),
            // The disk lost what this transaction wrote: nothing that it wrote is to be believed.
            Err(error) if error.is_corruption() && is_own => {
                self.writer.lock().fail(&error);
                Err(error)
            }
            // A damaged copy is no copy: this one will be found first from now on.
            Err(error) if error.is_corruption() => Ok(Known::Damaged),
            Err(error) => Err(error),
        }
    }

    fn same_bytes(&self, object: &Object, source: &dyn Source) -> Result<bool> {
        if object.entry.len != source.len() {
            return Ok(false);
        }
        let chain = Chain::resolve(&self.writer, object.clone())?;
        self.decoder().equals(&chain, source)
    }

    fn duplicate(&self, incoming: &Incoming<'_>, object: &Object) -> Result<Put> {
        self.writer.transaction()?.put.insert(incoming.key);
        let (len, stored_len) = (incoming.len, object.stored_len()?);
        Ok(Put { key: incoming.key, len, stored_len, outcome: Outcome::Duplicate })
    }

    /// Codes and appends an object; `None` if its key was put by another thread meanwhile.
    fn store_new(&self, incoming: &Incoming<'_>) -> Result<Option<Put>> {
        let Incoming { kind, key, dtype, source, len, .. } = *incoming;
        let signature = match kind {
            Kind::Content => sign(dtype, source)?,
            Kind::Recipe | Kind::Tree | Kind::Commit | Kind::Formula => None,
        };
        let incoming = Incoming { signature, ..*incoming };
        let base = Candidates::of(&self.writer).choose(&incoming)?;
        let stored = self.writer.store_on(&incoming, base.as_ref())?;
        Ok(stored.map(|stored_len| Put { key, len, stored_len, outcome: Outcome::New }))
    }
}
