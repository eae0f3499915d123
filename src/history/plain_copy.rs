//! Filling plain copies of files of the history with what is stored: ahead of a reader, on all threads, and compared with
//! the hash of the file before a copy gets its name.

use super::error::{Error, Result};
use super::file_hash::hash_whole;
use super::reader::{FileReader, ReaderSlot};
use super::repository::Repo;
use crate::disk::DiskFile;
use crate::id::RecipeId;
use crate::plain::{Begun, CHUNK_LEN, Filling, Part};
use crate::recipe::Recipe;
use crate::store::{Source, SourceError, StoreError};
use crate::task::Task;
use std::path::PathBuf;
use std::sync::Arc;

/// So many rounds one file is filled before the next one that waits.
const BATCHES: usize = 16;

/// Chunks that are filled at once by each thread: whoever is done early waits for the others at the end of each round.
const CHUNKS: usize = 8;

/// Whether the disk cannot read a copy, as opposed to anything that says nothing of it.
fn is_unreadable(error: &Error) -> bool {
    let is_io = |code: Option<i32>| code == Some(libc::EIO);
    match error {
        Error::Disk(error) => is_io(error.source.raw_os_error()),
        Error::Store(StoreError::Source(error)) => is_io(error.raw_os_error()),
        _ => false,
    }
}

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
        let filling = self.plain.close()?;
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

/// Compares the plain copies with their names. Those that differ are removed, and returned: nothing is lost by it.
pub(super) fn check_copies(repo: &Repo, task: &Task) -> Result<Vec<PathBuf>> {
    let hash = |file: &dyn DiskFile| {
        task.check()?;
        hash_whole(repo.store().threads(), &Whole(file, file.len()?))
    };
    repo.plain().check(hash, is_unreadable)
}

/// Gives a copy up when it is dropped.
struct GiveUp<'a>(&'a Fill);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.0.repo.plain().give_up(&self.0.filling);
    }
}

impl Fill {
    fn new(repo: &Repo, recipe: &Arc<Recipe>, filling: &Arc<Filling>) -> Self {
        Self { repo: repo.clone(), recipe: Arc::clone(recipe), filling: Arc::clone(filling) }
    }

    /// Fills as far as readers want it, but no more than a while, and names the copy when all of it is there. Readers see
    /// each chunk as soon as it is written. The result tells whether there is more to do, for which this is to be run
    /// again.
    ///
    /// # Errors
    /// Of the store or the disk, or that the task was stopped: then the copy is given up, and what was stored is as it
    /// was. A panic gives it up as well.
    pub fn run(&self, task: &Task) -> Result<bool> {
        let unless_done = GiveUp(self);
        let done = self.fill(task)?;
        std::mem::forget(unless_done);
        Ok(done)
    }

    fn fill(&self, task: &Task) -> Result<bool> {
        let threads = self.repo.store().threads();
        let batch = CHUNKS * threads.count();
        let stored = FileReader::of_packs(&self.repo, &self.recipe);
        let mut part = self.filling.begin(batch);
        for _ in 0..BATCHES {
            match part {
                Part::Fill(ranges) => threads.try_each(ranges.into_iter(), Vec::new, |buf, range| {
                    task.check()?;
                    buf.resize((range.end - range.start).min(CHUNK_LEN) as usize, 0);
                    stored.read_at(range.start, buf)?;
                    Ok::<_, Error>(self.filling.put(&range, buf)?)
                })?,
                Part::Pause => return Ok(false),
                Part::Complete => return self.complete().map(|()| false),
                Part::GiveUp => {
                    self.repo.plain().give_up(&self.filling);
                    return Ok(false);
                }
            }
            part = self.filling.next(batch);
        }
        self.filling.put_back(part);
        Ok(true)
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

/// What came of the wish for a plain copy of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefetched {
    /// There is one now.
    Made,
    /// There was one.
    Known,
    /// It is so short that it is read from the packs as fast.
    Short,
    /// There is no room for one: on the disk, or among the bytes that copies may take.
    NoRoom,
}

/// Makes a plain copy of a file before somebody reads it, and waits for it.
///
/// # Errors
/// As [`Fill::run`].
pub fn prefetch(repo: &Repo, recipe: RecipeId, task: &Task) -> Result<Prefetched> {
    let recipe = Arc::new(repo.recipe(recipe)?);
    if !repo.plain().takes(recipe.len()) {
        let is_long = recipe.len() > repo.plain().budget();
        return Ok(if is_long { Prefetched::NoRoom } else { Prefetched::Short });
    }
    loop {
        task.check().map_err(Error::from)?;
        let reader = match repo.plain().begin(recipe.blake3(), recipe.len())? {
            // Another thread of this process is making room.
            Begun::Busy => {
                std::thread::yield_now();
                continue;
            }
            Begun::Named(_) => return Ok(Prefetched::Known),
            Begun::None => return Ok(Prefetched::NoRoom),
            Begun::New(reader) | Begun::Joined(reader) => reader,
        };
        let filling = Arc::clone(reader.filling());
        filling.want_all();
        let fill = Fill::new(repo, &recipe, &filling);
        while fill.run(task)? {}
        let _ = reader.leave();
        return Ok(if filling.is_named() { Prefetched::Made } else { Prefetched::NoRoom });
    }
}
