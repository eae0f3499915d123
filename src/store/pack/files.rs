//! Open pack files, so many and no more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::disk::{Disk, DiskFile, Result};
use crate::id::PackId;

/// A pack, and which of its files: the pack itself, or one that is attached to it.
pub type FileKey = (PackId, u16);

/// Far below the usual limit of 1,024 descriptors, which mounts and staging files share.
const LIMIT: usize = 64;
/// Files that are held for readers on top of these. Readers beyond that open what they read each time they read.
const HELD_LIMIT: usize = 256;

pub struct PackFiles {
    disk: Arc<dyn Disk>,
    /// The most recently used last.
    open: Mutex<Vec<(FileKey, Arc<dyn DiskFile>)>>,
    /// Those that somebody holds, for others who want to hold them.
    held: Mutex<HashMap<FileKey, Weak<HeldFile>>>,
}

/// A file that stays open as long as this is there.
pub struct HeldFile(pub Arc<dyn DiskFile>);

impl PackFiles {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: Mutex::default(), held: Mutex::default() }
    }

    /// The file of a pack. It stays open while it is used, even if it is unlinked.
    pub fn get(&self, id: &FileKey, path: &Path) -> Result<Arc<dyn DiskFile>> {
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

    /// The file of a pack, to be held; `None` if too many others are.
    pub fn hold(&self, id: &FileKey, path: &Path) -> Result<Option<Arc<HeldFile>>> {
        if let Some(file) = self.held(id) {
            return Ok(Some(file));
        }
        let file = Arc::new(HeldFile(self.get(id, path)?));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD_LIMIT {
            held.retain(|_, file| file.strong_count() > 0);
        }
        if held.len() >= HELD_LIMIT {
            return Ok(None);
        }
        held.insert(*id, Arc::downgrade(&file));
        Ok(Some(file))
    }

    fn held(&self, id: &FileKey) -> Option<Arc<HeldFile>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.upgrade()
    }

    /// Closes the files of packs that are gone and that nobody holds, so that the disk gets its room back.
    pub fn retain(&self, is_there: impl Fn(&PackId) -> bool) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|((id, _), _)| is_there(id));
    }

    fn find(&self, id: &FileKey) -> Option<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|(opened, _)| opened == id)?;
        let recent = open.len() - 1;
        if at != recent {
            open[at..].rotate_left(1);
        }
        Some(Arc::clone(&open[recent].1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use std::path::PathBuf;

    #[test]
    fn no_more_files_are_open_than_there_may_be_however_many_packs_are_read() {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("/packs")).unwrap();
        let pack = |number: u16| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_le_bytes());
            ((PackId::from_bytes(id), 0), PathBuf::from(format!("/packs/{number}")))
        };
        let count = (LIMIT + HELD_LIMIT + 50) as u16;
        (0..count).for_each(|number| drop(disk.create_new(&pack(number).1).unwrap()));
        let files = PackFiles::new(Arc::new(disk));
        let open = || files.open.lock().unwrap().len();
        for (id, path) in (0..count).map(pack) {
            files.get(&id, &path).unwrap();
            files.get(&pack(0).0, &pack(0).1).unwrap();
        }
        assert_eq!(open(), LIMIT);
        assert!(files.find(&pack(0).0).is_some() && files.find(&pack(1).0).is_none(), "the last read stay");
        let hold = || (0..count).map(pack).filter_map(|(id, path)| files.hold(&id, &path).unwrap());
        let held: Vec<_> = hold().collect();
        assert_eq!((held.len(), open()), (HELD_LIMIT, LIMIT));
        drop(held);
        assert!(
            files.hold(&pack(count - 1).0, &pack(count - 1).1).unwrap().is_some(),
            "who is done makes room"
        );
    }
}
