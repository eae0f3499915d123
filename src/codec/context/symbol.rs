//! The symbols of the context coder: magnitude buckets with a sign.
//!
//! A magnitude is split like a tiny float: `FINE` bits below its leading one are entropy-coded, the bits below
//! those are nearly uniform and follow verbatim. So every difference of a word has a symbol that fits a byte, and no
//! escape is needed. Layout: `symbol = 2 * bucket + negative`; buckets below `2^FINE` are the magnitude itself.

use crate::codec::word::Word;

/// Bits below the leading one that belong to the bucket. 3 instead of 2 gains under 0.3 % of the coded symbols and
/// costs as much in larger tables (measured on fine-tunes and training steps); 64-bit words have room for 1 only.
pub(super) const fn fine_bits<W: Word>() -> u32 {
    if W::BYTES == 8 { 1 } else { 2 }
}

/// How many symbols differences of `W` have: at most 256.
pub(super) const fn alphabet<W: Word>() -> usize {
    let fine = fine_bits::<W>();
    let bits = 8 * W::BYTES as u32;
    2 * (((bits + 1 - fine) as usize) << fine)
}

/// The bucket of a magnitude.
#[inline(always)]
pub(super) fn bucket<W: Word>(magnitude: W) -> u32 {
    let fine = fine_bits::<W>();
    let shift = verbatim_of::<W>(magnitude);
    // Above 2^FINE the leading one itself adds the first `1 << fine` of the octave's offset.
    (shift << fine) + magnitude.shifted(shift)
}

/// How many low bits of a magnitude follow verbatim.
#[inline(always)]
fn verbatim_of<W: Word>(magnitude: W) -> u32 {
    let fine = fine_bits::<W>();
    let length = magnitude.length();
    length.max(fine + 1) - (fine + 1)
}

/// How many verbatim bits follow a bucket.
#[inline(always)]
pub(super) fn verbatim_bits<W: Word>(bucket: u32) -> u32 {
    (bucket >> fine_bits::<W>()).max(1) - 1
}

/// Turns of 16 verbatim bits that a symbol of `W` can take.
pub(super) const fn passes<W: Word>() -> usize {
    (8 * W::BYTES - 1 - fine_bits::<W>() as usize).div_ceil(16)
}

/// The smallest magnitude of a bucket.
#[inline(always)]
pub(super) fn floor<W: Word>(bucket: u32) -> W {
    let shift = verbatim_bits::<W>(bucket);
    W::placed(bucket - (shift << fine_bits::<W>()), shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<W: Word + std::fmt::Debug>(magnitude: W) {
        let bucket = bucket(magnitude);
        assert!((2 * bucket as usize) < alphabet::<W>(), "{magnitude:?} in bucket {bucket}");
        let low = magnitude.wide() - floor::<W>(bucket).wide();
        assert!(low < 1 << verbatim_bits::<W>(bucket), "{magnitude:?} in bucket {bucket}");
    }

    #[test]
    fn extremes_have_a_bucket_within_the_alphabet() {
        assert_eq!(
            [alphabet::<u8>(), alphabet::<u16>(), alphabet::<u32>(), alphabet::<u64>()],
            [56, 120, 248, 256]
        );
        check(1u8 << 7);
        check(1u16 << 15);
        check(1u32 << 31);
        check(1u64 << 63);
        for small in 0..=255u8 {
            check(small & 0x7f);
            check(u16::from(small));
            check(u64::from(small));
        }
    }

    proptest! {
        #[test]
        fn a_magnitude_is_its_buckets_floor_and_its_verbatim_bits(magnitude in 0..=1u64 << 63, shift in 0u32..64) {
            check(magnitude >> shift);
            check(((magnitude >> shift) as u32) >> 1);
            check(((magnitude >> shift) as u16) >> 1);
        }
    }
}
