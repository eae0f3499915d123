//! Casts between float types: what a tensor saved in another precision would look like in this one.
//!
//! A cast is only ever a prediction that a difference is taken to, so that nothing depends on how another program
//! rounds. Where it rounds as here (to nearest, ties to even, binary64 by way of binary32 as PyTorch does it) the
//! difference is nothing.

use crate::tensor::Dtype;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Elements converted at once: small enough for the first-level cache.
const RUN: usize = 1024;

/// A float type that casts are known from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Real {
    F16,
    Bf16,
    F32,
    F64,
}

impl Real {
    fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Real::F16),
            Dtype::Bf16 => Some(Real::Bf16),
            Dtype::F32 => Some(Real::F32),
            Dtype::F64 => Some(Real::F64),
            _ => None,
        }
    }

    const fn width(self) -> usize {
        match self {
            Real::F16 | Real::Bf16 => 2,
            Real::F32 => 4,
            Real::F64 => 8,
        }
    }
}

/// The float types that a tensor of this type can be a cast of.
pub fn cast_sources(to: Dtype) -> impl Iterator<Item = Dtype> {
    const SOURCES: [Dtype; 4] = [Dtype::F32, Dtype::Bf16, Dtype::F16, Dtype::F64];
    SOURCES.into_iter().filter(move |from| is_castable(*from, to))
}

/// Whether a tensor of one type can be predicted from one of the other.
pub fn is_castable(from: Dtype, to: Dtype) -> bool {
    from != to && Real::of(from).is_some() && Real::of(to).is_some()
}

/// Fills `out`, whole elements of type `to`, with the elements of `source`, of type `from`. Elements that one of the
/// two has more than the other are left alone, and so is everything where [`is_castable`] does not hold.
pub fn cast(from: Dtype, to: Dtype, source: &[u8], out: &mut [u8]) {
    let (Some(from), Some(to)) = (Real::of(from), Real::of(to)) else { return };
    let mut values = [0f32; RUN];
    for (source, out) in source.chunks(RUN * from.width()).zip(out.chunks_mut(RUN * to.width())) {
        let count = (source.len() / from.width()).min(out.len() / to.width());
        let values = &mut values[..count];
        widen(from, source, values);
        round(to, values, out);
    }
}

/// Reads as many elements as `values` holds.
fn widen(from: Real, bytes: &[u8], values: &mut [f32]) {
    match from {
        Real::F32 => each(bytes, values, f32::from_le_bytes),
        Real::F64 => each(bytes, values, |eight| narrow(f64::from_le_bytes(eight))),
        Real::Bf16 => each(bytes, values, |two| bf16::from_le_bytes(two).to_f32()),
        Real::F16 => {
            let mut halves = [f16::ZERO; RUN];
            let halves = &mut halves[..values.len()];
            each(bytes, halves, f16::from_le_bytes);
            halves.convert_to_f32_slice(values);
        }
    }
}

/// The payload of what is no number is kept, as far as there is room, and made quiet: machines differ in this.
fn narrow(value: f64) -> f32 {
    if !value.is_nan() {
        return value as f32;
    }
    let bits = value.to_bits();
    f32::from_bits((bits >> 32) as u32 & 0x8000_0000 | 0x7fc0_0000 | (bits >> 29) as u32 & 0x003f_ffff)
}

fn wide(value: f32) -> f64 {
    if !value.is_nan() {
        return f64::from(value);
    }
    let bits = u64::from(value.to_bits());
    f64::from_bits((bits & 0x8000_0000) << 32 | 0x7ff8_0000_0000_0000 | (bits & 0x003f_ffff) << 29)
}

fn each<T, const N: usize>(bytes: &[u8], out: &mut [T], read: impl Fn([u8; N]) -> T) {
    let (elements, _) = bytes.as_chunks();
    out.iter_mut().zip(elements).for_each(|(out, element)| *out = read(*element));
}

/// Writes as many elements as `values` holds.
fn round(to: Real, values: &[f32], bytes: &mut [u8]) {
    match to {
        Real::F32 => put(values, bytes, |value| value.to_le_bytes()),
        Real::F64 => put(values, bytes, |value| wide(value).to_le_bytes()),
        Real::Bf16 => put(values, bytes, |value| bf16::from_f32(value).to_le_bytes()),
        Real::F16 => {
            let mut halves = [f16::ZERO; RUN];
            let halves = &mut halves[..values.len()];
            halves.convert_from_f32_slice(values);
            put(halves, bytes, f16::to_le_bytes);
        }
    }
}

fn put<T: Copy, const N: usize>(values: &[T], bytes: &mut [u8], write: impl Fn(T) -> [u8; N]) {
    let (elements, _) = bytes.as_chunks_mut();
    elements.iter_mut().zip(values).for_each(|(element, value)| *element = write(*value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REAL: [Dtype; 4] = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64];

    fn casted(from: Dtype, to: Dtype, source: &[u8]) -> Vec<u8> {
        let mut out = vec![0; source.len() / from.lane().width() * to.lane().width()];
        cast(from, to, source, &mut out);
        out
    }

    #[test]
    fn rounding_goes_to_nearest_and_ties_to_even() {
        let bits = [0x3f80_8000u32, 0x3f81_8000, 0x3f80_8001, 0x7f7f_ffff, 0x8000_0001, 0xff80_0000];
        let source: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let rounded: Vec<u16> = casted(Dtype::F32, Dtype::Bf16, &source)
            .as_chunks()
            .0
            .iter()
            .map(|two| u16::from_le_bytes(*two))
            .collect();
        assert_eq!(rounded, [0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x8000, 0xff80]);
    }

    #[test]
    fn payloads_of_what_is_no_number_are_kept_and_made_quiet() {
        let wide = casted(Dtype::F32, Dtype::F64, &0xff81_2345u32.to_le_bytes());
        assert_eq!(wide, 0xfff8_2468_a000_0000u64.to_le_bytes());
        let narrow = casted(Dtype::F64, Dtype::F32, &0x7ff0_2468_bfff_ffffu64.to_le_bytes());
        assert_eq!(narrow, 0x7fc1_2345u32.to_le_bytes());
        let half = casted(Dtype::F32, Dtype::F16, &0x7f80_2001u32.to_le_bytes());
        assert_eq!(half, 0x7e01u16.to_le_bytes());
        let brain = casted(Dtype::F32, Dtype::Bf16, &0xff81_2345u32.to_le_bytes());
        assert_eq!(brain, 0xffc1u16.to_le_bytes());
    }

    #[test]
    fn types_without_casts_leave_everything_alone() {
        let mut out = [7; 8];
        cast(Dtype::I32, Dtype::Bf16, &[1; 16], &mut out);
        assert_eq!(out, [7; 8]);
        assert!(!is_castable(Dtype::F32, Dtype::F32));
        assert_eq!(cast_sources(Dtype::Bf16).collect::<Vec<_>>(), [Dtype::F32, Dtype::F16, Dtype::F64]);
        assert_eq!(cast_sources(Dtype::I8).count(), 0);
    }

    proptest! {
        #[test]
        fn each_element_is_cast_as_the_half_crate_casts_it(
            values in proptest::collection::vec(any::<f32>(), 0..3000),
            to in proptest::sample::select(vec![Dtype::F16, Dtype::Bf16]),
        ) {
            let source: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let expected: Vec<u8> = values.iter().flat_map(|&value| match to {
                Dtype::F16 => f16::from_f32(value).to_le_bytes(),
                _ => bf16::from_f32(value).to_le_bytes(),
            }).collect();
            prop_assert_eq!(casted(Dtype::F32, to, &source), expected);
        }

        #[test]
        fn widening_and_rounding_back_loses_nothing(
            bits in proptest::collection::vec(any::<u16>(), 0..2000),
            narrow in proptest::sample::select(vec![Dtype::F16, Dtype::Bf16]),
            wide in proptest::sample::select(vec![Dtype::F32, Dtype::F64]),
        ) {
            let is_nan = |bits: u16| match narrow {
                Dtype::F16 => f16::from_bits(bits).is_nan(),
                _ => bf16::from_bits(bits).is_nan(),
            };
            let source: Vec<u8> =
                bits.into_iter().filter(|bits| !is_nan(*bits)).flat_map(u16::to_le_bytes).collect();
            prop_assert_eq!(casted(wide, narrow, &casted(narrow, wide, &source)), source);
        }

        #[test]
        fn any_lengths_are_survived(
            source in proptest::collection::vec(any::<u8>(), 0..9000),
            len in 0usize..9000,
            from in proptest::sample::select(REAL.to_vec()),
            to in proptest::sample::select(REAL.to_vec()),
        ) {
            cast(from, to, &source, &mut vec![0; len]);
        }
    }
}
