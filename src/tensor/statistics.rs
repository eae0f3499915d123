//! What a tensor's numbers are like: extremes, mean, standard deviation, and how many are none.
//!
//! Fed piece by piece, so that a tensor of any size takes no memory. Mean and variance by Welford's update
//! (Technometrics 4(3), 1962), merged blockwise by Chan, Golub and LeVeque's formula (1979).

use super::Dtype;
use half::{bf16, f16};

/// Elements that are summed plainly before they are merged.
const BLOCK: usize = 4096;

/// Statistics of real numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Finite elements.
    pub finite: u64,
    /// Elements that are NaN.
    pub nan: u64,
    /// Elements that are positive or negative infinity.
    pub infinite: u64,
    /// Elements equal to zero, of either sign.
    pub zeros: u64,
    /// The least finite element; 0 if there is none.
    pub min: f64,
    /// The greatest finite element; 0 if there is none.
    pub max: f64,
    /// The mean of the finite elements; 0 if there is none.
    pub mean: f64,
    /// The sum of squared deviations from the mean.
    squares: f64,
}

impl Statistics {
    /// The population standard deviation of the finite elements; 0 if there is none.
    pub fn standard_deviation(&self) -> f64 {
        if self.finite == 0 { 0.0 } else { (self.squares / self.finite as f64).sqrt() }
    }

    /// Adds the whole elements in `bytes`, little-endian. False if elements of the type are no real numbers that this
    /// reads (complex, packed and opaque types); then nothing is added.
    pub fn add(&mut self, dtype: Dtype, bytes: &[u8]) -> bool {
        let Some(read) = reader(dtype) else { return false };
        let width = (dtype.bits() / 8) as usize;
        let mut block = Vec::with_capacity(BLOCK);
        for elements in bytes.chunks(BLOCK * width) {
            block.clear();
            block.extend(elements.chunks_exact(width).map(read));
            self.merge(&Self::of_block(&block));
        }
        true
    }

    fn of_block(values: &[f64]) -> Self {
        let mut block = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Self::default() };
        let mut sum = 0.0;
        for &value in values {
            block.nan += u64::from(value.is_nan());
            block.infinite += u64::from(value.is_infinite());
            block.zeros += u64::from(value == 0.0);
            if value.is_finite() {
                block.finite += 1;
                block.min = block.min.min(value);
                block.max = block.max.max(value);
                sum += value;
            }
        }
        if block.finite > 0 {
            block.mean = sum / block.finite as f64;
            let deviations = values.iter().filter(|value| value.is_finite()).map(|value| value - block.mean);
            block.squares = deviations.map(|deviation| deviation * deviation).sum();
        }
        block
    }

    fn merge(&mut self, other: &Self) {
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.zeros += other.zeros;
        if other.finite == 0 {
            return;
        }
        if self.finite == 0 {
            (self.min, self.max) = (other.min, other.max);
        }
        let (mine, theirs) = (self.finite as f64, other.finite as f64);
        let distance = other.mean - self.mean;
        self.finite += other.finite;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.mean += distance * theirs / (mine + theirs);
        self.squares += other.squares + distance * distance * mine * theirs / (mine + theirs);
    }
}

/// How one element of the type is read; `None` for types that are no real numbers.
pub(super) fn reader(dtype: Dtype) -> Option<fn(&[u8]) -> f64> {
    /// The element's bytes; callers cut them to its width.
    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        array
    }
    Some(match dtype {
        Dtype::Bool | Dtype::U8 => |bytes| f64::from(bytes[0]),
        Dtype::I8 => |bytes| f64::from(bytes[0] as i8),
        Dtype::U16 => |bytes| f64::from(u16::from_le_bytes(array(bytes))),
        Dtype::I16 => |bytes| f64::from(i16::from_le_bytes(array(bytes))),
        Dtype::U32 => |bytes| f64::from(u32::from_le_bytes(array(bytes))),
        Dtype::I32 => |bytes| f64::from(i32::from_le_bytes(array(bytes))),
        Dtype::U64 => |bytes| u64::from_le_bytes(array(bytes)) as f64,
        Dtype::I64 => |bytes| i64::from_le_bytes(array(bytes)) as f64,
        Dtype::F16 => |bytes| f64::from(f16::from_le_bytes(array(bytes))),
        Dtype::Bf16 => |bytes| f64::from(bf16::from_le_bytes(array(bytes))),
        Dtype::F32 => |bytes| f64::from(f32::from_le_bytes(array(bytes))),
        Dtype::F64 => |bytes| f64::from_le_bytes(array(bytes)),
        // The upper half of a binary16 with the same exponent.
        Dtype::F8E5M2 => |bytes| f64::from(f16::from_bits(u16::from(bytes[0]) << 8)),
        Dtype::F8E4M3 => |bytes| f8_e4m3(bytes[0]),
        Dtype::F8E8M0
        | Dtype::F8E4M3Fnuz
        | Dtype::F8E5M2Fnuz
        | Dtype::Opaque
        | Dtype::C64
        | Dtype::C128
        | Dtype::F4
        | Dtype::F6E2M3
        | Dtype::F6E3M2 => return None,
    })
}

/// OCP 8-bit floating point, E4M3: bias 7, no infinities, NaN is S.1111.111.
fn f8_e4m3(bits: u8) -> f64 {
    let sign = if bits & 0x80 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 3 & 0xf), f64::from(bits & 7));
    match (exponent, bits & 7) {
        (0xf, 7) => f64::NAN,
        (0, _) => sign * mantissa * 2f64.powi(-9),
        _ => sign * (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_are_none_are_counted_apart() {
        let values = [1.0f32, f32::NAN, -0.0, f32::INFINITY, -3.0];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut found = Statistics::default();
        assert!(found.add(Dtype::F32, &bytes));
        assert_eq!((found.finite, found.nan, found.infinite, found.zeros), (3, 1, 1, 1));
        assert_eq!((found.min, found.max), (-3.0, 1.0));
        assert!(!found.add(Dtype::C64, &bytes));
    }

    #[test]
    fn eight_bit_floats_have_the_values_of_their_standard() {
        for (bits, value) in [(0x38, 1.0), (0x7e, 448.0), (0x01, 2f64.powi(-9)), (0x88, -(2f64.powi(-6)))] {
            assert_eq!(f8_e4m3(bits), value);
        }
        assert!(f8_e4m3(0x7f).is_nan());
        let mut found = Statistics::default();
        found.add(Dtype::F8E5M2, &[0x3c, 0x7b]);
        assert_eq!((found.min, found.max), (1.0, 57344.0));
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_as_the_whole(
            values in proptest::collection::vec(-1e3f64..1e3, 1..9000),
            cut: usize,
        ) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let cut = cut % values.len() * 8;
            let mut found = Statistics::default();
            found.add(Dtype::F64, &bytes[..cut]);
            found.add(Dtype::F64, &bytes[cut..]);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            prop_assert!((found.mean - mean).abs() < 1e-8);
            prop_assert!((found.standard_deviation() - variance.sqrt()).abs() < 1e-6);
            prop_assert_eq!(found.min, values.iter().copied().fold(f64::INFINITY, f64::min));
        }
    }
}
