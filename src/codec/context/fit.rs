//! Which decay, if any, brings the base closest to the frame: a guess from a sample, kept only if it wins there.

use super::layout::Layout;
use super::predict::{Decay, MAX_ROUNDS};
use crate::codec::entropy::byte_bits;
use crate::codec::sample::sample;
use crate::codec::word::{Word, with_word};
use crate::tensor::Lane;

/// A decay must save this many bits per element: less is noise of the sample.
const WORTH: f64 = 1.0 / 64.0;

/// Elements of each of the 16 runs that candidates are tried on.
const FIT_RUN: usize = 128;

/// The decay to use for a frame, `None` for the base itself.
pub(super) fn fit(lane: Lane, words: &[u8], base: &[u8]) -> Option<Decay> {
    if !matches!(lane, Lane::F32 | Lane::F64 | Lane::F16 | Lane::BF16) {
        return None;
    }
    let (words, base) = (sample(words, lane, FIT_RUN), sample(base, lane, FIT_RUN));
    let mut candidates: Vec<Decay> =
        factors(lane, &words, &base).into_iter().map(|factor| Decay { factor, rounds: 1 }).collect();
    if lane == Lane::F32 {
        candidates.extend(repeated(&words, &base));
    }
    best(lane, &words, &base, candidates)
}

/// The candidate that saves the most, if any saves enough.
fn best(lane: Lane, words: &[u8], base: &[u8], candidates: Vec<Decay>) -> Option<Decay> {
    if candidates.is_empty() {
        return None;
    }
    let elements = words.len() / lane.width();
    let mut best = (cost(lane, words, base) - WORTH * elements as f64, None);
    let mut predicted = vec![0; base.len()];
    for decay in candidates {
        if decay.predict(lane, base, &mut predicted).is_ok() {
            let after = cost(lane, words, &predicted);
            if after < best.0 {
                best = (after, Some(decay));
            }
        }
    }
    best.1
}

/// What the differences would cost in bits: the entropy of sign and length of the magnitudes, and the bits below the
/// leading one. The sign counts, because a prediction that all elements lie on one side of makes it free.
fn cost(lane: Lane, words: &[u8], predicted: &[u8]) -> f64 {
    fn of<W: Word>(layout: Layout, words: &[u8], predicted: &[u8]) -> f64 {
        let mut counts = [0u32; 130];
        let mut below = 0;
        for (word, predicted) in words.chunks_exact(W::BYTES).zip(predicted.chunks_exact(W::BYTES)) {
            let difference = layout.difference(W::load(word), W::load(predicted));
            let negative = difference.negative();
            let length = if negative { difference.negated() } else { difference }.length();
            counts[(2 * length + u32::from(negative)) as usize] += 1;
            below += u64::from(length.max(1) - 1);
        }
        byte_bits(&counts) * (words.len() / W::BYTES) as f64 + below as f64
    }
    with_word!(lane, of(Layout::of(lane), words, predicted))
}

/// Element and base as numbers, where both are finite and the base is not zero: every second of the sample.
fn pairs(lane: Lane, words: &[u8], base: &[u8]) -> Vec<(f64, f64)> {
    match lane {
        Lane::F64 => pairs_of(words, base, f64::from_bits),
        Lane::F16 => pairs_of(words, base, |bits: u16| half_number(bits)),
        Lane::BF16 => pairs_of(words, base, |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16))),
        _ => pairs_of(words, base, |bits: u32| f64::from(f32::from_bits(bits))),
    }
}

fn pairs_of<W: Word>(words: &[u8], base: &[u8], number: impl Fn(W) -> f64) -> Vec<(f64, f64)> {
    let both = words.chunks_exact(W::BYTES).zip(base.chunks_exact(W::BYTES)).step_by(2);
    both.map(|(word, base)| (number(W::load(word)), number(W::load(base))))
        .filter(|(word, base)| word.is_finite() && base.is_finite() && *base != 0.0)
        .collect()
}

/// The value of a binary16.
fn half_number(bits: u16) -> f64 {
    /// 2^1008: the ratio of the exponent biases of binary64 and binary16.
    const SCALE: f64 = f64::from_bits((1023 + 1008) << 52);
    let magnitude = f64::from_bits(u64::from(bits & 0x7fff) << 42) * SCALE;
    let magnitude = if bits & 0x7c00 == 0x7c00 { f64::NAN } else { magnitude };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// Factors worth trying: the median ratio, which outliers do not move; the one of least squares, which knows more
/// where all elements moved; and where nothing is negative (Adam's second moments, which decay and then only gain),
/// the ratios that few elements are below.
fn factors(lane: Lane, words: &[u8], base: &[u8]) -> Vec<f64> {
    let pairs = pairs(lane, words, base);
    let product: f64 = pairs.iter().map(|(word, base)| word * base).sum();
    let square: f64 = pairs.iter().map(|(_, base)| base * base).sum();
    let mut ratios: Vec<f64> = pairs.iter().step_by(2).map(|(word, base)| word / base).collect();
    let mut quantile = |share: f64| {
        let at = (ratios.len() as f64 * share) as usize;
        (at < ratios.len()).then(|| *ratios.select_nth_unstable_by(at, f64::total_cmp).1)
    };
    let mut factors: Vec<f64> = quantile(0.5).into_iter().collect();
    factors.extend((square > 0.0).then(|| product / square));
    if pairs.iter().all(|(word, base)| *word >= 0.0 && *base >= 0.0) {
        factors.extend([0.02, 0.1, 0.25].into_iter().filter_map(quantile));
    }
    // Nearer to one than this, every product rounds back to what it was.
    let idle = f64::from_bits((1023 - 2 - u64::from(Layout::of(lane).mantissa_bits)) << 52);
    factors.retain(|factor| *factor > 0.25 && *factor < 2.0 && (factor - 1.0).abs() >= idle);
    factors.dedup_by(|one, other| (*one - *other).abs() < idle);
    factors
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
