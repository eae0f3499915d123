//! Writing the store anew: one pack instead of many, one copy of each object, short chains where that is wanted.
//!
//! Nothing is lost at any moment. Every object is in the new pack, durable and checked by decoding it, before the first
//! old pack is removed; writers, who may be counting on what they found, are waited for; and what they stored meanwhile
//! has to find its bases in what is kept.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::codec::Level;
use crate::disk::{Disk, Patience};
use crate::id::{ObjectKey, PackId};
use crate::similarity::Signature;

use super::collision::same_bytes;
use super::error::{Result, StoreError};
use super::inner::Inner;
use super::kind::Kind;
use super::object::Object;
use super::odb::Store;
use super::pack::{PACK_SUFFIX, Pack, SIDECAR_SUFFIX, sidecar_path};
use super::packs::Packs;
use super::resolve::{Chain, Objects};
use super::sidecar::Entry;
use super::stored::Stored;

/// How to write a store anew.
#[derive(Debug, Clone)]
pub struct Repack {
    /// Objects that are read often.
    pub served: HashSet<ObjectKey>,
    /// Bases that have to be decoded before a served object, at most.
    pub served_depth: u8,
    /// Code every object anew at this level; those that are shallow enough are copied as they are if nothing is said.
    pub level: Option<Level>,
}

/// What a repack did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repacked {
    /// Objects in the new pack; 0 if there was nothing to do.
    pub objects: usize,
    /// Of these, those that were coded anew.
    pub recoded: usize,
    /// Packs that were removed.
    pub removed: usize,
    /// Bytes of all packs and sidecars before.
    pub disk_len_before: u64,
    /// Bytes of all packs and sidecars now.
    pub disk_len: u64,
}

impl Store {
    /// Writes all objects into one new pack and removes the packs that they were in. Needs as much room on the disk as
    /// the store takes, until it is done.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another repack is running. [`StoreError::Corrupt`] if an object is damaged,
    /// [`StoreError::Collision`] if two with different bytes have one key. After any error every object is where it was.
    pub fn repack(&self, request: &Repack) -> Result<Repacked> {
        let inner = &self.inner;
        let Some(_lock) = inner.disk.lock(&inner.folders.packs.join("repack.lock"), true, Patience::Try)?
        else {
            return Err(StoreError::Busy { path: inner.folders.packs.clone() });
        };
        self.refresh()?;
        let old = inner.packs();
        let mut repacked = Repacked { disk_len_before: old.disk_len(), ..Repacked::default() };
        let copies = shallowest(inner, &old)?;
        if !is_worthwhile(&old, &copies, request) {
            return Ok(Repacked { disk_len: repacked.disk_len_before, ..repacked });
        }
        repacked.objects = copies.len();
        let ingest = self.begin_at(request.level.unwrap_or(inner.options.level))?;
        let signatures = signatures(&old);
        for object in &copies {
            let key = object.entry.key;
            let signature = signatures.get(&key).copied();
            let is_served = request.served.contains(&key);
            let is_content = object.entry.kind == Kind::Content;
            let anew =
                request.level.is_some() || is_served && ingest.depth_of_copy(object)? > request.served_depth;
            if is_content && anew {
                let limit = if is_served { request.served_depth } else { inner.options.max_depth };
                let stored = Stored { inner, chain: Chain::resolve(&**inner, object.clone())? };
                let recoded = ingest.recode(&stored.chain, &stored, limit, signature);
                recoded.map_err(|error| match error {
                    StoreError::Source(error) => error.into_store_error(),
                    error => error,
                })?;
                repacked.recoded += 1;
            } else {
                ingest.copy(object, signature)?;
            }
        }
        // Before anybody sees it: from then on its copies are the ones that are found.
        ingest.check_alone()?;
        let Some(new) = ingest.seal()?.pack else { return Ok(repacked) };
        repacked.removed = inner.retire(&old, &new)?;
        repacked.disk_len = inner.packs().disk_len();
        Ok(repacked)
    }
}

/// One copy of every object, each after its bases: the least deep one, of these the smallest.
fn shallowest(inner: &Inner, packs: &Packs) -> Result<Vec<Object>> {
    let mut copies: HashMap<(ObjectKey, Kind), Vec<Object>> = HashMap::new();
    for pack in packs.iter() {
        for row in 0..pack.directory.len() {
            let object = Object::sealed(pack, row)?;
            copies.entry((object.entry.key, object.entry.kind)).or_default().push(object);
        }
    }
    let best = |copies| best(inner, copies);
    let mut copies: Vec<Object> = inner.threads.try_map(copies.into_values(), best)?;
    copies.sort_by_key(|object| (object.entry.depth, object.entry.kind.code(), object.entry.key));
    Ok(copies)
}

/// The copy of an object to keep, of at least one. All of them have the same bytes, or nothing is kept of any; one that
/// is damaged is no copy if another is whole.
fn best(inner: &Inner, mut copies: Vec<Object>) -> Result<Object> {
    let rank = |object: &Object| (object.entry.depth, object.stored_len().unwrap_or(u64::MAX));
    copies.sort_by_key(rank);
    let mut whole: Option<Object> = None;
    for copy in copies.iter().filter(|_| copies.len() > 1) {
        let result = match &whole {
            None => {
                Chain::resolve(inner, copy.clone()).and_then(|chain| inner.check_bytes(&chain)).map(|_| true)
            }
            Some(whole) => same_bytes(inner, (inner, whole), (inner, copy)),
        };
        match result {
            Ok(true) => _ = whole.get_or_insert_with(|| copy.clone()),
            Ok(false) => return Err(copy.collision()),
            Err(error) if error.is_corruption() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(whole.unwrap_or_else(|| copies.swap_remove(0)))
}

/// Whether anything would be different afterwards.
fn is_worthwhile(packs: &Packs, copies: &[Object], request: &Repack) -> bool {
    let is_deep = |object: &Object| {
        let Entry { key, kind, depth, .. } = object.entry;
        kind == Kind::Content && depth > request.served_depth && request.served.contains(&key)
    };
    packs.iter().count() > 1 || !copies.is_empty() && request.level.is_some() || copies.iter().any(is_deep)
}

fn signatures(packs: &Packs) -> HashMap<ObjectKey, Signature> {
    let rows = |pack: &Arc<Pack>| {
        let directory = &pack.directory;
        directory.signatures().map(|(row, signature)| (directory.key(row), signature)).collect::<Vec<_>>()
    };
    packs.iter().flat_map(rows).collect()
}

impl Inner {
    /// Removes the `old` packs, all of whose objects are in the `new` one, once nobody is writing. They stay if somebody
    /// has stored a difference meanwhile that needs them.
    fn retire(&self, old: &Packs, new: &PackId) -> Result<usize> {
        let _nobody_writes = self.lock_writers(true)?;
        self.refresh()?;
        if !self.packs().contains(new) {
            return Ok(0);
        }
        let superseded = |pack: &Pack| pack.id != *new && old.contains(&pack.id);
        if !stands_without(&self.packs(), new, superseded)? {
            return Ok(0);
        }
        let disk: &dyn Disk = &*self.disk;
        let mut removed = 0;
        for pack in old.iter().filter(|pack| superseded(pack)) {
            // The pack first: a sidecar alone is nothing, a pack alone would have its sidecar written again.
            remove_if_there(disk, &pack.path)?;
            remove_if_there(disk, &sidecar_path(&pack.path))?;
            removed += 1;
        }
        self.sweep_sidecars()?;
        disk.sync_dir(&self.folders.packs)?;
        self.refresh()?;
        Ok(removed)
    }

    /// Removes sidecars whose packs are gone: what a stop in the middle of sealing or removing leaves. Nobody writes.
    fn sweep_sidecars(&self) -> Result<()> {
        let names: HashSet<String> = self.disk.list(&self.folders.packs)?.into_iter().collect();
        for name in &names {
            let stem = name.strip_suffix(SIDECAR_SUFFIX).and_then(|stem| stem.strip_suffix('.'));
            if stem.is_some_and(|stem| !names.contains(&format!("{stem}.{PACK_SUFFIX}"))) {
                self.disk.remove_file(&self.folders.packs.join(name))?;
            }
        }
        Ok(())
    }
}

/// Whether every object in the packs that were sealed since finds its bases in what is kept.
fn stands_without(packs: &Packs, new: &PackId, superseded: impl Fn(&Pack) -> bool + Sync) -> Result<bool> {
    let kept = Kept { packs, superseded: &superseded };
    for pack in packs.iter().filter(|pack| pack.id != *new && !superseded(pack)) {
        for row in 0..pack.directory.len() {
            match Chain::resolve(&kept, Object::sealed(pack, row)?) {
                Ok(_) => {}
                Err(error) if error.is_corruption() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}

/// The packs that are there once others are removed.
struct Kept<'a, F> {
    packs: &'a Packs,
    superseded: &'a F,
}

impl<F: Fn(&Pack) -> bool + Sync> Objects for Kept<'_, F> {
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let wanted =
            |entry: &Entry| entry.kind == Kind::Content && below.is_none_or(|below| entry.depth < below);
        self.packs.find_among(key, wanted, |pack| !(self.superseded)(pack))
    }
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<()> {
    if disk.stat(path)?.is_some() {
        disk.remove_file(path)?;
    }
    Ok(())
}
