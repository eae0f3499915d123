//! Packs that are files on the disk.

use std::path::PathBuf;
use std::sync::Arc;

use crate::store::error::Result;

use super::files::{FileKey, HeldFile, PackFiles};
use super::range_source::{PackBytes, Wanted};

/// A file that is opened when it is read, and closed when others are read more.
pub struct Local {
    pub id: FileKey,
    pub path: PathBuf,
    pub len: u64,
    pub files: Arc<PackFiles>,
}

impl PackBytes for Local {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> Result<()> {
        let file = self.files.get(&self.id, &self.path)?;
        wanted.iter_mut().try_for_each(|range| Ok(file.read_exact_at(range.buf, range.offset)?))
    }

    fn hold(&self) -> Result<Option<Arc<dyn PackBytes>>> {
        let file = self.files.hold(&self.id, &self.path)?;
        Ok(file.map(|file| Arc::new(Held { file, len: self.len }) as Arc<dyn PackBytes>))
    }
}

/// A file that stays open.
struct Held {
    file: Arc<HeldFile>,
    len: u64,
}

impl PackBytes for Held {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> Result<()> {
        wanted.iter_mut().try_for_each(|range| Ok(self.file.0.read_exact_at(range.buf, range.offset)?))
    }

    fn hold(&self) -> Result<Option<Arc<dyn PackBytes>>> {
        Ok(Some(Arc::new(Held { file: Arc::clone(&self.file), len: self.len })))
    }
}
