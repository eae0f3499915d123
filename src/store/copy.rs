//! Taking sealed objects over into a transaction: as they are stored, or coded anew.

use crate::id::ObjectKey;
use crate::similarity::Signature;

use super::base::{Applicant, Search};
use super::error::Result;
use super::ingest::{Candidate, Ingest};
use super::key::{Digest, key_of};
use super::kind::Kind;
use super::object::Object;
use super::resolve::{Chain, Objects};
use super::sidecar::{Entry, Frame, frame_count};
use super::source::Source;

impl Ingest {
    /// How deep a sealed object is if it is copied into this transaction as it is.
    pub(super) fn depth_of_copy(&self, object: &Object) -> Result<u8> {
        let Some(base) = object.entry.base else { return Ok(0) };
        match self.transaction()?.records.get(&(base, Kind::Content)) {
            Some((Entry { depth, .. }, _)) if *depth < u8::MAX => Ok(depth + 1),
            _ => Err(object.corrupt(format!("its base {base} is missing"))),
        }
    }

    /// Copies a sealed object as it is stored. Its base was put before.
    pub(super) fn copy(&self, object: &Object, signature: Option<Signature>) -> Result<()> {
        let depth = self.depth_of_copy(object)?;
        let _turn = self.store.threads.take(&self.turn);
        let offset = self.pack.len();
        match self.append_stored(object, offset) {
            Ok(frames) => self.record(Entry { depth, offset, ..object.entry }, frames, signature),
            Err(error) => {
                self.undo(offset, &error);
                Err(error)
            }
        }
    }

    fn append_stored(&self, object: &Object, offset: u64) -> Result<Vec<Frame>> {
        let mut stored = self.store.memory.buffers.take_empty();
        let mut frames = Vec::new();
        for index in 0..frame_count(object.entry.len) {
            let frame = object.frame(index)?;
            object.read_stored(&frame, &mut stored)?;
            self.check_room(offset + frame.end)?;
            self.pack.append(&stored)?;
            frames.push(frame);
        }
        self.store.memory.buffers.give(stored);
        Ok(frames)
    }

    /// Stores a sealed object, whose bytes `source` gives, coded anew and at most `max_depth` deep: as a difference to
    /// one of its bases or to something else of this transaction.
    pub(super) fn recode(
        &self,
        sealed: &Chain,
        source: &dyn Source,
        max_depth: u8,
        signature: Option<Signature>,
    ) -> Result<()> {
        let Entry { key, kind, dtype, len, .. } = sealed.object().entry;
        let bases = sealed.base_keys();
        let mut digests = Digest::of_kind(kind).iter().copied();
        let digest = loop {
            match digests.next() {
                Some(digest) if key_of(digest, source)? == key => break digest,
                Some(_) => {}
                None => return Err(sealed.object().corrupt("its bytes do not hash to its key")),
            }
        };
        let candidate = Candidate { kind, digest, key, dtype, source, len, bases: &bases, signature };
        let search = Search { objects: self, memory: &self.store.memory, max_depth };
        // What is not in this transaction yet may be removed once it is sealed.
        let nearest =
            || signature.map_or_else(Vec::new, |signature| self.nearest_own(dtype, len, &signature));
        let base = search.choose(&Applicant { key, source, len, dtype }, &bases, nearest)?;
        self.store_on(&candidate, base).map(drop)
    }

    /// Decodes all that was put, from this transaction alone, and compares it with its keys.
    pub(super) fn check_alone(&self) -> Result<()> {
        let names: Vec<(ObjectKey, Kind)> = self.transaction()?.records.keys().copied().collect();
        let check = |(key, kind): (ObjectKey, Kind)| {
            let Some(object) = self.transaction()?.find(&self.pack, kind, &key) else { return Ok(()) };
            self.store.check_bytes(&Chain::resolve(&Own(self), object)?).map(drop)
        };
        self.store.threads.try_each(names.into_iter(), || (), |(), name| check(name))
    }
}

/// The objects of a transaction without those that were sealed before.
struct Own<'a>(&'a Ingest);

impl Objects for Own<'_> {
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let own = self.0.lock_transaction().find(&self.0.pack, Kind::Content, key);
        Ok(own.filter(|object| below.is_none_or(|below| object.entry.depth < below)))
    }
}
