//! Block scales: how far the elements of a block moved on average, in half octaves of value space.
//!
//! An optimizer moves weights by about the same amount whatever their size, so in ranks an element moves by
//! `scale / 2^exponent`: the scale is worth one byte per 256 elements, the exponent is free. Half octaves cost 1 %
//! less than whole ones; quarter octaves gain less than their larger tables cost. A scale for each column times one for
//! each row was measured too: it gains 0.5 to 1 % on training in binary16 and loses 1 % on fine-tunes in bfloat16.
//!
//! Layout, a byte per block, or for 2, 4 or 8 of them: 1 for blocks that did not move; 0 for the previous scale, which is
//! that of the last blocks that moved (the header's `first scale` before that); otherwise
//! `1 + zigzag(scale - previous scale)`.

use crate::codec::word::Word;
use crate::tensor::Lane;

/// Elements that share a scale.
pub(super) const BLOCK: usize = 256;

/// Half octaves that one byte can move the scale by.
const REACH: i32 = 126;

/// The byte of a block that did not move.
pub(super) const STILL: u8 = 1;

/// Partial sums, so that every instruction set adds in the same order.
const SUMS: usize = 16;

/// How the encoder takes a scale from elements: its own choice, of which only the sharing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// How many blocks share a scale, as a power of two: up to [`MAX_SHARING`].
    pub(super) sharing: u32,
    /// Whether the mean is that of square roots, squared: a few large weights, whose ranks are coarse, count less.
    pub(super) roots: bool,
}

/// Most blocks that share a scale, as a power of two.
pub(super) const MAX_SHARING: u32 = 3;

impl Measure {
    /// What is smallest on fine-tunes, training steps and second moments, for frames of which this share of elements
    /// moved. Roots gain 0.1 to 0.5 % on binary32 and 0.2 to 1.8 % on bfloat16 most of which moved. Where most of it
    /// stays, a block's own scale says little and costs much of what is left: sharing gains 0.8 to 1 %. Binary16 gains from
    /// neither; binary64 is taken to be like binary32.
    pub(super) fn for_frame(lane: Lane, moved: f64) -> Self {
        match lane {
            Lane::BF16 if moved < 0.65 => Self { sharing: 2, roots: false },
            Lane::BF16 | Lane::F32 | Lane::F64 => Self { sharing: 0, roots: true },
            _ => Self { sharing: 0, roots: false },
        }
    }

    /// The scale of elements whose distances sum to this; `None` if nothing moved.
    #[inline(always)]
    pub(super) fn scale(self, sum: f64, elements: usize) -> Option<i32> {
        let mean = sum / elements as f64;
        let mean = if self.roots { mean * mean } else { mean };
        (sum > 0.0).then(|| half_octaves(mean) + 2 * BIAS)
    }

    /// The sum of distances in a block, from its magnitudes (in ranks) and the exponents of its predictions.
    #[inline(always)]
    pub(super) fn sum<W: Word>(self, magnitudes: &[W], exponents: &[i16]) -> f64 {
        match self.roots {
            true => sum_of(magnitudes, exponents, root),
            false => sum_of(magnitudes, exponents, |distance| distance),
        }
    }
}

/// The square root of a number that is not negative, within 7 %: the line between powers of four. 0 for 0.
#[inline(always)]
fn root(value: f64) -> f64 {
    let half = f64::from_bits((value.to_bits() >> 1) + ((BIAS as u64) << 51));
    if value > 0.0 { half } else { 0.0 }
}

#[inline(always)]
fn sum_of<W: Word>(magnitudes: &[W], exponents: &[i16], part: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0f64; SUMS];
    let rows = magnitudes.chunks_exact(SUMS).zip(exponents.chunks_exact(SUMS));
    for (magnitudes, exponents) in rows {
        for i in 0..SUMS {
            sums[i] += part(distance(magnitudes[i], exponents[i]));
        }
    }
    let whole = magnitudes.len() - magnitudes.len() % SUMS;
    for i in whole..magnitudes.len() {
        sums[i - whole] += part(distance(magnitudes[i], exponents[i]));
    }
    sums.iter().sum()
}

/// Exponent of a binary64 that is 1.
const BIAS: i32 = 1023;
/// Keeps sums finite for binary64's largest exponents, whose scale then is only too small.
const MAX_EXPONENT: i16 = 1950;

#[inline(always)]
fn distance<W: Word>(magnitude: W, exponent: i16) -> f64 {
    let unit = f64::from_bits(u64::from(exponent.min(MAX_EXPONENT) as u16) << 52);
    magnitude.number() * unit
}

/// 2 * log2, rounded to the nearest.
fn half_octaves(value: f64) -> i32 {
    /// Mantissas of 2^(1/4) and 2^(3/4).
    const QUARTER: u64 = 0x3_06fe_0a31_b715;
    const THREE_QUARTERS: u64 = 0xa_e89f_995a_d3ad;
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = (bits >> 52) as i32 - BIAS;
    2 * exponent + i32::from(mantissa >= QUARTER) + i32::from(mantissa >= THREE_QUARTERS)
}

/// Turns scales into bytes.
#[derive(Debug, Default)]
pub(super) struct ScaleWriter {
    first: Option<i16>,
    previous: i32,
}

impl ScaleWriter {
    /// The scale to use for the next block, and its byte: the nearest to `scale` that a byte reaches.
    #[inline(always)]
    pub(super) fn settle(&mut self, scale: i32) -> (i32, u8) {
        if self.first.is_none() {
            self.first = Some(scale as i16);
            self.previous = scale;
        }
        let difference = (scale - self.previous).clamp(-REACH, REACH);
        self.previous += difference;
        let folded = ((difference << 1) ^ (difference >> 31)) as u8;
        (self.previous, if folded == 0 { 0 } else { folded + 1 })
    }

    /// The header's first scale.
    pub(super) fn first(&self) -> i16 {
        self.first.unwrap_or(0)
    }
}

/// Reads block scales; any bytes are scales.
pub(super) fn read(first: i16, bytes: &[u8]) -> impl Iterator<Item = Option<i32>> + '_ {
    bytes.iter().scan(i32::from(first), |previous, &byte| {
        let folded = i32::from(byte.saturating_sub(1));
        *previous += (folded >> 1) ^ -(folded & 1);
        Some((byte != STILL).then_some(*previous))
    })
}

/// The context of an element: the expected move in half octaves of its rank's unit, limited to the contexts that the
/// frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contexts {
    /// The lowest context, in half octaves.
    pub(super) lowest: i32,
    /// How many there are: 1 to [`MAX_CONTEXTS`].
    pub(super) count: usize,
}

/// Tables that a frame may have: 32 are 256 KiB of slots, the share of a core's second-level cache that a frame can
/// take. They span 16 octaves.
pub(super) const MAX_CONTEXTS: usize = 32;

impl Contexts {
    #[inline(always)]
    pub(super) fn of(self, scale: i32, exponent: i32) -> u32 {
        (scale - 2 * exponent - self.lowest).clamp(0, self.count as i32 - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scales_are_twice_the_logarithm() {
        for (value, expected) in [(1.0, 0), (1.18, 0), (1.19, 1), (1.68, 1), (1.69, 2), (2.0, 2), (0.5, -2)] {
            assert_eq!(half_octaves(value), expected, "{value}");
        }
        for roots in [false, true] {
            let measure = Measure { sharing: 0, roots };
            assert_eq!(measure.scale(measure.sum(&[4u32; 256], &[10; 256]), 256), Some(2 * 2 + 2 * 10));
            assert_eq!(measure.scale(measure.sum(&[0u16; 256], &[10; 256]), 256), None);
        }
        let mean = Measure { sharing: 0, roots: false };
        assert_eq!(mean.scale(mean.sum(&[0u16, 0, 3], &[10; 3]), 3), Some(20));
    }

    proptest! {
        #[test]
        fn settled_scales_read_back(scales in proptest::collection::vec(proptest::option::of(-20i32..5000), 0..50)) {
            let mut writer = ScaleWriter::default();
            let mut bytes = Vec::new();
            let settled: Vec<Option<i32>> = scales
                .into_iter()
                .map(|scale| {
                    let settled = scale.map(|scale| writer.settle(scale));
                    bytes.push(settled.map_or(STILL, |(_, byte)| byte));
                    settled.map(|(scale, _)| scale)
                })
                .collect();
            prop_assert_eq!(read(writer.first(), &bytes).collect::<Vec<_>>(), settled);
        }
    }
}
