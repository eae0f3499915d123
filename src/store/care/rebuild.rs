//! Making everything anew that can be made from the packs.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, Patience};
use crate::store::catalog::{Catalog, DamageCause, remove_all};
use crate::store::error::Result;
use crate::store::pack::{PACK_SUFFIX, pack_of_attached, read_directory, sidecar_path};
use crate::task::{Task, Unit};

use super::sweep::sweep_without_packs;

/// What was made anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Sidecars that were missing or differed from what their pack says.
    pub sidecars: usize,
    /// Sidecars and attached files without a pack, now removed.
    pub orphans: usize,
    /// Packs that neither their own directory nor a sidecar explains.
    pub quarantined: Vec<Moved>,
}

/// A pack that was set aside, with its sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// See [`Store::rebuild`](super::super::Store::rebuild).
pub fn rebuild(catalog: &Catalog, task: &Task) -> Result<Rebuilt> {
    let _nobody_writes = catalog.folders.lock_writers(&*catalog.disk, true)?;
    let mut rebuilt = Rebuilt::default();
    catalog.refresh()?;
    rebuild_sidecars(catalog, &mut rebuilt, task)?;
    quarantine(catalog, &mut rebuilt)?;
    rebuilt.orphans = sweep_without_packs(&*catalog.disk, &catalog.folders.packs)?;
    catalog.disk.sync_dir(&catalog.folders.packs)?;
    let had_index = catalog.detach_index();
    catalog.refresh()?;
    delete_index(catalog)?;
    if had_index {
        catalog.attach_index()?;
    }
    Ok(rebuilt)
}

/// A sidecar whose pack's own directory is damaged is the only one left: it stays.
fn rebuild_sidecars(catalog: &Catalog, rebuilt: &mut Rebuilt, task: &Task) -> Result<()> {
    let disk = &*catalog.disk;
    let packs = catalog.packs();
    let looked_at = task.begin("rebuilding", Unit::Packs, Some(packs.iter().count() as u64));
    for pack in packs.iter() {
        task.check()?;
        looked_at.advance(1);
        // A pack that cannot be read has what its sidecar says of it, and stays as it is.
        let Ok(Some(stat)) = disk.stat(&pack.path) else { continue };
        let Ok(Ok(directory)) = read_directory(disk, &pack.path, stat.len) else { continue };
        let path = sidecar_path(&pack.path);
        let right = disk.read(&path).is_ok_and(|bytes| bytes == directory.as_bytes());
        if !right {
            disk.replace(&path, directory.as_bytes())?;
            rebuilt.sidecars += 1;
        }
    }
    Ok(())
}

fn quarantine(catalog: &Catalog, rebuilt: &mut Rebuilt) -> Result<()> {
    let (disk, folders) = (&*catalog.disk, &catalog.folders);
    let packs = catalog.packs();
    for damage in packs.damaged().iter().filter(|damage| damage.cause == DamageCause::Malformed) {
        disk.create_dir_all(&folders.quarantine)?;
        let to = free_name(disk, &folders.quarantine, &damage.path)?;
        let pack = damage.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = disk.list(&folders.packs)?;
        let attached = names.iter().filter(|name| pack_of_attached(name).as_ref() == Some(&pack));
        let attached = attached.map(|name| (folders.packs.join(name), folders.quarantine.join(name)));
        let own = [(sidecar_path(&damage.path), sidecar_path(&to)), (damage.path.clone(), to.clone())];
        for (from, to) in own.into_iter().chain(attached) {
            if disk.stat(&from)?.is_some() {
                disk.rename(&from, &to)?;
            }
        }
        let (from, what) = (damage.path.clone(), damage.what.clone());
        rebuilt.quarantined.push(Moved { from, to, what });
        disk.sync_dir(&folders.quarantine)?;
    }
    Ok(())
}

/// Deletes the index unless another process has it.
fn delete_index(catalog: &Catalog) -> Result<()> {
    let (disk, folder): (&dyn Disk, _) = (&*catalog.disk, &catalog.folders.index);
    if disk.stat(folder)?.is_none() {
        return Ok(());
    }
    match disk.lock(&folder.join("lock"), true, Patience::Try)? {
        Some(_lock) => remove_all(disk, &folder.join("db")),
        None => Ok(()),
    }
}

/// A path in `folder` that nothing is at, called like `path` as far as that is free: what was set aside earlier stays.
fn free_name(disk: &dyn Disk, folder: &Path, path: &Path) -> Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut free = folder.join(path.file_name().unwrap_or_default());
    let mut number = 1;
    while disk.stat(&free)?.is_some() {
        free = folder.join(format!("{stem}.{number}.{PACK_SUFFIX}"));
        number += 1;
    }
    Ok(free)
}
