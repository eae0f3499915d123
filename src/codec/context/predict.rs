//! The prediction of a frame from its base: the base itself, or the base after weight decay.
//!
//! Decoupled weight decay multiplies each weight by the same number a little under one at every step. Where that is
//! all that happened (embedding rows whose token did not occur), repeating the multiplications with their roundings
//! gives the new weight exactly; elsewhere it removes what all elements have in common.
//!
//! Arithmetic is one IEEE 754 multiplication per round in binary32 (binary64 for 64-bit floats), rounded to nearest
//! even in the lane's type each time: the same on every machine. Weights that are not finite predict themselves, so
//! no NaN is ever computed.

use crate::codec::isa::per_isa;
use crate::codec::word::{BLOCK, Word};
use crate::tensor::Lane;

/// How elements of the base become predictions: `rounds` multiplications by `factor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decay {
    /// Positive and finite.
    pub(super) factor: f64,
    /// 1 to [`MAX_ROUNDS`].
    pub(super) rounds: u16,
}

/// Bounds the time of decoding; a checkpoint is rarely more steps away from its base.
pub(super) const MAX_ROUNDS: u16 = 512;

impl Decay {
    /// Bytes of a stored decay.
    pub(super) const LEN: usize = 10;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.factor.to_le_bytes());
        bytes[8..].copy_from_slice(&self.rounds.to_le_bytes());
        bytes
    }

    /// # Errors
    /// If no prediction can be computed with these numbers.
    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, &'static str> {
        let (factor, rounds) = bytes.split_at(8);
        let decay = Self {
            factor: f64::from_le_bytes(factor.try_into().expect("eight of ten bytes")),
            rounds: u16::from_le_bytes(rounds.try_into().expect("two of ten bytes")),
        };
        let usable = decay.factor > 0.0 && decay.factor < 2.0 && (1..=MAX_ROUNDS).contains(&decay.rounds);
        usable.then_some(decay).ok_or("a decay out of range")
    }

    /// Writes the prediction of `base` to `predicted`, which is as long.
    ///
    /// # Errors
    /// If the lane's type has no arithmetic.
    pub(super) fn predict(self, lane: Lane, base: &[u8], predicted: &mut [u8]) -> Result<(), &'static str> {
        match lane {
            Lane::F32 => repeat::<F32>(base, self, predicted),
            Lane::BF16 => repeat::<Bf16>(base, self, predicted),
            Lane::F16 => repeat::<F16>(base, self, predicted),
            Lane::F64 => repeat::<F64>(base, self, predicted),
            _ => return Err("a decay of something that is not a number"),
        }
        Ok(())
    }
}

/// A float type, computed with in a type that holds its values exactly.
pub(super) trait Real: Copy + 'static {
    /// Bytes of the stored type.
    const BYTES: usize;
    /// The computing type.
    type Value: Copy + Default;
    /// A factor as a value.
    fn factor(factor: f64) -> Self::Value;
    /// The element at the start of `bytes`; any value if it is not finite.
    fn load(bytes: &[u8]) -> Self::Value;
    /// The product, rounded to the stored type.
    fn times(value: Self::Value, factor: Self::Value) -> Self::Value;
    /// Writes `value` to the start of `out`, or the element at the start of `base` if that is not finite.
    fn store(value: Self::Value, base: &[u8], out: &mut [u8]);
}

per_isa! {
    fn repeat<T: Real>(base: &[u8], decay: Decay, predicted: &mut [u8]) = repeat_body::<T>
}

#[inline(always)]
fn repeat_body<T: Real>(base: &[u8], decay: Decay, predicted: &mut [u8]) {
    let mut blocks = predicted.chunks_exact_mut(BLOCK * T::BYTES);
    let mut from = base.chunks_exact(BLOCK * T::BYTES);
    for (out, base) in (&mut blocks).zip(&mut from) {
        decay_block::<T, BLOCK>(base, decay, out);
    }
    let rest = from.remainder().chunks_exact(T::BYTES);
    for (out, base) in blocks.into_remainder().chunks_exact_mut(T::BYTES).zip(rest) {
        decay_block::<T, 1>(base, decay, out);
    }
}

#[inline(always)]
fn decay_block<T: Real, const LEN: usize>(base: &[u8], decay: Decay, out: &mut [u8]) {
    let factor = T::factor(decay.factor);
    let mut values = [T::Value::default(); LEN];
    for (value, base) in values.iter_mut().zip(base.chunks_exact(T::BYTES)) {
        *value = T::load(base);
    }
    for _ in 0..decay.rounds {
        for value in &mut values {
            *value = T::times(*value, factor);
        }
    }
    let places = base.chunks_exact(T::BYTES).zip(out.chunks_exact_mut(T::BYTES));
    for (value, (base, out)) in values.into_iter().zip(places) {
        T::store(value, base, out);
    }
}

/// binary32.
#[derive(Clone, Copy)]
struct F32;
/// bfloat16, computed with in binary32.
#[derive(Clone, Copy)]
struct Bf16;
/// binary16, computed with in binary32.
#[derive(Clone, Copy)]
struct F16;
/// binary64.
#[derive(Clone, Copy)]
struct F64;

impl Real for F32 {
    const BYTES: usize = 4;
    type Value = f32;
    #[inline(always)]
    fn factor(factor: f64) -> f32 {
        factor as f32
    }
    #[inline(always)]
    fn load(bytes: &[u8]) -> f32 {
        f32::from_bits(finite_or_zero(u32::load(bytes), 0x7f80_0000))
    }
    #[inline(always)]
    fn times(value: f32, factor: f32) -> f32 {
        value * factor
    }
    #[inline(always)]
    fn store(value: f32, base: &[u8], out: &mut [u8]) {
        let base = u32::load(base);
        let finite = base & 0x7f80_0000 != 0x7f80_0000;
        (if finite { value.to_bits() } else { base }).store(out);
    }
}

impl Real for F64 {
    const BYTES: usize = 8;
    type Value = f64;
    #[inline(always)]
    fn factor(factor: f64) -> f64 {
        factor
    }
    #[inline(always)]
    fn load(bytes: &[u8]) -> f64 {
        let bits = u64::load(bytes);
        f64::from_bits(if is_finite_64(bits) { bits } else { 0 })
    }
    #[inline(always)]
    fn times(value: f64, factor: f64) -> f64 {
        value * factor
    }
    #[inline(always)]
    fn store(value: f64, base: &[u8], out: &mut [u8]) {
        let base = u64::load(base);
        (if is_finite_64(base) { value.to_bits() } else { base }).store(out);
    }
}

impl Real for Bf16 {
    const BYTES: usize = 2;
    type Value = f32;
    #[inline(always)]
    fn factor(factor: f64) -> f32 {
        factor as f32
    }
    #[inline(always)]
    fn load(bytes: &[u8]) -> f32 {
        f32::from_bits(finite_or_zero(u32::from(u16::load(bytes)) << 16, 0x7f80_0000))
    }
    #[inline(always)]
    fn times(value: f32, factor: f32) -> f32 {
        f32::from_bits(drop_bits((value * factor).to_bits(), 16))
    }
    #[inline(always)]
    fn store(value: f32, base: &[u8], out: &mut [u8]) {
        let base = u16::load(base);
        let finite = base & 0x7f80 != 0x7f80;
        (if finite { (value.to_bits() >> 16) as u16 } else { base }).store(out);
    }
}

/// 2^112: the ratio of the exponent biases of binary32 and binary16.
const HALF_SCALE: f32 = f32::from_bits((127 + 112) << 23);
/// 2^-112.
const HALF_UNSCALE: f32 = f32::from_bits((127 - 112) << 23);
/// 2^-14: below it, binary16 has a fixed unit of 2^-24, which is the unit of binary32 just above 0.5.
const HALF_NORMAL: f32 = f32::from_bits((127 - 14) << 23);

impl Real for F16 {
    const BYTES: usize = 2;
    type Value = f32;
    #[inline(always)]
    fn factor(factor: f64) -> f32 {
        factor as f32
    }
    #[inline(always)]
    fn load(bytes: &[u8]) -> f32 {
        let half = u32::from(u16::load(bytes));
        let half = finite_or_zero(half, 0x7c00);
        let magnitude = f32::from_bits((half & 0x7fff) << 13) * HALF_SCALE;
        f32::from_bits(magnitude.to_bits() | (half & 0x8000) << 16)
    }
    #[inline(always)]
    fn times(value: f32, factor: f32) -> f32 {
        let product = (value * factor).to_bits();
        let (sign, magnitude) = (product & 0x8000_0000, product & 0x7fff_ffff);
        let normal = f32::from_bits(drop_bits(magnitude, 13));
        let denormal = (f32::from_bits(magnitude) + 0.5) - 0.5;
        let rounded = if f32::from_bits(magnitude) < HALF_NORMAL { denormal } else { normal };
        let rounded = if rounded >= 65536.0 { f32::INFINITY } else { rounded };
        f32::from_bits(rounded.to_bits() | sign)
    }
    #[inline(always)]
    fn store(value: f32, base: &[u8], out: &mut [u8]) {
        let base = u16::load(base);
        let bits = value.to_bits();
        let magnitude = f32::from_bits(bits & 0x7fff_ffff);
        let finite = ((magnitude * HALF_UNSCALE).to_bits() >> 13) as u16;
        let half = if magnitude >= 65536.0 { 0x7c00 } else { finite } | (bits >> 16) as u16 & 0x8000;
        (if base & 0x7c00 != 0x7c00 { half } else { base }).store(out);
    }
}

/// The bits of a float, or of zero if its exponent is all ones.
#[inline(always)]
fn finite_or_zero(bits: u32, exponent: u32) -> u32 {
    if bits & exponent == exponent { 0 } else { bits }
}

#[inline(always)]
fn is_finite_64(bits: u64) -> bool {
    const EXPONENT: u64 = 0x7ff << 52;
    bits & EXPONENT != EXPONENT
}

/// Rounds the magnitude of a float to nearest even at bit `count`. Carries run into the exponent, as they should.
#[inline(always)]
fn drop_bits(bits: u32, count: u32) -> u32 {
    let odd = (bits >> count) & 1;
    bits.wrapping_add((1 << (count - 1)) - 1 + odd) & (u32::MAX << count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    fn predict(lane: Lane, base: &[u8], factor: f64, rounds: u16) -> Vec<u8> {
        let mut predicted = vec![0; base.len()];
        Decay { factor, rounds }.predict(lane, base, &mut predicted).expect("a float lane");
        predicted
    }

    #[test]
    fn sixteen_bit_floats_round_as_the_reference_does() {
        let base: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for factor in [1.0, 0.999_9, 0.5, 0.3, 1.5, 1e-4] {
            let halves = predict(Lane::F16, &base, factor, 1);
            let brains = predict(Lane::BF16, &base, factor, 1);
            for bits in 0..=u16::MAX {
                let at = 2 * usize::from(bits);
                let half = f16::from_bits(bits);
                let expected =
                    if half.is_finite() { f16::from_f32(half.to_f32() * factor as f32) } else { half };
                assert_eq!(u16::load(&halves[at..]), expected.to_bits(), "f16 {bits:#x} * {factor}");
                let brain = bf16::from_bits(bits);
                let expected =
                    if brain.is_finite() { bf16::from_f32(brain.to_f32() * factor as f32) } else { brain };
                assert_eq!(u16::load(&brains[at..]), expected.to_bits(), "bf16 {bits:#x} * {factor}");
            }
        }
    }

    #[test]
    fn rounds_repeat_the_rounding() {
        let factor = 1.0 - 3.0 * f32::EPSILON / 2.0;
        let base: Vec<f32> =
            (0..300).map(|i| (i as f32 - 150.0) / 7.0).chain([f32::NAN, f32::INFINITY]).collect();
        let bytes: Vec<u8> = base.iter().flat_map(|value| value.to_le_bytes()).collect();
        let predicted = predict(Lane::F32, &bytes, f64::from(factor), 30);
        for (value, predicted) in base.iter().zip(predicted.chunks_exact(4)) {
            let expected = (0..30).fold(*value, |value, _| value * factor);
            assert_eq!(u32::load(predicted), if value.is_finite() { expected } else { *value }.to_bits());
        }
    }

    #[test]
    fn stored_decays_are_checked() {
        let decay = Decay { factor: 0.999, rounds: 7 };
        assert_eq!(Decay::from_bytes(&decay.to_bytes()), Ok(decay));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Decay::from_bytes(&Decay { factor, rounds: 1 }.to_bytes()).is_err());
        }
        assert!(Decay::from_bytes(&Decay { factor: 1.0, rounds: 0 }.to_bytes()).is_err());
        assert!(decay.predict(Lane::Bytes, &[], &mut []).is_err());
    }
}
