//! A disk on which each sync takes longer: this machine's, with a wait behind every one.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use coral::disk::{Disk, DiskFile, FileId, LockFile, Mapped, Patience, RealDisk, Result, Run, Space, Stat};

/// The real disk, slower.
#[derive(Debug)]
pub struct SlowDisk {
    inner: RealDisk,
    wait: Duration,
}

impl SlowDisk {
    /// A disk on which each sync takes so much longer.
    pub fn new(wait: Duration) -> Self {
        Self { inner: RealDisk, wait }
    }

    fn slow(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SlowFile { inner: file, wait: self.wait })
    }
}

impl Disk for SlowDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>> {
        self.inner.open(path, write).map(|file| self.slow(file))
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        self.inner.create_new(path).map(|file| self.slow(file))
    }

    fn map(&self, path: &Path) -> Result<Mapped> {
        self.inner.map(path)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.inner.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.inner.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        self.inner.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.inner.stat(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        thread::sleep(self.wait);
        self.inner.sync_dir(path)
    }

    fn sync_below(&self, folder: &Path) -> Result<()> {
        thread::sleep(self.wait);
        self.inner.sync_below(folder)
    }

    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        self.inner.lock(path, exclusive, patience)
    }

    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>> {
        self.inner.open_lock(path)
    }

    fn run(&self, path: &Path) -> Run {
        self.inner.run(path)
    }

    fn space(&self, path: &Path) -> Result<Space> {
        self.inner.space(path)
    }

    fn is_native(&self) -> bool {
        self.inner.is_native()
    }
}

#[derive(Debug)]
struct SlowFile {
    inner: Box<dyn DiskFile>,
    wait: Duration,
}

impl DiskFile for SlowFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.inner.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn begin_sync(&self, offset: u64, len: u64) {
        self.inner.begin_sync(offset, len);
    }

    fn reserve(&self, end: u64) -> Result<()> {
        self.inner.reserve(end)
    }

    fn id(&self) -> Result<FileId> {
        self.inner.id()
    }

    fn names(&self) -> Result<u64> {
        self.inner.names()
    }

    fn changed(&self) -> Result<SystemTime> {
        self.inner.changed()
    }

    fn modified(&self) -> Result<SystemTime> {
        self.inner.modified()
    }

    fn has_writers(&self) -> Result<bool> {
        self.inner.has_writers()
    }

    fn try_lock_shared(&self) -> Result<bool> {
        self.inner.try_lock_shared()
    }

    fn to_write(&self) -> Result<Box<dyn DiskFile>> {
        self.inner.to_write()
    }

    fn try_lock(&self) -> Result<bool> {
        self.inner.try_lock()
    }

    fn is_locked(&self) -> Result<bool> {
        self.inner.is_locked()
    }

    fn check_kept(&self) -> Result<()> {
        self.inner.check_kept()
    }

    fn sync(&self) -> Result<()> {
        thread::sleep(self.wait);
        self.inner.sync()
    }
}

/// A slow disk as a repository takes it.
pub fn slow_disk(wait: Duration) -> Arc<dyn Disk> {
    Arc::new(SlowDisk::new(wait))
}
