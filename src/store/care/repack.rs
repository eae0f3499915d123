//! Writing the store anew: one pack instead of many, one copy of each object, short chains where that is wanted.
//!
//! Nothing is lost at any moment. Every object is in the new pack, durable and checked by decoding it, before the first
//! old pack is removed; writers, who may be counting on what they found, are waited for; and what they stored meanwhile
//! has to find its bases in what is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::codec::Level;
use crate::id::{ObjectKey, PackId};
use crate::store::catalog::{Catalog, Damage, Packs};
use crate::store::error::{Result, StoreError};
use crate::store::object::{Kind, Marks, Treatment};
use crate::store::options::Options;
use crate::store::pack::{Entry, Object, Pack, Through};
use crate::store::read::{Chain, Decoder, Stored, WholeCopies, same_bytes};
use crate::store::write::{Ingest, Writer};
use crate::task::{Task, Unit};

use super::recode::{Recoding, check_alone, recode};
use super::stands_without::stands_without;
use super::sweep::{remove_packs, sweep};
use super::verify::check_bytes;

/// How to write a store anew.
#[derive(Debug, Clone)]
pub struct Repack {
    /// Objects that are read often.
    pub served: HashSet<ObjectKey>,
    /// Bases that have to be decoded before a served object, at most.
    pub served_depth: u8,
    /// Code every object anew at this level; those that are shallow enough are copied as they are if nothing is said.
    pub level: Option<Level>,
    /// Of which objects something is said, stronger than `level`. One that is to stand for itself does afterwards.
    pub treatments: HashMap<ObjectKey, Treatment>,
}

impl Repack {
    fn treatment(&self, key: &ObjectKey) -> Treatment {
        self.treatments.get(key).copied().unwrap_or_default()
    }
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

/// See [`Store::repack`](super::super::Store::repack).
pub fn repack(decoder: &Arc<Decoder>, options: &Options, request: &Repack, task: &Task) -> Result<Repacked> {
    let (disk, folders) = (&*decoder.catalog.disk, &decoder.catalog.folders);
    let Some(_lock) = folders.try_lock_repack(disk)? else {
        return Err(StoreError::Busy { path: folders.packs.clone() });
    };
    sweep(disk, &folders.open)?;
    decoder.catalog.refresh()?;
    let old = decoder.catalog.packs();
    let mut repacked = Repacked { disk_len_before: old.disk_len(), ..Repacked::default() };
    let copies = shallowest(decoder, &old, task)?;
    if !is_worthwhile(&old, &copies, request) {
        return Ok(Repacked { disk_len: repacked.disk_len_before, ..repacked });
    }
    repacked.objects = copies.len();
    // Where everything is coded anew, what others are to be differences to comes before them.
    let copies = if request.level.is_some() { bases_first(copies, request) } else { copies };
    let level = request.level.unwrap_or(options.level);
    let ingest = Ingest::begin(decoder, Options { level, ..options.clone() })?;
    let mut marks = marks(&old);
    let written =
        task.begin("writing", Unit::Bytes, Some(copies.iter().map(|object| object.entry.len).sum()));
    for object in &copies {
        task.check()?;
        let marks = match object.entry.kind {
            Kind::Content => marks.remove(&object.entry.key).unwrap_or_default(),
            Kind::Recipe | Kind::Tree | Kind::Commit | Kind::Formula => Marks::default(),
        };
        let signature = marks.signature;
        match depth_limit(&ingest.writer, request, object)? {
            Some(limit) => {
                let how =
                    Recoding { max_depth: limit, signature, treatment: request.treatment(&object.entry.key) };
                WholeCopies::of(&decoder.catalog).read_on(object, |objects| {
                    let chain = Chain::resolve(objects, object.clone())?;
                    let recoded = recode(&ingest.writer, &Stored { decoder, chain }, &how, task);
                    recoded.map_err(StoreError::of_object_source)
                })?;
                repacked.recoded += 1;
            }
            None => ingest.writer.copy(object, ingest.writer.depth_of_copy(object)?, marks)?,
        }
        written.advance(object.entry.len);
    }
    // Before anybody sees it: from then on its copies are the ones that are found.
    drop(written);
    check_alone(&ingest.writer, task)?;
    let Some(new) = ingest.seal()?.pack else { return Ok(repacked) };
    repacked.removed = retire(&decoder.catalog, &old, &new)?;
    repacked.disk_len = decoder.catalog.packs().disk_len();
    Ok(repacked)
}

/// How deep an object is to be at most that is coded anew; `None` if it is copied as it is.
fn depth_limit(writer: &Writer, request: &Repack, object: &Object) -> Result<Option<u8>> {
    let is_served = request.served.contains(&object.entry.key);
    let anew = request.level.is_some()
        || object.entry.is_attached()
        || is_served && writer.depth_of_copy(object)? > request.served_depth
        || request.treatment(&object.entry.key).no_delta && object.entry.depth > 0;
    let limit = if is_served { request.served_depth } else { writer.options.max_depth };
    Ok((object.entry.kind == Kind::Content && anew).then_some(limit))
}

/// One copy of every object, each after its bases: the least deep one, of these the smallest.
fn shallowest(decoder: &Decoder, packs: &Packs, task: &Task) -> Result<Vec<Object>> {
    let mut copies: HashMap<(ObjectKey, Kind), Vec<Object>> = HashMap::new();
    for pack in packs.iter() {
        for row in 0..pack.directory.len() {
            let object = Object::sealed(pack, row)?;
            copies.entry((object.entry.key, object.entry.kind)).or_default().push(object);
        }
    }
    let best = |copies| {
        task.check()?;
        best(decoder, copies)
    };
    let mut copies: Vec<Object> = decoder.threads.try_map(copies.into_values(), best)?;
    copies.sort_by_key(|object| (object.entry.depth, object.entry.kind.code(), object.entry.key));
    Ok(copies)
}

/// The same objects, of which contents come behind what they are said to derive from, else behind their bases. Where that is a
/// circle it begins with the one that was met last.
fn bases_first(copies: Vec<Object>, request: &Repack) -> Vec<Object> {
    if request.treatments.values().all(|treatment| treatment.base.is_none()) {
        return copies;
    }
    let contents = copies.iter().enumerate().filter(|(_, object)| object.entry.kind == Kind::Content);
    let places: HashMap<ObjectKey, usize> = contents.map(|(at, object)| (object.entry.key, at)).collect();
    let before = |at: usize| {
        let Entry { key, kind, base, .. } = copies[at].entry;
        // What is computed comes behind all that it is computed of, and no sooner.
        let may_come = |base: &ObjectKey| {
            places.get(base).is_some_and(|at| copies[*at].entry.through != Some(Through::Formula))
        };
        let base = request.treatment(&key).base.filter(may_come).or(base);
        base.filter(|_| kind == Kind::Content).and_then(|base| places.get(&base).copied())
    };
    let mut is_met = vec![false; copies.len()];
    let mut order = Vec::with_capacity(copies.len());
    for at in 0..copies.len() {
        let mut line = Vec::new();
        let mut next = Some(at);
        while let Some(at) = next.filter(|at| !is_met[*at]) {
            is_met[at] = true;
            line.push(at);
            next = before(at);
        }
        order.extend(line.into_iter().rev());
    }
    order.into_iter().map(|at| copies[at].clone()).collect()
}

/// The copy of an object to keep, of at least one. All of them have the same bytes, or nothing is kept of any; one that
/// is damaged is no copy if another is whole.
fn best(decoder: &Decoder, mut copies: Vec<Object>) -> Result<Object> {
    let mut objects = WholeCopies::of(&decoder.catalog);
    let rank = |object: &Object| (object.entry.depth, object.stored_len().unwrap_or(u64::MAX));
    copies.sort_by_key(rank);
    let mut whole: Option<Object> = None;
    for copy in copies.iter().filter(|_| copies.len() > 1) {
        let result = match &whole {
            None => objects.read_on(copy, |objects| {
                check_bytes(decoder, &Chain::resolve(objects, copy.clone())?).map(|_| true)
            }),
            Some(whole) => {
                objects.read_on(copy, |objects| same_bytes(decoder, (objects, whole), (objects, copy)))
            }
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
        let is_served_deep = depth > request.served_depth && request.served.contains(&key);
        kind == Kind::Content && (is_served_deep || depth > 0 && request.treatment(&key).no_delta)
    };
    packs.iter().count() > 1 || !copies.is_empty() && request.level.is_some() || copies.iter().any(is_deep)
}

/// What contents are found by.
fn marks(packs: &Packs) -> HashMap<ObjectKey, Marks> {
    let rows = |pack: &Arc<Pack>| {
        let directory = &pack.directory;
        directory.marks().into_iter().map(|(row, marks)| (directory.key(row), marks)).collect::<Vec<_>>()
    };
    packs.iter().flat_map(rows).collect()
}

/// Removes the `old` packs, all of whose objects are in the `new` one, once nobody is writing. They stay if somebody has
/// stored a difference meanwhile that needs them.
fn retire(catalog: &Catalog, old: &Packs, new: &PackId) -> Result<usize> {
    let disk = &*catalog.disk;
    let _nobody_writes = catalog.folders.lock_writers(disk, true)?;
    catalog.refresh()?;
    if !catalog.packs().contains(new) {
        return Ok(0);
    }
    let superseded = |pack: &Pack| pack.id != *new && old.contains(&pack.id);
    let packs = catalog.packs();
    // Of what cannot be read just now nobody knows what it needs.
    let is_new = |damage: &Damage| !old.damaged().iter().any(|known| known.path == damage.path);
    if packs.damaged().iter().any(is_new) || !stands_without(&packs, superseded)? {
        return Ok(0);
    }
    let removed: Vec<&Arc<Pack>> = old.iter().filter(|pack| superseded(pack)).collect();
    remove_packs(disk, &catalog.folders.packs, &removed)?;
    catalog.refresh()?;
    Ok(removed.len())
}
