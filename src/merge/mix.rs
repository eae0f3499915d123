//! Tensors that both sides changed, each in its own way, made one.

use super::favor::Way;
use super::share::Mix;
use crate::formula::Elementwise;
use crate::history::{FileContent, Repo, Result, TensorAt};
use crate::id::RecipeId;
use crate::soup::{Blend, Facing, Numbers, Part, Passes, TakeIn, write_file};
use crate::store::{Ingest, Slice};
use crate::task::Task;
use crate::tensor::{Dtype, is_real};
use std::collections::HashMap;

/// What stands where a tensor was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Theirs,
    Mixed,
}

/// Whether tensors of this type are mixed if that is wanted.
pub(super) fn can_mix(way: Way, dtype: Dtype) -> Option<Mix> {
    way.mix.filter(|_| is_real(dtype))
}

/// Writes a file with the layout of the first side, in which some tensors are the other one's and some are of both.
pub(super) fn write_mixed(
    repo: &Repo,
    ingest: &Ingest,
    (ours_id, ours): (RecipeId, &FileContent),
    theirs: &FileContent,
    (taken, mix): (&HashMap<String, Taken>, Mix),
    task: &Task,
) -> Result<(RecipeId, u64)> {
    let there: HashMap<&str, TensorAt<'_>> =
        theirs.tensors().map(|tensor| (tensor.info.name.as_str(), tensor)).collect();
    let mut parts = Vec::new();
    let mut end = 0;
    for tensor in ours.tensors() {
        parts.push(between(ours, end, tensor.start));
        end = tensor.start + tensor.len;
        let name = tensor.info.name.as_str();
        let other = there.get(name).filter(|other| other.len == tensor.len);
        parts.push(match (taken.get(name), other) {
            (Some(Taken::Theirs), Some(other)) => Part::Of(theirs.bytes_of(other)),
            (Some(Taken::Mixed), Some(other)) => {
                let dtype = tensor.info.dtype;
                let numbers = |bytes, of: &TensorAt<'_>| Numbers { dtype, bytes, object: Some(of.key) };
                let models =
                    vec![numbers(ours.bytes_of(&tensor), &tensor), numbers(theirs.bytes_of(other), other)];
                let shape = tensor.info.shape.clone();
                let facing = Facing { name: name.to_owned(), shape, base: None, models };
                Part::Made(Box::new(Blend::by(
                    facing,
                    tensor.info.dtype,
                    Elementwise::Weighted(mix.into()).into(),
                )))
            }
            _ => Part::Of(ours.bytes_of(&tensor)),
        });
    }
    parts.push(between(ours, end, ours.recipe().len()));
    let passes = Passes { threads: repo.store().threads(), task, allow_nonfinite: true };
    let how = TakeIn { shown_as: "a merged file".into(), parent: Some(ours_id), later_up_to: 0 };
    let written = write_file(repo, ingest, &parts, &how, &passes)?;
    Ok((written.recipe, written.len))
}

fn between(file: &FileContent, from: u64, to: u64) -> Part<'_> {
    Part::Of(Slice { source: file.bytes(), offset: from, len: to - from })
}
