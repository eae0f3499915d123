//! A file that is put together of bytes, of parts of other files, and of tensors that are made: written once, by all threads,
//! and taken into the store like any other.

use super::blend::{Blend, Making};
use super::passes::Passes;
use super::scratch::Scratch;
use crate::history::{Error, InPlace, IngestFile, Intake, MadePart, Repo, Result};
use crate::id::RecipeId;
use crate::plain::LEN_MIN;
use crate::store::{FileSource, Ingest, Slice, Source, StoreError, Treatment};
use crate::task::{Meter, Unit};
use crate::threads::while_waiting;
use std::sync::Arc;

/// A part of a file.
pub enum Part<'a> {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Bytes of another file.
    Of(Slice<'a>),
    /// A tensor that is made.
    Made(Box<Blend<'a>>),
}

/// Bytes of other files that are copied at once.
const COPY_LEN: u64 = 1 << 20;

/// A file that was taken in. It has to live until the ingest is sealed.
pub struct Written {
    /// What it is made of.
    pub recipe: RecipeId,
    /// Bytes of it.
    pub len: u64,
    scratch: Scratch,
    /// Whether its bytes stay as they are.
    later: bool,
}

impl Written {
    /// Whether its bytes stay as they are, to be coded later.
    pub fn is_left(&self) -> bool {
        self.later
    }

    /// Lets what was written be a plain copy of itself if its bytes stay as they are anyway. The ingest must be sealed.
    pub fn keep_copy(&self, repo: &Repo) {
        // For want of one, reading fills it.
        if let (true, Ok(recipe)) = (self.later, repo.recipe(self.recipe)) {
            repo.plain().adopt(&self.scratch.path, recipe.blake3(), self.len);
        }
    }
}

/// How a file is to be taken in.
#[derive(Debug, Clone)]
pub struct TakeIn {
    /// What to call it in an error.
    pub shown_as: String,
    /// The file that it probably resembles.
    pub parent: Option<RecipeId>,
    /// If it has no more bytes, it may stay as it is, to be coded later; 0 to code it at once.
    pub later_up_to: u64,
}

impl Part<'_> {
    fn len(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Of(slice) => slice.len(),
            Part::Made(blend) => blend.len(),
        }
    }

    fn pieces(&self) -> u64 {
        match self {
            Part::Bytes(_) => 1,
            Part::Of(slice) => slice.len().div_ceil(COPY_LEN),
            Part::Made(blend) => blend.pieces(),
        }
    }

    /// A piece: its bytes, and where among those of the part they begin.
    fn piece<'m>(&'m self, index: u64, hands: &'m mut Hands) -> Result<(u64, &'m [u8])> {
        match self {
            Part::Bytes(bytes) => Ok((0, bytes)),
            Part::Of(slice) => {
                let from = index * COPY_LEN;
                hands.copied.resize(COPY_LEN.min(slice.len() - from) as usize, 0);
                slice.read_exact_at(&mut hands.copied, from).map_err(StoreError::from)?;
                Ok((from, &hands.copied))
            }
            Part::Made(blend) => blend.piece(index, &mut hands.making),
        }
    }
}

/// What making pieces needs.
#[derive(Default)]
struct Hands {
    making: Making,
    copied: Vec<u8>,
}

/// Writes a file and takes it into the store; durable when the ingest is sealed. The blends in it then tell what is no number:
/// [`Blend::check`].
///
/// # Errors
/// If a part cannot be read, or the disk is full; [`Stopped`](crate::task::Stopped).
pub fn write_file(
    repo: &Repo,
    ingest: &Ingest,
    parts: &[Part<'_>],
    how: &TakeIn,
    passes: &Passes<'_>,
) -> Result<Written> {
    let scratch = Scratch::new(repo)?;
    let len: u64 = parts.iter().map(Part::len).sum();
    write(&scratch, parts, len, passes)?;
    let later = (LEN_MIN..=how.later_up_to).contains(&len);
    let made = formulas(parts);
    let (recipe, len) = take_in(repo, ingest, (&scratch, len), (how, later, made), passes)?;
    Ok(Written { recipe, len, scratch, later })
}

/// What is known of how the parts come about that are made.
fn formulas(parts: &[Part<'_>]) -> Vec<MadePart> {
    let mut start = 0;
    let mut made = Vec::new();
    for part in parts {
        if let Part::Made(blend) = part {
            made.extend(
                blend
                    .formula()
                    .filter(|formula| !formula.is_empty())
                    .map(|formula| MadePart { start, formula }),
            );
        }
        start += part.len();
    }
    made
}

fn write(scratch: &Scratch, parts: &[Part<'_>], len: u64, passes: &Passes<'_>) -> Result<()> {
    let mut work = Vec::new();
    let mut start = 0;
    for (part, what) in parts.iter().enumerate() {
        work.extend((0..what.pieces()).map(|piece| (part, start, piece)));
        start += what.len();
    }
    let meter = passes.task.begin("mixing", Unit::Bytes, Some(len));
    let meter: &dyn Meter = &*meter;
    passes.threads.try_each(work.into_iter(), Hands::default, |hands, (part, start, piece)| {
        passes.task.check()?;
        let (offset, bytes) = parts[part].piece(piece, hands)?;
        scratch.file.write_all_at(bytes, start + offset)?;
        meter.advance(bytes.len() as u64);
        Ok::<_, Error>(())
    })
}

fn take_in(
    repo: &Repo,
    ingest: &Ingest,
    (scratch, len): (&Scratch, u64),
    (how, later, made): (&TakeIn, bool, Vec<MadePart>),
    passes: &Passes<'_>,
) -> Result<(RecipeId, u64)> {
    let source = FileSource::up_to(&*scratch.file, len);
    let in_place = later.then(|| InPlace { path: scratch.path.clone(), file: Arc::clone(&scratch.file) });
    let file = IngestFile {
        shown_as: how.shown_as.clone(),
        parent: how.parent,
        treatment: Treatment::default(),
        in_place,
        made,
    };
    let intake = Intake::begin(passes.task, len);
    let take = || repo.ingest(ingest, &source, &file, &intake);
    if !later {
        return take();
    }
    // The disk takes the bytes while they are hashed.
    let (synced, taken) = while_waiting(|| scratch.file.sync(), take);
    synced?;
    taken
}
