//! Merging one file three ways by its tensors.
//!
//! Only where that can be done by exchanging bytes that lie at the same places: both sides have the same tensors in the same
//! types and shapes, in a container that keeps no checksums of them. What lies between tensors is the first side's. Tensors that
//! both changed may be mixed: see `mix.rs`.

use super::favor::{Favor, Way};
use super::mix::{Taken, can_mix, write_mixed};
use crate::history::{FileContent, Repo, Result, assemble};
use crate::id::{ObjectKey, RecipeId};
use crate::recipe::{Extent, Place, Recipe, TensorInfo};
use crate::soup::has_checksums;
use crate::store::Ingest;
use crate::task::Task;
use std::collections::{BTreeSet, HashMap};

/// What came of merging a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileMerge {
    /// It has no tensors that could be exchanged; these are on one side alone, or of another type or shape on the other.
    Whole(Vec<String>),
    /// It was merged; where `conflicts` are, it has the first side's tensors.
    Merged { recipe: RecipeId, len: u64, conflicts: Vec<String> },
}

/// Tensors by name; `None` if a name stands twice.
/// The tensors of a file by their names.
type Tensors<'a> = HashMap<&'a str, (&'a TensorInfo, ObjectKey)>;

fn by_name(recipe: &Recipe) -> Option<Tensors<'_>> {
    let mut found = HashMap::new();
    for (tensor, key, _) in recipe.tensors() {
        if found.insert(tensor.name.as_str(), (tensor, key)).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Merges two files that both differ from a third.
pub(super) fn merge_files(
    repo: &Repo,
    ingest: &Ingest,
    base: Option<RecipeId>,
    (ours_id, theirs_id): (RecipeId, RecipeId),
    way: Way,
    task: &Task,
) -> Result<FileMerge> {
    let (ours, theirs) = (repo.recipe(ours_id)?, repo.recipe(theirs_id)?);
    let base = base.map(|base| repo.recipe(base)).transpose()?;
    let (Some(here), Some(there)) = (by_name(&ours), by_name(&theirs)) else {
        return Ok(FileMerge::Whole(Vec::new()));
    };
    let before = base.as_deref().and_then(by_name).unwrap_or_default();
    let face = |name: &str, tensor: &TensorInfo| {
        there.get(name).is_some_and(|(other, _)| (other.dtype, &other.shape) == (tensor.dtype, &tensor.shape))
    };
    let same_layout = here.len() == there.len() && here.iter().all(|(name, (tensor, _))| face(name, tensor));
    let ours_content = FileContent::of(repo, ours_id)?;
    let are_separate = ours.has_separate_tensors() && theirs.has_separate_tensors();
    if here.is_empty() || !same_layout || !are_separate || has_checksums(&ours_content)? {
        let unlike = |sides: [&Tensors<'_>; 2]| {
            let [one, other] = sides;
            let is_like = |name: &str, tensor: &TensorInfo| {
                other.get(name).is_some_and(|(it, _)| (it.dtype, &it.shape) == (tensor.dtype, &tensor.shape))
            };
            let unlike = one.iter().filter(|(name, (tensor, _))| !is_like(name, tensor));
            unlike.map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<String>>()
        };
        let unlike = &unlike([&here, &there]) | &unlike([&there, &here]);
        return Ok(FileMerge::Whole(unlike.into_iter().collect()));
    }
    let (mut conflicts, mut taken) = (Vec::new(), HashMap::new());
    let mut extents = ours.extents().to_vec();
    for tensor in ours.table() {
        task.check()?;
        let (Place::Extent(number), tensor) = (tensor.place, &tensor.info) else { continue };
        let Extent::Object { key, .. } = &mut extents[number] else { continue };
        let (was_here, other) = (*key, there[tensor.name.as_str()].1);
        let was = before.get(tensor.name.as_str()).map(|(_, key)| *key);
        let merged = match three_way(was, *key, other) {
            Some(key) => key,
            None if can_mix(way, tensor.dtype).is_some() => {
                taken.insert(tensor.name.clone(), Taken::Mixed);
                *key
            }
            None => match way.favor {
                Favor::Ours => *key,
                Favor::Theirs => other,
                Favor::Base => was.unwrap_or(*key),
                Favor::None => {
                    conflicts.push(tensor.name.clone());
                    *key
                }
            },
        };
        if merged == other && merged != was_here {
            taken.insert(tensor.name.clone(), Taken::Theirs);
        }
        *key = merged;
    }
    if let Some(mix) = way.mix.filter(|_| taken.values().any(|taken| *taken == Taken::Mixed)) {
        let theirs = FileContent::of(repo, theirs_id)?;
        let (recipe, len) =
            write_mixed(repo, ingest, (ours_id, &ours_content), &theirs, (&taken, mix), task)?;
        return Ok(FileMerge::Merged { recipe, len, conflicts });
    }
    let (recipe, len) = match extents.as_slice() {
        same if same == ours.extents() => (ours_id, ours.len()),
        same if same == theirs.extents() => (theirs_id, theirs.len()),
        _ => assemble(repo, ingest, extents, ours.table())?,
    };
    Ok(FileMerge::Merged { recipe, len, conflicts })
}

/// What one side changed, or both in the same way; `None` if both did, each in its own way.
pub(super) fn three_way<T: PartialEq>(base: Option<T>, ours: T, theirs: T) -> Option<T> {
    match base {
        _ if ours == theirs => Some(ours),
        Some(base) if base == ours => Some(theirs),
        Some(base) if base == theirs => Some(ours),
        Some(_) | None => None,
    }
}
