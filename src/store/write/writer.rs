//! One open pack and what lies in it: objects are coded, appended whole, one at a time, and taken back if that fails.
//!
//! Does not know why an object is stored, nor whether it is stored elsewhere. Until the pack is sealed nothing of it is
//! visible to anybody else; dropped unsealed it leaves no trace.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::{Level, tag_needs_base};
use crate::disk::Patience;
use crate::formula::Mosaic;
use crate::id::ObjectKey;
use crate::similarity::{ANCHOR_BLOCK, ANCHORED_MIN, Anchor, Bucket, Candidate, Neighbour, Signature};
use crate::store::catalog::Catalog;
use crate::store::error::{Result, StoreError};
use crate::store::layout::Held;
use crate::store::object::{Digest, KeyHasher, Kind, Marks, Treatment, metadata_key};
use crate::store::options::Options;
use crate::store::pack::{Entry, Frame, Object, OpenPack, PACK_SUFFIX, Through, frame_count, sidecar_path};
use crate::store::read::{Chain, Decoder, Objects, read_formula};
use crate::tensor::Dtype;
use crate::threads::{Taken, Turn};

use super::frame_pipeline::{Coded, FramePipeline};
use super::incoming::Incoming;
use super::limits::{GATHERED_FRAMES, Room};
use super::transaction::Transaction;

pub struct Writer {
    pub decoder: Arc<Decoder>,
    pub options: Options,
    pub pack: Arc<OpenPack>,
    room: Room,
    /// Held by whoever appends an object. Nothing is waited for while it is held but this object's own frames.
    turn: Turn,
    transaction: Mutex<Transaction>,
    /// Objects since the last one that had something known in it.
    pub objects_in_vain: AtomicUsize,
    _locks: Locks,
}

/// What keeps others from sweeping the open pack away, and from removing packs that this transaction counts on.
type Locks = (Held, Held);

impl Writer {
    /// Begins a pack. What others stored meanwhile is known afterwards: it need not be stored again.
    pub fn begin(decoder: &Arc<Decoder>, options: Options) -> Result<Self> {
        let (disk, folders) = (&*decoder.catalog.disk, &decoder.catalog.folders);
        let anchor_bytes = options.anchor_bytes / 2;
        let room = Room::begin(&decoder.catalog, options.reserve_bytes)?;
        let writing = folders.lock_writers(disk, false)?;
        decoder.catalog.refresh()?;
        let (path, lock) = reserve_name(&decoder.catalog)?;
        match disk.open(&path, true) {
            Ok(file) => Ok(Self {
                decoder: Arc::clone(decoder),
                options,
                pack: Arc::new(OpenPack::new(path, file)),
                room,
                turn: Turn::default(),
                transaction: Mutex::new(Transaction::new(anchor_bytes)),
                objects_in_vain: AtomicUsize::new(0),
                _locks: (lock, writing),
            }),
            Err(error) => {
                // What went wrong is told; an empty file that stays is swept by the next writer.
                let _ = disk.remove_file(&path);
                Err(error.into())
            }
        }
    }

    /// The state, even of a transaction that failed.
    pub fn lock(&self) -> MutexGuard<'_, Transaction> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless an earlier failure ended the transaction.
    pub fn transaction(&self) -> Result<MutexGuard<'_, Transaction>> {
        let transaction = self.lock();
        transaction.check()?;
        Ok(transaction)
    }

    /// The tensors of this transaction that resemble one most.
    pub fn nearest(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<ObjectKey>> {
        self.lock().similar.nearest(bucket, signature, count)
    }

    /// Whether anything is known that could be found in other bytes.
    pub fn has_anchors(&self) -> bool {
        let is_own = || !self.lock().anchored.is_empty();
        self.options.anchor_bytes > 0 && (is_own() || self.decoder.catalog.has_anchors())
    }

    /// What has the windows of some candidates, stored in this transaction or sealed: for each the number of the candidate, the
    /// object, and where in it the window would be. Nothing of it is sure.
    pub fn anchored(&self, candidates: &[Candidate]) -> Vec<(usize, ObjectKey, u64)> {
        let mut found = Vec::new();
        if !candidates.is_empty() && self.options.anchor_bytes > 0 {
            let anchored = &mut self.lock().anchored;
            for (number, candidate) in candidates.iter().enumerate() {
                anchored.find(candidate.hash, |key, offset| found.push((number, key, offset)));
            }
        }
        if self.options.anchor_bytes > 0 {
            self.decoder.catalog.anchored(candidates, &mut found);
        }
        found.sort_by_key(|(number, ..)| *number);
        found
    }

    /// Codes and appends an object as a difference to `base`, where that pays; how many bytes it takes in the pack.
    /// `None` if its key was appended by another thread meanwhile.
    pub fn store_on(&self, incoming: &Incoming<'_>, base: Option<&Chain>) -> Result<Option<u64>> {
        let Incoming { key, source, len, dtype, .. } = *incoming;
        let (lane, level) = (dtype.lane(), self.level(incoming));
        let (delta_type, memory) = (self.options.delta_type, &self.decoder.memory);
        let is_anchored =
            self.options.anchor_bytes > 0 && incoming.kind == Kind::Content && len >= ANCHORED_MIN;
        let pipeline = FramePipeline { key, source, len, lane, level, delta_type, base, memory, is_anchored };
        let threads = &self.decoder.threads;
        if frame_count(len) <= GATHERED_FRAMES {
            let frames: Vec<Result<Coded>> = pipeline.with_frames(threads, |frames| frames.collect());
            let turn = threads.take(&self.turn);
            return self.append_in_turn(&turn, incoming, base, &mut frames.into_iter());
        }
        // Coding that begins in the turn is part of it: whoever waits for the turn helps with it.
        let turn = threads.take(&self.turn);
        pipeline.with_frames(threads, |frames| self.append_in_turn(&turn, incoming, base, frames))
    }

    /// Metadata is small and read often: it is worth the time.
    fn level(&self, incoming: &Incoming<'_>) -> Level {
        match incoming.kind {
            Kind::Content => incoming.treatment.level.unwrap_or(self.options.level),
            Kind::Recipe | Kind::Tree | Kind::Commit | Kind::Formula => Level::Max,
        }
    }

    fn append_in_turn(
        &self,
        _: &Taken<'_>,
        incoming: &Incoming<'_>,
        base: Option<&Chain>,
        frames: &mut dyn Iterator<Item = Result<Coded>>,
    ) -> Result<Option<u64>> {
        let Incoming { kind, key, dtype, len, signature, .. } = *incoming;
        if self.transaction()?.records.contains_key(&(key, kind)) {
            return Ok(None);
        }
        let beyond = match base {
            Some(base) => base
                .depth()
                .checked_add(1)
                .ok_or_else(|| base.object().corrupt("it is too deep for a base"))?,
            None => 0,
        };
        let offset = self.pack.len();
        let mut anchors = Vec::new();
        let frames = self
            .append(incoming, offset, frames, &mut anchors)
            .inspect_err(|error| self.undo(offset, error))?;
        let used = used(base, &frames);
        let (base, through) = (used.map(|base| base.object().entry.key), used.and_then(Chain::through));
        let depth = if used.is_some() { beyond } else { 0 };
        let stored_len = frames.last().map_or(0, |frame| frame.end);
        let entry = Entry { key, kind, dtype, len, depth, base, through, file: 0, offset };
        keep_useful(used.and_then(Chain::mosaic), &mut anchors);
        self.transaction()?.record(entry, frames, Marks { signature, anchors });
        Ok(Some(stored_len))
    }

    /// Appends the frames. The bytes are hashed again, so that a source that changes is noticed.
    fn append(
        &self,
        incoming: &Incoming<'_>,
        offset: u64,
        frames: &mut dyn Iterator<Item = Result<Coded>>,
        anchors: &mut Vec<u8>,
    ) -> Result<Vec<Frame>> {
        let mut hasher = KeyHasher::new(incoming.digest);
        let mut coded = Vec::new();
        let mut end = 0;
        for frame in frames {
            let Coded { raw, stored, tag, checksum, anchors: of_frame } = frame?;
            anchors.extend(of_frame);
            hasher.update(&raw);
            self.room.check(&self.decoder.catalog, offset + end)?;
            self.pack.append(&stored)?;
            let start = end;
            end += stored.len() as u64;
            self.decoder.memory.buffers.give(raw);
            self.decoder.memory.buffers.give(stored);
            coded.push(Frame { start, end, tag, checksum });
        }
        match hasher.finish() == incoming.key {
            true => Ok(coded),
            false => Err(StoreError::Changed),
        }
    }

    /// What a mosaic makes, of which the record is stored if it is not yet; `None` if nothing may be a difference to it.
    pub fn chain_of(&self, mosaic: &Mosaic) -> Result<Option<Chain>> {
        // A record that nothing is a difference to would lie in the pack for nothing.
        if !self.options.consent.is_given() || !Chain::can_be_put_together(self, mosaic) {
            return Ok(None);
        }
        let bytes = mosaic.encode();
        let (kind, key) = (Kind::Formula, metadata_key(blake3::hash(&bytes).as_bytes()));
        if Objects::find(self, kind, &key, None)?.is_none() {
            let (digest, dtype, len) = (Digest::Metadata, Dtype::Opaque, bytes.len() as u64);
            let treatment = Treatment::default();
            let source = &bytes;
            let incoming =
                Incoming { kind, digest, key, dtype, source, len, bases: &[], treatment, signature: None };
            self.store_on(&incoming, None)?;
        }
        let Some(object) = Objects::find(self, kind, &key, None)? else { return Ok(None) };
        // Others may have stored another copy of a piece meanwhile, which is found first: then it may be none.
        Ok(Chain::of_formula(self, object).ok().filter(Chain::can_be_base))
    }

    /// How deep a sealed object is if it is copied into this transaction as it is.
    pub fn depth_of_copy(&self, object: &Object) -> Result<u8> {
        let Some(base) = object.entry.base else { return Ok(0) };
        let missing = |base: &ObjectKey| object.corrupt(format!("its base {base} is missing"));
        let bases = match object.entry.through {
            Some(Through::Formula) => {
                let formula =
                    self.lock().find(&self.pack, Kind::Formula, &base).ok_or_else(|| missing(&base))?;
                read_formula(&formula)?.keys()
            }
            Some(Through::Cast(_)) | None => vec![base],
        };
        let transaction = self.transaction()?;
        let depth_of = |base: &ObjectKey| match transaction.records.get(&(*base, Kind::Content)) {
            Some((Entry { depth, .. }, _)) if *depth < u8::MAX => Ok(depth + 1),
            _ => Err(missing(base)),
        };
        bases.iter().map(depth_of).try_fold(0, |most, depth| Ok(most.max(depth?)))
    }

    /// Copies a sealed object as it is stored, which is so deep here.
    pub fn copy(&self, object: &Object, depth: u8, marks: Marks) -> Result<()> {
        let _turn = self.decoder.threads.take(&self.turn);
        let offset = self.pack.len();
        let frames = self.append_stored(object, offset).inspect_err(|error| self.undo(offset, error))?;
        self.transaction()?.record(Entry { depth, file: 0, offset, ..object.entry }, frames, marks);
        Ok(())
    }

    fn append_stored(&self, object: &Object, offset: u64) -> Result<Vec<Frame>> {
        let mut stored = self.decoder.memory.buffers.take_empty();
        let mut frames = Vec::new();
        for index in 0..frame_count(object.entry.len) {
            let frame = object.frame(index)?;
            object.read_stored(&frame, &mut stored)?;
            self.room.check(&self.decoder.catalog, offset + frame.end)?;
            self.pack.append(&stored)?;
            frames.push(frame);
        }
        self.decoder.memory.buffers.give(stored);
        Ok(frames)
    }

    /// Takes back what a failed put appended. Where that is impossible, or the disk failed, the transaction is over.
    fn undo(&self, start: u64, error: &StoreError) {
        if matches!(error, StoreError::Disk(_) | StoreError::Full { .. } | StoreError::Poisoned { .. }) {
            self.lock().fail(error);
        } else if let Err(error) = self.pack.rewind(start) {
            self.lock().fail(&error.into());
        }
    }
}

/// What was used of a base: nothing if none of the frames needs it.
fn used<'a>(base: Option<&'a Chain>, frames: &[Frame]) -> Option<&'a Chain> {
    base.filter(|_| frames.iter().any(|frame| tag_needs_base(frame.tag)))
}

/// Takes the anchors away of what lies in pieces of other content, where it is found, and the whole record if there are no others.
fn keep_useful(mosaic: Option<&Mosaic>, anchors: &mut Vec<u8>) {
    let is_elsewhere = |at: u64| mosaic.is_some_and(|mosaic| !mosaic.touching(at, at + 1).is_empty());
    let mut is_useful = false;
    for (start, record) in (0..).step_by(ANCHOR_BLOCK).zip(anchors.as_chunks_mut::<{ Anchor::LEN }>().0) {
        let anchor = Anchor::each_of(record).next().flatten();
        match anchor {
            Some(anchor) if is_elsewhere(start + u64::from(anchor.at)) => *record = Anchor::to_bytes(None),
            _ => is_useful |= anchor.is_some(),
        }
    }
    if !is_useful {
        anchors.clear();
    }
}

/// A new locked file for an open pack.
fn reserve_name(catalog: &Catalog) -> Result<(PathBuf, Held)> {
    let (disk, open) = (&*catalog.disk, &catalog.folders.open);
    loop {
        // The keys of the standard library's hash maps come from the system's random numbers.
        let name = format!("{:016x}.{PACK_SUFFIX}", RandomState::new().hash_one(0));
        let path = open.join(name);
        if disk.stat(&path)?.is_some() {
            continue;
        }
        match disk.lock(&path, true, Patience::Try) {
            Ok(Some(lock)) => return Ok((path, lock)),
            Ok(None) => {}
            Err(error) => {
                let _ = disk.remove_file(&path);
                return Err(error.into());
            }
        }
    }
}

impl Objects for Writer {
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let own = self.lock().find(&self.pack, kind, key);
        match own.filter(|object| below.is_none_or(|below| object.entry.depth < below)) {
            Some(object) => Ok(Some(object)),
            None => self.decoder.catalog.find(kind, key, below),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.lock().sealed {
            let disk = &self.decoder.catalog.disk;
            // Nothing depends on it: what cannot be removed now is swept later.
            let _ = disk.remove_file(&self.pack.path);
            let _ = disk.remove_file(&sidecar_path(&self.pack.path));
        }
    }
}
