//! The next file of a series that no parser knows: cut as the one before it was, so that its parts face those of that.
//!
//! A file of the same length at the same path has its parts at the same places, unless something was moved in it; then
//! it costs what it would cost in any case. Only what seemed to be floats is cut so: elsewhere cuts by content find what
//! moved, and differences save little.

use super::error::Result;
use super::repository::Repo;
use crate::format::{Extent as Part, Proposal, Proposed};
use crate::recipe::{Extent, Recipe};
use crate::tensor::Dtype;

/// The parts of a file without tensors: those of the file before it, if most of it is floats and the two may face each other.
pub(super) fn continued(repo: &Repo, before: &Recipe, proposal: Proposal) -> Result<Proposal> {
    let proposed_len: u64 = proposal.parts.iter().map(|part| part.len).sum();
    let has_tensors = !proposal.tensors.is_empty() || !before.table().is_empty();
    if has_tensors || before.len() != proposed_len {
        return Ok(proposal);
    }
    let mut parts = Vec::with_capacity(before.extents().len());
    let mut start = 0;
    for extent in before.extents() {
        let kind = match extent {
            Extent::Inline(_) => Part::Literal,
            Extent::Object { key, .. } => {
                let info = repo.store().info(*key)?;
                Part::Chunk(info.map_or(Dtype::Opaque, |info| info.dtype))
            }
            Extent::Part { .. } => return Ok(proposal),
        };
        let len = extent.len();
        parts.push(Proposed { start, len, kind });
        start += len;
    }
    Ok(if are_mostly_floats(&parts) { Proposal { parts, tensors: Vec::new() } } else { proposal })
}

/// Whether most bytes seemed to be floats: a few that look like some are in many a file.
fn are_mostly_floats(parts: &[Proposed]) -> bool {
    let all: u64 = parts.iter().map(|part| part.len).sum();
    let is_float = |part: &&Proposed| !matches!(part.kind, Part::Literal | Part::Chunk(Dtype::Opaque));
    let floats: u64 = parts.iter().filter(is_float).map(|part| part.len).sum();
    floats > all / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_floats_make_no_file_of_floats() {
        let of = |parts: &[(u64, Part)]| {
            let part = |&(len, kind): &(u64, Part)| Proposed { start: 0, len, kind };
            are_mostly_floats(&parts.iter().map(part).collect::<Vec<_>>())
        };
        let (floats, bytes) = (Part::Chunk(Dtype::F32), Part::Chunk(Dtype::Opaque));
        assert!(of(&[(5, floats), (4, bytes)]) && of(&[(10, floats), (1, Part::Literal)]));
        assert!(!of(&[(5, floats), (6, bytes)]) && !of(&[(3, Part::Literal)]) && !of(&[]));
    }
}
