//! An open file of the history: its recipe, and the objects that are being read.
//!
//! What is read again and again is looked up once: a file has a few readers of objects at a time, made when they are
//! needed, however many extents it has.

use super::error::Result;
use super::open_copy::OpenCopy;
use super::repository::Repo;
use crate::disk::DiskFile;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, Recipe};
use crate::store::ObjectReader;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of one file that are kept open: as many as are read at once, or in turn. Each holds what its chain of bases
/// needs.
const READERS: usize = 8;

/// A file of the history, open for reading. Threads may share it. It reads the same bytes whatever happens to the
/// repository's packs and plain copies meanwhile.
pub struct FileReader {
    pub(super) repo: Repo,
    recipe: Arc<Recipe>,
    /// The most recently used last.
    readers: Mutex<Vec<(ObjectKey, Arc<ObjectReader>)>>,
    pub(super) plain: OpenCopy,
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader").field("len", &self.recipe.len()).finish_non_exhaustive()
    }
}

impl Repo {
    /// Opens a file of the history: its plain copy if there is one. Looks nothing else up yet.
    pub fn reader(&self, recipe: &Arc<Recipe>) -> FileReader {
        let copy = self.plain().find(recipe.blake3(), recipe.len());
        FileReader { plain: OpenCopy::new(copy), ..FileReader::of_packs(self, recipe) }
    }
}

impl FileReader {
    /// The same from what is stored alone.
    pub(super) fn of_packs(repo: &Repo, recipe: &Arc<Recipe>) -> Self {
        let (repo, recipe) = (repo.clone(), Arc::clone(recipe));
        Self { repo, recipe, readers: Mutex::default(), plain: OpenCopy::new(None) }
    }

    /// What the file is made of.
    pub fn recipe(&self) -> &Arc<Recipe> {
        &self.recipe
    }

    /// The plain copy that is read, if there was one when the file was opened.
    pub fn copy(&self) -> Option<&dyn DiskFile> {
        self.plain.copy()
    }

    /// Fills `buf` with the bytes from `offset`; fewer at the end of the file. Returns how many.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let len = self.recipe.len().saturating_sub(offset).min(buf.len() as u64) as usize;
        if len > 0 && self.plain.read_at(offset, &mut buf[..len]) {
            return Ok(len);
        }
        let mut filled = 0;
        for (extent, range) in self.recipe.covering(offset, buf.len() as u64) {
            let part = &mut buf[filled..][..(range.end - range.start) as usize];
            filled += part.len();
            match extent {
                Extent::Inline(bytes) => {
                    part.copy_from_slice(&bytes[range.start as usize..range.end as usize]);
                }
                Extent::Object { key, len } => self.read_object(*key, *len, range, part)?,
                Extent::Part { key, whole, offset, .. } => {
                    let range = range.start + offset..range.end + offset;
                    self.read_object(*key, *whole, range, part)?;
                }
            }
        }
        Ok(filled)
    }

    fn read_object(&self, key: ObjectKey, len: u64, range: Range<u64>, part: &mut [u8]) -> Result<()> {
        // Who reads all of an object at once does not come back to it.
        if range == (0..len) {
            return Ok(self.repo.store().read_all(key, part)?);
        }
        Ok(self.object(key, len)?.read_at(range.start, part)?)
    }

    /// The reader of an object. It is made while nobody waits; of two that are made at once one is kept.
    fn object(&self, key: ObjectKey, len: u64) -> Result<Arc<ObjectReader>> {
        if let Some(reader) = self.recent(key) {
            return Ok(reader);
        }
        let reader = Arc::new(self.repo.store().reader(key)?);
        reader.check_len(len)?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.iter().all(|(known, _)| *known != key) {
            if readers.len() >= READERS {
                readers.remove(0);
            }
            readers.push((key, Arc::clone(&reader)));
        }
        Ok(reader)
    }

    fn recent(&self, key: ObjectKey) -> Option<Arc<ObjectReader>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let at = readers.iter().rposition(|(known, _)| *known == key)?;
        readers[at..].rotate_left(1);
        readers.last().map(|(_, reader)| Arc::clone(reader))
    }
}

/// A place for the reader of a file whose content may become another while it is open.
#[derive(Debug, Default)]
pub struct ReaderSlot(Mutex<Option<(RecipeId, Arc<FileReader>)>>);

impl ReaderSlot {
    /// The reader of the content that the file has now.
    pub fn of(&self, repo: &Repo, content: RecipeId) -> Result<Arc<FileReader>> {
        if let Some((known, reader)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *known == content
        {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(repo.reader(&repo.recipe(content)?));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((content, Arc::clone(&reader)));
        Ok(reader)
    }

    pub(super) fn current(&self) -> Option<Arc<FileReader>> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|(_, reader)| Arc::clone(reader))
    }
}
