//! Making everything anew that can be made from the packs.

use std::path::PathBuf;

use crate::disk::{Disk, Patience};

use super::error::Result;
use super::index::remove_all;
use super::odb::Store;
use super::pack::{PACK_SUFFIX, SIDECAR_SUFFIX, read_directory, sidecar_path};

/// What was made anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Sidecars that were missing or differed from what their pack says.
    pub sidecars: usize,
    /// Sidecars without a pack, now removed.
    pub orphans: usize,
    /// Packs that neither their own directory nor a sidecar explains, and where they are now.
    pub quarantined: Vec<PathBuf>,
}

impl Store {
    /// Writes every sidecar anew from its pack, moves unusable packs into quarantine, and deletes the index; one that
    /// was attached is built anew. Gives the same answers afterwards as before.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn rebuild(&self) -> Result<Rebuilt> {
        let mut rebuilt = Rebuilt::default();
        self.refresh()?;
        self.rebuild_sidecars(&mut rebuilt)?;
        self.quarantine(&mut rebuilt)?;
        self.remove_orphans(&mut rebuilt)?;
        self.inner.disk.sync_dir(&self.inner.folders.packs)?;
        let had_index = self.inner.detach_index();
        self.refresh()?;
        self.delete_index()?;
        if had_index {
            self.attach_index()?;
        }
        Ok(rebuilt)
    }

    /// A sidecar whose pack's own directory is damaged is the only one left: it stays.
    fn rebuild_sidecars(&self, rebuilt: &mut Rebuilt) -> Result<()> {
        let disk = &*self.inner.disk;
        for pack in self.inner.packs().iter() {
            let Some(stat) = disk.stat(&pack.path)? else { continue };
            let Ok(directory) = read_directory(disk, &pack.path, stat.len)? else { continue };
            let path = sidecar_path(&pack.path);
            let right = disk.stat(&path)?.is_some() && disk.read(&path)? == directory.as_bytes();
            if !right {
                disk.replace(&path, directory.as_bytes())?;
                rebuilt.sidecars += 1;
            }
        }
        Ok(())
    }

    fn quarantine(&self, rebuilt: &mut Rebuilt) -> Result<()> {
        let (disk, folders) = (&*self.inner.disk, &self.inner.folders);
        for damage in self.inner.packs().damaged() {
            disk.create_dir_all(&folders.quarantine)?;
            for path in [sidecar_path(&damage.path), damage.path.clone()] {
                let target = folders.quarantine.join(path.file_name().unwrap_or_default());
                if disk.stat(&path)?.is_some() {
                    disk.rename(&path, &target)?;
                }
            }
            rebuilt.quarantined.push(folders.quarantine.join(damage.path.file_name().unwrap_or_default()));
            disk.sync_dir(&folders.quarantine)?;
        }
        Ok(())
    }

    fn remove_orphans(&self, rebuilt: &mut Rebuilt) -> Result<()> {
        let (disk, packs) = (&*self.inner.disk, &self.inner.folders.packs);
        for name in disk.list(packs)? {
            let path = packs.join(&name);
            let is_sidecar = path.extension().is_some_and(|suffix| suffix == SIDECAR_SUFFIX);
            if is_sidecar && disk.stat(&path.with_extension(PACK_SUFFIX))?.is_none() {
                disk.remove_file(&path)?;
                rebuilt.orphans += 1;
            }
        }
        Ok(())
    }

    /// Deletes the index unless another process has it.
    fn delete_index(&self) -> Result<()> {
        let (disk, folder): (&dyn Disk, _) = (&*self.inner.disk, &self.inner.folders.index);
        if disk.stat(folder)?.is_none() {
            return Ok(());
        }
        match disk.lock(&folder.join("lock"), true, Patience::Try)? {
            Some(_lock) => remove_all(disk, &folder.join("db")),
            None => Ok(()),
        }
    }
}
