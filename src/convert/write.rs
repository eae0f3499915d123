//! The files of a conversion: written beside their names, made durable, and put in their places last.

use super::cast::Hands;
use super::error::{Error, Result};
use super::layout::Layout;
use super::origin::Origin;
use super::plan::{Plan, Planned, Wish};
use super::shards::{Shard, Written, shards};
use crate::disk::{Disk, DiskError, DiskFile, Patience};
use crate::history;
use crate::random::unpredictable;
use crate::task::{Meter, Task, Unit};
use crate::threads::Threads;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the files go, and who writes them.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The disk that they are on.
    pub disk: &'a dyn Disk,
    /// The folder that they go into, which is there.
    pub folder: &'a Path,
    /// What the file is called if there is only one; ends as its kind does.
    pub name: &'a str,
    /// Whether files of these names may be replaced.
    pub force: bool,
    /// Who works.
    pub threads: &'a Threads,
    /// Who stops it.
    pub task: &'a Task,
}

/// A file that has no name of its own yet; it goes if it never gets one.
struct Beside<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    is_placed: bool,
    /// Held as long as somebody writes it: who finds the file without it may remove it.
    lock: Option<Box<dyn Send + Sync>>,
}

/// What such files are called, with 16 digits between.
const BESIDE: (&str, &str) = (".coral-", ".partial");

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.is_placed {
            // What cannot be removed costs room, and the first error is the one to tell.
            let _ = self.disk.remove_file(&self.path);
        }
    }
}

/// Writes the files of a plan. They are durable when this returns; each is whole or not there, whatever happens.
///
/// # Errors
/// [`OutputExists`](history::Error::OutputExists) if something is in the way: then nothing is overwritten. After any error
/// nothing is there that was not there before; but of files that replace others some may have done so.
pub fn write(wish: &Wish, plan: &Plan<'_>, origins: &[Origin], target: &Target<'_>) -> Result<Vec<Written>> {
    let shards = shards(wish, plan, origins, target.name)?;
    for shard in shards.iter().filter(|_| !target.force) {
        target.check_vacant(&target.folder.join(&shard.name))?;
    }
    target.sweep();
    let total = shards.iter().map(|shard| shard.layout.len).sum();
    let meter = target.task.begin("converting", Unit::Bytes, Some(total));
    let mut beside = Vec::with_capacity(shards.len());
    for shard in &shards {
        beside.push(target.write_beside(&shard.layout, &plan.tensors[shard.tensors.clone()], &*meter)?);
    }
    origins.iter().try_for_each(Origin::check_unchanged)?;
    target.task.check()?;
    target.place_all(beside, &shards)?;
    let written =
        |Shard { name, layout, tensors }: Shard| Written { name, len: layout.len, tensors: tensors.len() };
    Ok(shards.into_iter().map(written).collect())
}

impl<'a> Target<'a> {
    fn check_vacant(&self, path: &Path) -> Result<()> {
        match self.disk.stat(path)? {
            None => Ok(()),
            Some(_) => Err(history::Error::OutputExists(path.to_owned()).into()),
        }
    }

    /// Writes a file under a name that nobody uses, and makes its bytes durable.
    fn write_beside(
        &self,
        layout: &Layout,
        tensors: &[Planned<'_>],
        meter: &dyn Meter,
    ) -> Result<Beside<'a>> {
        let (beside, file) = self.begin_beside()?;
        file.reserve(layout.len)?;
        file.set_len(layout.len)?;
        let checksums = self.write_tensors(&*file, layout, tensors, meter)?;
        for (at, bytes) in layout.frame(&checksums) {
            file.write_all_at(&bytes, at)?;
        }
        file.sync()?;
        Ok(beside)
    }

    /// A new file under a name that nobody uses, locked where there are locks.
    fn begin_beside(&self) -> Result<(Beside<'a>, Box<dyn DiskFile>)> {
        loop {
            let (first, last) = BESIDE;
            let path = self.folder.join(format!("{first}{:016x}{last}", unpredictable() as u64));
            drop(self.disk.create_new(&path)?);
            let mut beside = Beside { disk: self.disk, path, is_placed: false, lock: None };
            match self.disk.lock(&beside.path, true, Patience::Try) {
                Ok(Some(lock)) => beside.lock = Some(lock),
                // Somebody takes it for one that was left, and removes it.
                Ok(None) => continue,
                Err(DiskError { .. }) => {}
            }
            // The one that is locked, even if somebody removed the first and it was made anew.
            let file = self.disk.open(&beside.path, true)?;
            return Ok((beside, file));
        }
    }

    /// Removes what conversions into the folder left that were killed. What cannot be removed costs room and nothing else.
    fn sweep(&self) {
        let is_digits = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_beside = |name: &String| {
            name.strip_prefix(BESIDE.0).and_then(|name| name.strip_suffix(BESIDE.1)).is_some_and(is_digits)
        };
        for name in self.disk.list(self.folder).unwrap_or_default().iter().filter(|name| is_beside(name)) {
            let path = self.folder.join(name);
            if let Ok(Some(_lock)) = self.disk.lock(&path, true, Patience::Try) {
                let _ = self.disk.remove_file(&path);
            }
        }
    }

    /// Writes all pieces of all tensors, and returns the CRC-32 of each if the layout wants them.
    fn write_tensors(
        &self,
        file: &dyn DiskFile,
        layout: &Layout,
        tensors: &[Planned<'_>],
        meter: &dyn Meter,
    ) -> Result<Vec<u32>> {
        let mut pieces = Vec::new();
        for (number, tensor) in tensors.iter().enumerate() {
            pieces.extend((0..tensor.cast.pieces()).map(|index| (number, index)));
        }
        let sums: Vec<(AtomicU32, AtomicU32)> = match layout.has_checksums() {
            true => pieces.iter().map(|_| Default::default()).collect(),
            false => Vec::new(),
        };
        self.threads.try_each(
            pieces.iter().enumerate(),
            Hands::default,
            |hands, (place, (number, index))| {
                self.task.check()?;
                let (offset, bytes) = tensors[*number].cast.piece(*index, hands)?;
                file.write_all_at(bytes, layout.payloads[*number] + offset)?;
                if let Some((sum, len)) = sums.get(place) {
                    sum.store(crc32fast::hash(bytes), Ordering::Relaxed);
                    len.store(bytes.len() as u32, Ordering::Relaxed);
                }
                meter.advance(bytes.len() as u64);
                Ok::<_, Error>(())
            },
        )?;
        let mut checksums =
            vec![crc32fast::Hasher::new(); if layout.has_checksums() { tensors.len() } else { 0 }];
        for ((number, _), (sum, len)) in pieces.iter().zip(&sums) {
            let (sum, len) = (sum.load(Ordering::Relaxed), len.load(Ordering::Relaxed));
            checksums[*number].combine(&crc32fast::Hasher::new_with_initial_len(sum, len.into()));
        }
        Ok(checksums.into_iter().map(crc32fast::Hasher::finalize).collect())
    }

    /// Gives files that are durable their names, the last one last.
    fn place_all(&self, mut beside: Vec<Beside<'_>>, shards: &[Shard]) -> Result<()> {
        let paths: Vec<PathBuf> = shards.iter().map(|shard| self.folder.join(&shard.name)).collect();
        let mut placed = 0;
        let done = (|| {
            for (file, path) in beside.iter_mut().zip(&paths) {
                self.place(file, path)?;
                placed += 1;
            }
            // Names that files had before go first, so that none of them comes back.
            beside.clear();
            Ok(self.disk.sync_dir(self.folder)?)
        })();
        if done.is_err() && !self.force {
            // The first error is the one to tell.
            paths[..placed].iter().for_each(|path| drop(self.disk.remove_file(path)));
        }
        done
    }

    /// Gives a file that is durable its name.
    fn place(&self, file: &mut Beside<'_>, path: &Path) -> Result<()> {
        if !self.force {
            match self.disk.link(&file.path, path) {
                // Its first name goes with it.
                Ok(()) => return Ok(()),
                Err(error) if error.source.kind() == ErrorKind::AlreadyExists => {
                    return Err(history::Error::OutputExists(path.to_owned()).into());
                }
                // Where there are no second names, somebody may come between the two.
                Err(DiskError { .. }) => self.check_vacant(path)?,
            }
        }
        self.disk.rename(&file.path, path)?;
        file.is_placed = true;
        Ok(())
    }
}
