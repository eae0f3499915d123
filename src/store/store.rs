//! The store as others see it: opening, reading, beginning to write, keeping it well.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::codec::Level;
use crate::disk::Disk;
use crate::id::ObjectKey;
use crate::similarity::{Neighbour, Signature};
use crate::task::Task;
use crate::tensor::Dtype;
use crate::threads::Threads;

use super::care::{self, CodedFiles, Rebuilt, Repack, Repacked, Report, Swept, Wanted, sweep};
use super::catalog::{Catalog, IndexState, Lookup, Stats, sign};
use super::durable::{Durable, ObjectName};
use super::error::Result;
use super::layout::Folders;
use super::object::{Kind, ObjectInfo, Source};
use super::options::Options;
use super::read::{Buffers, Cache, Decoder, Memory, ObjectReader};
use super::write::Ingest;

/// All objects of one repository. Reading takes no lock and needs no permission to write. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(super) decoder: Arc<Decoder>,
    options: Options,
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
        let decoder = Decoder {
            catalog: Catalog::open(disk, root, options.anchor_bytes / 2, Box::new(Instant::now))?,
            memory: Memory { cache: Cache::new(options.cache_bytes), buffers: Buffers::default() },
            threads: Threads::new(options.threads),
        };
        Ok(Self { decoder: Arc::new(decoder), options })
    }

    /// The threads that work for this store, for the work of those above it too.
    pub fn threads(&self) -> &Threads {
        &self.decoder.threads
    }

    /// Notices packs that others sealed or removed. A look-up that finds nothing does it by itself.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn refresh(&self) -> Result<()> {
        self.decoder.catalog.refresh()
    }

    /// What is known of an object without decoding it; `None` if it is not in the store.
    ///
    /// # Errors
    /// If the disk fails or the entry is damaged.
    pub fn info(&self, key: ObjectKey) -> Result<Option<ObjectInfo>> {
        match self.decoder.catalog.look_up(&key, None)? {
            Lookup::Here(object) => object.info().map(Some),
            Lookup::Elsewhere(_) | Lookup::Absent => Ok(None),
        }
    }

    /// An object that is looked up now and read as often as one likes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) if it is not in the store; or if it is damaged.
    pub fn reader(&self, key: ObjectKey) -> Result<ObjectReader> {
        ObjectReader::open(&self.decoder, key)
    }

    /// How often an object was looked for since the store was opened, bases counted each.
    pub fn lookups(&self) -> u64 {
        self.decoder.catalog.lookups()
    }

    /// Fills `buf` with all bytes of an object.
    ///
    /// # Errors
    /// Never gives wrong bytes: [`StoreError::Corrupt`](super::StoreError::Corrupt) if what is stored does not add up, or it
    /// does not have so many.
    pub fn read_all(&self, key: ObjectKey, buf: &mut [u8]) -> Result<()> {
        self.decoder.read_all(key, buf)
    }

    /// All bytes of an object.
    ///
    /// # Errors
    /// As [`Store::read_all`].
    pub fn read(&self, key: ObjectKey) -> Result<Vec<u8>> {
        self.decoder.read(key)
    }

    /// All bytes of the recipe, tree or commit whose BLAKE3 is `id`.
    ///
    /// # Errors
    /// As [`Store::read_all`]; also if the bytes do not hash to `id`.
    pub fn read_meta(&self, kind: Kind, id: &[u8; 32]) -> Result<Vec<u8>> {
        self.decoder.read_meta(kind, id)
    }

    /// The ids of metadata of one kind that start with these lower-case hexadecimal digits, sorted.
    ///
    /// # Errors
    /// If the disk fails or a matching object is damaged.
    pub fn metadata_with_prefix(&self, kind: Kind, prefix: &str) -> Result<Vec<[u8; 32]>> {
        self.decoder.metadata_with_prefix(kind, prefix)
    }

    /// Begins a write transaction. Any number of them, in any processes, may run at once.
    ///
    /// # Errors
    /// [`StoreError::Full`](super::StoreError::Full) if there is too little room to begin.
    pub fn begin(&self) -> Result<Ingest> {
        self.begin_at(self.options.level)
    }

    /// Like [`Store::begin`], with another level for what this transaction codes. What is stored already stays as it
    /// is.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub fn begin_at(&self, level: Level) -> Result<Ingest> {
        self.sweep()?;
        Ingest::begin(&self.decoder, Options { level, ..self.options.clone() })
    }

    /// The proof that an object lies in a sealed pack.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) if it does not; or if the disk fails.
    pub fn durable<T: ObjectName>(&self, name: T) -> Result<Durable<T>> {
        self.decoder.catalog.get(&name.object_key())?;
        self.decoder.catalog.sync_names()?;
        Ok(Durable::vouched(name))
    }

    /// The signature of a tensor that need not be stored; `None` for types whose numbers have no direction, for tensors
    /// of fewer than 256 elements and for those that are all zero.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn signature_of(dtype: Dtype, source: &dyn Source) -> Result<Option<Signature>> {
        sign(dtype, source)
    }

    /// The stored tensors of a type and a length in bytes, or of as many elements of another float type, that are nearest
    /// to a signature, the nearest first. A tensor that is itself stored is its own nearest neighbour.
    ///
    /// # Errors
    /// If new packs cannot be looked for.
    pub fn similar(
        &self,
        dtype: Dtype,
        len: u64,
        signature: &Signature,
        count: usize,
    ) -> Result<Vec<Neighbour<ObjectKey>>> {
        self.refresh()?;
        Ok(self.decoder.catalog.similar(dtype, len, signature, count))
    }

    /// What the store holds, counted from the directories of its packs; what is damaged is named, and counted as far
    /// as it goes.
    ///
    /// # Errors
    /// None at present.
    pub fn stats(&self) -> Result<Stats> {
        Ok(self.decoder.catalog.packs().stats())
    }

    /// Opens the resident index, which makes look-ups independent of the number of packs, and brings it up to date.
    /// One process at a time can have it: the mount daemon. An index that is in any doubt is deleted and built anew
    /// (some 100,000 objects a second).
    ///
    /// # Errors
    /// If the disk fails or the index cannot be built; the store works without it.
    pub fn attach_index(&self) -> Result<IndexState> {
        self.decoder.catalog.attach_index()
    }

    /// Takes packs sealed since into the index and makes it durable. For idle moments: look-ups find these packs
    /// without it, and whatever it has not heard of when the process ends is replayed when it is attached.
    ///
    /// # Errors
    /// If the index fails: it is then detached, and the store works without it.
    pub fn update_index(&self) -> Result<()> {
        self.decoder.catalog.update_index()
    }

    /// Removes unfinished packs whose writers are gone. Beginning to write does it too.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sweep(&self) -> Result<Swept> {
        let catalog = &self.decoder.catalog;
        sweep(&*catalog.disk, &catalog.folders.open)
    }

    /// Writes all objects into one new pack and removes the packs that they were in. Needs as much room on the disk as
    /// the store takes, until it is done.
    ///
    /// # Errors
    /// [`StoreError::Busy`](super::StoreError::Busy) if another repack is running;
    /// [`StoreError::Corrupt`](super::StoreError::Corrupt) if an object is damaged,
    /// [`StoreError::Collision`](super::StoreError::Collision) if two with different bytes have one key. After any error
    /// every object is where it was.
    pub fn repack(&self, request: &Repack, task: &Task) -> Result<Repacked> {
        care::repack(&self.decoder, &self.options, request, task)
    }

    /// Codes what was stored as it is, in files that are attached to packs: see [`Ingest::put_in_place`]. Whoever reads
    /// meanwhile goes on.
    ///
    /// # Errors
    /// [`StoreError::Busy`](super::StoreError::Busy) if somebody does this already, or a repack is running. After any error
    /// every object is where it was.
    pub fn code_attached(&self, task: &Task) -> Result<CodedFiles> {
        care::code_attached(&self.decoder, &self.options, task)
    }

    /// Bytes of files that wait for [`Store::code_attached`], as far as this process knows.
    pub fn attached_len(&self) -> u64 {
        self.decoder.catalog.packs().iter().flat_map(|pack| pack.directory.attached()).sum()
    }

    /// Writes every sidecar anew from its pack, moves packs whose bytes are not those of a pack into quarantine, and
    /// deletes the index; one that was attached is built anew. Gives the same answers afterwards as before. A pack that
    /// merely cannot be read stays where it is. Waits until nobody writes, and holds off those who want to.
    ///
    /// # Errors
    /// If the disk fails, or somebody goes on writing for too long.
    pub fn rebuild(&self, task: &Task) -> Result<Rebuilt> {
        care::rebuild(&self.decoder.catalog, task)
    }

    /// Checks every pack against its sidecar and every object's entry and bases. Those that are
    /// `decoded` are read whole too, each copy of them on whole copies of what it stands on, and their bytes compared with their
    /// keys.
    ///
    /// # Errors
    /// If packs cannot be looked for, or the task is stopped; what is damaged or unreadable is reported, not an error.
    pub fn verify(&self, decoded: &Wanted<'_>, task: &Task) -> Result<Report> {
        care::verify(&self.decoder, decoded, task)
    }
}

#[cfg(test)]
impl Store {
    /// How many locks reading took so far.
    pub(super) fn locks(&self) -> u64 {
        self.decoder.memory.locks()
    }
}
