//! Which decay, if any, brings the base closest to the frame: a guess from a sample, kept only if it wins there.

use super::layout::Layout;
use super::predict::{Decay, MAX_ROUNDS};
use crate::codec::sample::sample;
use crate::codec::word::{Word, with_word};
use crate::tensor::Lane;

/// A decay must save this share of a bit per element, in 1/64: less is noise of the sample.
const WORTH: u64 = 4;

/// The decay to use for a frame, `None` for the base itself.
pub(super) fn fit(lane: Lane, words: &[u8], base: &[u8]) -> Option<Decay> {
    if !matches!(lane, Lane::F32 | Lane::F64 | Lane::F16 | Lane::BF16) {
        return None;
    }
    let (words, base) = (sample(words, lane), sample(base, lane));
    let elements = (words.len() / lane.width()) as u64;
    let before = distance(lane, &words, &base);
    let mut best = (before.saturating_sub(elements * WORTH / 64), None);
    let mut predicted = vec![0; base.len()];
    let mut consider = |decay: Decay| {
        if decay.predict(lane, &base, &mut predicted).is_ok() {
            let after = distance(lane, &words, &predicted);
            if after < best.0 {
                best = (after, Some(decay));
            }
        }
    };
    let pairs = pairs(lane, &words, &base);
    for factor in factors(&pairs) {
        consider(Decay { factor, rounds: 1 });
    }
    if lane == Lane::F32
        && let Some(decay) = repeated(&words, &base)
    {
        consider(decay);
    }
    best.1
}

/// Total length in bits of the differences' magnitudes.
fn distance(lane: Lane, words: &[u8], predicted: &[u8]) -> u64 {
    fn of<W: Word>(layout: Layout, words: &[u8], predicted: &[u8]) -> u64 {
        let words = words.chunks_exact(W::BYTES).zip(predicted.chunks_exact(W::BYTES));
        words
            .map(|(word, predicted)| {
                let difference = layout.difference(W::load(word), W::load(predicted));
                let magnitude = if difference.negative() { difference.negated() } else { difference };
                u64::from(magnitude.length())
            })
            .sum()
    }
    with_word!(lane, of(Layout::of(lane), words, predicted))
}

/// Element and base as numbers, where both are finite and the base is not zero.
fn pairs(lane: Lane, words: &[u8], base: &[u8]) -> Vec<(f64, f64)> {
    let width = lane.width();
    let both = words.chunks_exact(width).zip(base.chunks_exact(width));
    both.map(|(word, base)| (number(lane, word), number(lane, base)))
        .filter(|(word, base)| word.is_finite() && base.is_finite() && *base != 0.0)
        .collect()
}

fn number(lane: Lane, bytes: &[u8]) -> f64 {
    match lane {
        Lane::F64 => f64::from_bits(u64::load(bytes)),
        Lane::F16 => f64::from(half::f16::from_bits(u16::load(bytes)).to_f32()),
        Lane::BF16 => f64::from(f32::from_bits(u32::from(u16::load(bytes)) << 16)),
        _ => f64::from(f32::from_bits(u32::load(bytes))),
    }
}

/// Factors worth trying: the median ratio, which outliers do not move, and the one of least squares, which knows more
/// where all elements moved.
fn factors(pairs: &[(f64, f64)]) -> impl Iterator<Item = f64> + use<> {
    let product: f64 = pairs.iter().map(|(word, base)| word * base).sum();
    let square: f64 = pairs.iter().map(|(_, base)| base * base).sum();
    let mut ratios: Vec<f64> = pairs.iter().step_by(8).map(|(word, base)| word / base).collect();
    let middle = ratios.len() / 2;
    let median = (!ratios.is_empty()).then(|| *ratios.select_nth_unstable_by(middle, f64::total_cmp).1);
    let usable = |factor: &f64| *factor > 0.25 && *factor < 2.0 && *factor != 1.0;
    median.into_iter().chain((square > 0.0).then(|| product / square)).filter(usable)
}

/// Neighbours that must all have shrunk for their decay to be looked at.
const RUN: usize = 32;
/// Elements that a candidate is tried on.
const TRIALS: usize = 64;

/// The decay of elements that nothing but decay moved: `n` rounds by `1 - k * 2^-24`, the factors that binary32 has
/// just under one. Found by search: in such elements the shrinkage is small, regular, and explained exactly by few
/// pairs (n, k).
fn repeated(words: &[u8], base: &[u8]) -> Option<Decay> {
    let words: Vec<u32> = words.chunks_exact(4).map(u32::load).collect();
    let base: Vec<u32> = base.chunks_exact(4).map(u32::load).collect();
    let mut decayed = Vec::with_capacity(TRIALS);
    for (words, base) in words.chunks_exact(RUN).zip(base.chunks_exact(RUN)) {
        let run = words.iter().copied().zip(base.iter().copied());
        if words != base && run.clone().all(|(word, base)| word <= base && base - word < MAX_SHRINKAGE) {
            decayed.extend(run.step_by(4));
        }
        if decayed.len() >= TRIALS {
            return search(&decayed);
        }
    }
    None
}

/// Ranks: beyond it single roundings no longer tell one pair (n, k) from another.
const MAX_SHRINKAGE: u32 = 1 << 14;

fn search(decayed: &[(u32, u32)]) -> Option<Decay> {
    let mut shrinkages: Vec<f64> = decayed
        .iter()
        .map(|&(word, base)| {
            f64::from(base - word) / f64::from(base & 0x7f_ffff | 0x80_0000) * f64::from(1 << 24)
        })
        .collect();
    let middle = shrinkages.len() / 2;
    let total = *shrinkages.select_nth_unstable_by(middle, f64::total_cmp).1;
    for k in 1..=MAX_SHRINKAGE {
        // Roundings of k / 2..k ranks to whole ones bias a small k's total by up to a third.
        let slack = (0.6 / f64::from(k)).max(0.01);
        let nearest = total / f64::from(k);
        let (fewest, most) = ((nearest * (1.0 - slack)).ceil(), (nearest * (1.0 + slack)).floor());
        if most < 1.0 {
            return None;
        }
        let factor = 1.0 - k as f32 * (f32::EPSILON / 2.0);
        for rounds in fewest.max(1.0) as u32..=(most as u32).min(u32::from(MAX_ROUNDS)) {
            if explains(decayed, factor, rounds) {
                return Some(Decay { factor: f64::from(factor), rounds: rounds as u16 });
            }
        }
    }
    None
}

fn explains(decayed: &[(u32, u32)], factor: f32, rounds: u32) -> bool {
    let mut misses = 0;
    decayed.iter().all(|&(word, base)| {
        let predicted = (0..rounds).fold(f32::from_bits(base), |value, _| value * factor);
        misses += usize::from(predicted.to_bits() != word);
        misses <= decayed.len() / 8
    })
}
