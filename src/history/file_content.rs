//! A file, of the history or not in it yet, as those see it who compare: what it is made of, and its bytes.
//!
//! What is not in the store is made of what it would be made of there, under the same keys, so that equal pieces are
//! known to be equal without a look at both.

use super::composition::{Between, is_inline, read_literal, recipe};
use super::error::Result;
use super::file_hash::hash;
use super::reader::FileReader;
use super::repository::Repo;
use super::take_in::propose;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, Recipe, TensorInfo};
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
    /// The object that it is, or would be. Of one whose bytes are parts of other objects, a name that equal parts of equal
    /// objects have.
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

/// Separates the names of parts from keys, which are no BLAKE3 of this kind.
const PARTS_CONTEXT: &str = "coral name of a tensor in parts of objects, version 1";

/// What an item of a name is: bytes, behind how many they are, or a part of an object.
const INSIDE: u8 = 0;
const OBJECT: u8 = 1;

/// A name for bytes of a file that are no object.
fn name_of_parts(recipe: &Recipe, start: u64, len: u64) -> ObjectKey {
    let mut hasher = blake3::Hasher::new_derive_key(PARTS_CONTEXT);
    for (extent, range) in recipe.covering(start, len) {
        let (key, offset) = match extent {
            Extent::Inline(bytes) => {
                let inside = &bytes[range.start as usize..range.end as usize];
                hasher.update(&[INSIDE]).update(&(inside.len() as u64).to_le_bytes()).update(inside);
                continue;
            }
            Extent::Object { key, .. } => (key, 0),
            Extent::Part { key, offset, .. } => (key, *offset),
        };
        hasher.update(&[OBJECT]).update(key.as_bytes());
        hasher.update(&(offset + range.start).to_le_bytes());
        hasher.update(&(range.end - range.start).to_le_bytes());
    }
    let mut name = [0; ObjectKey::LEN];
    hasher.finalize_xof().fill(&mut name);
    ObjectKey::from_bytes(name)
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
        let proposal = propose(source)?;
        let (blake3, keys) = hash(repo.store().threads(), source, &proposal.parts)?;
        let between = Between::gather(source, &proposal, &keys)?;
        let gathered: Vec<ObjectKey> = between.objects.iter().map(|object| object.hashed.key).collect();
        let extents = proposal.parts.iter().zip(keys).enumerate().map(|(number, (part, hashed))| {
            Ok(match between.extent(number, part.len, &gathered) {
                Some(extent) => extent,
                None if is_inline(part) => Extent::Inline(read_literal(source, part, &hashed)?),
                None => Extent::Object { key: hashed.key, len: part.len },
            })
        });
        let extents = extents.collect::<Result<Vec<_>>>()?;
        let recipe = Arc::new(recipe(proposal, extents, blake3)?);
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
        self.recipe.table().iter().map(|tensor| {
            let (start, len) = self.recipe.range_of(tensor);
            let key = self.recipe.key_of(tensor).unwrap_or_else(|| name_of_parts(&self.recipe, start, len));
            TensorAt { info: &tensor.info, key, start, len }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_look_like_a_part_have_another_name() {
        let part = |offset| Extent::Part { key: ObjectKey::from_bytes([1; 16]), whole: 9, offset, len: 3 };
        let name = |extents: Vec<Extent>| {
            let recipe = Recipe::new(extents, Vec::new(), [0; 32]).expect("a recipe");
            name_of_parts(&recipe, 0, recipe.len())
        };
        let looks = [&[1; 16][..], &2u64.to_le_bytes(), &3u64.to_le_bytes()].concat();
        let names = [
            name(vec![part(2)]),
            name(vec![Extent::Inline(looks.clone())]),
            name(vec![Extent::Inline([&[1][..], &looks].concat())]),
            name(vec![Extent::Inline(vec![7; 2])]),
            name(vec![Extent::Inline(vec![7]), Extent::Inline(vec![7])]),
        ];
        for (number, one) in names.iter().enumerate() {
            assert!(!names[..number].contains(one), "{number}");
        }
    }
}
