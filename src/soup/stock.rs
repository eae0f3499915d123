//! How far from a base towards the mean of models, by how their differences to the base stand to each other.

use super::sums::sum;
use crate::formula::Strip;
use std::ops::Range;

/// The products that are needed: each with itself, then each with each behind it.
pub(super) fn products(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let each = (0..count).map(|one| (one, one));
    each.chain((0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other))))
}

/// How far from the base to the mean.
pub(super) fn of_products(count: usize, products: &[f64]) -> f64 {
    let (squares, mixed) = products.split_at(count);
    let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
    let mut sum = 0.0;
    for ((one, other), product) in pairs.zip(mixed) {
        let lengths = squares[one].sqrt() * squares[other].sqrt();
        if lengths > 0.0 {
            sum += (product / lengths).clamp(-1.0, 1.0);
        }
    }
    let (cosine, count) = (sum / mixed.len() as f64, count as f64);
    count * cosine / (1.0 + (count - 1.0) * cosine)
}

pub(super) fn clamped(t: f64, clamp: bool) -> f64 {
    match clamp {
        true if t.is_finite() => t.clamp(0.0, 1.0),
        // Its models lie on opposite sides of the base.
        true => 0.0,
        false => t,
    }
}

/// The same for one row.
pub(super) fn of_row(strip: &Strip<'_>, row: Range<usize>, clamp: bool) -> f64 {
    let count = strip.models.len();
    let sums: Vec<f64> = products(count)
        .map(|(one, other)| {
            let (one, other) = (&strip.models[one], &strip.models[other]);
            sum(row.clone().map(|place| {
                let base = strip.base[place];
                (one[place] - base) * (other[place] - base)
            }))
        })
        .collect();
    clamped(of_products(count, &sums), clamp)
}
