//! Removing packs, and what writers that died left behind.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, Patience};
use crate::store::error::Result;
use crate::store::pack::{PACK_SUFFIX, Pack, SIDECAR_SUFFIX, pack_of_attached};

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Unfinished packs that nobody was writing, now removed.
    pub removed: usize,
    /// Unfinished packs that somebody is writing.
    pub busy: usize,
}

/// Removes unfinished packs whose writers are gone from the folder `open`.
pub fn sweep(disk: &dyn Disk, open: &Path) -> Result<Swept> {
    let mut swept = Swept::default();
    let names = disk.list(open)?;
    let stems: BTreeSet<&str> =
        names.iter().filter_map(|name| name.rsplit_once('.')).map(|(stem, _)| stem).collect();
    for stem in stems {
        let path = |suffix: &str| open.join(format!("{stem}.{suffix}"));
        // A writer locks its pack as long as it lives, and the sidecar beside it is its own.
        let Some(_lock) = disk.lock(&path(PACK_SUFFIX), true, Patience::Try)? else {
            swept.busy += 1;
            continue;
        };
        for suffix in [SIDECAR_SUFFIX, PACK_SUFFIX] {
            if disk.stat(&path(suffix))?.is_some() {
                disk.remove_file(&path(suffix))?;
            }
        }
        swept.removed += 1;
    }
    Ok(swept)
}

/// Removes packs with all their files, durably. The pack files go first: without them the others are nothing, and they
/// would have their sidecars written again. A power cut may not bring back one whose attached files are gone.
pub fn remove_packs(disk: &dyn Disk, folder: &Path, packs: &[&Arc<Pack>]) -> Result<()> {
    let remove = |path: &PathBuf| match disk.stat(path)?.is_some() {
        true => disk.remove_file(path),
        false => Ok(()),
    };
    packs.iter().try_for_each(|pack| remove(&pack.path))?;
    if packs.iter().any(|pack| pack.has_attached()) {
        disk.sync_dir(folder)?;
    }
    packs.iter().flat_map(|pack| pack.paths_beside()).try_for_each(|path| remove(&path))?;
    sweep_without_packs(disk, folder)?;
    Ok(disk.sync_dir(folder)?)
}

/// Removes what belongs to packs that are not there: what a stop in the middle of sealing or removing one leaves. Returns
/// how many files. Nobody may be giving a pack its name meanwhile.
pub fn sweep_without_packs(disk: &dyn Disk, packs: &Path) -> Result<usize> {
    let left = without_packs(disk, packs)?;
    left.iter().try_for_each(|name| disk.remove_file(&packs.join(name)))?;
    Ok(left.len())
}

/// The names of sidecars and attached files whose packs are not there.
pub fn without_packs(disk: &dyn Disk, packs: &Path) -> Result<Vec<String>> {
    let names: HashSet<String> = disk.list(packs)?.into_iter().collect();
    let belongs_to = |name: &str| {
        let sidecar = name.strip_suffix(SIDECAR_SUFFIX).and_then(|stem| stem.strip_suffix('.'));
        sidecar.map(|stem| format!("{stem}.{PACK_SUFFIX}")).or_else(|| pack_of_attached(name))
    };
    let is_left = |name: &&String| belongs_to(name).is_some_and(|pack| !names.contains(&pack));
    Ok(names.iter().filter(is_left).cloned().collect())
}
