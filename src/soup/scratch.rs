//! A file of the repository's own disk that is needed for a while, and goes with whoever made it.
//!
//! Who makes one holds a lock on it as long as it lives: what is not held was left by a process that was killed, and the
//! next one takes it away.

use crate::disk::{Disk, DiskFile};
use crate::history::{self, Repo, Result};
use crate::random::unpredictable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is needed for a while.
pub(super) struct Scratch {
    disk: Arc<dyn Disk>,
    /// Where it is.
    pub path: PathBuf,
    /// The same, open.
    pub file: Arc<dyn DiskFile>,
}

/// The folder of such files, in the repository's own.
const FOLDER: &str = "scratch";

impl Scratch {
    /// Makes an empty one.
    pub(super) fn new(repo: &Repo) -> Result<Self> {
        let (disk, folder) = (Arc::clone(repo.disk()), repo.root().join(FOLDER));
        disk.create_dir_all(&folder)?;
        sweep(&*disk, &folder)?;
        loop {
            let path = folder.join(format!("{:032x}", unpredictable()));
            let file: Arc<dyn DiskFile> = Arc::from(disk.create_new(&path)?);
            // Who swept between the two took it for left behind, and marked it or took it away.
            if file.try_lock()? && disk.stat(&path)?.is_some() {
                return Ok(Self { disk, path, file });
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is swept by who makes the next one.
        let _ = self.disk.remove_file(&self.path);
    }
}

/// Takes away the files of a repository that somebody left who was killed.
///
/// # Errors
/// If the disk fails, or may not be written.
pub fn sweep_scratch(repo: &Repo) -> Result<()> {
    match sweep(&**repo.disk(), &repo.root().join(FOLDER)) {
        Err(history::Error::Disk(error)) if error.is_absence() => Ok(()),
        done => done,
    }
}

/// Takes away what nobody holds.
fn sweep(disk: &dyn Disk, folder: &Path) -> Result<()> {
    for name in disk.list(folder)? {
        let path = folder.join(name);
        let marked = disk.open(&path, true).and_then(|file| Ok(file.try_lock()?.then_some(file)));
        match marked {
            Ok(None) => {}
            // It stays marked until it is gone: whoever made it just now makes another.
            Ok(Some(_marked)) => drop(disk.remove_file(&path)),
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
