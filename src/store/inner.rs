//! What an open store and its transactions share: the packs, the cache, the threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::codec::{DeltaType, FRAME_LEN, Level};
use crate::disk::{Disk, Patience};
use crate::id::ObjectKey;
use crate::similarity::{Bucket, Neighbour, Signature};
use crate::threads::Threads;

use super::buffers::Buffers;
use super::cache::{Cache, Memory};
use super::error::{Result, StoreError};
use super::handles::Handles;
use super::index::{Index, IndexState};
use super::kind::Kind;
use super::object::Object;
use super::pack::{Pack, sidecar_path};
use super::packs::{Packs, Scanned};
use super::resolve::{Chain, FrameReader, Objects, check_range, pieces};
use super::sidecar::{Entry, frame_count, frame_len};
use super::similar::Resident;
use super::source::Source;

/// How a store works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of decoded frames that are kept for later reads.
    pub cache_bytes: usize,
    /// How much time coding may take, unless a transaction says otherwise.
    pub level: Level,
    /// How differences are coded.
    pub delta_type: DeltaType,
    /// No object is stored as a difference to one that is itself this many bases deep.
    pub max_depth: u8,
    /// Threads that hash, code, decode and compare, with the one that asks for it; 0 for as many as the machine runs at
    /// once.
    pub threads: usize,
    /// Writing stops while fewer bytes than this are left on the disk, so that the rest of the system still works.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            level: Level::Default,
            delta_type: DeltaType::default(),
            max_depth: 8,
            threads: 0,
            reserve_bytes: 16 << 20,
        }
    }
}

/// The folders of a store.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) packs: PathBuf,
    pub(super) open: PathBuf,
    pub(super) quarantine: PathBuf,
    pub(super) index: PathBuf,
}

impl Folders {
    pub(super) fn below(root: &Path) -> Self {
        let packs = root.join("packs");
        Self {
            open: packs.join("open"),
            packs,
            quarantine: root.join("quarantine"),
            index: root.join("index"),
        }
    }
}

pub(super) struct Inner {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folders: Folders,
    pub(super) options: Options,
    pub(super) handles: Arc<Handles>,
    pub(super) memory: Memory,
    /// Only looked at and swapped under the lock.
    packs: RwLock<Arc<Packs>>,
    /// Held by who looks for packs on the disk.
    looking: Mutex<()>,
    /// Only looked up in and swapped under the lock.
    index: RwLock<Option<Arc<Index>>>,
    /// Held by who opens, fills or closes the index, and nobody else holds the index for longer than a look-up.
    upkeep: Mutex<()>,
    names: Names,
    pub(super) threads: Threads,
    resident: Mutex<Resident>,
}

/// Reads that touch fewer frames are not worth other threads.
const PARALLEL_FRAMES: usize = 3;

impl Inner {
    pub(super) fn open(disk: Arc<dyn Disk>, root: &Path, options: Options) -> Result<Self> {
        let handles = Arc::new(Handles::new(Arc::clone(&disk)));
        let folders = Folders::below(root);
        let Scanned { packs, without_sidecar } = Packs::default().rescan(&*disk, &folders, &handles)?;
        let inner = Self {
            memory: Memory { cache: Cache::new(options.cache_bytes), buffers: Buffers::default() },
            packs: RwLock::new(Arc::new(packs)),
            looking: Mutex::default(),
            index: RwLock::new(None),
            upkeep: Mutex::default(),
            names: Names::default(),
            threads: Threads::new(options.threads),
            resident: Mutex::default(),
            disk,
            folders,
            options,
            handles,
        };
        inner.write_sidecars(&without_sidecar);
        Ok(inner)
    }

    pub(super) fn packs(&self) -> Arc<Packs> {
        Arc::clone(&self.packs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sealed tensors nearest to a signature.
    pub(super) fn nearest(
        &self,
        bucket: Bucket,
        signature: &Signature,
        count: usize,
    ) -> Vec<Neighbour<ObjectKey>> {
        let packs = self.packs();
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).nearest(&packs, bucket, signature, count)
    }

    /// Notices packs that came or went.
    pub(super) fn refresh(&self) -> Result<()> {
        let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.packs();
        let Scanned { packs, without_sidecar } = before.rescan(&*self.disk, &self.folders, &self.handles)?;
        if packs.has_more_than(&before) {
            self.names.seen.fetch_add(1, Ordering::SeqCst);
        }
        {
            let mut current = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(packs.with_new(&before, &current));
        }
        drop(looking);
        let packs = self.packs();
        self.handles.retain(|id| packs.contains(id));
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
    pub(super) fn add(&self, pack: Pack) {
        let pack = Arc::new(pack);
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        *packs = Arc::new(packs.with(pack));
    }

    /// Makes the names of all known packs durable: others may have renamed theirs and not synced the folder yet. Who
    /// comes while somebody else does it waits for that, and does it again if packs were seen since.
    pub(super) fn sync_names(&self) -> Result<()> {
        let seen = self.names.seen.load(Ordering::SeqCst);
        let mut synced = self.names.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced != Some(seen) {
            self.disk.sync_dir(&self.folders.packs)?;
            *synced = Some(seen);
        }
        Ok(())
    }

    /// A sealed object, without looking for new packs. A damaged index can make it miss one.
    pub(super) fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let wanted = |entry: &Entry| entry.kind == kind && below.is_none_or(|below| entry.depth < below);
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
    pub(super) fn find_or_refresh(&self, key: &ObjectKey, kind: Option<Kind>) -> Result<Option<Object>> {
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

    /// See [`Store::attach_index`](super::Store::attach_index).
    pub(super) fn attach_index(&self) -> Result<IndexState> {
        self.refresh()?;
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap_index(None);
        let (index, state) = Index::attach(&self.disk, &self.folders.index, &self.packs())?;
        self.swap_index(index);
        Ok(state)
    }

    /// See [`Store::update_index`](super::Store::update_index).
    pub(super) fn update_index(&self) -> Result<()> {
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        let result = index.map_or(Ok(()), |index| index.absorb(&self.packs()));
        if result.is_err() {
            self.swap_index(None);
        }
        result
    }

    /// Closes the index; whether there was one.
    pub(super) fn detach_index(&self) -> bool {
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

    /// Fills `buf` from byte `offset` of an object.
    pub(super) fn read_object(&self, object: Object, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(&object, offset, buf.len() as u64)?;
        let chain = Chain::resolve(self, object)?;
        let pieces = pieces(offset, buf);
        let reader = || FrameReader::new(&chain, &self.memory);
        if pieces.len() < PARALLEL_FRAMES {
            let mut reader = reader();
            return pieces.into_iter().try_for_each(|piece| piece.fill(&mut reader));
        }
        self.threads.try_each(pieces.into_iter(), reader, |reader, piece| piece.fill(reader))
    }

    /// Whether the object has the bytes of `source`, which is as long.
    pub(super) fn equals(&self, chain: &Chain, source: &dyn Source) -> Result<bool> {
        let len = chain.object().entry.len;
        let reader = || (FrameReader::new(chain, &self.memory), Vec::new(), Vec::new());
        let compare = |(reader, stored, given): &mut (FrameReader<'_>, Vec<u8>, Vec<u8>), index: usize| {
            let index = index as u64;
            stored.resize(frame_len(len, index), 0);
            given.resize(stored.len(), 0);
            source.read_exact_at(given, index * FRAME_LEN as u64).map_err(StoreError::from)?;
            reader.read(index, stored)?;
            if stored == given { Ok(()) } else { Err(Unequal::Bytes) }
        };
        let mut frames = 0..frame_count(len) as usize;
        let result = if frames.len() < PARALLEL_FRAMES {
            let mut reader = reader();
            frames.try_for_each(|index| compare(&mut reader, index))
        } else {
            self.threads.try_each(frames, reader, compare)
        };
        match result {
            Ok(()) => Ok(true),
            Err(Unequal::Bytes) => Ok(false),
            Err(Unequal::Unknown(error)) => Err(error),
        }
    }

    /// Holds off whoever removes packs; `alone`: waits until no transaction is running, and holds off new ones.
    pub(super) fn lock_writers(&self, alone: bool) -> Result<Box<dyn Send + Sync>> {
        self.lock(&self.folders.packs.join("writers.lock"), alone)
    }

    /// Has the right to give a pack its name.
    pub(super) fn lock_names(&self) -> Result<Box<dyn Send + Sync>> {
        self.lock(&self.folders.packs.join("seal.lock"), true)
    }

    fn lock(&self, path: &Path, alone: bool) -> Result<Box<dyn Send + Sync>> {
        loop {
            if let Some(lock) = self.disk.lock(path, alone, Patience::LONG)? {
                return Ok(lock);
            }
        }
    }

    /// Fails if too little room is left to write.
    pub(super) fn check_room(&self) -> Result<()> {
        let path = &self.folders.packs;
        let available = self.disk.space(path)?.available;
        let reserve = self.options.reserve_bytes;
        match available < reserve {
            true => Err(StoreError::Full { path: path.clone(), available, reserve }),
            false => Ok(()),
        }
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

/// Why a comparison stopped.
enum Unequal {
    Bytes,
    Unknown(StoreError),
}

impl From<StoreError> for Unequal {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error)
    }
}

impl Objects for Inner {
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        self.find(Kind::Content, key, below)
    }
}
