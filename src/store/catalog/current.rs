//! The set of packs as it is known now: looked for on the disk without holding up who looks into it.
//!
//! A new set is built outside of locks and swapped in; who looked into the old one goes on with it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crate::disk::{self, Disk};
use crate::store::error::Result;
use crate::store::layout::Folders;
use crate::store::pack::{Pack, PackFiles, sidecar_path};

use super::listing::{Listing, Stamp};
use super::packs::{Packs, Scanned};

/// Tells how much time goes by.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

pub struct Current {
    pub disk: Arc<dyn Disk>,
    pub folders: Folders,
    pub files: Arc<PackFiles>,
    /// Only looked at and swapped under the lock.
    packs: RwLock<Arc<Packs>>,
    /// Held by who looks for packs on the disk.
    listing: Mutex<Listing>,
    names: Names,
    clock: Clock,
}

impl Current {
    /// Learns which packs there are in the store in `root`.
    pub fn open(disk: Arc<dyn Disk>, root: &Path, clock: Clock) -> Result<Self> {
        let current = Self {
            files: Arc::new(PackFiles::new(Arc::clone(&disk))),
            folders: Folders::below(root),
            packs: RwLock::default(),
            listing: Mutex::default(),
            names: Names::default(),
            clock,
            disk,
        };
        current.refresh()?;
        Ok(current)
    }

    pub fn packs(&self) -> Arc<Packs> {
        Arc::clone(&self.packs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notices packs that came or went.
    pub fn refresh(&self) -> Result<()> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp()?;
        self.look(&mut listing, stamp)
    }

    /// Notices packs that came or went, and does not look for them if the folder says that nothing did.
    pub fn refresh_if_changed(&self) -> Result<()> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp()?;
        // A damaged file can be made whole without a change of its folder.
        match listing.holds(stamp) && self.packs().damaged().is_empty() {
            true => Ok(()),
            false => self.look(&mut listing, stamp),
        }
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        Ok(self.disk.stat(&self.folders.packs)?.as_ref().map(Stamp::of))
    }

    fn look(&self, listing: &mut Listing, stamp: Option<Stamp>) -> Result<()> {
        listing.look(stamp, (self.clock)());
        let before = self.packs();
        // A look that failed is none.
        let scanned = before.rescan(&*self.disk, &self.folders, &self.files);
        let Scanned { packs, without_sidecar } =
            scanned.inspect_err(|_| listing.look(None, (self.clock)()))?;
        if packs.has_more_than(&before) {
            self.names.seen.fetch_add(1, Ordering::SeqCst);
        }
        let packs = {
            let mut current = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(packs.with_new(&before, &current));
            Arc::clone(&current)
        };
        self.files.retain(|id| packs.contains(id));
        for pack in without_sidecar {
            // Without it everything works; a disk that cannot be written stays as it is.
            let _ = self.disk.replace(&sidecar_path(&pack.path), pack.directory.as_bytes());
        }
        Ok(())
    }

    /// Takes in a pack that this process sealed and made durable.
    pub fn add(&self, pack: Pack) {
        let pack = Arc::new(pack);
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        *packs = Arc::new(packs.with(pack));
    }

    /// Makes the names of all packs durable, of those too that were given just now.
    pub fn sync_names_anew(&self) -> disk::Result<()> {
        let seen = self.names.seen.load(Ordering::SeqCst);
        let mut synced = self.names.synced.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.sync_dir(&self.folders.packs)?;
        *synced = Some(seen);
        Ok(())
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
}

/// Whether the names of packs are durable. Those that this process sealed are from the start.
#[derive(Default)]
struct Names {
    /// How often packs of others were noticed.
    seen: AtomicU64,
    /// What `seen` was when the folder was last synced.
    synced: Mutex<Option<u64>>,
}
