//! Filling plain copies of files of the history with what is stored: ahead of a reader, on all threads, and compared with
//! the hash of the file before a copy gets its name.

use super::error::{Error, Result};
use super::file_hash::hash_whole;
use super::reader::{FileReader, ReaderSlot};
use super::repository::Repo;
use crate::disk::DiskFile;
use crate::plain::{CHUNK_LEN, Filling, Part};
use crate::recipe::Recipe;
use crate::store::{Source, SourceError, StoreError};
use crate::task::Task;
use std::path::PathBuf;
use std::sync::Arc;

/// Chunks that are filled at once by each thread: whoever is done early waits for the others at the end of each round.
const CHUNKS: usize = 8;

/// A copy that is to be filled on.
#[derive(Debug)]
pub struct Fill {
    repo: Repo,
    recipe: Arc<Recipe>,
    filling: Arc<Filling>,
}

/// A file as it lies on the disk, to be hashed.
struct Whole<'a>(&'a dyn DiskFile, u64);

impl Source for Whole<'_> {
    fn len(&self) -> u64 {
        self.1
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.0.read_exact_at(buf, offset).map_err(|error| error.source)?)
    }
}

impl FileReader {
    /// Notes that a program read so many bytes at an offset. Whoever reads a file from its beginning on wants all of it:
    /// the result is then a plain copy to be filled on, ahead of the reader and beside it.
    pub fn note_read(&self, offset: u64, len: u64) -> Option<Fill> {
        let filling = self.plain.note_read(&self.repo, self.recipe(), offset, len)?;
        Some(Fill::new(&self.repo, self.recipe(), &filling))
    }

    /// Ends reading. The result is what is to become of a copy that nobody reads any more.
    pub fn close(&self) -> Option<Fill> {
        let filling = self.plain.leave()?;
        Some(Fill::new(&self.repo, self.recipe(), &filling))
    }
}

impl ReaderSlot {
    /// As [`FileReader::note_read`], of the content that was read last.
    pub fn note_read(&self, offset: u64, len: u64) -> Option<Fill> {
        self.current()?.note_read(offset, len)
    }

    /// As [`FileReader::close`].
    pub fn close(&self) -> Option<Fill> {
        self.current()?.close()
    }
}

impl Repo {
    /// Compares the plain copies with their names. Those that differ are removed, and returned: nothing is lost by it.
    pub(super) fn check_copies(&self, task: &Task) -> Result<Vec<PathBuf>> {
        self.plain().check(|file| {
            task.check()?;
            hash_whole(self.store().threads(), &Whole(file, file.len()?))
        })
    }
}

impl Fill {
    fn new(repo: &Repo, recipe: &Arc<Recipe>, filling: &Arc<Filling>) -> Self {
        Self { repo: repo.clone(), recipe: Arc::clone(recipe), filling: Arc::clone(filling) }
    }

    /// Fills as far as readers want it, and names the copy when all of it is there. Readers see each chunk as soon as it
    /// is written.
    ///
    /// # Errors
    /// Of the store or the disk, or that the task was stopped: then the copy is given up, and what was stored is as it
    /// was.
    pub fn run(&self, task: &Task) -> Result<()> {
        let plain = self.repo.plain();
        let done = self.fill(task);
        if done.is_err() && !self.filling.is_over() {
            plain.give_up(&self.filling);
        }
        done
    }

    fn fill(&self, task: &Task) -> Result<()> {
        let threads = self.repo.store().threads();
        let batch = CHUNKS * threads.count();
        let stored = FileReader::of_packs(&self.repo, &self.recipe);
        let mut part = self.filling.begin(batch);
        loop {
            match part {
                Part::Fill(ranges) => threads.try_each(ranges.into_iter(), Vec::new, |buf, range| {
                    task.check()?;
                    buf.resize((range.end - range.start).min(CHUNK_LEN) as usize, 0);
                    stored.read_at(range.start, buf)?;
                    Ok::<_, Error>(self.filling.put(&range, buf)?)
                })?,
                Part::Pause => return Ok(()),
                Part::Complete => return self.complete(),
                Part::GiveUp => {
                    self.repo.plain().give_up(&self.filling);
                    return Ok(());
                }
            }
            part = self.filling.next(batch);
        }
    }

    /// What a name vouches for is looked at once more, as it is on the disk.
    fn complete(&self) -> Result<()> {
        let file = self.filling.file();
        let found = hash_whole(self.repo.store().threads(), &Whole(&**file, self.filling.len()))?;
        if found != *self.filling.blake3() {
            let path = self.repo.root().join("plain");
            return Err(
                StoreError::DamagedPack { path, what: "a plain copy is not what was to be copied" }.into()
            );
        }
        Ok(self.repo.plain().finish(&self.filling)?)
    }
}
