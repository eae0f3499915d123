//! What differs between the tensors of two files.

use super::pairs::{Pair, pairs};
use crate::history::{FileContent, Result, TensorAt, glob};
use crate::id::ObjectKey;
use crate::recipe::TensorInfo;
use crate::store::{Source, StoreError};
use crate::task::{Meter, Task, Unit};
use crate::tensor::{Difference, Dtype, Element};
use crate::threads::Threads;

/// Bytes of a side that are compared at once; a multiple of every element.
const PIECE: u64 = 1 << 20;

/// How a tensor differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TensorKind {
    /// Other numbers.
    Changed,
    /// Another element type, another shape, or both.
    Reshaped,
    /// The same under another name.
    Renamed,
    /// Only on the new side.
    Added,
    /// Only on the old side.
    Removed,
    /// The same in every respect.
    Same,
}

/// One tensor on both sides.
#[derive(Debug, Clone)]
pub struct TensorChange {
    /// Its name on the new side, or on the old one if it is gone.
    pub name: String,
    /// How it differs.
    pub kind: TensorKind,
    /// What it was.
    pub old: Option<(TensorInfo, ObjectKey)>,
    /// What it is.
    pub new: Option<(TensorInfo, ObjectKey)>,
    /// How its numbers differ; `None` where that has no meaning, or was not asked for.
    pub difference: Option<Difference>,
}

/// What differs between the tensors of two files.
#[derive(Debug, Clone, Default)]
pub struct FileDifference {
    /// Those that differ, and if they were asked for those that do not.
    pub tensors: Vec<TensorChange>,
    /// How many are the same.
    pub same: usize,
}

/// What is wanted of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Patterns of names; all tensors if there is none.
    pub names: &'a [String],
    /// Whether the numbers are compared.
    pub numbers: bool,
    /// Whether tensors that are the same are told of, with their norms.
    pub same: bool,
}

/// Compares the tensors of two files; a file that is not there has none.
///
/// # Errors
/// If bytes cannot be read; [`Stopped`](crate::task::Stopped).
pub fn compare_files(
    threads: &Threads,
    old: Option<&FileContent>,
    new: Option<&FileContent>,
    wanted: Wanted<'_>,
    task: &Task,
) -> Result<FileDifference> {
    let mut pairs = pairs(old, new);
    let is_meant =
        |pair: &Pair<'_>| wanted.names.is_empty() || wanted.names.iter().any(|name| glob(name, pair.name()));
    pairs.retain(is_meant);
    let mut tensors: Vec<TensorChange> = pairs.iter().map(change).collect();
    if let (true, Some(old), Some(new)) = (wanted.numbers, old, new) {
        let numbers = measure(threads, old, new, &pairs, wanted.same, task)?;
        for (change, difference) in tensors.iter_mut().zip(numbers) {
            change.difference = difference;
        }
    }
    let same = tensors.iter().filter(|change| change.kind == TensorKind::Same).count();
    if !wanted.same {
        tensors.retain(|change| change.kind != TensorKind::Same);
    }
    Ok(FileDifference { tensors, same })
}

fn change(pair: &Pair<'_>) -> TensorChange {
    let of = |tensor: &TensorAt<'_>| (tensor.info.clone(), tensor.key);
    let (kind, old, new) = match pair {
        Pair::Gone(old) => (TensorKind::Removed, Some(old), None),
        Pair::New(new) => (TensorKind::Added, None, Some(new)),
        Pair::Both(old, new) => {
            let is_like = is_like(old.info, new.info);
            let kind = match (is_like, old.key == new.key, old.info.name == new.info.name) {
                (false, _, _) => TensorKind::Reshaped,
                (true, false, _) => TensorKind::Changed,
                (true, true, false) => TensorKind::Renamed,
                (true, true, true) => TensorKind::Same,
            };
            (kind, Some(old), Some(new))
        }
    };
    let name = pair.name().to_owned();
    TensorChange { name, kind, old: old.map(of), new: new.map(of), difference: None }
}

/// Whether two tensors are of one type and shape, and their payloads mean the same.
fn is_like(old: &TensorInfo, new: &TensorInfo) -> bool {
    (old.dtype, &old.shape, &old.declared) == (new.dtype, &new.shape, &new.declared)
}

/// A part of two tensors that face each other.
struct Piece<'a> {
    pair: usize,
    old: (Dtype, crate::store::Slice<'a>),
    new: (Dtype, crate::store::Slice<'a>),
}

/// Compares the numbers of pairs, each in pieces that any thread may take.
fn measure(
    threads: &Threads,
    old: &FileContent,
    new: &FileContent,
    pairs: &[Pair<'_>],
    same: bool,
    task: &Task,
) -> Result<Vec<Option<Difference>>> {
    let mut pieces = Vec::new();
    let mut found: Vec<Option<Difference>> = vec![None; pairs.len()];
    for (number, pair) in pairs.iter().enumerate() {
        let Pair::Both(before, after) = pair else { continue };
        let is_wanted = before.key != after.key || (same && before.info.name == after.info.name);
        if is_wanted && let Some(cut) = cut(number, (old, before), (new, after)) {
            found[number] = Some(Difference::default());
            pieces.extend(cut);
        }
    }
    let bytes = pieces.iter().map(|piece| piece.new.1.len()).sum();
    let compared = task.begin("comparing", Unit::Bytes, Some(bytes));
    let differences = threads.try_map(pieces.iter(), |piece| piece.compare(task, &*compared))?;
    for (piece, difference) in pieces.iter().zip(differences) {
        // Where one piece says nothing, the whole does.
        found[piece.pair] = match (found[piece.pair].take(), difference) {
            (Some(mut sum), Some(more)) => {
                sum.merge(&more);
                Some(sum)
            }
            _ => None,
        };
    }
    Ok(found)
}

/// Cuts two tensors of as many elements into pieces; `None` if elements do not face each other.
fn cut<'a>(
    pair: usize,
    (old, before): (&'a FileContent, &TensorAt<'_>),
    (new, after): (&'a FileContent, &TensorAt<'_>),
) -> Option<Vec<Piece<'a>>> {
    let elements = |tensor: &TensorAt<'_>| {
        let bits = tensor.info.dtype.bits();
        (bits >= 8).then(|| tensor.len / (bits / 8))
    };
    let (count, others) = (elements(before)?, elements(after)?);
    let widths = [before.info.dtype, after.info.dtype].map(|dtype| dtype.bits() / 8);
    // Numbers of another shape or order say nothing about each other, nor do bytes of blocks.
    let are_numbers = |tensor: &TensorAt<'_>| {
        let element = tensor.info.declared.as_ref().map(|declared| declared.element);
        element.is_none_or(|element| matches!(element, Element::Number(_)))
    };
    let face = before.info.lies_like(after.info) && are_numbers(before) && are_numbers(after);
    if count != others || !face {
        return None;
    }
    let step = PIECE / widths[0].max(widths[1]);
    let part = |content: &'a FileContent, tensor: &TensorAt<'_>, width: u64, at: u64| crate::store::Slice {
        source: content.bytes(),
        offset: tensor.start + at * width,
        len: step.min(count - at) * width,
    };
    let starts = (0..count).step_by(usize::try_from(step).ok()?);
    let pieces = starts.map(|at| Piece {
        pair,
        old: (before.info.dtype, part(old, before, widths[0], at)),
        new: (after.info.dtype, part(new, after, widths[1], at)),
    });
    Some(pieces.collect())
}

impl Piece<'_> {
    fn compare(&self, task: &Task, compared: &dyn Meter) -> Result<Option<Difference>> {
        task.check()?;
        let read = |(_, slice): &(Dtype, crate::store::Slice<'_>)| -> Result<Vec<u8>> {
            let mut bytes = vec![0; slice.len() as usize];
            slice.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
            Ok(bytes)
        };
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        compared.advance(new.len() as u64);
        Ok(Difference::between((self.old.0, &old), (self.new.0, &new)))
    }
}
