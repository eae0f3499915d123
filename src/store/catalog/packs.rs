//! The set of sealed packs, as one process sees it at one moment.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::disk::{Disk, DiskError, FileType};
use crate::id::{ObjectKey, PackId};
use crate::store::error::{Result, StoreError};
use crate::store::layout::Folders;
use crate::store::object::Kind;
use crate::store::pack::{
    Directory, Entry, Loaded, OTHER_VERSION, Object, PACK_SUFFIX, Pack, PackFiles, SIDECAR_SUFFIX, pack_path,
    sidecar_path,
};

use super::damage::{Damage, DamageCause};

/// A snapshot: packs that come later are in a new one.
#[derive(Default)]
pub struct Packs {
    /// The newest first: what is looked for is most often new.
    list: Vec<Arc<Pack>>,
    /// Where in the list each pack is.
    by_id: HashMap<PackId, usize>,
    /// Directories of packs whose own files are not here.
    elsewhere: Vec<Arc<Elsewhere>>,
    /// Files that are called packs and cannot be used as such. They are looked at anew whenever packs are looked for.
    damaged: Vec<Damage>,
}

/// A pack of which only the sidecar is here.
struct Elsewhere {
    id: PackId,
    /// Where its file would be.
    path: PathBuf,
    directory: Directory,
}

/// What a look at the folder of packs found.
pub struct Scanned {
    pub packs: Packs,
    /// Packs whose sidecars are missing or of no use.
    pub without_sidecar: Vec<Arc<Pack>>,
}

impl Packs {
    /// The set as it is now; packs that are known are not opened again. A pack that cannot be used is damage to it
    /// alone.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn rescan(&self, disk: &dyn Disk, folders: &Folders, files: &Arc<PackFiles>) -> Result<Scanned> {
        let mut present = HashSet::new();
        let (mut new, mut damaged, mut without_sidecar) = (Vec::new(), Vec::new(), Vec::new());
        let names = disk.list(&folders.packs)?;
        let elsewhere = self.elsewhere(disk, folders, &names);
        for name in names {
            let Some(id) = id_in(&name, PACK_SUFFIX) else { continue };
            if self.by_id.contains_key(&id) {
                present.insert(id);
                continue;
            }
            let path = folders.packs.join(&name);
            match load(disk, &path, id, files) {
                Ok(Some((modified, loaded))) => {
                    let pack = Arc::new(loaded.pack);
                    if loaded.without_sidecar {
                        without_sidecar.push(Arc::clone(&pack));
                    }
                    new.push((modified, pack));
                }
                Ok(None) => {}
                Err(damage) => damaged.push(damage),
            }
        }
        new.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        let known = self.list.iter().filter(|pack| present.contains(&pack.id)).cloned();
        let list = new.into_iter().map(|(_, pack)| pack).chain(known).collect();
        let packs = Self { elsewhere, ..Self::of(list, damaged) };
        Ok(Scanned { packs, without_sidecar })
    }

    /// The sidecars among some names whose packs are not. One that cannot be read says nothing.
    fn elsewhere(&self, disk: &dyn Disk, folders: &Folders, names: &[String]) -> Vec<Arc<Elsewhere>> {
        let here: HashSet<PackId> = names.iter().filter_map(|name| id_in(name, PACK_SUFFIX)).collect();
        let sidecars = names.iter().filter_map(|name| id_in(name, SIDECAR_SUFFIX));
        let open = |id: PackId| {
            let path = pack_path(&folders.packs, &id);
            let directory = Directory::open(disk.map(&sidecar_path(&path)).ok()?).ok()?;
            (directory.footer().pack == id).then(|| Arc::new(Elsewhere { id, path, directory }))
        };
        let known = |id: &PackId| self.elsewhere.iter().find(|known| known.id == *id).cloned();
        sidecars.filter(|id| !here.contains(id)).filter_map(|id| known(&id).or_else(|| open(id))).collect()
    }

    /// The set together with the packs that `later` has and `earlier`, which this one was scanned from, had not.
    pub fn with_new(self, earlier: &Self, later: &Self) -> Self {
        let is_new = |pack: &&Arc<Pack>| !earlier.contains(&pack.id) && !self.contains(&pack.id);
        let mut list: Vec<Arc<Pack>> = later.list.iter().filter(is_new).cloned().collect();
        if list.is_empty() {
            return self;
        }
        list.extend(self.list);
        Self { elsewhere: self.elsewhere, ..Self::of(list, self.damaged) }
    }

    fn of(list: Vec<Arc<Pack>>, damaged: Vec<Damage>) -> Self {
        let by_id = list.iter().enumerate().map(|(at, pack)| (pack.id, at)).collect();
        Self { list, by_id, elsewhere: Vec::new(), damaged }
    }

    pub fn with(&self, pack: Arc<Pack>) -> Self {
        let others = self.list.iter().filter(|known| known.id != pack.id).cloned().collect::<Vec<_>>();
        let list = std::iter::once(pack).chain(others).collect();
        Self { elsewhere: self.elsewhere.clone(), ..Self::of(list, self.damaged.clone()) }
    }

    pub fn has_more_than(&self, other: &Self) -> bool {
        self.by_id.keys().any(|id| !other.by_id.contains_key(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.list.iter()
    }

    pub fn contains(&self, id: &PackId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Bytes of all packs and sidecars.
    pub fn disk_len(&self) -> u64 {
        self.list.iter().map(|pack| pack.disk_len()).sum()
    }

    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// The newest copy of an object that is `wanted`.
    pub fn find(&self, key: &ObjectKey, wanted: impl Fn(&Entry) -> bool) -> Result<Option<Object>> {
        self.find_among(key, wanted, |_| true)
    }

    /// The newest copy of an object that is `wanted` in the packs that `among` chooses.
    pub fn find_among(
        &self,
        key: &ObjectKey,
        wanted: impl Fn(&Entry) -> bool,
        among: impl Fn(&Pack) -> bool,
    ) -> Result<Option<Object>> {
        let mut trouble = None;
        for pack in self.list.iter().filter(|pack| among(pack)) {
            for row in pack.directory.rows(key) {
                match Object::sealed(pack, row) {
                    Ok(object) if wanted(&object.entry) => return Ok(Some(object)),
                    Ok(_) => {}
                    // Another pack may have it whole.
                    Err(error) => trouble = Some(error),
                }
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    /// The file of a pack that holds an object that is `wanted`, and is not here.
    pub fn find_elsewhere(&self, key: &ObjectKey, wanted: impl Fn(&Entry) -> bool) -> Option<&Path> {
        let holds = |pack: &&Arc<Elsewhere>| {
            let mut rows = pack.directory.rows(key);
            rows.any(|row| pack.directory.entry(row).is_ok_and(|entry| wanted(&entry)))
        };
        self.elsewhere.iter().find(holds).map(|pack| &*pack.path)
    }

    /// Every copy of an object whose entry can be read.
    pub fn copies(&self, kind: Kind, key: ObjectKey) -> impl Iterator<Item = Object> {
        let rows = move |pack: &Arc<Pack>| {
            let objects = pack.directory.rows(&key).filter_map(|row| Object::sealed(pack, row).ok());
            objects.filter(move |object| object.entry.kind == kind).collect::<Vec<_>>()
        };
        self.list.iter().flat_map(rows)
    }

    /// The object in a row of a pack, if that is where it lies.
    pub fn object_at(&self, id: &PackId, row: usize, key: &ObjectKey) -> Option<Object> {
        let pack = &self.list[*self.by_id.get(id)?];
        let is_there = row < pack.directory.len() && pack.directory.key(row) == *key;
        Object::sealed(pack, row).ok().filter(|_| is_there)
    }
}

/// Opens a pack and tells when it was written; `None` if it was removed since it was listed.
fn load(
    disk: &dyn Disk,
    path: &Path,
    id: PackId,
    files: &Arc<PackFiles>,
) -> std::result::Result<Option<(SystemTime, Loaded)>, Damage> {
    let damage = |cause, what: String| Damage { path: path.to_owned(), what, cause };
    let unreadable = |error: DiskError| damage(DamageCause::Unreadable, error.to_string());
    let Some(stat) = disk.stat(path).map_err(unreadable)? else { return Ok(None) };
    if stat.kind != FileType::File {
        return Err(damage(DamageCause::Unreadable, "it is not a file".into()));
    }
    match Pack::load(disk, path, id, stat.len, files) {
        Ok(loaded) => Ok(Some((stat.modified, loaded))),
        Err(StoreError::Disk(error)) if error.source.kind() == ErrorKind::NotFound => Ok(None),
        Err(StoreError::DamagedPack { what: OTHER_VERSION, .. }) => {
            Err(damage(DamageCause::Unreadable, OTHER_VERSION.into()))
        }
        Err(StoreError::DamagedPack { what, .. }) => Err(damage(DamageCause::Malformed, what.into())),
        Err(error) => Err(damage(DamageCause::Unreadable, error.to_string())),
    }
}

/// The id in the name of a pack file, or of a sidecar.
fn id_in(name: &str, suffix: &str) -> Option<PackId> {
    name.strip_suffix(suffix)?.strip_suffix('.')?.parse().ok()
}
