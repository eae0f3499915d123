//! From a file's bytes to its recipe: extents are proposed by what the bytes are, each becomes an object, and the
//! whole is hashed so that the recipe carries proof of what went in.

use super::error::{Error, Result};
use super::file_hash::{hash, hash_whole};
use super::repository::Repo;
use crate::disk::DiskFile;
use crate::format;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, INLINE_LIMIT, Recipe, TensorInfo};
use crate::store::{
    AttachedFile, ContentHasher, Hashed, Ingest, Kind, Put, Slice, Source, SourceError, StoreError,
    Treatment, Watched,
};
use crate::task::{Meter, Task, Unit};
use crate::tensor::Dtype;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Files of so many bytes and fewer are read once and worked on in memory: each reading of a small one costs more than
/// what is done with its bytes. Each thread holds one.
const READ_WHOLE: u64 = 256 << 10;

/// How a file is named while it is taken in: for errors, and for finding what it derives from.
#[derive(Debug, Clone, Default)]
pub struct IngestFile {
    /// What to call it in an error.
    pub shown_as: String,
    /// The version of the file that it probably derives from: the one at the same path in the parent commit.
    pub parent: Option<RecipeId>,
    /// How somebody wants it to be stored.
    pub treatment: Treatment,
    /// Where the bytes lie, if they may stay there and be coded later.
    pub in_place: Option<InPlace>,
}

/// A complete file on the disk of the repository, which nobody ever writes to again.
#[derive(Debug, Clone)]
pub struct InPlace {
    /// Where it is.
    pub path: PathBuf,
    /// The same, open.
    pub file: Arc<dyn DiskFile>,
}

/// How far the taking in of files is.
pub struct Intake<'t> {
    pub(super) task: &'t Task,
    hashed: Box<dyn Meter>,
    stored: Box<dyn Meter>,
}

impl<'t> Intake<'t> {
    /// Begins to take in files of so many bytes together.
    pub fn begin(task: &'t Task, bytes: u64) -> Self {
        let hashed = task.begin("hashing", Unit::Bytes, Some(bytes));
        let stored = task.begin("storing", Unit::Bytes, Some(bytes));
        Self { task, hashed, stored }
    }
}

impl Repo {
    /// Takes a file into the store and returns its recipe. Nothing is durable before the transaction is sealed.
    ///
    /// # Errors
    /// [`Error::KeepsChanging`] if the bytes changed while they were read; nothing wrong was stored then.
    /// [`Error::Stopped`] if the task is.
    pub fn ingest(
        &self,
        ingest: &Ingest,
        source: &dyn Source,
        file: &IngestFile,
        intake: &Intake<'_>,
    ) -> Result<(RecipeId, u64)> {
        let source = &Watched { source, task: intake.task, meter: None };
        let result = match source.len() <= READ_WHOLE {
            true => read_whole(source).and_then(|bytes| ingest_extents(self, ingest, &bytes, file, intake)),
            false => ingest_extents(self, ingest, source, file, intake),
        };
        match result {
            Err(Error::Store(StoreError::Changed)) => Err(Error::KeepsChanging(file.shown_as.clone().into())),
            Err(Error::Store(StoreError::Source(error))) if error.ended_early() => {
                Err(Error::KeepsChanging(file.shown_as.clone().into()))
            }
            other => other,
        }
    }
}

fn ingest_extents(
    repo: &Repo,
    ingest: &Ingest,
    source: &dyn Source,
    file: &IngestFile,
    intake: &Intake<'_>,
) -> Result<(RecipeId, u64)> {
    let proposed = propose(source)?;
    let bases = match file.parent {
        Some(parent) => Bases::of(&*repo.recipe(parent)?),
        None => Bases::default(),
    };
    let threads = repo.store().threads();
    let hashed = Watched { source, task: intake.task, meter: Some(&*intake.hashed) };
    let (blake3, keys) = hash(threads, &hashed, &proposed)?;
    let attached = file
        .in_place
        .as_ref()
        .and_then(|InPlace { path, file }| ingest.attach(path.clone(), Arc::clone(file), source.len()));
    let into = Into { ingest, source, bases: &bases, attached: attached.as_ref(), treatment: file.treatment };
    let put = |(part, hashed): (&format::Proposed, Hashed)| {
        let extent = into.put(part, &hashed)?;
        intake.stored.advance(part.len);
        Ok::<_, Error>(extent)
    };
    let extents: Vec<Extent> = threads.try_map(proposed.iter().zip(keys), put)?;
    let recipe = Recipe::new(extents, blake3).ok_or(StoreError::Changed)?;
    let encoding = recipe.encode();
    let id = Recipe::id_of(&encoding);
    ingest.put_meta(Kind::Recipe, id.as_bytes(), &encoding)?;
    Ok((id, recipe.len()))
}

/// BLAKE3 of all bytes of a source, by the threads of a repository.
pub(crate) fn hash_source(repo: &Repo, source: &dyn Source) -> Result<[u8; 32]> {
    hash_whole(repo.store().threads(), source)
}

/// All bytes of a short source.
fn read_whole(source: &dyn Source) -> Result<Vec<u8>> {
    let mut bytes = vec![0; source.len() as usize];
    source.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
    Ok(bytes)
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

/// A file on its way into the store.
struct Into<'a> {
    ingest: &'a Ingest,
    source: &'a dyn Source,
    bases: &'a Bases,
    attached: Option<&'a AttachedFile>,
    treatment: Treatment,
}

impl Into<'_> {
    fn put(&self, part: &format::Proposed, hashed: &Hashed) -> Result<Extent> {
        let slice = Slice { source: self.source, offset: part.start, len: part.len };
        match &part.kind {
            format::Extent::Literal | format::Extent::Chunk if part.len <= INLINE_LIMIT as u64 => {
                let mut bytes = vec![0; part.len as usize];
                slice.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
                let mut hasher = ContentHasher::new();
                hasher.update(&bytes);
                // These bytes go into the recipe beside the hash of the whole file.
                if hasher.finish() != *hashed {
                    return Err(StoreError::Changed.into());
                }
                Ok(Extent::Inline(bytes))
            }
            format::Extent::Literal | format::Extent::Chunk => {
                let put = self.put_object(Dtype::Opaque, &slice, &[], hashed)?;
                Ok(Extent::Object { key: put.key, len: part.len })
            }
            format::Extent::Tensor { dtype, shape, name } => {
                let put = self.put_object(*dtype, &slice, &self.bases.tensor(name, part.len), hashed)?;
                let tensor = TensorInfo { name: name.clone(), dtype: *dtype, shape: shape.clone() };
                Ok(Extent::Tensor { key: put.key, len: part.len, tensor })
            }
        }
    }

    fn put_object(
        &self,
        dtype: Dtype,
        slice: &Slice<'_>,
        bases: &[ObjectKey],
        hashed: &Hashed,
    ) -> Result<Put> {
        Ok(match self.attached {
            Some(file) => self.ingest.put_in_place(dtype, slice, bases, hashed, (file, slice.offset))?,
            None => self.ingest.put_treated(dtype, slice, bases, hashed.key, self.treatment)?,
        })
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
