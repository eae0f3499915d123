//! Removing what writers that died left behind.

use std::collections::BTreeSet;
use std::path::Path;

use crate::disk::{Disk, Patience};
use crate::store::error::Result;
use crate::store::pack::{PACK_SUFFIX, SIDECAR_SUFFIX};

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
