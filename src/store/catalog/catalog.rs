//! The catalog: where objects are, as one process knows it.
//!
//! A set of packs that is looked for on the disk without holding up who looks into it, an index over most of it, and
//! the signatures of what lies in it. Decodes nothing.

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::disk::Disk;
use crate::id::ObjectKey;
use crate::similarity::{Bucket, Candidate, Neighbour, Signature};
use crate::store::error::{Result, StoreError};
use crate::store::object::Kind;
use crate::store::pack::{Entry, Object};
use crate::tensor::Dtype;

use super::current::{Clock, Current};
use super::index::{Index, IndexState};
use super::lookup::Lookup;
use super::resident::{Resident, bucket_of, cast_buckets};

pub struct Catalog {
    current: Current,
    /// Only looked up in and swapped under the lock.
    index: RwLock<Option<Arc<Index>>>,
    /// Held by who opens, fills or closes the index, and nobody else holds the index for longer than a look-up.
    upkeep: Mutex<()>,
    resident: Mutex<Resident>,
    lookups: AtomicU64,
}

impl Deref for Catalog {
    type Target = Current;

    fn deref(&self) -> &Current {
        &self.current
    }
}

impl Catalog {
    /// Learns which packs there are in the store in `root`. Anchors may take so many bytes. The clock goes on, whatever it says.
    pub fn open(disk: Arc<dyn Disk>, root: &Path, anchor_bytes: usize, clock: Clock) -> Result<Self> {
        Ok(Self {
            current: Current::open(disk, root, clock)?,
            index: RwLock::new(None),
            upkeep: Mutex::default(),
            resident: Mutex::new(Resident::new(anchor_bytes)),
            lookups: AtomicU64::new(0),
        })
    }

    /// The sealed tensors nearest to a signature.
    pub fn nearest(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<ObjectKey>> {
        let packs = self.packs();
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).nearest(&packs, bucket, signature, count)
    }

    /// Whether any sealed content has anchors.
    pub fn has_anchors(&self) -> bool {
        let packs = self.packs();
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).has_anchors(&packs)
    }

    /// The sealed content that has the windows of some candidates: appends for each the number of the candidate, the object, and
    /// where in it the window begins. Nothing of it is sure.
    pub fn anchored(&self, candidates: &[Candidate], found: &mut Vec<(usize, ObjectKey, u64)>) {
        let packs = self.packs();
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).anchored(&packs, candidates, found);
    }

    /// The sealed tensors of a type and a length in bytes, or of as many elements of another float type, that are
    /// nearest to a signature, the nearest first.
    pub fn similar(
        &self,
        dtype: Dtype,
        len: u64,
        signature: &Signature,
        count: usize,
    ) -> Vec<Neighbour<ObjectKey>> {
        let buckets = std::iter::once(bucket_of(dtype, len)).chain(cast_buckets(dtype, len));
        let mut near: Vec<_> = buckets.flat_map(|bucket| self.nearest(bucket, signature, count)).collect();
        near.sort_by_key(|neighbour| neighbour.distance);
        near.truncate(count);
        near
    }

    /// How often an object was looked for.
    pub fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::Relaxed)
    }

    /// A sealed object, without looking for new packs. A damaged index can make it miss one.
    pub fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let wanted = |entry: &Entry| entry.kind == kind && below.is_none_or(|below| entry.depth < below);
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let packs = self.packs();
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = index.as_ref() else { return packs.find(key, wanted) };
        match index.find(key).and_then(|(pack, row)| packs.object_at(&pack, row, key)) {
            Some(object) if wanted(&object.entry) => Ok(Some(object)),
            // There may be another copy.
            Some(_) => packs.find(key, wanted),
            None => packs.find_among(key, wanted, |pack| !index.covers(&pack.id)),
        }
    }

    /// Where an object is. A miss looks into every pack, and then for new packs, if there can be any.
    pub fn look_up(&self, key: &ObjectKey, kind: Option<Kind>) -> Result<Lookup> {
        if let Some(object) = self.find(kind.unwrap_or(Kind::Content), key, None)? {
            return Ok(Lookup::Here(object));
        }
        let wanted = |entry: &Entry| kind.is_none_or(|kind| entry.kind == kind);
        let before = self.packs();
        if let Some(object) = before.find(key, wanted)? {
            return Ok(Lookup::Here(object));
        }
        self.refresh_if_changed()?;
        let packs = self.packs();
        let found = if Arc::ptr_eq(&before, &packs) { None } else { packs.find(key, wanted)? };
        match (found, packs.damaged(), packs.find_elsewhere(key, wanted)) {
            (Some(object), ..) => Ok(Lookup::Here(object)),
            (None, _, Some(path)) => Ok(Lookup::Elsewhere(path.to_owned())),
            // It may well be there.
            (None, [damage, ..], None) => Err(StoreError::Unreadable {
                key: *key,
                pack: damage.path.clone(),
                what: damage.what.clone(),
            }),
            (None, [], None) => Ok(Lookup::Absent),
        }
    }

    /// The object that is there.
    pub fn get(&self, key: &ObjectKey) -> Result<Object> {
        match self.look_up(key, None)? {
            Lookup::Here(object) => Ok(object),
            Lookup::Elsewhere(pack) => Err(StoreError::Elsewhere { key: *key, pack }),
            Lookup::Absent => Err(StoreError::NotFound { key: *key }),
        }
    }

    /// The object of a kind that is there.
    pub fn get_kind(&self, kind: Kind, key: &ObjectKey) -> Result<Object> {
        match self.look_up(key, Some(kind))? {
            Lookup::Here(object) => Ok(object),
            Lookup::Elsewhere(pack) => Err(StoreError::Elsewhere { key: *key, pack }),
            Lookup::Absent => match self.packs().find(key, |_| true) {
                Ok(Some(other)) => {
                    Err(StoreError::WrongKind { key: *key, expected: kind, found: other.entry.kind })
                }
                _ => Err(StoreError::NotFound { key: *key }),
            },
        }
    }

    /// Opens the index, or builds it, and brings it up to date.
    pub fn attach_index(&self) -> Result<IndexState> {
        self.refresh()?;
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap_index(None);
        let (index, state) = Index::attach(&self.disk, &self.folders.index, &self.packs())?;
        self.swap_index(index);
        Ok(state)
    }

    /// Takes packs sealed since into the index and makes it durable.
    pub fn update_index(&self) -> Result<()> {
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        let result = index.map_or(Ok(()), |index| index.absorb(&self.packs()));
        if result.is_err() {
            self.swap_index(None);
        }
        result
    }

    /// Closes the index; whether there was one.
    pub fn detach_index(&self) -> bool {
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap_index(None)
    }

    /// Puts an index in place of the one that is there, which is closed, if there is one.
    fn swap_index(&self, index: Option<Index>) -> bool {
        let index = index.map(Arc::new);
        let mut slot = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *slot, index);
        drop(slot);
        before.is_some()
    }
}
