//! What the elements of plain bytes seem to be, where no container tells.
//!
//! Weights betray themselves by their exponents: of each element one byte has few values, always at the same place, and those
//! below it have all. The entropy of each of these planes is taken on a sample. A mistake costs space.

use crate::tensor::Dtype;

/// Bytes that are looked at, from the middle.
const SAMPLE: usize = 16 << 10;
/// Fewer bytes say nothing.
const LEAST: usize = 4 << 10;

/// The elements of some bytes, and where they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sniffed {
    pub dtype: Dtype,
    /// Elements begin so many bytes behind the first byte, and multiples of their width from there.
    pub phase: usize,
}

/// The elements that some bytes seem to be; `None` for text, for what is compressed, for whatever is in doubt.
pub(super) fn sniff(bytes: &[u8]) -> Option<Sniffed> {
    if bytes.len() < LEAST {
        return None;
    }
    let len = bytes.len().min(SAMPLE) & !7;
    let start = ((bytes.len() - len) / 2) & !7;
    let sample = &bytes[start..start + len];
    let planes: [f64; 4] = std::array::from_fn(|plane| entropy(sample[plane..].iter().step_by(4).copied()));
    wide(&planes).or_else(|| narrow(sample, &planes))
}

/// Binary32: one plane of the four is poor, the one below it has a bit of the exponent, the others are noise.
fn wide(planes: &[f64; 4]) -> Option<Sniffed> {
    let top = (0..4).min_by(|&one, &other| planes[one].total_cmp(&planes[other]))?;
    let below = |steps: usize| planes[(top + 4 - steps) % 4];
    let is_noise = below(3) > 7.0 && below(2) > 7.0;
    let is_float = planes[top] < 5.5 && below(1) > 5.5 && below(1) > planes[top] + 1.0;
    (is_noise && is_float).then_some(Sniffed { dtype: Dtype::F32, phase: (top + 1) % 4 })
}

/// Floats of two bytes: every other plane is poor, and what would be their signs is of both kinds.
fn narrow(sample: &[u8], planes: &[f64; 4]) -> Option<Sniffed> {
    let (even, odd) = (planes[0].max(planes[2]), planes[1].max(planes[3]));
    let phase = usize::from(even < odd);
    let poor = if phase == 0 { odd } else { even };
    let rich = if phase == 0 { planes[0].min(planes[2]) } else { planes[1].min(planes[3]) };
    let alike = (planes[0] - planes[2]).abs() < 0.5 && (planes[1] - planes[3]).abs() < 0.5;
    let pairs = || sample[phase..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let negative = pairs().filter(|bits| bits >> 15 == 1).count() as f64 / pairs().count().max(1) as f64;
    if !alike || rich < 7.0 || poor > rich - 1.0 || !(0.2..=0.8).contains(&negative) {
        return None;
    }
    // What is above the mantissa is coded, the mantissa costs what it is: the type of the longer mantissa that is no dearer.
    let cost = |mantissa: u32| {
        entropy_of(pairs().map(|bits| usize::from(bits >> mantissa)), 1 << (16 - mantissa))
            + f64::from(mantissa)
    };
    let dtype = if cost(10) <= cost(7) + 0.1 { Dtype::F16 } else { Dtype::Bf16 };
    Some(Sniffed { dtype, phase })
}

/// Bits for each byte.
fn entropy(bytes: impl Iterator<Item = u8>) -> f64 {
    entropy_of(bytes.map(usize::from), 256)
}

/// Bits for each of these values below `count`.
fn entropy_of(values: impl Iterator<Item = usize>, count: usize) -> f64 {
    let mut counts = vec![0u32; count];
    values.for_each(|value| counts[value] += 1);
    let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let present = counts.iter().filter(|count| **count > 0).map(|&count| f64::from(count) / total);
    -present.map(|share| share * share.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Numbers about as weights are.
    fn weights(count: usize) -> Vec<f32> {
        let mut random = Random::new(3);
        (0..count).map(|_| (0..4).map(|_| random.symmetric()).sum::<f32>() * 0.02).collect()
    }

    #[test]
    fn floats_are_known_wherever_they_begin() {
        let weights = weights(8192);
        let wide: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        let brain: Vec<u8> =
            weights.iter().flat_map(|weight| half::bf16::from_f32(*weight).to_le_bytes()).collect();
        let halves: Vec<u8> =
            weights.iter().flat_map(|weight| half::f16::from_f32(*weight).to_le_bytes()).collect();
        for shift in 0..4 {
            let shifted = |bytes: &[u8]| [&[0x5a; 3][..shift], bytes].concat();
            assert_eq!(sniff(&shifted(&wide)), Some(Sniffed { dtype: Dtype::F32, phase: shift }));
            let phase = shift % 2;
            assert_eq!(sniff(&shifted(&brain)), Some(Sniffed { dtype: Dtype::Bf16, phase }));
            assert_eq!(sniff(&shifted(&halves)), Some(Sniffed { dtype: Dtype::F16, phase }));
        }
    }

    #[test]
    fn what_is_no_float_is_not_taken_for_one() {
        let mut random = Random::new(5);
        let noise: Vec<u8> = (0..20_000).map(|_| random.bits() as u8).collect();
        let text = "the quick brown fox jumps over the lazy dog, ".repeat(500).into_bytes();
        let ids: Vec<u8> = (0..10_000).flat_map(|_| (random.below(30_000) as u16).to_le_bytes()).collect();
        let wide_ids: Vec<u8> =
            (0..5_000).flat_map(|_| (random.below(30_000) as u32).to_le_bytes()).collect();
        for bytes in [noise, text, ids, wide_ids, vec![0; 20_000], vec![7; 100], Vec::new()] {
            assert_eq!(sniff(&bytes), None);
        }
    }
}
