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

/// Bytes hashed at once.
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
/// what the hash vouches for.
fn hash(source: &dyn Source, extents: &[format::Proposed]) -> Result<([u8; 32], Vec<ObjectKey>)> {
    let mut whole = blake3::Hasher::new();
    let mut keys = Vec::with_capacity(extents.len());
    let mut buf = vec![0; HASH_LEN.min(source.len() as usize)];
    for extent in extents {
        let mut part = ContentHasher::new();
        let (mut offset, end) = (extent.start, extent.start + extent.len);
        while offset < end {
            let len = buf.len().min((end - offset) as usize);
            source.read_exact_at(&mut buf[..len], offset).map_err(StoreError::from)?;
            part.update(&buf[..len]);
            update_blake3(&mut whole, &buf[..len]);
            offset += len as u64;
        }
        keys.push(part.finish());
    }
    Ok((*whole.finalize().as_bytes(), keys))
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
