//! The unsigned machine words that lanes are read as, and the bijections on them that make neighbours look alike.
//!
//! Everything is wrapping integer arithmetic: a bijection never loses a bit, whatever float or junk a word holds.

use crate::tensor::Lane;

/// Elements that a vectorised loop takes at once: fixed-size blocks let the compiler drop bounds checks.
pub(super) const BLOCK: usize = 64;

/// An unsigned little-endian word of 1, 2, 4 or 8 bytes.
pub(super) trait Word: Copy + PartialEq + Default + Send + Sync + 'static {
    /// Bytes of the word.
    const BYTES: usize;

    /// The word at the start of `bytes`, which holds at least one.
    fn load(bytes: &[u8]) -> Self;
    /// Writes the word to the start of `bytes`, which has room for one.
    fn store(self, bytes: &mut [u8]);
    /// The word widened with zeros.
    fn wide(self) -> u64;
    /// The low bits of `wide`.
    fn narrow(wide: u64) -> Self;
    /// Wrapping difference.
    fn minus(self, other: Self) -> Self;
    /// Wrapping sum.
    fn plus(self, other: Self) -> Self;
    /// Bitwise difference.
    fn xor(self, other: Self) -> Self;
    /// Moves the sign bit to the bottom, so that a float's exponent fills its top byte.
    fn sign_last(self) -> Self;
    /// Inverse of [`Word::sign_last`].
    fn sign_first(self) -> Self;
    /// Folds a two's complement number so that small magnitudes of either sign are small words.
    fn zigzag(self) -> Self;
    /// Inverse of [`Word::zigzag`].
    fn unzigzag(self) -> Self;
    /// Two's complement negation.
    fn negated(self) -> Self;
    /// Whether the top bit is set.
    fn negative(self) -> bool;
    /// Bits up to and including the highest one that is set.
    fn length(self) -> u32;
    /// The nearest binary64.
    fn number(self) -> f64;
    /// The low 32 bits of `self >> by`.
    fn shifted(self, by: u32) -> u32;
    /// `top << by`.
    fn placed(top: u32, by: u32) -> Self;
    /// The low bits of a word given in two halves of 32.
    fn joined(low: u32, high: u32) -> Self;
    /// Maps a sign-and-magnitude float to the two's complement integer of its rank; its own inverse.
    fn rank(self) -> Self;
}

macro_rules! word {
    ($unsigned:ty, $signed:ty, $register:ty) => {
        impl Word for $unsigned {
            const BYTES: usize = size_of::<$unsigned>();

            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                let mut word = [0; size_of::<$unsigned>()];
                word.copy_from_slice(&bytes[..size_of::<$unsigned>()]);
                Self::from_le_bytes(word)
            }
            #[inline(always)]
            fn store(self, bytes: &mut [u8]) {
                bytes[..size_of::<$unsigned>()].copy_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn wide(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn narrow(wide: u64) -> Self {
                wide as $unsigned
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn sign_last(self) -> Self {
                self.rotate_left(1)
            }
            #[inline(always)]
            fn sign_first(self) -> Self {
                self.rotate_right(1)
            }
            #[inline(always)]
            fn zigzag(self) -> Self {
                (self << 1) ^ ((self as $signed) >> (<$unsigned>::BITS - 1)) as $unsigned
            }
            #[inline(always)]
            fn unzigzag(self) -> Self {
                (self >> 1) ^ (self & 1).wrapping_neg()
            }
            #[inline(always)]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn negative(self) -> bool {
                (self as $signed) < 0
            }
            #[inline(always)]
            fn length(self) -> u32 {
                <$register>::BITS - <$register>::from(self).leading_zeros()
            }
            #[inline(always)]
            fn number(self) -> f64 {
                <$register>::from(self) as f64
            }
            #[inline(always)]
            fn shifted(self, by: u32) -> u32 {
                (<$register>::from(self) >> by) as u32
            }
            #[inline(always)]
            fn placed(top: u32, by: u32) -> Self {
                (<$register>::from(top) << by) as $unsigned
            }
            #[inline(always)]
            fn joined(low: u32, high: u32) -> Self {
                (u64::from(high) << 32 | u64::from(low)) as $unsigned
            }
            #[inline(always)]
            fn rank(self) -> Self {
                self ^ ((((self as $signed) >> (<$unsigned>::BITS - 1)) as $unsigned) >> 1)
            }
        }
    };
}

word!(u8, i8, u32);
word!(u16, i16, u32);
word!(u32, i32, u32);
word!(u64, i64, u64);

/// The rank of a lane's word among the values of its type: floats are folded, integers are their own rank (the
/// offset of unsigned ones cancels in every difference).
#[inline(always)]
pub(super) fn rank<W: Word>(word: W, float: bool) -> W {
    if float { word.rank() } else { word }
}

/// Whether the lane is a float, and so has a sign bit at the top and an exponent below it.
pub(super) const fn is_float(lane: Lane) -> bool {
    matches!(lane, Lane::Float { .. })
}

/// Calls a generic function with the word type of a lane's width.
macro_rules! with_word {
    ($lane:expr, $function:ident $args:tt) => {
        match $lane.width() {
            2 => $function::<u16> $args,
            4 => $function::<u32> $args,
            8 => $function::<u64> $args,
            _ => $function::<u8> $args,
        }
    };
}
pub(super) use with_word;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_of_floats_are_in_the_order_of_their_values() {
        let rising = [f32::NEG_INFINITY, -1.5, -1.0, -1e-42, -0.0, 0.0, 1e-42, 1.0, 1.5, f32::INFINITY];
        let ranks: Vec<i32> = rising.iter().map(|value| value.to_bits().rank() as i32).collect();
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
        assert_eq!(1.0f32.to_bits().rank() + 1, f32::from_bits(1.0f32.to_bits() + 1).to_bits().rank());
    }

    proptest! {
        #[test]
        fn bijections_come_back(a: u64, b: u64) {
            fn check<W: Word + std::fmt::Debug>(a: W, b: W) {
                assert_eq!(a.sign_last().sign_first(), a);
                assert_eq!(a.zigzag().unzigzag(), a);
                assert_eq!(a.rank().rank(), a);
                assert_eq!(a.minus(b).plus(b), a);
                assert_eq!(W::narrow(a.wide()), a);
            }
            check(a as u8, b as u8);
            check(a as u16, b as u16);
            check(a as u32, b as u32);
            check(a, b);
        }
    }
}
