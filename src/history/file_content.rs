//! A file, of the history or not in it yet, as those see it who compare: what it is made of, and its bytes.
//!
//! What is not in the store is made of what it would be made of there, under the same keys, so that equal pieces are
//! known to be equal without a look at both.

use super::error::Result;
use super::file_hash::hash;
use super::reader::FileReader;
use super::repository::Repo;
use super::take_in::propose;
use crate::format;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, INLINE_LIMIT, Recipe, TensorInfo};
use crate::store::{Slice, Source, SourceError, StoreError};
use std::fmt;
use std::sync::Arc;

/// What a file is made of, and its bytes.
pub struct FileContent {
    recipe: Arc<Recipe>,
    bytes: Box<dyn Source + Send>,
}

/// A tensor of a file.
#[derive(Debug, Clone, Copy)]
pub struct TensorAt<'a> {
    /// What the file says of it.
    pub info: &'a TensorInfo,
    /// The object that it is, or would be.
    pub key: ObjectKey,
    /// Where its bytes begin in the file.
    pub start: u64,
    /// How many bytes it has.
    pub len: u64,
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileContent").field("len", &self.recipe.len()).finish_non_exhaustive()
    }
}

fn extent(source: &dyn Source, part: format::Proposed, key: ObjectKey) -> Result<Extent> {
    let len = part.len;
    Ok(match part.kind {
        format::Extent::Tensor { dtype, shape, name } => {
            Extent::Tensor { key, len, tensor: TensorInfo { name, dtype, shape } }
        }
        format::Extent::Literal | format::Extent::Chunk if len <= INLINE_LIMIT as u64 => {
            let mut bytes = vec![0; len as usize];
            source.read_exact_at(&mut bytes, part.start).map_err(StoreError::from)?;
            Extent::Inline(bytes)
        }
        format::Extent::Literal | format::Extent::Chunk => Extent::Object { key, len },
    })
}

impl FileContent {
    /// A file of the history.
    pub fn of(repo: &Repo, recipe: RecipeId) -> Result<Self> {
        let recipe = repo.recipe(recipe)?;
        let bytes = Box::new(repo.reader(&recipe));
        Ok(Self { recipe, bytes })
    }

    /// A file that is not in the history. Reads it once; stores nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_bytes(repo: &Repo, bytes: Box<dyn Source + Send>) -> Result<Self> {
        let source: &dyn Source = &*bytes;
        let proposed = propose(source)?;
        let (blake3, keys) = hash(repo.store().threads(), source, &proposed)?;
        let extents = proposed.into_iter().zip(keys).map(|(part, hashed)| extent(source, part, hashed.key));
        let extents = extents.collect::<Result<Vec<_>>>()?;
        let recipe = Arc::new(Recipe::new(extents, blake3).ok_or(StoreError::Changed)?);
        Ok(Self { recipe, bytes })
    }

    /// What it is made of.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Its bytes.
    pub fn bytes(&self) -> &dyn Source {
        &*self.bytes
    }

    /// Its tensors, in the order of the file.
    pub fn tensors(&self) -> impl Iterator<Item = TensorAt<'_>> {
        self.recipe.extents().iter().enumerate().filter_map(|(number, extent)| match extent {
            Extent::Tensor { key, len, tensor } => {
                let start = self.recipe.start(number)?;
                Some(TensorAt { info: tensor, key: *key, start, len: *len })
            }
            Extent::Inline(_) | Extent::Object { .. } => None,
        })
    }

    /// The bytes of one of its tensors.
    pub fn bytes_of(&self, tensor: &TensorAt<'_>) -> Slice<'_> {
        Slice { source: self.bytes(), offset: tensor.start, len: tensor.len }
    }

    /// All its bytes, if they are at most so many.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read_short(&self, most: u64) -> Result<Option<Vec<u8>>> {
        let len = self.recipe.len();
        if len > most {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        self.bytes.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
        Ok(Some(bytes))
    }
}

impl Source for FileReader {
    fn len(&self) -> u64 {
        self.recipe().len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        match self.read_at(offset, buf).map_err(SourceError::new)? {
            got if got == buf.len() => Ok(()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        }
    }
}
