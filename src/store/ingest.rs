//! The write path: a transaction that appends new objects to one open pack and seals it.
//!
//! Owns the policy of what is stored and how: equal bytes once, similar ones as differences, every frame verified.
//! Until the seal nothing of it is visible to anybody else; dropped unsealed it leaves no trace.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::{Level, tag_needs_base};
use crate::id::ObjectKey;
use crate::similarity::{LshIndex, Signature};
use crate::tensor::Dtype;
use crate::threads::Turn;

use super::coder::{Coded, Coder};
use super::error::{Result, StoreError};
use super::inner::Inner;
use super::key::{Digest, KeyHasher, key_of, metadata_key};
use super::kind::{Kind, METADATA_MAX};
use super::object::Object;
use super::open_pack::OpenPack;
use super::pack::sidecar_path;
use super::packs::Packs;
use super::resolve::{Chain, Objects};
use super::sidecar::{Entry, Frame, Record, frame_count};
use super::similar::{bucket_of, sign};
use super::source::Source;

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

/// Objects up to this many frames are coded before they take their turn to be appended, so that many of them can be
/// coded at once; longer ones are appended while they are coded.
const GATHERED_FRAMES: u64 = 16;
/// Bytes appended between two looks at the room left on the disk.
const ROOM_CHECK_BYTES: u64 = 64 << 20;

/// A write transaction. Many threads may put at once.
pub struct Ingest {
    pub(super) store: Arc<Inner>,
    pub(super) pack: Arc<OpenPack>,
    level: Level,
    /// The packs that everything that is put is compared with, and perhaps later ones.
    pub(super) compared: Arc<Packs>,
    /// Held by whoever appends an object. Nothing is waited for while it is held but this object's own frames.
    pub(super) turn: Turn,
    pub(super) transaction: Mutex<Transaction>,
    _locks: Locks,
}

/// What keeps others from sweeping the open pack away, and from removing packs that this transaction counts on.
pub(super) type Locks = (Box<dyn Send + Sync>, Box<dyn Send + Sync>);

#[derive(Default)]
pub(super) struct Transaction {
    pub(super) records: HashMap<(ObjectKey, Kind), Record>,
    /// All that was put, new or not.
    pub(super) put: HashSet<ObjectKey>,
    /// What ended the transaction, if something did.
    failed: Option<Failure>,
    pub(super) sealed: bool,
    room_checked_at: u64,
    pub(super) signatures: HashMap<ObjectKey, Signature>,
    pub(super) similar: LshIndex<ObjectKey>,
}

/// Why a transaction can only be dropped.
struct Failure {
    why: String,
    is_full: bool,
}

/// An object that is to be stored unless it is there.
pub(super) struct Candidate<'a> {
    pub(super) kind: Kind,
    pub(super) digest: Digest,
    pub(super) key: ObjectKey,
    pub(super) dtype: Dtype,
    pub(super) source: &'a dyn Source,
    pub(super) len: u64,
    pub(super) bases: &'a [ObjectKey],
    pub(super) signature: Option<Signature>,
}

impl Candidate<'_> {
    /// The same with its signature.
    fn signed(&self, signature: Option<Signature>) -> Self {
        Self { signature, ..*self }
    }
}

/// What is known of a key.
enum Known {
    Nothing,
    Same(Object),
    Other,
}

impl Ingest {
    pub(super) fn new(store: Arc<Inner>, pack: OpenPack, level: Level, locks: Locks) -> Self {
        Self {
            compared: store.packs(),
            store,
            pack: Arc::new(pack),
            level,
            turn: Turn::default(),
            transaction: Mutex::default(),
            _locks: locks,
        }
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

    /// Like [`Ingest::put`] for bytes that were hashed before by a [`ContentHasher`](super::ContentHasher), which saves
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
        let (kind, len) = (Kind::Content, source.len());
        let digest = Digest::Content;
        let candidate = Candidate { kind, digest, key: hashed, dtype, source, len, bases, signature: None };
        if let Some(put) = self.put_unless_known(&candidate)? {
            return Ok(put);
        }
        // Other bytes have the key: XXH3 collisions can be made on purpose. Or these are no longer the same bytes.
        if key_of(digest, source)? != hashed {
            return Err(StoreError::Changed);
        }
        let digest = Digest::ContentAfterCollision;
        let key = key_of(digest, source)?;
        let candidate = Candidate { digest, key, ..candidate };
        self.put_unless_known(&candidate)?.ok_or(StoreError::WrongId { key })
    }

    /// Stores a recipe, tree or commit. `id` is the BLAKE3 of `bytes`.
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
        let candidate =
            Candidate { kind, digest, key, dtype, source: &bytes, len, bases: &[], signature: None };
        self.put_unless_known(&candidate)?.map(drop).ok_or(StoreError::WrongId { key })
    }

    /// `None` if other bytes are known under this key.
    fn put_unless_known(&self, candidate: &Candidate<'_>) -> Result<Option<Put>> {
        loop {
            match self.known(candidate)? {
                Known::Same(object) => return self.duplicate(candidate, &object).map(Some),
                Known::Other => return Ok(None),
                Known::Nothing => {}
            }
            if let Some(put) = self.store_new(candidate)? {
                return Ok(Some(put));
            }
            // Another thread put the key meanwhile.
        }
    }

    fn known(&self, candidate: &Candidate<'_>) -> Result<Known> {
        let found = match self.transaction()?.find(&self.pack, candidate.kind, &candidate.key) {
            Some(object) => Some(object),
            None => self.store.find(candidate.kind, &candidate.key, None)?,
        };
        let Some(object) = found else { return Ok(Known::Nothing) };
        match self.same_bytes(&object, candidate.source) {
            Ok(true) => Ok(Known::Same(object)),
            Ok(false) => Ok(Known::Other),
            // A damaged copy is no copy: this one will be found first from now on.
            Err(error) if error.is_corruption() => Ok(Known::Nothing),
            Err(error) => Err(error),
        }
    }

    fn same_bytes(&self, object: &Object, source: &dyn Source) -> Result<bool> {
        if object.entry.len != source.len() {
            return Ok(false);
        }
        let chain = Chain::resolve(self, object.clone())?;
        self.store.equals(&chain, source)
    }

    fn duplicate(&self, candidate: &Candidate<'_>, object: &Object) -> Result<Put> {
        self.transaction()?.put.insert(candidate.key);
        let (len, stored_len) = (candidate.len, object.stored_len()?);
        Ok(Put { key: candidate.key, len, stored_len, outcome: Outcome::Duplicate })
    }

    /// Codes and appends an object; `None` if its key was put by another thread meanwhile.
    fn store_new(&self, candidate: &Candidate<'_>) -> Result<Option<Put>> {
        let Candidate { source, dtype, .. } = *candidate;
        let signature = match candidate.kind {
            Kind::Content => sign(dtype, source)?,
            Kind::Recipe | Kind::Tree | Kind::Commit => None,
        };
        let base = self.choose_base(candidate, signature.as_ref())?;
        self.store_on(&candidate.signed(signature), base)
    }

    /// Codes and appends an object as a difference to `base`, where that pays.
    pub(super) fn store_on(&self, candidate: &Candidate<'_>, base: Option<Chain>) -> Result<Option<Put>> {
        let Candidate { key, source, len, dtype, .. } = *candidate;
        let (lane, level) = (dtype.lane(), self.level(candidate.kind));
        let (delta_type, memory) = (self.store.options.delta_type, &self.store.memory);
        let coder = Coder { key, source, len, lane, level, delta_type, base: base.as_ref(), memory };
        let gathered = frame_count(len) <= GATHERED_FRAMES;
        coder.with_frames(&self.store.threads, |frames| {
            if gathered {
                let frames: Vec<Result<Coded>> = frames.collect();
                self.append_in_turn(candidate, base.as_ref(), &mut frames.into_iter())
            } else {
                self.append_in_turn(candidate, base.as_ref(), frames)
            }
        })
    }

    /// Metadata is small and read often: it is worth the time.
    fn level(&self, kind: Kind) -> Level {
        match kind {
            Kind::Content => self.level,
            Kind::Recipe | Kind::Tree | Kind::Commit => Level::Max,
        }
    }

    fn append_in_turn(
        &self,
        candidate: &Candidate<'_>,
        base: Option<&Chain>,
        frames: &mut dyn Iterator<Item = Result<Coded>>,
    ) -> Result<Option<Put>> {
        let _turn = self.store.threads.take(&self.turn);
        if self.transaction()?.records.contains_key(&(candidate.key, candidate.kind)) {
            return Ok(None);
        }
        let start = self.pack.len();
        match self.append(candidate, frames) {
            Ok((offset, coded)) => self.publish(candidate, base, offset, coded).map(Some),
            Err(error) => {
                self.undo(start, &error);
                Err(error)
            }
        }
    }

    /// Appends the frames. The bytes are hashed again, so that a source that changes is noticed.
    fn append(
        &self,
        candidate: &Candidate<'_>,
        frames: &mut dyn Iterator<Item = Result<Coded>>,
    ) -> Result<(u64, Vec<Frame>)> {
        let offset = self.pack.len();
        let mut hasher = KeyHasher::new(candidate.digest);
        let mut coded = Vec::new();
        let mut end = 0;
        for frame in frames {
            let Coded { raw, stored, tag, checksum } = frame?;
            hasher.update(&raw);
            self.check_room(offset + end)?;
            self.pack.append(&stored)?;
            let start = end;
            end += stored.len() as u64;
            self.store.memory.buffers.give(raw);
            self.store.memory.buffers.give(stored);
            coded.push(Frame { start, end, tag, checksum });
        }
        match hasher.finish() == candidate.key {
            true => Ok((offset, coded)),
            false => Err(StoreError::Changed),
        }
    }

    fn publish(
        &self,
        candidate: &Candidate<'_>,
        base: Option<&Chain>,
        offset: u64,
        frames: Vec<Frame>,
    ) -> Result<Put> {
        let Candidate { kind, key, dtype, len, .. } = *candidate;
        let used = used(base, &frames);
        let (base, cast) = (used.map(|base| base.object().entry.key), used.and_then(Chain::cast_from));
        let depth = used.map_or(0, |base| base.depth() + 1);
        let stored_len = frames.last().map_or(0, |frame| frame.end);
        let entry = Entry { key, kind, dtype, len, depth, base, cast, offset };
        self.record(entry, frames, candidate.signature)?;
        Ok(Put { key, len, stored_len, outcome: Outcome::New })
    }

    pub(super) fn record(
        &self,
        entry: Entry,
        frames: Vec<Frame>,
        signature: Option<Signature>,
    ) -> Result<()> {
        let Entry { key, kind, dtype, len, .. } = entry;
        let mut transaction = self.transaction()?;
        transaction.records.insert((key, kind), (entry, frames.into()));
        if let Some(signature) = signature {
            transaction.signatures.insert(key, signature);
            transaction.similar.insert(bucket_of(dtype, len), signature, key);
        }
        transaction.put.insert(key);
        Ok(())
    }

    /// Takes back what a failed put appended. Where that is impossible, or the disk failed, the transaction is over.
    pub(super) fn undo(&self, start: u64, error: &StoreError) {
        let poisoned =
            matches!(error, StoreError::Disk(_) | StoreError::Full { .. } | StoreError::Poisoned { .. });
        let failed = match poisoned {
            true => Failure { why: error.to_string(), is_full: error.is_full() },
            false => match self.pack.rewind(start).map_err(StoreError::from) {
                Ok(()) => return,
                Err(error) => Failure { why: error.to_string(), is_full: error.is_full() },
            },
        };
        self.lock_transaction().failed.get_or_insert(failed);
    }

    pub(super) fn check_room(&self, len: u64) -> Result<()> {
        {
            let mut transaction = self.transaction()?;
            if len < transaction.room_checked_at + ROOM_CHECK_BYTES {
                return Ok(());
            }
            transaction.room_checked_at = len;
        }
        self.store.check_room()
    }

    pub(super) fn lock_transaction(&self) -> MutexGuard<'_, Transaction> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless an earlier failure ended the transaction.
    pub(super) fn transaction(&self) -> Result<MutexGuard<'_, Transaction>> {
        let transaction = self.lock_transaction();
        match &transaction.failed {
            Some(Failure { why, is_full }) => {
                Err(StoreError::Poisoned { why: why.clone(), is_full: *is_full })
            }
            None => Ok(transaction),
        }
    }
}

/// What was used of a base: nothing if none of the frames needs it.
fn used<'a>(base: Option<&'a Chain>, frames: &[Frame]) -> Option<&'a Chain> {
    base.filter(|_| frames.iter().any(|frame| tag_needs_base(frame.tag)))
}

impl Transaction {
    pub(super) fn find(&self, pack: &Arc<OpenPack>, kind: Kind, key: &ObjectKey) -> Option<Object> {
        let (entry, frames) = self.records.get(&(*key, kind))?;
        Some(Object::open(pack, *entry, frames))
    }
}

impl Objects for Ingest {
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let own = self.lock_transaction().find(&self.pack, Kind::Content, key);
        match own.filter(|object| below.is_none_or(|below| object.entry.depth < below)) {
            Some(object) => Ok(Some(object)),
            None => self.store.find(Kind::Content, key, below),
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.lock_transaction().sealed {
            // Nothing depends on it: what cannot be removed now is swept later.
            let _ = self.store.disk.remove_file(&self.pack.path);
            let _ = self.store.disk.remove_file(&sidecar_path(&self.pack.path));
        }
    }
}
