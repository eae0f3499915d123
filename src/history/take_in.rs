//! From a file's bytes to its recipe: extents are proposed by what the bytes are, each becomes an object, and the
//! whole is hashed so that the recipe carries proof of what went in.

use super::assembled::record;
use super::composition::{Between, Gathered, is_inline, read_literal, recipe, tensors_at};
use super::error::{Error, Result};
use super::file_hash::{hash, hash_whole};
use super::repository::{Repo, damaged};
use super::requantised;
use super::series::continued;
use crate::disk::DiskFile;
use crate::format::{self, Found};
use crate::formula::Formula;
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, Recipe};
use crate::store::{
    AttachedFile, Hashed, Ingest, Kind, Put, Slice, Source, SourceError, StoreError, Treatment, Watched,
};
use crate::task::{Meter, Task, Unit};
use crate::tensor::{Dtype, Element};
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
    /// What is known of how parts of it come about, by where they begin.
    pub made: Vec<MadePart>,
}

/// How a part of a file comes of objects that are stored.
#[derive(Debug, Clone)]
pub struct MadePart {
    /// Where it begins, in bytes.
    pub start: u64,
    /// What makes it.
    pub formula: Formula,
}

/// Bytes of what is worth a formula, which takes some hundred itself.
const MADE_MIN: u64 = 4096;

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
    let parent = file.parent.map(|parent| Ok::<_, Error>((parent, repo.recipe(parent)?))).transpose()?;
    let proposal = match &parent {
        Some((_, before)) => continued(repo, before, propose(source)?)?,
        None => propose(source)?,
    };
    let threads = repo.store().threads();
    let hashed = Watched { source, task: intake.task, meter: Some(&*intake.hashed) };
    let (blake3, keys) = hash(threads, &hashed, &proposal.parts)?;
    let unchanged = parent.as_ref().filter(|(_, before)| *before.blake3() == blake3);
    if let Some((id, before)) = unchanged {
        // Nobody hears of a change where none is, also if programs before this one cut it and told of it otherwise.
        intake.stored.advance(source.len());
        return Ok((*id, before.len()));
    }
    let bases = parent.as_ref().map_or_else(Bases::default, |(_, before)| Bases::new(before, source.len()));
    let attached = file
        .in_place
        .as_ref()
        .and_then(|InPlace { path, file }| ingest.attach(path.clone(), Arc::clone(file), source.len()));
    let treatment = file.treatment;
    let into = Into {
        repo,
        ingest,
        source,
        bases: &bases,
        attached: attached.as_ref(),
        treatment,
        made: &file.made,
    };
    let between = Between::gather(source, &proposal, &keys)?;
    let gathered = threads.try_map(between.objects.iter(), |gathered| into.put_gathered(gathered))?;
    let put = |(number, (part, hashed)): (usize, (&format::Proposed, Hashed))| {
        let extent = match between.extent(number, part.len, &gathered) {
            Some(extent) => extent,
            None => into.put(part, &tensors_at(&proposal.tensors, part).collect::<Vec<_>>(), &hashed)?,
        };
        intake.stored.advance(part.len);
        Ok::<_, Error>(extent)
    };
    let extents: Vec<Extent> = threads.try_map(proposal.parts.iter().zip(keys).enumerate(), put)?;
    record(repo, ingest, &recipe(proposal, extents, blake3)?)
}

/// BLAKE3 of all bytes of a source, by the threads of a repository.
pub(crate) fn hash_source(repo: &Repo, source: &dyn Source) -> Result<[u8; 32]> {
    hash_whole(repo.store().threads(), source)
}

/// The BLAKE3 of a file of the history. What it consists of, which may be thousands of tensors, is not looked at.
pub(crate) fn recorded_hash(repo: &Repo, id: RecipeId) -> Result<[u8; 32]> {
    let bytes = repo.store().read_meta(Kind::Recipe, id.as_bytes())?;
    Recipe::blake3_in(&bytes).map_err(|source| damaged("recipe", id, source))
}

/// All bytes of a short source.
fn read_whole(source: &dyn Source) -> Result<Vec<u8>> {
    let mut bytes = vec![0; source.len() as usize];
    source.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
    Ok(bytes)
}

/// The extents that a file's bytes suggest.
pub(super) fn propose(source: &dyn Source) -> Result<format::Proposal> {
    Ok(format::propose(&FileBytes(source)).map_err(|error| StoreError::from(SourceError::new(error)))?)
}

/// The tensors of a file that another one probably derives from.
#[derive(Default)]
struct Bases {
    by_name: HashMap<String, (ObjectKey, u64)>,
    /// By where they begin and how long they are, if the file is as long as that one.
    by_place: HashMap<(u64, u64), ObjectKey>,
}

impl Bases {
    /// What a file of so many bytes may have in common with that of a recipe.
    fn new(recipe: &Recipe, len: u64) -> Self {
        let by_name = recipe.tensors().map(|(tensor, key, len)| (tensor.name.clone(), (key, len))).collect();
        let mut by_place = HashMap::new();
        // Where every tensor is a part of its own, names tell as much.
        let has_nameless = recipe.table().is_empty() || !recipe.has_separate_tensors();
        if recipe.len() == len && has_nameless {
            for (number, extent) in recipe.extents().iter().enumerate() {
                if let (Extent::Object { key, len }, Some(start)) = (extent, recipe.start(number)) {
                    by_place.insert((start, *len), *key);
                }
            }
        }
        Self { by_name, by_place }
    }

    /// The tensors of the same names, or else what is at the same place, if they are as long: a difference needs bytes that
    /// face each other.
    fn of<'t>(&self, part: &format::Proposed, tensors: impl Iterator<Item = &'t Found>) -> Vec<ObjectKey> {
        let named = tensors.filter_map(|tensor| self.by_name.get(&tensor.name));
        let mut keys: Vec<ObjectKey> =
            named.filter(|(_, base_len)| *base_len == part.len).map(|(key, _)| *key).collect();
        if keys.is_empty() {
            keys.extend(self.by_place.get(&(part.start, part.len)));
        }
        keys.dedup();
        keys
    }
}

/// A file on its way into the store.
struct Into<'a> {
    repo: &'a Repo,
    ingest: &'a Ingest,
    source: &'a dyn Source,
    bases: &'a Bases,
    attached: Option<&'a AttachedFile>,
    treatment: Treatment,
    made: &'a [MadePart],
}

impl Into<'_> {
    fn put(&self, part: &format::Proposed, tensors: &[&Found], hashed: &Hashed) -> Result<Extent> {
        if is_inline(part) {
            return Ok(Extent::Inline(read_literal(self.source, part, hashed)?));
        }
        let slice = Slice { source: self.source, offset: part.start, len: part.len };
        let (dtype, bases) = match part.kind {
            format::Extent::Literal | format::Extent::Chunk(Dtype::Opaque) => (Dtype::Opaque, Vec::new()),
            format::Extent::Payload(dtype) | format::Extent::Chunk(dtype) => {
                (dtype, self.bases.of(part, tensors.iter().copied()))
            }
        };
        let bases = match self.formula_of(part, tensors, &slice, hashed)? {
            Some(formula) if self.may_have_formulas()? => {
                std::iter::once(self.ingest.put_formula(&formula)?).chain(bases).collect()
            }
            _ => bases,
        };
        let put = self.put_object(dtype, &slice, &bases, hashed)?;
        Ok(Extent::Object { key: put.key, len: part.len })
    }

    /// Whether the repository may have formulas. Not if somebody else's, whose version one may not raise: they only save room.
    fn may_have_formulas(&self) -> Result<bool> {
        match self.repo.raise_format() {
            Err(Error::Disk(error)) if error.is_forbidden() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// What makes a part of what is stored, if that is known or found, and worth it. Nothing of what is stored already.
    fn formula_of(
        &self,
        part: &format::Proposed,
        tensors: &[&Found],
        slice: &Slice<'_>,
        hashed: &Hashed,
    ) -> Result<Option<Formula>> {
        let is_stored = |key| self.repo.store().info(key).is_ok_and(|info| info.is_some());
        if part.len < MADE_MIN || self.treatment.no_delta || is_stored(hashed.key) {
            return Ok(None);
        }
        if let Ok(found) = self.made.binary_search_by_key(&part.start, |made| made.start) {
            let formula = &self.made[found].formula;
            let are_stored = formula.operands().iter().all(|operand| is_stored(operand.key));
            return Ok((formula.len() == part.len && are_stored).then(|| formula.clone()));
        }
        let declared = tensors.iter().find_map(|tensor| tensor.declared.as_ref());
        match declared.map(|declared| declared.element) {
            Some(Element::Block(block)) => requantised::formula(self.repo, slice, block),
            _ => Ok(None),
        }
    }

    fn put_gathered(&self, gathered: &Gathered) -> Result<ObjectKey> {
        let Gathered { bytes, hashed } = gathered;
        Ok(self.ingest.put_treated(Dtype::Opaque, bytes, &[], hashed.key, self.treatment)?.key)
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

#[cfg(test)]
mod tests {
    use super::super::assembled::assemble;
    use super::super::testing::{ROOT, create, open};
    use super::*;
    use crate::disk::Disk;
    use crate::recipe::{Place, Tensor, TensorInfo};
    use std::path::Path;

    #[test]
    fn a_file_that_has_not_changed_stores_nothing_and_raises_no_version() {
        let disk = create("main");
        let format = Path::new(ROOT).join("format");
        disk.replace(&format, b"coral 2\nid 0123\n").expect("written");
        let repo = open(&disk);
        // As programs of that version took it in: this one gathers what lies around the tensor.
        let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let head = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let bytes = [&head[..], &[7; 8], b"tail"].concat();
        let ingest = repo.store().begin().expect("begin");
        let key = ingest.put(Dtype::F32, &vec![7; 8], &[]).expect("put").key;
        ingest.seal().expect("sealed");
        let extents =
            vec![Extent::Inline(head), Extent::Object { key, len: 8 }, Extent::Inline(b"tail".to_vec())];
        let tensor = Tensor { info: TensorInfo::plain("w", Dtype::F32, vec![2]), place: Place::Extent(1) };
        let ingest = repo.store().begin().expect("begin");
        let before = assemble(&repo, &ingest, extents, &[tensor]).expect("recorded");
        ingest.seal().expect("sealed");
        let packs = || disk.list(&Path::new(ROOT).join("packs")).expect("listed");
        let there = packs();

        let take_in = |parent| {
            let ingest = repo.store().begin().expect("begin");
            let (task, file) = (Task::default(), IngestFile { parent, ..IngestFile::default() });
            let intake = Intake::begin(&task, bytes.len() as u64);
            let found = repo.ingest(&ingest, &bytes, &file, &intake).expect("taken in");
            ingest.seal().expect("sealed");
            found
        };
        assert_eq!(take_in(Some(before.0)), before);
        assert!(disk.read(&format).expect("read").starts_with(b"coral 2"));
        assert_eq!(packs(), there);
        // The same file where no version of it is known.
        assert_ne!(take_in(None).0, before.0);
        assert!(
            disk.read(&format)
                .expect("read")
                .starts_with(format!("coral {}", super::super::FORMAT).as_bytes())
        );
    }
}
