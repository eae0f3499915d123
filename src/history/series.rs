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

/// The parts of a file without tensors: those of the file before it, if they are floats and the two may face each other.
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
    let are_floats =
        parts.iter().any(|part| !matches!(part.kind, Part::Literal | Part::Chunk(Dtype::Opaque)));
    Ok(if are_floats { Proposal { parts, tensors: Vec::new() } } else { proposal })
}
