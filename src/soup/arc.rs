//! Along the arc between two vectors.

use super::sums::sum;
use crate::formula::{Strip, Weighted};
use std::ops::Range;

/// Shorter vectors are taken for so long.
const SHORT: f64 = 1e-7;
/// A sine below this has no arc.
const NO_ARC: f64 = 1e-8;
/// Along the arc of an angle with this cosine.
pub(super) fn arc(t: f64, cosine: f64) -> Weighted {
    // Pure Rust: the same bits on every machine.
    let angle = libm::acos(cosine);
    let weights = vec![libm::sin((1.0 - t) * angle), libm::sin(t * angle)];
    Weighted { weights, divisor: Some(libm::sin(angle)) }
}

/// The elements of both vectors: of the models, or of their differences to the base.
pub(super) fn vectors(strip: &Strip<'_>, place: usize) -> (f64, f64) {
    let base = strip.base.get(place).copied();
    let of = |model: usize| match base {
        Some(base) => strip.models[model][place] - base,
        None => strip.models[model][place],
    };
    (of(0), of(1))
}

/// The weights along the arc between two vectors, from their squares and their product; `None` if there is none.
pub(super) fn weights(t: f64, sums: &[f64]) -> Option<Weighted> {
    let length = |squares: f64| squares.sqrt().max(SHORT);
    let cosine = (sums[2] / (length(sums[0]) * length(sums[1]))).clamp(-1.0, 1.0);
    let weighted = arc(t, cosine);
    let is_arc = weighted.divisor.is_some_and(|sine| sine.abs() >= NO_ARC);
    is_arc.then_some(weighted)
}

/// Goes along an arc for each row.
pub(super) fn by_rows(
    t: f64,
    strip: &Strip<'_>,
    rows: impl Iterator<Item = Range<usize>>,
    out: &mut Vec<f64>,
) {
    for row in rows {
        let of = |part: fn(f64, f64) -> f64| {
            sum(row.clone().map(|place| {
                let (a, b) = vectors(strip, place);
                part(a, b)
            }))
        };
        let sums = [of(|a, _| a * a), of(|_, b| b * b), of(|a, b| a * b)];
        let weighted = weights(t, &sums);
        for place in row {
            let (a, b) = vectors(strip, place);
            let value = match &weighted {
                Some(Weighted { weights, divisor: Some(sine) }) => (weights[0] * a + weights[1] * b) / sine,
                _ => (1.0 - t) * a + t * b,
            };
            out.push(strip.base.get(place).map_or(value, |base| value + base));
        }
    }
}
