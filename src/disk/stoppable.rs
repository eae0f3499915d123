//! The operating system's disk in a process that can be asked to stop: whoever waits for a lock ends then.
//!
//! Nothing else is stopped: what is done between two locks is short, or asks a task itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::real::{held_to_lock, wait_for_lock};
use super::{Disk, DiskFile, LockFile, Mapped, Patience, RealDisk, Result, Run, Space, Stat};
use crate::task::Stop;

/// [`RealDisk`], but that a wait for a lock ends with [`DiskError::stopped`](super::DiskError::stopped) when it is asked to.
#[derive(Clone)]
pub struct StoppableDisk(Arc<dyn Stop>);

impl fmt::Debug for StoppableDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoppableDisk")
    }
}

impl StoppableDisk {
    /// A disk whose waits end when `stop` says so.
    pub fn new(stop: Arc<dyn Stop>) -> Self {
        Self(stop)
    }
}

impl Disk for StoppableDisk {
    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        wait_for_lock(path, exclusive, patience, Some(&*self.0))
    }

    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>> {
        held_to_lock(path, Some(Arc::clone(&self.0)))
    }

    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>> {
        RealDisk.open(path, write)
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        RealDisk.create_new(path)
    }

    fn map(&self, path: &Path) -> Result<Mapped> {
        RealDisk.map(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        RealDisk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        RealDisk.link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        RealDisk.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        RealDisk.stat(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        RealDisk.sync_dir(path)
    }

    fn sync_below(&self, folder: &Path) -> Result<()> {
        RealDisk.sync_below(folder)
    }

    fn run(&self, path: &Path) -> Run {
        RealDisk.run(path)
    }

    fn space(&self, path: &Path) -> Result<Space> {
        RealDisk.space(path)
    }

    fn is_native(&self) -> bool {
        RealDisk.is_native()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::StopHandle;

    #[test]
    fn whoever_waits_for_a_lock_ends_when_he_is_asked_to_and_who_need_not_wait_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let stop = StopHandle::default();
        let disk = StoppableDisk::new(Arc::new(stop.clone()));
        let held = RealDisk.lock(&path, true, Patience::Try).expect("lock");
        std::thread::scope(|scope| {
            // As long as it may be: only the stop ends it.
            let waiting = scope.spawn(|| disk.lock(&path, true, Patience::LONG).map(|lock| lock.is_some()));
            stop.stop();
            let error = waiting.join().expect("no panic").expect_err("it is held");
            assert!(error.stopped().is_some(), "{error}");
        });
        assert!(
            disk.open_lock(&path).and_then(|lock| lock.lock(Patience::LONG)).is_err(),
            "it was asked to stop"
        );
        drop(held);
        assert!(disk.lock(&path, true, Patience::LONG).is_ok_and(|lock| lock.is_some()), "it is free");
    }
}
