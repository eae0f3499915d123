//! Between a base and the mean of models.

use super::strip::Strip;
use std::ops::Range;

/// Goes so far from the base towards the mean.
pub fn towards_mean(t: f64, strip: &Strip<'_>, range: Range<usize>, out: &mut Vec<f64>) {
    let from = out.len();
    for (number, model) in strip.models.iter().enumerate() {
        let values = &model[range.clone()];
        match number {
            0 => out.extend(values),
            _ => out[from..].iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
        }
    }
    let count = strip.models.len() as f64;
    for (sum, base) in out[from..].iter_mut().zip(&strip.base[range]) {
        *sum = t * *sum / count + (1.0 - t) * base;
    }
}
