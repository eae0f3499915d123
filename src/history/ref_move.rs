//! How a ref's file changes: what it will say is written and synced beside it first, and one rename, or one removal, is
//! the move. Before that a failure leaves the ref as it was; after it nothing fails any more, there are only warnings.
//!
//! Knows no ref names and no logs. Whoever calls holds the lock of the refs.

use super::error::Result;
use super::warning::Warning;
use crate::disk::{Disk, DiskError, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a ref will say, on the disk already but not under its name.
#[must_use = "a move that is only prepared has not happened"]
pub(super) struct Prepared<'a> {
    disk: &'a dyn Disk,
    next: PathBuf,
    path: PathBuf,
}

/// Writes what the file at `path` will say to the file `next`, which nobody else uses, and makes the folders that it
/// needs, durably. `top` is the folder that all files of its kind lie in.
pub(super) fn prepare<'a>(
    disk: &'a dyn Disk,
    next: PathBuf,
    top: &Path,
    path: PathBuf,
    text: &[u8],
) -> Result<Prepared<'a>> {
    make_room(disk, top, &path)?;
    if disk.stat(&next)?.is_some() {
        // Of somebody who was killed: the lock says that nobody is at it now.
        disk.remove_file(&next)?;
    }
    let prepared = Prepared { disk, next, path };
    let file = disk.create_new(&prepared.next)?;
    match file.write_all_at(text, 0).and_then(|()| file.sync()) {
        Ok(()) => Ok(prepared),
        Err(error) => {
            prepared.drop_it();
            Err(error.into())
        }
    }
}

impl Prepared<'_> {
    /// Moves the ref: it says the new thing, for everybody, when this returns no error.
    pub(super) fn swap(self) -> Result<Vec<Warning>> {
        if let Err(error) = self.disk.rename(&self.next, &self.path) {
            self.drop_it();
            return Err(error.into());
        }
        let folder = self.path.parent().expect("a ref lies in a folder");
        Ok(self.disk.sync_dir(folder).err().map(Warning::NotDurable).into_iter().collect())
    }

    /// Leaves the ref as it is.
    pub(super) fn drop_it(&self) {
        // What stays is removed by the next who prepares.
        let _ = self.disk.remove_file(&self.next);
    }
}

/// Removes a ref's file: it is gone, for everybody, when this returns no error. Folders that are empty then go too.
pub(super) fn remove(disk: &dyn Disk, top: &Path, path: &Path) -> Result<Vec<Warning>> {
    disk.remove_file(path)?;
    let parent = path.parent().expect("a ref lies in a folder");
    let mut warnings: Vec<Warning> =
        disk.sync_dir(parent).err().map(Warning::NotDurable).into_iter().collect();
    warnings.extend(remove_empty_folders(disk, top, parent).err().map(Warning::Leftover));
    Ok(warnings)
}

fn remove_empty_folders(disk: &dyn Disk, top: &Path, from: &Path) -> std::result::Result<(), DiskError> {
    let mut folder = from;
    while folder != top && disk.list(folder)?.is_empty() {
        disk.remove_dir(folder)?;
        folder = folder.parent().expect("the folder of all refs of a kind is above");
    }
    if folder == from { Ok(()) } else { disk.sync_dir(folder) }
}

/// Makes the folders above a ref, durably, and takes away empty ones that stand where it will be.
fn make_room(disk: &dyn Disk, top: &Path, path: &Path) -> Result<()> {
    match disk.stat(path) {
        Ok(None) => {}
        Ok(Some(found)) if found.kind == FileType::Dir => remove_empty_tree(disk, path)?,
        Ok(Some(_)) => return Ok(()),
        Err(error) if is_no_ref(&error) => {}
        Err(error) => return Err(error.into()),
    }
    let parent = path.parent().expect("a ref lies in a folder");
    disk.create_dir_all(parent)?;
    // Whoever made a folder may have been killed before it was durable.
    for folder in parent.ancestors().take_while(|folder| *folder != top) {
        disk.sync_dir(folder)?;
    }
    if parent == top { Ok(()) } else { Ok(disk.sync_dir(top)?) }
}

/// Removes a folder that has nothing but folders in it, as a deletion that was cut short leaves it.
fn remove_empty_tree(disk: &dyn Disk, folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(at) = folders.get(next).cloned() {
        folders.extend(disk.list(&at)?.into_iter().map(|name| at.join(name)));
        next += 1;
    }
    // A file in there makes its folder refuse to go.
    folders.into_iter().rev().try_for_each(|folder| Ok(disk.remove_dir(&folder)?))
}

/// Whether there is no ref file: nothing, something else in place of a folder above it, or a folder of refs.
pub(super) fn is_no_ref(error: &DiskError) -> bool {
    error.is_absence() || error.source.kind() == ErrorKind::IsADirectory
}
