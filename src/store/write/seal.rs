//! Ending a transaction: from an open pack to a sealed one.
//!
//! The order is what makes a crash harmless at every step: directory and footer, sync of the pack, sidecar, the names,
//! sync of the folder. Before the last of these nothing was acknowledged. The sidecar is not waited for: it has a checksum
//! over all of it, and one that a power cut lost or tore is written anew from the pack. One transaction at a time takes
//! its name, so that each sees what the others stored.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::{ObjectKey, PackId};
use crate::store::durable::{Durable, ObjectName};
use crate::store::error::{Result, StoreError};
use crate::store::pack::{
    Attached, Beside, Directory, Footer, Pack, Record, attached_path, build_directory, pack_id, pack_path,
    sidecar_path,
};

use super::ingest::Ingest;

/// What a sealed transaction made durable.
#[derive(Debug)]
pub struct Sealed {
    /// The pack that was written; `None` if everything was stored before.
    pub pack: Option<PackId>,
    /// How many objects were written.
    pub objects: usize,
    /// How long the pack is, in bytes.
    pub pack_len: u64,
    put: HashSet<ObjectKey>,
}

impl Sealed {
    /// The proof that an object is durable, if it was put in this transaction (or was stored already when it was).
    pub fn vouch<T: ObjectName>(&self, name: T) -> Option<Durable<T>> {
        self.put.contains(&name.object_key()).then(|| Durable::vouched(name))
    }
}

/// Counts the attached files in which objects lie from 1 on, in their order, and gives the objects their new numbers.
fn renumber(objects: &mut [Record], attached: &[Arc<Attached>]) -> Vec<Arc<Attached>> {
    let used: BTreeSet<u16> = objects.iter().map(|(entry, _)| entry.file).filter(|file| *file != 0).collect();
    let number: HashMap<u16, u16> = used.iter().copied().zip(1..).collect();
    for (entry, _) in objects {
        entry.file = number.get(&entry.file).copied().unwrap_or(0);
    }
    used.into_iter().map(|file| Arc::clone(&attached[usize::from(file) - 1])).collect()
}

impl Ingest {
    /// Makes all that was put durable and visible to every reader. Writes nothing if nothing was new.
    ///
    /// # Errors
    /// If the disk fails, or [`StoreError::Collision`]; the repository is then as it was before.
    pub fn seal(self) -> Result<Sealed> {
        let mut objects: Vec<_> = self.writer.transaction()?.records.values().cloned().collect();
        let put = std::mem::take(&mut self.writer.transaction()?.put);
        if objects.is_empty() {
            self.writer.decoder.catalog.sync_names()?;
            return Ok(Sealed { pack: None, objects: 0, pack_len: 0, put });
        }
        let directory_offset = self.writer.pack.len();
        let attached = renumber(&mut objects, &self.writer.pack.attached());
        let lens: Vec<u64> = attached.iter().map(|file| file.len).collect();
        let beside = {
            let mut transaction = self.writer.transaction()?;
            let marks = std::mem::take(&mut transaction.marks);
            Beside { marks, attached: &lens, hints: std::mem::take(&mut transaction.hints) }
        };
        let bytes = build_directory(&mut objects, &beside);
        self.writer.pack.append(&bytes)?;
        let footer = Footer {
            directory_offset,
            directory_len: bytes.len() as u64,
            directory_checksum: xxh3_64(&bytes),
            pack: pack_id(&bytes),
        };
        let sidecar = [&bytes[..], &footer.encode()].concat();
        self.writer.pack.append(&footer.encode())?;
        self.write_out(&sidecar, footer.pack, &attached)?;
        let pack_len = directory_offset + sidecar.len() as u64;
        self.show(sidecar, footer.pack)?;
        Ok(Sealed { pack: Some(footer.pack), objects: objects.len(), pack_len, put })
    }

    /// Makes the pack and its sidecar durable under their final names.
    fn write_out(&self, sidecar: &[u8], id: PackId, attached: &[Arc<Attached>]) -> Result<()> {
        let catalog = &self.writer.decoder.catalog;
        let disk = &*catalog.disk;
        attached.iter().try_for_each(|file| file.file.sync())?;
        self.writer.pack.sync()?;
        let open_sidecar = sidecar_path(&self.writer.pack.path);
        disk.create_new(&open_sidecar)?.write_all_at(sidecar, 0)?;
        // What takes long is done before others have to wait.
        let compared = self.refuse_collisions(&self.compared)?;
        let _turn = catalog.folders.lock_names(disk)?;
        self.refuse_collisions(&compared)?;
        let path = pack_path(&catalog.folders.packs, &id);
        // The same objects stored in the same way are the same pack, which may be there and in use.
        let was_there = disk.stat(&path)?.is_some();
        let result = self.name(attached, &open_sidecar, &path, was_there);
        if result.is_err() && !was_there {
            // The caller will say that nothing was stored: let it be so, as far as the disk still obeys.
            let _ = disk.remove_file(&path);
            let _ = disk.remove_file(&sidecar_path(&path));
            for (number, _) in (1..).zip(attached) {
                let _ = disk.remove_file(&attached_path(&path, number));
            }
        }
        result
    }

    /// Gives the files of the pack their names, those first that others need: who sees the pack finds them.
    fn name(&self, attached: &[Arc<Attached>], sidecar: &Path, path: &Path, was_there: bool) -> Result<()> {
        let catalog = &self.writer.decoder.catalog;
        let disk = &*catalog.disk;
        if !was_there && !attached.is_empty() {
            for (number, file) in (1..).zip(attached) {
                let name = attached_path(path, number);
                // A stop in the middle of this leaves some.
                if disk.stat(&name)?.is_some() {
                    disk.remove_file(&name)?;
                }
                disk.link(&file.path, &name).map_err(|error| match error.is_unlinkable() {
                    true => StoreError::Unlinkable(error),
                    false => error.into(),
                })?;
                // What was hashed is what was open, whatever lies at its path by now.
                let id = file.file.id()?;
                if disk.stat(&name)?.is_none_or(|stat| stat.id != id) {
                    return Err(StoreError::Changed);
                }
            }
            // A pack without its files would be damaged: a power cut may not leave it.
            disk.sync_dir(&catalog.folders.packs)?;
        }
        disk.rename(sidecar, &sidecar_path(path))?;
        disk.rename(&self.writer.pack.path, path)?;
        Ok(catalog.sync_names_anew()?)
    }

    fn show(&self, sidecar: Vec<u8>, id: PackId) -> Result<()> {
        let catalog = &self.writer.decoder.catalog;
        let path = pack_path(&catalog.folders.packs, &id);
        let damaged = |what| StoreError::DamagedPack { path: path.clone(), what };
        let directory = Directory::open(Arc::new(sidecar)).map_err(damaged)?;
        catalog.add(Pack::local(path, directory, &catalog.files));
        self.writer.transaction()?.sealed = true;
        Ok(())
    }
}
