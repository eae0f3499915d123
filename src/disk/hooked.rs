//! A disk that asks before each operation on a path: to fail it, or to hold it up while others go on.

use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskError, DiskFile, LockFile, Mapped, Patience, Result, Run, SimulatedDisk, Space, Stat};

type Hook = dyn Fn(&str, &Path) -> std::io::Result<()> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Hooked {
    disk: SimulatedDisk,
    hook: Arc<Hook>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl Hooked {
    pub(crate) fn new(
        disk: &SimulatedDisk,
        hook: impl Fn(&str, &Path) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { disk: disk.clone(), hook: Arc::new(hook) }
    }

    fn ask(&self, operation: &'static str, path: &Path) -> Result<()> {
        (self.hook)(operation, path).map_err(|source| DiskError { operation, path: path.to_owned(), source })
    }
}

impl Disk for Hooked {
    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>> {
        self.ask("open", path)?;
        self.disk.open(path, write)
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        self.ask("create", path)?;
        self.disk.create_new(path)
    }

    fn map(&self, path: &Path) -> Result<Mapped> {
        self.ask("map", path)?;
        self.disk.map(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.ask("rename", from)?;
        self.disk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.ask("link", from)?;
        self.disk.link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.ask("remove", path)?;
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.ask("remove", path)?;
        self.disk.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.ask("create", path)?;
        self.disk.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        self.ask("list", path)?;
        self.disk.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.ask("stat", path)?;
        self.disk.stat(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.ask("sync", path)?;
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        self.ask("lock", path)?;
        self.disk.lock(path, exclusive, patience)
    }

    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>> {
        self.ask("lock", path)?;
        self.disk.open_lock(path)
    }

    fn sync_below(&self, folder: &Path) -> Result<()> {
        self.disk.sync_below(folder)
    }

    fn run(&self, path: &Path) -> Run {
        self.disk.run(path)
    }

    fn space(&self, path: &Path) -> Result<Space> {
        self.disk.space(path)
    }
}
