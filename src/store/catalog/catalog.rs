//! The catalog: where objects are, as one process knows it.
//!
//! A set of packs that is looked for on the disk without holding up who looks into it, an index over most of it, and
//! the signatures of what lies in it. Decodes nothing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::disk::Disk;
use crate::id::ObjectKey;
use crate::similarity::{Bucket, Neighbour, Signature};
use crate::store::error::{Result, StoreError};
use crate::store::layout::Folders;
use crate::store::object::Kind;
use crate::store::pack::{Entry, Object, Pack, PackFiles, sidecar_path};
use crate::tensor::Dtype;

use super::index::{Index, IndexState};
use super::packs::{Packs, Scanned};
use super::resident::{Resident, bucket_of, cast_buckets};

pub struct Catalog {
    pub disk: Arc<dyn Disk>,
    pub folders: Folders,
    pub files: Arc<PackFiles>,
    /// Only looked at and swapped under the lock.
    packs: RwLock<Arc<Packs>>,
    /// Held by who looks for packs on the disk.
    looking: Mutex<()>,
    /// Only looked up in and swapped under the lock.
    index: RwLock<Option<Arc<Index>>>,
    /// Held by who opens, fills or closes the index, and nobody else holds the index for longer than a look-up.
    upkeep: Mutex<()>,
    names: Names,
    resident: Mutex<Resident>,
    lookups: AtomicU64,
}

impl Catalog {
    /// Learns which packs there are in the store in `root`.
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self> {
        let files = Arc::new(PackFiles::new(Arc::clone(&disk)));
        let folders = Folders::below(root);
        let Scanned { packs, without_sidecar } = Packs::default().rescan(&*disk, &folders, &files)?;
        let catalog = Self {
            packs: RwLock::new(Arc::new(packs)),
            looking: Mutex::default(),
            index: RwLock::new(None),
            upkeep: Mutex::default(),
            names: Names::default(),
            resident: Mutex::default(),
            lookups: AtomicU64::new(0),
            disk,
            folders,
            files,
        };
        catalog.write_sidecars(&without_sidecar);
        Ok(catalog)
    }

    pub fn packs(&self) -> Arc<Packs> {
        Arc::clone(&self.packs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sealed tensors nearest to a signature.
    pub fn nearest(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<ObjectKey>> {
        let packs = self.packs();
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).nearest(&packs, bucket, signature, count)
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

    /// Notices packs that came or went.
    pub fn refresh(&self) -> Result<()> {
        let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.packs();
        let Scanned { packs, without_sidecar } = before.rescan(&*self.disk, &self.folders, &self.files)?;
        if packs.has_more_than(&before) {
            self.names.seen.fetch_add(1, Ordering::SeqCst);
        }
        {
            let mut current = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(packs.with_new(&before, &current));
        }
        drop(looking);
        let packs = self.packs();
        self.files.retain(|id| packs.contains(id));
        self.write_sidecars(&without_sidecar);
        Ok(())
    }

    /// Writes the sidecars that are missing.
    fn write_sidecars(&self, of: &[Arc<Pack>]) {
        for pack in of {
            // Without it everything works; a disk that cannot be written stays as it is.
            let _ = self.disk.replace(&sidecar_path(&pack.path), pack.directory.as_bytes());
        }
    }

    /// Takes in a pack that this process sealed and made durable.
    pub fn add(&self, pack: Pack) {
        let pack = Arc::new(pack);
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        *packs = Arc::new(packs.with(pack));
    }

    /// Makes the names of all known packs durable: others may have renamed theirs and not synced the folder yet. Who
    /// comes while somebody else does it waits for that, and does it again if packs were seen since.
    pub fn sync_names(&self) -> Result<()> {
        let seen = self.names.seen.load(Ordering::SeqCst);
        let mut synced = self.names.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced != Some(seen) {
            self.disk.sync_dir(&self.folders.packs)?;
            *synced = Some(seen);
        }
        Ok(())
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

    /// A sealed object; a miss looks into every pack, and then for new packs, once.
    pub fn find_or_refresh(&self, key: &ObjectKey, kind: Option<Kind>) -> Result<Option<Object>> {
        if let Some(object) = self.find(kind.unwrap_or(Kind::Content), key, None)? {
            return Ok(Some(object));
        }
        let wanted = |entry: &Entry| kind.is_none_or(|kind| entry.kind == kind);
        if let Some(object) = self.packs().find(key, wanted)? {
            return Ok(Some(object));
        }
        self.refresh()?;
        let packs = self.packs();
        match (packs.find(key, wanted)?, packs.damaged()) {
            // It may well be there.
            (None, [damage, ..]) => Err(StoreError::Unreadable {
                key: *key,
                pack: damage.path.clone(),
                what: damage.what.clone(),
            }),
            (found, _) => Ok(found),
        }
    }

    /// The object that is there.
    pub fn get(&self, key: &ObjectKey) -> Result<Object> {
        self.find_or_refresh(key, None)?.ok_or(StoreError::NotFound { key: *key })
    }

    /// The object of a kind that is there.
    pub fn get_kind(&self, kind: Kind, key: &ObjectKey) -> Result<Object> {
        let found = self.find_or_refresh(key, Some(kind))?;
        found.ok_or_else(|| match self.packs().find(key, |_| true) {
            Ok(Some(other)) => StoreError::WrongKind { key: *key, expected: kind, found: other.entry.kind },
            _ => StoreError::NotFound { key: *key },
        })
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

/// Whether the names of packs are durable. Those that this process sealed are from the start.
#[derive(Default)]
struct Names {
    /// How often packs of others were noticed.
    seen: AtomicU64,
    /// What `seen` was when the folder was last synced.
    synced: Mutex<Option<u64>>,
}
