//! The elements of differences that are largest by their absolute value, exactly and without sorting.
//!
//! The order is that of the absolute value rounded to `f32`; among equals the lower place comes first. Three passes over the
//! upper half of that number's bits, the lower half where the last of those that are kept lies, and the places of those
//! equal to it.

use super::error::{Error, Result};
use super::facing::Facing;
use super::passes::Passes;
use crate::formula::{Strip, Top, size};

/// Values of half the bits of a positive `f32`, and of the other half.
const HALF: usize = 1 << 16;

/// How many elements a density keeps of so many: the whole part, but one at least.
pub(super) fn kept(density: f64, elements: u64) -> u64 {
    match density > 0.0 {
        true => ((density * elements as f64) as u64).max(1).min(elements),
        false => 0,
    }
}

/// The largest differences of each model, so many of each.
pub(super) fn largest(passes: &Passes<'_>, facing: &Facing<'_>, kept: &[u64]) -> Result<Vec<Top>> {
    let upper = histograms(passes, facing, |_, size| Some(size >> 16))?;
    if !passes.allow_nonfinite && upper.iter().any(|counts| counts[0x7f80..].iter().any(|count| *count > 0)) {
        return Err(Error::NotFinite { tensor: facing.name.clone() });
    }
    let bucket: Vec<(u32, u64)> = upper.iter().zip(kept).map(|(counts, kept)| last(counts, *kept)).collect();
    let lower =
        histograms(passes, facing, |model, size| (size >> 16 == bucket[model].0).then_some(size & 0xffff))?;
    let mut tops = Vec::with_capacity(kept.len());
    let mut quotas = Vec::with_capacity(kept.len());
    for ((counts, (upper, left)), kept) in lower.iter().zip(&bucket).zip(kept) {
        let (lower, quota) = last(counts, *left);
        let size = if *kept == 0 { u32::MAX } else { upper << 16 | lower };
        tops.push(Top { size, until: u64::MAX });
        quotas.push((*kept > 0 && counts[lower as usize] > quota).then_some(quota));
    }
    if quotas.iter().any(Option::is_some) {
        find_last(passes, facing, &mut tops, &quotas)?;
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
                        if let Some(value) = value(model, size(number - base)) {
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

/// Finds where the last is that is kept, of those of which so many equals are.
fn find_last(
    passes: &Passes<'_>,
    facing: &Facing<'_>,
    tops: &mut [Top],
    quotas: &[Option<u64>],
) -> Result<()> {
    let sizes: Vec<u32> = tops.iter().map(|top| top.size).collect();
    let mut left = quotas.to_vec();
    // The pieces in which they are: what comes before and behind is only counted.
    let mut pieces = vec![None; tops.len()];
    let mut number = 0;
    passes.each_piece(
        facing,
        |strips| {
            let mut counts = vec![0u64; sizes.len()];
            strips(&mut |strip: &Strip<'_>| {
                for (model, count) in
                    counts.iter_mut().enumerate().filter(|(model, _)| quotas[*model].is_some())
                {
                    *count += equals(strip, model, sizes[model]).count() as u64;
                }
            });
            counts
        },
        |counts| {
            for (model, count) in counts.into_iter().enumerate() {
                match &mut left[model] {
                    Some(left) if pieces[model].is_none() && *left <= count => pieces[model] = Some(number),
                    Some(left) if pieces[model].is_none() => *left -= count,
                    Some(_) | None => {}
                }
            }
            number += 1;
        },
    )?;
    for (model, top) in tops.iter_mut().enumerate() {
        let (Some(piece), Some(mut left)) = (pieces[model], left[model]) else { continue };
        passes.in_piece(facing, piece, |strip| {
            for place in equals(strip, model, top.size) {
                left = left.saturating_sub(1);
                if left == 0 && top.until == u64::MAX {
                    top.until = place + 1;
                }
            }
        })?;
    }
    Ok(())
}

/// The places of the elements of a model's difference that are equal to one.
fn equals(strip: &Strip<'_>, model: usize, to: u32) -> impl Iterator<Item = u64> {
    let differences = strip.models[model].iter().zip(strip.base).map(|(number, base)| number - base);
    (strip.at..)
        .zip(differences)
        .filter(move |(_, difference)| size(*difference) == to)
        .map(|(place, _)| place)
}
