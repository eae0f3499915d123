//! From a file's bytes to its recipe: extents are proposed by what the bytes are, each becomes an object, and the
//! whole is hashed so that the recipe carries proof of what went in.

use super::error::{Error, Result};
use super::repository::Repo;
use crate::format;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, INLINE_LIMIT, Recipe, TensorInfo};
use crate::store::{ContentHasher, Ingest, Kind, Slice, Source, SourceError, StoreError};
use crate::tensor::Dtype;
use rayon::prelude::*;
use std::collections::HashMap;
use std::io;

/// How a file is named while it is taken in: for errors, and for finding what it derives from.
#[derive(Debug, Clone, Default)]
pub struct IngestFile {
    /// What to call it in an error.
    pub shown_as: String,
    /// The version of the file that it probably derives from: the one at the same path in the parent commit.
    pub parent: Option<RecipeId>,
}

/// Bytes read and hashed at once; two such blocks are in memory.
const HASH_LEN: usize = 1 << 20;

/// Fewer bytes are hashed by one thread: below, dividing the work costs more than it saves (BLAKE3's own advice).
const PARALLEL_HASH_LEN: usize = 128 << 10;

impl Repo {
    /// Takes a file into the store and returns its recipe. Nothing is durable before the transaction is sealed.
    ///
    /// # Errors
    /// [`Error::KeepsChanging`] if the bytes changed while they were read; nothing wrong was stored then.
    pub fn ingest(&self, ingest: &Ingest, source: &dyn Source, file: &IngestFile) -> Result<(RecipeId, u64)> {
        let result = self.ingest_extents(ingest, source, file);
        match result {
            Err(Error::Store(StoreError::Changed)) => Err(Error::KeepsChanging(file.shown_as.clone().into())),
            Err(Error::Store(StoreError::Source(error))) if error.ended_early() => {
                Err(Error::KeepsChanging(file.shown_as.clone().into()))
            }
            other => other,
        }
    }

    fn ingest_extents(
        &self,
        ingest: &Ingest,
        source: &dyn Source,
        file: &IngestFile,
    ) -> Result<(RecipeId, u64)> {
        let proposed = propose(source)?;
        let bases = match file.parent {
            Some(parent) => Bases::of(&*self.recipe(parent)?),
            None => Bases::default(),
        };
        let (blake3, keys) = hash(source, &proposed)?;
        let extents =
            proposed.par_iter().zip(keys).map(|(part, key)| put_extent(ingest, source, part, key, &bases));
        let recipe = Recipe::new(extents.collect::<Result<_>>()?, blake3).ok_or(StoreError::Changed)?;
        let encoding = recipe.encode();
        let id = Recipe::id_of(&encoding);
        ingest.put_meta(Kind::Recipe, id.as_bytes(), &encoding)?;
        Ok((id, recipe.len()))
    }
}

/// The extents that a file's bytes suggest.
pub(super) fn propose(source: &dyn Source) -> Result<Vec<format::Proposed>> {
    Ok(format::propose(&FileBytes(source)).map_err(|error| StoreError::from(SourceError::new(error)))?)
}

/// The tensors of a file that another one probably derives from.
#[derive(Default)]
struct Bases {
    by_name: HashMap<String, (ObjectKey, u64)>,
}

impl Bases {
    fn of(recipe: &Recipe) -> Self {
        let by_name = recipe.tensors().map(|(tensor, key, len)| (tensor.name.clone(), (key, len))).collect();
        Self { by_name }
    }

    /// The tensor of the same name, if it is as long: a difference needs bytes that face each other.
    fn tensor(&self, name: &str, len: u64) -> Vec<ObjectKey> {
        self.by_name
            .get(name)
            .filter(|(_, base_len)| *base_len == len)
            .map(|(key, _)| *key)
            .into_iter()
            .collect()
    }
}

fn put_extent(
    ingest: &Ingest,
    source: &dyn Source,
    part: &format::Proposed,
    key: ObjectKey,
    bases: &Bases,
) -> Result<Extent> {
    let slice = Slice { source, offset: part.start, len: part.len };
    match &part.kind {
        format::Extent::Literal | format::Extent::Chunk if part.len <= INLINE_LIMIT as u64 => {
            let mut bytes = vec![0; part.len as usize];
            slice.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
            let mut hasher = ContentHasher::new();
            hasher.update(&bytes);
            // These bytes go into the recipe beside the hash of the whole file.
            if hasher.finish() != key {
                return Err(StoreError::Changed.into());
            }
            Ok(Extent::Inline(bytes))
        }
        format::Extent::Literal | format::Extent::Chunk => {
            let put = ingest.put_hashed(Dtype::Opaque, &slice, &[], key)?;
            Ok(Extent::Object { key: put.key, len: part.len })
        }
        format::Extent::Tensor { dtype, shape, name } => {
            let put = ingest.put_hashed(*dtype, &slice, &bases.tensor(name, part.len), key)?;
            let tensor = TensorInfo { name: name.clone(), dtype: *dtype, shape: shape.clone() };
            Ok(Extent::Tensor { key: put.key, len: part.len, tensor })
        }
    }
}

/// BLAKE3 of the whole file, and the key of each of its extents, from one reading: what is stored under the keys is
/// what the hash vouches for. While one block is hashed both ways, the next one is read.
fn hash(source: &dyn Source, extents: &[format::Proposed]) -> Result<([u8; 32], Vec<ObjectKey>)> {
    let mut whole = blake3::Hasher::new();
    let mut keys =
        ExtentKeys { extents, keys: Vec::with_capacity(extents.len()), part: ContentHasher::new(), at: 0 };
    let block_len = |start: u64| (source.len().saturating_sub(start)).min(HASH_LEN as u64);
    let read = |block: &mut Vec<u8>, start: u64| {
        block.resize(block_len(start) as usize, 0);
        source.read_exact_at(block, start)
    };
    let (mut block, mut ahead, mut next) = (Vec::new(), Vec::new(), 0);
    read(&mut block, 0).map_err(StoreError::from)?;
    while !block.is_empty() {
        next += block.len() as u64;
        let hash = || both(block.len(), || keys.update(&block), || update_blake3(&mut whole, &block));
        both(block_len(next) as usize, || read(&mut ahead, next), hash).0.map_err(StoreError::from)?;
        std::mem::swap(&mut block, &mut ahead);
    }
    keys.update(&[]);
    Ok((*whole.finalize().as_bytes(), keys.keys))
}

/// Does two things to so many bytes at once where that is worth it.
fn both<A: Send, B: Send>(
    len: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if len < PARALLEL_HASH_LEN { (one(), other()) } else { rayon::join(one, other) }
}

/// The keys of extents that tile a file, from its bytes in order.
struct ExtentKeys<'a> {
    extents: &'a [format::Proposed],
    /// Of those that are complete.
    keys: Vec<ObjectKey>,
    /// The extent that comes next.
    part: ContentHasher,
    /// Bytes so far.
    at: u64,
}

impl ExtentKeys<'_> {
    fn update(&mut self, mut bytes: &[u8]) {
        while let Some(extent) = self.extents.get(self.keys.len()) {
            let left = extent.start + extent.len - self.at;
            let (now, rest) = bytes.split_at(left.min(bytes.len() as u64) as usize);
            self.part.update(now);
            self.at += now.len() as u64;
            if (now.len() as u64) < left {
                return;
            }
            self.keys.push(std::mem::take(&mut self.part).finish());
            bytes = rest;
        }
    }
}

/// BLAKE3 of a whole file.
pub(super) fn hash_whole(source: &dyn Source) -> Result<[u8; 32]> {
    let whole = format::Proposed { start: 0, len: source.len(), kind: format::Extent::Chunk };
    Ok(hash(source, &[whole])?.0)
}

/// Hashes with all threads where that is worth it.
fn update_blake3(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() < PARALLEL_HASH_LEN {
        hasher.update(bytes);
    } else {
        hasher.update_rayon(bytes);
    }
}

/// A source as the format parsers want to read it.
struct FileBytes<'a>(&'a dyn Source);

impl format::Bytes for FileBytes<'_> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn each_extent_has_the_key_of_its_own_bytes(
            lens in prop::collection::vec(prop::sample::select(vec![0, 1, 7, 5_000, HASH_LEN, HASH_LEN + 9]), 0..6),
        ) {
            let bytes: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|at| (at * 7 / 3) as u8).collect();
            let mut start = 0;
            let extents = lens.iter().map(|&len| {
                let extent = format::Proposed { start, len: len as u64, kind: format::Extent::Chunk };
                start += len as u64;
                extent
            });
            let extents: Vec<_> = extents.collect();
            let key = |extent: &format::Proposed| {
                let mut hasher = ContentHasher::new();
                hasher.update(&bytes[extent.start as usize..(extent.start + extent.len) as usize]);
                hasher.finish()
            };
            let (whole, keys) = hash(&bytes, &extents).expect("memory can be read");
            prop_assert_eq!(whole, *blake3::hash(&bytes).as_bytes());
            prop_assert_eq!(keys, extents.iter().map(key).collect::<Vec<_>>());
        }
    }
}
