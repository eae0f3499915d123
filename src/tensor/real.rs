//! Numbers of every float type as `f64`, exactly, and back with one rounding.
//!
//! Every float type that is not packed fits into an `f64`. The way back rounds once, to the nearest, ties to even: through an
//! `f32` by way of "round to odd" (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Trans.
//! Computers 57(4), 2008), whose result keeps whether anything was cut off, so that the second step decides as if it were
//! the first. What is no number becomes the one quiet NaN of its type with a positive sign and no payload: whatever a machine
//! makes of NaNs, the bytes are the same.

use super::Dtype;
use half::f16;

/// Whether numbers of this type are read by [`widen`] and made by [`narrow`].
pub const fn is_real(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64 | Dtype::F8E4M3 | Dtype::F8E5M2)
}

/// Reads numbers, little-endian, into as many places. False for types that are no floats or packed ones, and if there are not
/// as many bytes as places; then nothing is read.
pub fn widen(dtype: Dtype, bytes: &[u8], into: &mut [f64]) -> bool {
    match dtype {
        Dtype::F16 => each(bytes, into, |bytes| f64::from(f16::from_le_bytes(bytes))),
        Dtype::Bf16 => {
            each(bytes, into, |bytes| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)))
        }
        Dtype::F32 => each(bytes, into, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::F64 => each(bytes, into, f64::from_le_bytes),
        Dtype::F8E4M3 | Dtype::F8E5M2 => {
            let Some(read) = super::statistics::reader(dtype) else { return false };
            each(bytes, into, |bytes: [u8; 1]| read(&bytes))
        }
        _ => false,
    }
}

fn each<const N: usize>(bytes: &[u8], into: &mut [f64], read: impl Fn([u8; N]) -> f64) -> bool {
    let (elements, rest) = bytes.as_chunks::<N>();
    if elements.len() != into.len() || !rest.is_empty() {
        return false;
    }
    into.iter_mut().zip(elements).for_each(|(value, bytes)| *value = read(*bytes));
    true
}

/// Writes numbers, little-endian, rounded once. False for types that are no floats or packed ones, and if there are not as
/// many bytes as the numbers need; then nothing is written.
pub fn narrow(dtype: Dtype, values: &[f64], into: &mut [u8]) -> bool {
    match dtype {
        Dtype::F64 => put(values, into, |value| if value.is_nan() { F64_NAN } else { value }.to_le_bytes()),
        Dtype::F32 => put(values, into, |value| {
            let near = value as f32;
            if near.is_nan() { F32_NAN } else { near }.to_le_bytes()
        }),
        Dtype::Bf16 => put(values, into, |value| bf16(value).to_le_bytes()),
        Dtype::F16 => put(values, into, |value| (small(value, F16) as u16).to_le_bytes()),
        Dtype::F8E5M2 => put(values, into, |value| (small(value, F8E5M2) as u8).to_le_bytes()),
        Dtype::F8E4M3 => put(values, into, |value| (small(value, F8E4M3) as u8).to_le_bytes()),
        _ => false,
    }
}

const F64_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);
const F32_NAN: f32 = f32::from_bits(0x7fc0_0000);

fn put<const N: usize>(values: &[f64], into: &mut [u8], write: impl Fn(f64) -> [u8; N]) -> bool {
    let (elements, rest) = into.as_chunks_mut::<N>();
    if elements.len() != values.len() || !rest.is_empty() {
        return false;
    }
    elements.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = write(*value));
    true
}

/// The bits of the `f32` next to a number, towards zero, with the last one set if that is not the number.
fn odd(value: f64) -> u32 {
    let near = value as f32;
    let back = f64::from(near);
    let is_beyond = u32::from(back.abs() > value.abs());
    let is_inexact = u32::from(back != value);
    (near.to_bits() - is_beyond) | is_inexact
}

fn bf16(value: f64) -> u16 {
    let bits = odd(value);
    if value.is_nan() {
        return 0x7fc0;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// A float type of at most 16 bits.
#[derive(Clone, Copy)]
struct Small {
    mantissa: u32,
    bias: i32,
    /// The code of the largest number, of what is larger, and of what is none.
    largest: u32,
    beyond: u32,
    nan: u32,
    /// The bit that is the sign.
    sign: u32,
}

const F16: Small = Small { mantissa: 10, bias: 15, largest: 0x7bff, beyond: 0x7c00, nan: 0x7e00, sign: 15 };
const F8E5M2: Small = Small { mantissa: 2, bias: 15, largest: 0x7b, beyond: 0x7c, nan: 0x7e, sign: 7 };
// It has no infinity.
const F8E4M3: Small = Small { mantissa: 3, bias: 7, largest: 0x7e, beyond: 0x7f, nan: 0x7f, sign: 7 };

fn small(value: f64, to: Small) -> u32 {
    if value.is_nan() {
        return to.nan;
    }
    let bits = odd(value);
    let (sign, magnitude) = (bits >> 31 << to.sign, bits & 0x7fff_ffff);
    let cut = 23 - to.mantissa;
    let exponent = (magnitude >> 23) as i32 - 127;
    let least = 1 - to.bias;
    let (significand, cut) = match exponent >= least {
        true => (magnitude - (((127 - to.bias) as u32) << 23), cut),
        // Below the least exponent the step stays the same.
        false => (magnitude & 0x007f_ffff | 0x0080_0000, cut + (least - exponent).min(32) as u32),
    };
    let significand = u64::from(significand);
    let rounded = (significand + (1u64 << (cut - 1)) - 1 + (significand >> cut & 1)) >> cut;
    let code = if rounded > u64::from(to.largest) { to.beyond } else { rounded as u32 };
    sign | code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REALS: [Dtype; 6] = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64, Dtype::F8E4M3, Dtype::F8E5M2];

    fn narrowed(dtype: Dtype, value: f64) -> Vec<u8> {
        let mut bytes = vec![0; (dtype.bits() / 8) as usize];
        assert!(narrow(dtype, &[value], &mut bytes));
        bytes
    }

    fn widened(dtype: Dtype, bytes: &[u8]) -> f64 {
        let mut value = [0.0];
        assert!(widen(dtype, bytes, &mut value));
        value[0]
    }

    #[test]
    fn every_number_of_the_small_types_comes_back() {
        for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F8E4M3, Dtype::F8E5M2] {
            let width = (dtype.bits() / 8) as usize;
            for code in 0..1u32 << dtype.bits() {
                let bytes = &code.to_le_bytes()[..width];
                let value = widened(dtype, bytes);
                let back = narrowed(dtype, value);
                if value.is_nan() {
                    assert!(
                        widened(dtype, &back).is_nan() && back[width - 1] & 0x80 == 0,
                        "{dtype:?} {code:x}"
                    );
                } else {
                    assert_eq!(back, bytes, "{dtype:?} {code:x} {value}");
                }
            }
        }
    }

    #[test]
    fn what_lies_between_two_numbers_is_rounded_once() {
        // Halfway between 1 and its neighbour, and a little more: an `f32` does not see how much more.
        for (dtype, step) in [(Dtype::Bf16, 2f64.powi(-7)), (Dtype::F16, 2f64.powi(-10))] {
            let half = 1.0 + step / 2.0;
            assert_eq!(widened(dtype, &narrowed(dtype, half)), 1.0);
            assert_eq!(widened(dtype, &narrowed(dtype, half + 2f64.powi(-40))), 1.0 + step);
            assert_eq!(widened(dtype, &narrowed(dtype, -half - 2f64.powi(-40))), -1.0 - step);
            assert_eq!(widened(dtype, &narrowed(dtype, 1.0 + 1.5 * step)), 1.0 + 2.0 * step);
        }
    }

    #[test]
    fn the_ends_of_every_type_are_those_of_its_standard() {
        let ends = [
            (Dtype::F16, 65504.0, 65520.0, 2f64.powi(-24)),
            (Dtype::F8E5M2, 57344.0, 61440.0, 2f64.powi(-16)),
            (Dtype::Bf16, f64::from_bits(0x47ef_e000_0000_0000), 3.4e38, 2f64.powi(-133)),
        ];
        for (dtype, largest, beyond, least) in ends {
            assert_eq!(widened(dtype, &narrowed(dtype, largest)), largest, "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, beyond)), f64::INFINITY, "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, f64::MAX)), f64::INFINITY, "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, least)), least, "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, least / 2.0)), 0.0, "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, least * 0.50001)), least, "{dtype:?}");
            assert_eq!(narrowed(dtype, -0.0).last(), Some(&0x80), "{dtype:?}");
            assert_eq!(widened(dtype, &narrowed(dtype, -1e-300)).to_bits(), (-0.0f64).to_bits());
        }
        assert_eq!(widened(Dtype::F8E4M3, &narrowed(Dtype::F8E4M3, 463.9)), 448.0);
        assert!(widened(Dtype::F8E4M3, &narrowed(Dtype::F8E4M3, 465.0)).is_nan());
        assert!(widened(Dtype::F8E4M3, &narrowed(Dtype::F8E4M3, f64::INFINITY)).is_nan());
    }

    #[test]
    fn what_is_no_number_has_one_form() {
        let odd_ones = [f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001), f64::from_bits(u64::MAX)];
        for dtype in REALS {
            let forms: Vec<Vec<u8>> = odd_ones.iter().map(|nan| narrowed(dtype, *nan)).collect();
            assert!(forms.iter().all(|form| *form == forms[0]), "{dtype:?}");
            assert!(widened(dtype, &forms[0]).is_nan());
        }
    }

    #[test]
    fn types_and_lengths_that_do_not_fit_are_refused() {
        assert!(!widen(Dtype::I8, &[0], &mut [0.0]) && !widen(Dtype::F32, &[0; 5], &mut [0.0]));
        assert!(!narrow(Dtype::F4, &[0.0], &mut [0]) && !narrow(Dtype::F16, &[0.0], &mut [0]));
        assert!(Dtype::ALL.into_iter().all(|dtype| is_real(dtype) == REALS.contains(&dtype)));
    }

    proptest! {
        #[test]
        fn the_nearest_number_is_taken_and_of_two_the_even_one(
            value in prop_oneof![-1e5f64..1e5, -1e-4f64..1e-4, any::<f64>()],
            code: u16,
            on_the_way in 0..3u8,
        ) {
            prop_assume!(value.is_finite());
            for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F8E4M3, Dtype::F8E5M2] {
                let width = (dtype.bits() / 8) as usize;
                let number = |code: u16| widened(dtype, &code.to_le_bytes()[..width]);
                // Halfway between two neighbours is where rounding twice goes wrong.
                let code = code & if width == 1 { 0x7f } else { 0x7fff };
                let (low, high) = (number(code), number(code.saturating_add(1)));
                let value = match (low.is_finite() && high.is_finite(), on_the_way) {
                    (true, 0) => low + (high - low) / 2.0,
                    (true, 1) => low + (high - low) / 2.0 * (1.0 + f64::EPSILON * 4.0),
                    _ => value,
                };
                let bytes = narrowed(dtype, value);
                let mut code = [0; 2];
                code[..width].copy_from_slice(&bytes);
                let code = u16::from_le_bytes(code);
                let got = number(code);
                if !got.is_finite() {
                    continue;
                }
                for neighbour in [code.wrapping_sub(1), code.wrapping_add(1)] {
                    let other = number(neighbour);
                    if other.is_finite() && other.is_sign_negative() == got.is_sign_negative() {
                        let (near, far) = ((got - value).abs(), (other - value).abs());
                        prop_assert!(near < far || (near == far && code % 2 == 0), "{dtype:?} {value} {got} {other}");
                    }
                }
            }
        }
    }
}
