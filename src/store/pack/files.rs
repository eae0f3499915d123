//! Open pack files, so many and no more.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{Disk, DiskFile, Result};
use crate::id::PackId;

/// Far below the usual limit of 1,024 descriptors, which mounts and staging files share.
const LIMIT: usize = 64;

pub struct PackFiles {
    disk: Arc<dyn Disk>,
    /// The most recently used last.
    open: Mutex<Vec<(PackId, Arc<dyn DiskFile>)>>,
}

impl PackFiles {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: Mutex::default() }
    }

    /// The file of a pack. It stays open while it is used, even if it is unlinked.
    pub fn get(&self, id: &PackId, path: &Path) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.find(id) {
            return Ok(file);
        }
        let file: Arc<dyn DiskFile> = Arc::from(self.disk.open(path, false)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= LIMIT {
            open.remove(0);
        }
        open.push((*id, Arc::clone(&file)));
        Ok(file)
    }

    /// Closes the files of packs that are gone, so that the disk gets its room back.
    pub fn retain(&self, is_there: impl Fn(&PackId) -> bool) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| is_there(id));
    }

    fn find(&self, id: &PackId) -> Option<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|(opened, _)| opened == id)?;
        let recent = open.len() - 1;
        if at != recent {
            open[at..].rotate_left(1);
        }
        Some(Arc::clone(&open[recent].1))
    }
}
