//! Where sign and exponent sit in a lane's words, and the difference that the context coder codes.

use crate::codec::word::{Word, rank};
use crate::tensor::Lane;

/// The parts of a lane's words that the model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Whether words are sign and magnitude.
    pub(super) float: bool,
    /// Bits below the exponent.
    pub(super) mantissa_bits: u32,
    /// The exponent's bits, shifted down; 0 for integers, whose steps have the same size everywhere.
    pub(super) exponent_mask: u32,
}

impl Layout {
    pub(super) fn of(lane: Lane) -> Self {
        match lane {
            Lane::Float { width, mantissa_bits } if mantissa_bits < 8 * width as u32 - 1 => Self {
                float: true,
                mantissa_bits,
                exponent_mask: (1 << (8 * width as u32 - 1 - mantissa_bits)) - 1,
            },
            Lane::Float { .. } => Self { float: true, mantissa_bits: 0, exponent_mask: 0 },
            Lane::Bytes | Lane::Unsigned { .. } | Lane::Signed { .. } => {
                Self { float: false, mantissa_bits: 0, exponent_mask: 0 }
            }
        }
    }

    /// The biased exponent: log2 of the distance between neighbouring values, up to a constant. Zeros and denormals
    /// have the distance of the smallest normal numbers.
    #[inline(always)]
    pub(super) fn exponent<W: Word>(self, word: W) -> i32 {
        (word.shifted(self.mantissa_bits) & self.exponent_mask).max(1) as i32
    }

    /// How many ranks `word` lies from `predicted`, away from zero counted positive: decay then has one sign whatever
    /// the sign of the weight.
    #[inline(always)]
    pub(super) fn difference<W: Word>(self, word: W, predicted: W) -> W {
        let difference = rank(word, self.float).minus(rank(predicted, self.float));
        if self.float && predicted.negative() { difference.negated() } else { difference }
    }

    /// Inverse of [`Layout::difference`].
    #[inline(always)]
    pub(super) fn step<W: Word>(self, difference: W, predicted: W) -> W {
        let signed = if self.float && predicted.negative() { difference.negated() } else { difference };
        rank(rank(predicted, self.float).plus(signed), self.float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn steps_undo_differences(word: u64, predicted: u64) {
            let floats = [Lane::F32, Lane::F16, Lane::BF16, Lane::F64, Lane::Signed { width: 4 }];
            for layout in floats.map(Layout::of) {
                prop_assert_eq!(layout.step(layout.difference(word, predicted), predicted), word);
                let (word, predicted) = (word as u16, predicted as u16);
                prop_assert_eq!(layout.step(layout.difference(word, predicted), predicted), word);
                let (word, predicted) = (word as u32, predicted as u32);
                prop_assert_eq!(layout.step(layout.difference(word, predicted), predicted), word);
            }
        }
    }

    #[test]
    fn decay_is_negative_on_both_sides_of_zero() {
        let layout = Layout::of(Lane::F32);
        assert_eq!(layout.difference(0.5f32.to_bits() - 3, 0.5f32.to_bits()) as i32, -3);
        assert_eq!(layout.difference((-0.5f32).to_bits() - 3, (-0.5f32).to_bits()) as i32, -3);
    }
}
