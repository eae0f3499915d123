//! Coding what lies in files that are attached to packs: whatever was stored as it is, to be fast, becomes as small as
//! everything else.
//!
//! All objects of such packs go into one new pack, which is durable before the first file is removed. Nothing is stored as a
//! difference to an attached object, so that these may be coded as differences to whatever there is. A stop at any point
//! leaves the old packs, or both.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{ObjectKey, PackId};
use crate::store::catalog::{Catalog, Packs, sign};
use crate::store::error::{Result, StoreError};
use crate::store::object::{Digest, Kind, Treatment, Watched};
use crate::store::options::Options;
use crate::store::pack::{Entry, Object, Pack};
use crate::store::read::{Chain, Decoder, Stored, same_bytes};
use crate::store::write::{Candidates, Incoming, Ingest};
use crate::task::{Meter, Task, Unit};

use super::stands_without::stands_without;
use super::sweep::{remove_packs, without_packs};

/// What coding attached files did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodedFiles {
    /// Packs that had attached files, and are removed.
    pub packs: usize,
    /// Objects that were coded.
    pub objects: usize,
    /// Bytes of the attached files.
    pub len: u64,
    /// Bytes of the pack that all objects are in now.
    pub pack_len: u64,
}

/// See [`Store::code_attached`](super::super::Store::code_attached).
pub fn code_attached(decoder: &Arc<Decoder>, options: &Options, task: &Task) -> Result<CodedFiles> {
    let (disk, folders) = (&*decoder.catalog.disk, &decoder.catalog.folders);
    decoder.catalog.refresh()?;
    let has_work = decoder.catalog.packs().iter().any(|pack| pack.has_attached());
    if !has_work && without_packs(disk, &folders.packs)?.is_empty() {
        return Ok(CodedFiles::default());
    }
    let Some(_lock) = folders.try_lock_repack(disk)? else {
        return Err(StoreError::Busy { path: folders.packs.clone() });
    };
    decoder.catalog.refresh()?;
    let packs = decoder.catalog.packs();
    // The oldest first: what comes later is a difference to what was before.
    let mut old: Vec<&Arc<Pack>> = packs.iter().filter(|pack| pack.has_attached()).collect();
    old.reverse();
    let len = old.iter().flat_map(|pack| pack.directory.attached()).sum();
    let ingest = Ingest::begin(decoder, options.clone())?;
    let coded = task.begin("coding", Unit::Bytes, Some(len));
    let mut work = Work { decoder, packs: &packs, ingest: &ingest, task, coded: &*coded, objects: 0 };
    let mut damage = None;
    let mut done = Vec::new();
    for pack in old {
        match work.pack(pack) {
            Ok(()) => done.push(pack),
            // It stays as it is; what is whole in it, and in others, is not kept waiting.
            Err(error) if error.is_corruption() => damage = Some(error),
            Err(error) => return Err(error),
        }
    }
    let objects = work.objects;
    task.check()?;
    let sealed = ingest.seal()?;
    let removed = remove(&decoder.catalog, &done, sealed.pack.as_ref())?;
    if let Some(damage) = damage {
        return Err(damage);
    }
    Ok(CodedFiles { packs: removed, objects, len, pack_len: sealed.pack_len })
}

struct Work<'a> {
    decoder: &'a Decoder,
    packs: &'a Packs,
    ingest: &'a Ingest,
    task: &'a Task,
    coded: &'a dyn Meter,
    objects: usize,
}

impl Work<'_> {
    /// Stores what is in a pack and nowhere else that stays.
    fn pack(&mut self, pack: &Arc<Pack>) -> Result<()> {
        let mut hints: HashMap<usize, Vec<ObjectKey>> = HashMap::new();
        for (row, hint) in pack.directory.hints() {
            hints.entry(row).or_default().push(hint);
        }
        let mut marks = pack.directory.marks();
        let (mut stored, mut attached) = (Vec::new(), Vec::new());
        for row in 0..pack.directory.len() {
            let object = Object::sealed(pack, row)?;
            if object.entry.is_attached() { attached.push((row, object)) } else { stored.push((row, object)) }
        }
        // A difference lies behind its base.
        stored.sort_by_key(|(_, object)| object.entry.depth);
        for (row, object) in &stored {
            self.task.check()?;
            if !self.is_elsewhere(object)? {
                let marks = marks.remove(row).unwrap_or_default();
                self.ingest.writer.copy(object, object.entry.depth, marks)?;
            }
        }
        self.objects += attached.len();
        let this = &*self;
        this.decoder.threads.try_each(
            attached.into_iter(),
            || (),
            |(), (row, object)| {
                this.task.check()?;
                this.code(&object, hints.get(&row).map_or(&[], Vec::as_slice))
                    .map_err(StoreError::of_object_source)
            },
        )
    }

    /// Whether another pack, which stays, has the same bytes and no deeper, so that whatever stands on the object here finds it
    /// there; or this transaction, which has each once.
    fn is_elsewhere(&self, object: &Object) -> Result<bool> {
        let Entry { key, kind, .. } = object.entry;
        if self.ingest.writer.transaction()?.records.contains_key(&(key, kind)) {
            return Ok(true);
        }
        let stays = |pack: &Pack| !pack.has_attached();
        let wanted = |entry: &Entry| entry.kind == kind && entry.depth <= object.entry.depth;
        let Some(other) = self.packs.find_among(&key, wanted, stays).unwrap_or(None) else {
            return Ok(false);
        };
        let catalog = &self.decoder.catalog;
        match same_bytes(self.decoder, (catalog, object), (catalog, &other)) {
            Ok(true) => Ok(true),
            Ok(false) => Err(object.collision()),
            // A damaged copy is no copy.
            Err(error) if error.is_corruption() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn code(&self, object: &Object, bases: &[ObjectKey]) -> Result<()> {
        let Entry { key, kind, dtype, len, .. } = object.entry;
        if !self.is_elsewhere(object)? {
            let chain = Chain::resolve(&self.decoder.catalog, object.clone())?;
            let stored = Stored { decoder: self.decoder, chain };
            let source = &Watched { source: &stored, task: self.task, meter: None };
            let signature = if kind == Kind::Content { sign(dtype, source)? } else { None };
            let digest = Digest::Content;
            let incoming = Incoming {
                kind,
                digest,
                key,
                dtype,
                source,
                len,
                bases,
                treatment: Treatment::default(),
                signature,
            };
            let base = Candidates::of(&self.ingest.writer).choose(&incoming)?;
            match self.ingest.writer.store_on(&incoming, base.as_ref()) {
                // Each frame had its checksum, and together they are something else.
                Err(StoreError::Changed) => Err(object.corrupt("its bytes do not hash to its key")),
                other => other.map(drop),
            }?;
        }
        self.coded.advance(len);
        Ok(())
    }
}

/// Removes the packs whose objects are all in the `new` one or in others without attached files.
fn remove(catalog: &Catalog, old: &[&Arc<Pack>], new: Option<&PackId>) -> Result<usize> {
    let disk = &*catalog.disk;
    let _turn = catalog.folders.lock_names(disk)?;
    catalog.refresh()?;
    if new.is_some_and(|new| !catalog.packs().contains(new)) {
        return Ok(0);
    }
    // What stands on an object in them may find it in what stays only if it is no deeper there.
    let superseded = |pack: &Pack| old.iter().any(|old| old.id == pack.id);
    if !stands_without(&catalog.packs(), superseded)? {
        return Ok(0);
    }
    remove_packs(disk, &catalog.folders.packs, old)?;
    catalog.refresh()?;
    Ok(old.len())
}
