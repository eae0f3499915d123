//! Slerp without a threshold for lines, with weights instead of a place between two, of whole tensors or of rows, and of
//! differences to a base if there is one.

use super::asked::{Asked, Prepared, Remark};
use super::slerp::straight;
use crate::formula::Elementwise;
use crate::soup::arc::{vectors, weights};
use crate::soup::error::Result;
use crate::soup::facing::Facing;
use crate::soup::kernel::Kernel;
use crate::soup::passes::Passes;

/// Weights that add up to less mean the middle.
const NO_WEIGHT: f64 = 1e-6;

pub(super) fn prepare(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Prepared> {
    let t = place(asked);
    if asked.settings.by_rows && facing.shape.len() > 1 {
        return Ok(Kernel::ArcByRows(usize::try_from(facing.row()).unwrap_or(usize::MAX), t).into());
    }
    let has_base = facing.base.is_some();
    let sums = passes.sums(facing, 3, |strip, sums| {
        let (mut first, mut second, mut both) = (0.0, 0.0, 0.0);
        for place in 0..strip.len() {
            let (a, b) = vectors(strip, place);
            first += a * a;
            second += b * b;
            both += a * b;
        }
        sums.copy_from_slice(&[first, second, both]);
    })?;
    let arc = weights(t, &sums);
    let remark = arc.is_none().then_some(Remark::Line);
    let weighted = arc.unwrap_or_else(|| straight(t));
    let each = if has_base { Elementwise::OnBase(weighted) } else { Elementwise::Weighted(weighted) };
    Ok(Prepared { kernel: each.into(), remark })
}

/// How far from the first to the second.
fn place(asked: Asked<'_>) -> f64 {
    if let Some(t) = asked.settings.t {
        return t;
    }
    let (first, second) = (asked.settings.weights[0], asked.settings.weights[1]);
    if (first + second).abs() < NO_WEIGHT { 0.5 } else { second / (first + second) }
}
