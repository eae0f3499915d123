//! The resident index: key -> pack and row, in sled, for one process at a time.
//!
//! It only ever saves time. What it says is checked against the directory of the pack that it names, what it does not
//! know is looked for in the packs it has not taken in, and on any doubt it is deleted and built anew.
//!
//! sled 0.34's flush does not sync its file: after a power cut all may be gone or damaged. So its file is synced here
//! after each flush, opening it may panic and is caught, and a watermark (version, number and hash of the packs taken
//! in, number of rows) is written in one batch with each pack and compared when it is opened.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::disk::{Disk, Patience};
use crate::id::{ObjectKey, PackId};
use crate::store::error::{Result, StoreError};
use crate::store::pack::Pack;

use super::covered::{Covered, PackRow, two_le, two_u32};
use super::packs::Packs;
use super::remove_all::remove_all;

/// What attaching the index found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It was complete.
    Clean,
    /// It had not heard of so many packs.
    Replayed {
        /// How many.
        packs: usize,
    },
    /// There was none, or it was in doubt.
    Built {
        /// What was found.
        why: String,
    },
    /// Another process has it, or the disk is not one that it can lie on. The store works without.
    Unavailable,
}

const WATERMARK: &[u8] = b"watermark";
const OBJECTS_TREE: &str = "objects";
const PACKS_TREE: &str = "packs";
/// sled's memory grows with the batch, not with its cache: 5,000 rows a batch took 932 MB, 500 took 79 MB.
const BATCH_ROWS: usize = 500;
const CACHE_BYTES: u64 = 32 << 20;
/// Rows that are looked up when an index is opened, spread over its packs.
const SAMPLES: usize = 64;

pub struct Index {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    db: Shielded<sled::Db>,
    /// Key -> number of the pack, row: two little-endian u32.
    objects: Shielded<sled::Tree>,
    /// Pack id -> number, rows: two little-endian u32; and the watermark.
    packs: Shielded<sled::Tree>,
    covered: RwLock<Covered>,
    /// Keeps other processes out; let go last.
    _lock: Box<dyn Send + Sync>,
}

/// Something of sled's. Its last one writes when it is dropped, and panics if the disk does not take it; what is in the
/// index can be built again.
struct Shielded<T>(ManuallyDrop<T>);

impl<T> Shielded<T> {
    fn new(inside: T) -> Self {
        Self(ManuallyDrop::new(inside))
    }
}

impl<T> Deref for Shielded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Shielded<T> {
    fn drop(&mut self) {
        // SAFETY: this is dropped once, and nothing uses what was inside afterwards.
        let inside = unsafe { ManuallyDrop::take(&mut self.0) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inside)));
    }
}

fn failed(error: impl ToString) -> StoreError {
    StoreError::Index(error.to_string())
}

/// Runs something of sled's, whose panics are errors like any other: it panics on files that are damaged.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("it panicked")),
    }
}

/// Opens a database. Our own lock is held, so nobody has it; but sled lets go of its file by a thread of its own, a
/// moment after a database was dropped.
fn open_soon(config: &sled::Config) -> Result<sled::Db> {
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match guarded(|| config.open()) {
            Err(StoreError::Index(why)) if why.contains("acquire lock") && waited < PATIENCE => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            other => return other,
        }
    }
}

impl Index {
    /// Opens the index in `folder`, or builds it, and takes in the packs that it does not know.
    pub fn attach(disk: &Arc<dyn Disk>, folder: &Path, packs: &Packs) -> Result<(Option<Self>, IndexState)> {
        if !disk.is_native() {
            return Ok((None, IndexState::Unavailable));
        }
        disk.create_dir_all(folder)?;
        let lock_path = folder.join("lock");
        let Some(lock) = disk.lock(&lock_path, true, Patience::Try)? else {
            return Ok((None, IndexState::Unavailable));
        };
        let database = folder.join("db");
        let existed = disk.stat(&database)?.is_some();
        let why = match Self::open(disk, &database, lock).and_then(|index| index.checked(packs)) {
            Ok(index) => {
                let is_missing = |pack: &&Arc<Pack>| !pack.has_attached() && !index.covers(&pack.id);
                let missing = packs.iter().filter(is_missing).count();
                index.absorb(packs)?;
                match (existed, missing) {
                    (true, 0) => return Ok((Some(index), IndexState::Clean)),
                    (true, packs) => return Ok((Some(index), IndexState::Replayed { packs })),
                    (false, _) => {
                        return Ok((Some(index), IndexState::Built { why: "there was none".into() }));
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        let Some(lock) = disk.lock(&lock_path, true, Patience::Try)? else {
            return Ok((None, IndexState::Unavailable));
        };
        remove_all(&**disk, &database)?;
        let index = Self::open(disk, &database, lock)?;
        index.absorb(packs)?;
        Ok((Some(index), IndexState::Built { why }))
    }

    fn open(disk: &Arc<dyn Disk>, folder: &Path, lock: Box<dyn Send + Sync>) -> Result<Self> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = open_soon(&config)?;
        let objects = guarded(|| db.open_tree(OBJECTS_TREE))?;
        let packs = guarded(|| db.open_tree(PACKS_TREE))?;
        let covered = RwLock::default();
        Ok(Self {
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            db: Shielded::new(db),
            objects: Shielded::new(objects),
            packs: Shielded::new(packs),
            covered,
            _lock: lock,
        })
    }

    /// The index, if there is no doubt about it.
    fn checked(self, packs: &Packs) -> Result<Self> {
        let mut covered = Covered::default();
        let mut watermark = None;
        for row in guarded(|| self.packs.iter().collect::<sled::Result<Vec<_>>>())? {
            match (PackRow::parse(&row.0, &row.1), &*row.0 == WATERMARK) {
                (_, true) => watermark = Some(row.1.to_vec()),
                (Some(pack), false) => covered.insert(pack.id, pack.number, pack.rows),
                (None, false) => return Err(failed("a row of it is malformed")),
            }
        }
        match watermark {
            Some(watermark) if watermark == covered.watermark() => {}
            None if covered.rows.is_empty() => {}
            _ => return Err(failed("its watermark differs")),
        }
        if covered.rows.keys().filter(|id| !packs.contains(id)).count() > covered.rows.len() / 4 {
            return Err(failed("many of its packs are gone"));
        }
        *self.covered.write().unwrap_or_else(PoisonError::into_inner) = covered;
        match self.samples_are_there(packs)? {
            true => Ok(self),
            false => Err(failed("it lost rows")),
        }
    }

    fn samples_are_there(&self, packs: &Packs) -> Result<bool> {
        let covered: Vec<_> = packs.iter().filter(|pack| self.covers(&pack.id)).collect();
        for sample in 0..if covered.is_empty() { 0 } else { SAMPLES } {
            let directory = &covered[sample % covered.len()].directory;
            if directory.len() > 0 {
                let key = directory.key(sample * directory.len() / SAMPLES);
                if guarded(|| self.objects.get(key.as_bytes()))?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a pack was taken in.
    pub fn covers(&self, id: &PackId) -> bool {
        self.covered.read().unwrap_or_else(PoisonError::into_inner).rows.contains_key(id)
    }

    /// Where an object probably is.
    pub fn find(&self, key: &ObjectKey) -> Option<(PackId, usize)> {
        let row = guarded(|| self.objects.get(key.as_bytes())).ok()??;
        let (number, row) = two_u32(&row)?;
        let covered = self.covered.read().unwrap_or_else(PoisonError::into_inner);
        Some((*covered.by_number.get(&number)?, row as usize))
    }

    /// Takes in the packs that are new and makes that durable. One thread at a time.
    pub fn absorb(&self, packs: &Packs) -> Result<()> {
        // Those with attached files are written anew soon: looking into the few that there are costs less than to
        // take them in and to notice that they are gone.
        let stays = |pack: &&Arc<Pack>| !pack.has_attached() && !self.covers(&pack.id);
        let new: Vec<_> = packs.iter().filter(stays).collect();
        // The newest last: where a key is in several packs, that copy counts.
        for pack in new.iter().rev() {
            self.absorb_one(pack)?;
        }
        if new.is_empty() { Ok(()) } else { self.sync() }
    }

    fn absorb_one(&self, pack: &Pack) -> Result<()> {
        // A look-up that meets a number which is not covered yet looks into the packs themselves: nobody waits.
        let mut covered = self.covered.read().unwrap_or_else(PoisonError::into_inner).clone();
        let number = covered.by_number.keys().max().map_or(0, |last| last + 1);
        let rows = pack.directory.len();
        for start in (0..rows).step_by(BATCH_ROWS) {
            let mut batch = sled::Batch::default();
            for row in start..rows.min(start + BATCH_ROWS) {
                batch.insert(pack.directory.key(row).as_bytes(), two_le(number, row as u32).to_vec());
            }
            guarded(|| self.objects.apply_batch(batch))?;
        }
        covered.insert(pack.id, number, rows as u32);
        let mut batch = sled::Batch::default();
        batch.insert(pack.id.as_bytes(), two_le(number, rows as u32).to_vec());
        batch.insert(WATERMARK, covered.watermark());
        guarded(|| self.packs.apply_batch(batch))?;
        *self.covered.write().unwrap_or_else(PoisonError::into_inner) = covered;
        Ok(())
    }

    /// What sled's own flush leaves out: syncing the file that it writes.
    fn sync(&self) -> Result<()> {
        guarded(|| self.db.flush())?;
        self.disk.open(&self.folder.join("db"), true)?.sync()?;
        Ok(self.disk.sync_dir(&self.folder)?)
    }
}
