//! Along the great circle between two tensors as vectors (K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH
//! 1985), as the field does it: the angle is that between the directions, the weights are put on the vectors themselves.

use super::asked::{Asked, Prepared, Remark};
use crate::formula::{Elementwise, Strip, Weighted};
use crate::soup::arc::arc;
use crate::soup::error::{Error, Result};
use crate::soup::facing::Facing;
use crate::soup::passes::Passes;

/// Beyond this cosine, either way, the arc is taken for a line.
const LINE: f64 = 0.9995;
/// Shorter vectors have no direction: they are taken as they are.
const SHORT: f64 = 1e-8;

pub(super) fn prepare(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Prepared> {
    let t = needed_t(asked, facing)?;
    let sums = passes.sums(facing, 3, add_angle)?;
    let length = |squares: f64| if squares.sqrt() > SHORT { squares.sqrt() } else { 1.0 };
    let cosine = sums[2] / (length(sums[0]) * length(sums[1]));
    if cosine.abs() > LINE {
        return Ok(line(t));
    }
    Ok(Elementwise::Weighted(arc(t, cosine)).into())
}

/// How far from the first to the second.
fn needed_t(asked: Asked<'_>, facing: &Facing<'_>) -> Result<f64> {
    let missing = || Error::Missing { method: "slerp", parameter: "t", tensor: facing.name.clone() };
    asked.settings.t.ok_or_else(missing)
}

/// Adds what the lengths and the angle come from.
fn add_angle(strip: &Strip<'_>, sums: &mut [f64]) {
    let (mut first, mut second, mut both) = (0.0, 0.0, 0.0);
    for (a, b) in strip.models[0].iter().zip(&strip.models[1]) {
        first += a * a;
        second += b * b;
        both += a * b;
    }
    sums.copy_from_slice(&[first, second, both]);
}

/// Straight from the first to the second.
pub(super) fn line(t: f64) -> Prepared {
    Prepared { kernel: Elementwise::Weighted(straight(t)).into(), remark: Some(Remark::Line) }
}

pub(super) fn straight(t: f64) -> Weighted {
    Weighted { weights: vec![1.0 - t, t], divisor: None }
}
