//! Where a store's files lie, and the locks that processes take among them.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, Patience};

use super::error::Result;

/// The folders of a store.
#[derive(Debug, Clone)]
pub struct Folders {
    pub packs: PathBuf,
    pub open: PathBuf,
    pub quarantine: PathBuf,
    pub index: PathBuf,
}

impl Folders {
    pub fn below(root: &Path) -> Self {
        let packs = root.join("packs");
        Self {
            open: packs.join("open"),
            packs,
            quarantine: root.join("quarantine"),
            index: root.join("index"),
        }
    }
}

/// A lock that is let go when this is dropped or its process ends.
pub type Held = Box<dyn Send + Sync>;

impl Folders {
    /// Holds off whoever removes packs; `alone`: waits until no transaction is running, and holds off new ones.
    pub fn lock_writers(&self, disk: &dyn Disk, alone: bool) -> Result<Held> {
        lock(disk, &self.packs.join("writers.lock"), alone)
    }

    /// Has the right to give a pack its name.
    pub fn lock_names(&self, disk: &dyn Disk) -> Result<Held> {
        lock(disk, &self.packs.join("seal.lock"), true)
    }

    /// Has the right to write the store anew; `None` if somebody else does.
    pub fn try_lock_repack(&self, disk: &dyn Disk) -> Result<Option<Held>> {
        Ok(disk.lock(&self.packs.join("repack.lock"), true, Patience::Try)?)
    }
}

fn lock(disk: &dyn Disk, path: &Path, alone: bool) -> Result<Held> {
    loop {
        if let Some(lock) = disk.lock(path, alone, Patience::LONG)? {
            return Ok(lock);
        }
    }
}
