//! What a frame or a tensor will cost, from a few thousand of its elements.

use super::entropy::byte_bits;
use super::word::{Word, is_float, rank, with_word};
use crate::tensor::Lane;

/// Expected cost in bits per element, of the coders that every level has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Coded without a base.
    pub alone: f64,
    /// Coded as a difference to the base; `None` if there was no base.
    pub delta: Option<f64>,
}

impl Estimate {
    /// The share of the standalone size that the difference saves: 0.25 means a quarter smaller, negative means
    /// larger. `None` without a base.
    pub fn saved(&self) -> Option<f64> {
        self.delta.map(|delta| if self.alone > 0.0 { 1.0 - delta / self.alone } else { 0.0 })
    }

    /// Whether a difference pays: it saves at least 3 %. Below that a chain's cost on reading is not worth it, and
    /// retrained look-alikes (which cost *more* as differences) stay well clear.
    pub fn prefers_delta(&self) -> bool {
        self.saved().is_some_and(|saved| saved >= 0.03)
    }
}

/// Estimates the cost of elements like those of `raw`; `base` is the same elements of a base candidate. About 4,096
/// elements, taken in runs across the tensor, are enough to rank candidates; bytes beyond the last whole lane, and
/// a base of another length, are ignored.
pub fn estimate(raw: &[u8], base: Option<&[u8]>, lane: Lane) -> Estimate {
    let base = base.filter(|base| base.len() == raw.len());
    Estimate {
        alone: with_word!(lane, alone_bits(raw, is_float(lane))),
        delta: base.map(|base| with_word!(lane, delta_bits(raw, base, is_float(lane)))),
    }
}

/// Order-0 entropy of the byte planes, as `planes` will code them.
fn alone_bits<W: Word>(raw: &[u8], float: bool) -> f64 {
    let mut counts = vec![[0u32; 256]; W::BYTES];
    for word in raw.chunks_exact(W::BYTES).map(W::load) {
        let word = if float { word.sign_last() } else { word }.wide();
        for (k, plane) in counts.iter_mut().enumerate() {
            plane[usize::from((word >> (8 * k)) as u8)] += 1;
        }
    }
    counts.iter().map(|plane| byte_bits(plane).min(8.0)).sum()
}

/// Entropy of sign and bit length of the ordered difference, plus the bits below the leading one. Neither Hamming
/// distance nor cosine separates useful bases from useless ones; the length of this difference does.
fn delta_bits<W: Word>(raw: &[u8], base: &[u8], float: bool) -> f64 {
    let mut counts = [0u32; 130];
    let mut low_bits = 0u64;
    let words = raw.chunks_exact(W::BYTES).map(W::load);
    for (word, base) in words.zip(base.chunks_exact(W::BYTES).map(W::load)) {
        let folded = rank(word, float).minus(rank(base, float)).zigzag().wide();
        let length = 64 - (folded / 2 + folded % 2).leading_zeros();
        counts[(2 * length + (folded & 1) as u32) as usize] += 1;
        low_bits += u64::from(length.saturating_sub(1));
    }
    let total = raw.len() / W::BYTES;
    if total == 0 { 0.0 } else { byte_bits(&counts) + low_bits as f64 / total as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(seed: u32, scale: f32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..4096).map(|_| (next() + next() + next()) * scale).collect()
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn a_small_step_prefers_the_base_and_a_stranger_does_not() {
        let base = floats(1, 0.05);
        let step = floats(2, 1e-5);
        let near: Vec<f32> = base.iter().zip(step).map(|(a, b)| a + b).collect();
        let near = estimate(&bytes(&near), Some(&bytes(&base)), Lane::F32);
        assert!(near.prefers_delta(), "{near:?}");
        let stranger = estimate(&bytes(&floats(3, 0.05)), Some(&bytes(&base)), Lane::F32);
        assert!(!stranger.prefers_delta(), "{stranger:?}");
    }

    #[test]
    fn empty_and_constant_samples_cost_nothing() {
        assert_eq!(estimate(&[], Some(&[]), Lane::F64), Estimate { alone: 0.0, delta: Some(0.0) });
        assert!(estimate(&[7; 4096], None, Lane::F32).alone.abs() < 1e-9);
    }
}
