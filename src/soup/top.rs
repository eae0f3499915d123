//! The elements of differences that are largest by their absolute value, exactly and without sorting.
//!
//! The order is that of the absolute value rounded to `f32`; among equals the lower place comes first. Three passes over the
//! upper half of that number's bits, the lower half where the last of those that are kept lies, and the places of those
//! equal to it.

use super::error::{Error, Result};
use super::facing::{Facing, Strip};
use super::passes::Passes;

/// Values of half the bits of a positive `f32`, and of the other half.
const HALF: usize = 1 << 16;

/// Which elements are the largest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Top {
    /// Larger ones are kept.
    key: u32,
    /// Of those that are equal so many.
    quota: u64,
    /// How many equal ones are before each piece; empty if all of them are kept.
    before: Vec<u64>,
}

/// What elements are sorted by.
pub(super) fn key(difference: f64) -> u32 {
    (difference.abs() as f32).to_bits()
}

impl Top {
    /// How many equal ones are before a piece.
    pub(super) fn equals_before(&self, piece: u64) -> u64 {
        self.before.get(piece as usize).copied().unwrap_or_default()
    }

    /// Whether an element is kept; `equals` counts those that are equal.
    pub(super) fn keeps(&self, difference: f64, equals: &mut u64) -> bool {
        let key = key(difference);
        if key != self.key {
            return key > self.key;
        }
        *equals += 1;
        *equals <= self.quota
    }
}

/// How many elements a density keeps of so many: the whole part, but one at least.
pub(super) fn kept(density: f64, elements: u64) -> u64 {
    match density > 0.0 {
        true => ((density * elements as f64) as u64).max(1).min(elements),
        false => 0,
    }
}

/// The largest differences of each model, so many of each.
pub(super) fn largest(passes: &Passes<'_>, facing: &Facing<'_>, kept: &[u64]) -> Result<Vec<Top>> {
    let upper = histograms(passes, facing, |_, key| Some(key >> 16))?;
    if !passes.allow_nonfinite && upper.iter().any(|counts| counts[0x7f80..].iter().any(|count| *count > 0)) {
        return Err(Error::NotFinite { tensor: facing.name.clone() });
    }
    let bucket: Vec<(u32, u64)> = upper.iter().zip(kept).map(|(counts, kept)| last(counts, *kept)).collect();
    let lower =
        histograms(passes, facing, |model, key| (key >> 16 == bucket[model].0).then_some(key & 0xffff))?;
    let mut tops = Vec::with_capacity(kept.len());
    let mut cut = Vec::with_capacity(kept.len());
    for ((counts, (upper, left)), kept) in lower.iter().zip(&bucket).zip(kept) {
        let (lower, quota) = last(counts, *left);
        let key = if *kept == 0 { u32::MAX } else { upper << 16 | lower };
        tops.push(Top { key, quota, before: Vec::new() });
        cut.push(*kept > 0 && counts[lower as usize] > quota);
    }
    if cut.contains(&true) {
        count_equals(passes, facing, &mut tops, &cut)?;
    }
    Ok(tops)
}

/// The value at which so many elements are reached from the largest on, and how many of its own are needed.
fn last(counts: &[u64], wanted: u64) -> (u32, u64) {
    let mut left = wanted;
    for (value, count) in counts.iter().enumerate().rev() {
        if *count >= left {
            return (value as u32, left);
        }
        left -= count;
    }
    (0, 0)
}

/// How many elements of each model have which of 2^16 values.
fn histograms(
    passes: &Passes<'_>,
    facing: &Facing<'_>,
    value: impl Fn(usize, u32) -> Option<u32> + Sync,
) -> Result<Vec<Vec<u64>>> {
    let models = facing.models.len();
    let mut sums = vec![vec![0u64; HALF]; models];
    passes.each_piece(
        facing,
        |strips| {
            let mut counts = vec![vec![0u32; HALF]; models];
            strips(&mut |strip: &Strip<'_>| {
                for (model, (counts, numbers)) in counts.iter_mut().zip(strip.models).enumerate() {
                    for (number, base) in numbers.iter().zip(strip.base) {
                        if let Some(value) = value(model, key(number - base)) {
                            counts[value as usize] += 1;
                        }
                    }
                }
            });
            counts
        },
        |counts| {
            for (sums, counts) in sums.iter_mut().zip(counts) {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(count));
            }
        },
    )?;
    Ok(sums)
}

/// Counts for those of which not all equals are kept how many are before each piece.
fn count_equals(passes: &Passes<'_>, facing: &Facing<'_>, tops: &mut [Top], cut: &[bool]) -> Result<()> {
    let mut sums = vec![0u64; tops.len()];
    let mut before: Vec<Vec<u64>> = vec![Vec::new(); tops.len()];
    let keys: Vec<u32> = tops.iter().map(|top| top.key).collect();
    passes.each_piece(
        facing,
        |strips| {
            let mut counts = vec![0u64; keys.len()];
            strips(&mut |strip: &Strip<'_>| {
                for (model, numbers) in strip.models.iter().enumerate().filter(|(model, _)| cut[*model]) {
                    let is_equal = |(number, base): &(&f64, &f64)| key(*number - *base) == keys[model];
                    counts[model] += numbers.iter().zip(strip.base).filter(is_equal).count() as u64;
                }
            });
            counts
        },
        |counts| {
            for (model, count) in counts.into_iter().enumerate() {
                before[model].push(sums[model]);
                sums[model] += count;
            }
        },
    )?;
    for (model, before) in before.into_iter().enumerate().filter(|(model, _)| cut[*model]) {
        tops[model].before = before;
    }
    Ok(())
}
