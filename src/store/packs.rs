//! The set of sealed packs, as one process sees it at one moment.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Disk, FileType};
use crate::id::{ObjectKey, PackId};

use super::error::{Result, StoreError};
use super::handles::Handles;
use super::inner::Folders;
use super::object::Object;
use super::pack::{PACK_SUFFIX, Pack, sidecar_path};
use super::sidecar::Entry;

/// A snapshot: packs that come later are in a new one.
#[derive(Default)]
pub(super) struct Packs {
    /// The newest first: what is looked for is most often new.
    list: Vec<Arc<Pack>>,
    /// Where in the list each pack is.
    by_id: HashMap<PackId, usize>,
    /// Files that are called packs and cannot be used as such.
    damaged: Vec<Damage>,
}

/// A pack file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What does not add up.
    pub what: String,
}

impl Packs {
    /// The set as it is now; packs that are known are not opened again. Sidecars that are missing or damaged are
    /// written anew where the disk allows it.
    pub(super) fn rescan(&self, disk: &dyn Disk, folders: &Folders, handles: &Arc<Handles>) -> Result<Self> {
        let mut present = HashSet::new();
        let (mut new, mut damaged) = (Vec::new(), Vec::new());
        for name in disk.list(&folders.packs)? {
            let Some(id) = pack_id(&name) else { continue };
            present.insert(id);
            if self.by_id.contains_key(&id) {
                continue;
            }
            let path = folders.packs.join(&name);
            let Some(stat) = disk.stat(&path)?.filter(|stat| stat.kind == FileType::File) else { continue };
            match Pack::load(disk, &path, id, stat.len, handles) {
                Ok(loaded) => {
                    if loaded.without_sidecar {
                        // Without it everything works; a disk that cannot be written stays as it is.
                        let _ = disk.replace(&sidecar_path(&path), loaded.pack.directory.as_bytes());
                    }
                    new.push((stat.modified, Arc::new(loaded.pack)));
                }
                Err(StoreError::DamagedPack { path, what }) => {
                    damaged.push(Damage { path, what: what.into() });
                }
                // It was removed since it was listed.
                Err(StoreError::Disk(error)) if error.source.kind() == ErrorKind::NotFound => {
                    present.remove(&id);
                }
                Err(error) => return Err(error),
            }
        }
        new.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        let known = self.list.iter().filter(|pack| present.contains(&pack.id)).cloned();
        Ok(Self::of(new.into_iter().map(|(_, pack)| pack).chain(known).collect(), damaged))
    }

    fn of(list: Vec<Arc<Pack>>, damaged: Vec<Damage>) -> Self {
        let by_id = list.iter().enumerate().map(|(at, pack)| (pack.id, at)).collect();
        Self { list, by_id, damaged }
    }

    pub(super) fn with(&self, pack: Pack) -> Self {
        let others = self.list.iter().filter(|known| known.id != pack.id).cloned().collect::<Vec<_>>();
        Self::of(std::iter::once(Arc::new(pack)).chain(others).collect(), self.damaged.clone())
    }

    pub(super) fn has_more_than(&self, other: &Self) -> bool {
        self.by_id.keys().any(|id| !other.by_id.contains_key(id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.list.iter()
    }

    pub(super) fn contains(&self, id: &PackId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Bytes of all packs and sidecars.
    pub(super) fn disk_len(&self) -> u64 {
        let of = |pack: &Arc<Pack>| {
            pack.directory.footer().pack_len().unwrap_or(0) + pack.directory.as_bytes().len() as u64
        };
        self.list.iter().map(of).sum()
    }

    pub(super) fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// The newest copy of an object that is `wanted`.
    pub(super) fn find(&self, key: &ObjectKey, wanted: impl Fn(&Entry) -> bool) -> Result<Option<Object>> {
        self.find_among(key, wanted, |_| true)
    }

    /// The newest copy of an object that is `wanted` in the packs that `among` chooses.
    pub(super) fn find_among(
        &self,
        key: &ObjectKey,
        wanted: impl Fn(&Entry) -> bool,
        among: impl Fn(&Pack) -> bool,
    ) -> Result<Option<Object>> {
        for pack in self.list.iter().filter(|pack| among(pack)) {
            for row in pack.directory.rows(key) {
                let object = Object::sealed(pack, row)?;
                if wanted(&object.entry) {
                    return Ok(Some(object));
                }
            }
        }
        Ok(None)
    }

    /// The object in a row of a pack, if that is where it lies.
    pub(super) fn object_at(&self, id: &PackId, row: usize, key: &ObjectKey) -> Option<Object> {
        let pack = &self.list[*self.by_id.get(id)?];
        let is_there = row < pack.directory.len() && pack.directory.key(row) == *key;
        Object::sealed(pack, row).ok().filter(|_| is_there)
    }
}

/// The id in the name of a pack file.
fn pack_id(name: &str) -> Option<PackId> {
    name.strip_suffix(PACK_SUFFIX)?.strip_suffix('.')?.parse().ok()
}
