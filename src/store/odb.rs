//! The object database as others see it: opening, reading, beginning to write.

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::Level;
use crate::disk::{Disk, Patience};
use crate::id::ObjectKey;
use crate::threads::Threads;

use super::durable::{Durable, ObjectName};
use super::error::{Result, StoreError};
use super::index::IndexState;
use super::ingest::Ingest;
use super::inner::{Folders, Inner, Options};
use super::key::metadata_key;
use super::kind::{Kind, METADATA_MAX};
use super::object::{Object, ObjectInfo};
use super::open_pack::OpenPack;
use super::pack::{PACK_SUFFIX, Pack};
use super::packs::{Damage, DamageCause};
use super::sidecar::Entry;
use super::sweep::{Swept, sweep};

/// All objects of one repository. Reading takes no lock and needs no permission to write. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

/// Bytes of an object that are decoded at once when all of it is wanted in memory.
const READ_LEN: u64 = 16 << 20;

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sealed packs.
    pub packs: usize,
    /// Objects, copies of one object in several packs counted each.
    pub objects: usize,
    /// Of these, differences to a base.
    pub deltas: usize,
    /// Bytes of all objects.
    pub len: u64,
    /// Bytes that they take in packs.
    pub stored_len: u64,
    /// Bytes of all packs and sidecars.
    pub disk_len: u64,
    /// Packs that cannot be used.
    pub damaged: Vec<Damage>,
}

impl Stats {
    fn count(&mut self, pack: &Arc<Pack>, row: usize) -> Result<()> {
        let info = Object::sealed(pack, row)?.info()?;
        self.deltas += usize::from(info.base.is_some());
        self.len += info.len;
        self.stored_len += info.stored_len;
        Ok(())
    }
}

impl Store {
    /// Makes the folders of a new store in `root`, which exists.
    ///
    /// # Errors
    /// If the disk fails. What exists already is left alone.
    pub fn create(disk: &dyn Disk, root: &Path) -> Result<()> {
        let folders = Folders::below(root);
        for folder in [&folders.open, &folders.quarantine] {
            disk.create_dir_all(folder)?;
        }
        disk.sync_dir(&folders.packs)?;
        Ok(disk.sync_dir(root)?)
    }

    /// Opens the store in `root`.
    ///
    /// # Errors
    /// If the disk fails or there is no store. Damaged packs are no error: see [`Stats::damaged`].
    pub fn open(disk: Arc<dyn Disk>, root: &Path, options: Options) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner::open(disk, root, options)?) })
    }

    /// The threads that work for this store, for the work of those above it too.
    pub fn threads(&self) -> &Threads {
        &self.inner.threads
    }

    /// Notices packs that others sealed or removed. A look-up that finds nothing does it by itself.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn refresh(&self) -> Result<()> {
        self.inner.refresh()
    }

    /// What is known of an object without decoding it; `None` if it is not in the store.
    ///
    /// # Errors
    /// If the disk fails or the entry is damaged.
    pub fn info(&self, key: ObjectKey) -> Result<Option<ObjectInfo>> {
        self.inner.find_or_refresh(&key, None)?.map(|object| object.info()).transpose()
    }

    /// Fills `buf` from byte `offset` of an object. Decodes the frames that the range touches and no others.
    ///
    /// # Errors
    /// Never gives wrong bytes: [`StoreError::Corrupt`] if what is stored does not add up.
    pub fn read_at(&self, key: ObjectKey, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.again_if_gone(|| {
            let object = self.find(&key)?;
            self.any_copy(object, |object| self.inner.read_object(object, offset, buf))
        })
    }

    /// All bytes of an object.
    ///
    /// # Errors
    /// As [`Store::read_at`].
    pub fn read(&self, key: ObjectKey) -> Result<Vec<u8>> {
        self.again_if_gone(|| self.any_copy(self.find(&key)?, |object| self.read_whole(object)))
    }

    /// All bytes of the recipe, tree or commit whose BLAKE3 is `id`.
    ///
    /// # Errors
    /// As [`Store::read_at`]; also if the bytes do not hash to `id`.
    pub fn read_meta(&self, kind: Kind, id: &[u8; 32]) -> Result<Vec<u8>> {
        let key = metadata_key(id);
        self.again_if_gone(|| {
            self.any_copy(self.find_kind(kind, &key)?, |object| {
                let bytes = self.read_whole(object.clone())?;
                match blake3::hash(&bytes) == *id {
                    true => Ok(bytes),
                    false => Err(object.corrupt("it does not hash to its id")),
                }
            })
        })
    }

    /// Reads, and reads again after looking for new packs if a pack was removed meanwhile: its objects are in another.
    fn again_if_gone<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        match read() {
            Err(StoreError::Disk(error)) if error.source.kind() == ErrorKind::NotFound => {
                self.refresh()?;
                read()
            }
            result => result,
        }
    }

    /// Reads an object, or another copy of it where this one is damaged or cannot be read.
    fn any_copy<T>(&self, object: Object, mut read: impl FnMut(Object) -> Result<T>) -> Result<T> {
        let trouble = match read(object.clone()) {
            Err(error) if error.is_of_one_copy() => error,
            result => return result,
        };
        let packs = self.inner.packs();
        let mut others = packs.copies(&object.entry).filter(|copy| !copy.lies_with(&object));
        others.find_map(|copy| read(copy).ok()).ok_or(trouble)
    }

    fn find_kind(&self, kind: Kind, key: &ObjectKey) -> Result<Object> {
        let found = self.inner.find_or_refresh(key, Some(kind))?;
        found.ok_or_else(|| self.absent_or_other(key, kind))
    }

    /// All bytes of the object of one kind under a key.
    pub(super) fn read_kind(&self, kind: Kind, key: &ObjectKey) -> Result<Vec<u8>> {
        self.again_if_gone(|| self.read_whole(self.find_kind(kind, key)?))
    }

    fn absent_or_other(&self, key: &ObjectKey, expected: Kind) -> StoreError {
        match self.inner.packs().find(key, |_| true) {
            Ok(Some(other)) => StoreError::WrongKind { key: *key, expected, found: other.entry.kind },
            _ => StoreError::NotFound { key: *key },
        }
    }

    fn find(&self, key: &ObjectKey) -> Result<Object> {
        self.inner.find_or_refresh(key, None)?.ok_or(StoreError::NotFound { key: *key })
    }

    fn read_whole(&self, object: Object) -> Result<Vec<u8>> {
        let Entry { key, kind, len, .. } = object.entry;
        if kind != Kind::Content && len > METADATA_MAX {
            return Err(StoreError::TooLong { key, len });
        }
        // Sixteen bytes of a directory can stand for a frame: memory is taken for what was decoded, not for what was
        // promised.
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let start = bytes.len();
            let part = (len - start as u64).min(READ_LEN) as usize;
            bytes.try_reserve(part).map_err(|_| StoreError::TooLong { key, len })?;
            bytes.resize(start + part, 0);
            self.inner.read_object(object.clone(), start as u64, &mut bytes[start..])?;
        }
        Ok(bytes)
    }

    /// Begins a write transaction. Any number of them, in any processes, may run at once.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is too little room to begin.
    pub fn begin(&self) -> Result<Ingest> {
        self.begin_at(self.inner.options.level)
    }

    /// Like [`Store::begin`], with another level for what this transaction codes. What is stored already stays as it
    /// is.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub fn begin_at(&self, level: Level) -> Result<Ingest> {
        let inner = &self.inner;
        inner.check_room()?;
        let writing = inner.lock_writers(false)?;
        sweep(&*inner.disk, &inner.folders.open)?;
        // What others stored meanwhile need not be stored again.
        inner.refresh()?;
        let (path, lock) = self.reserve_name()?;
        match inner.disk.open(&path, true) {
            Ok(file) => Ok(Ingest::new(Arc::clone(inner), OpenPack::new(path, file), level, (lock, writing))),
            Err(error) => {
                // What went wrong is told; an empty file that stays is swept by the next writer.
                let _ = inner.disk.remove_file(&path);
                Err(error.into())
            }
        }
    }

    /// A new locked file for an open pack.
    fn reserve_name(&self) -> Result<(PathBuf, Box<dyn Send + Sync>)> {
        loop {
            // The keys of the standard library's hash maps come from the system's random numbers.
            let name = format!("{:016x}.{PACK_SUFFIX}", RandomState::new().hash_one(0));
            let path = self.inner.folders.open.join(name);
            if self.inner.disk.stat(&path)?.is_some() {
                continue;
            }
            match self.inner.disk.lock(&path, true, Patience::Try) {
                Ok(Some(lock)) => return Ok((path, lock)),
                Ok(None) => {}
                Err(error) => {
                    let _ = self.inner.disk.remove_file(&path);
                    return Err(error.into());
                }
            }
        }
    }

    /// The proof that an object lies in a sealed pack.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it does not; or if the disk fails.
    pub fn durable<T: ObjectName>(&self, name: T) -> Result<Durable<T>> {
        self.find(&name.object_key())?;
        self.inner.sync_names()?;
        Ok(Durable::vouched(name))
    }

    /// What the store holds, counted from the directories of its packs; what is damaged is named, and counted as far
    /// as it goes.
    ///
    /// # Errors
    /// None at present.
    pub fn stats(&self) -> Result<Stats> {
        let packs = self.inner.packs();
        let (damaged, disk_len) = (packs.damaged().to_vec(), packs.disk_len());
        let mut stats = Stats { damaged, disk_len, ..Stats::default() };
        for pack in packs.iter() {
            let directory = &pack.directory;
            stats.packs += 1;
            stats.objects += directory.len();
            let damaged = (0..directory.len()).filter_map(|row| stats.count(pack, row).err()).last();
            stats.damaged.extend(damaged.map(|error| Damage {
                path: pack.path.clone(),
                what: error.to_string(),
                cause: DamageCause::Malformed,
            }));
        }
        Ok(stats)
    }

    /// Opens the resident index, which makes look-ups independent of the number of packs, and brings it up to date.
    /// One process at a time can have it: the mount daemon. An index that is in any doubt is deleted and built anew
    /// (some 100,000 objects a second).
    ///
    /// # Errors
    /// If the disk fails or the index cannot be built; the store works without it.
    pub fn attach_index(&self) -> Result<IndexState> {
        self.inner.attach_index()
    }

    /// Takes packs sealed since into the index and makes it durable. For idle moments: look-ups find these packs
    /// without it, and whatever it has not heard of when the process ends is replayed when it is attached.
    ///
    /// # Errors
    /// If the index fails: it is then detached, and the store works without it.
    pub fn update_index(&self) -> Result<()> {
        self.inner.update_index()
    }

    /// Removes unfinished packs whose writers are gone. Beginning to write does it too.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sweep(&self) -> Result<Swept> {
        sweep(&*self.inner.disk, &self.inner.folders.open)
    }
}
