//! The element types that weights come in, with one stable code each for the disk.

use super::Lane;

/// An element type. The discriminant is its code on disk: codes are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dtype {
    /// No elements: plain bytes (text, headers, archives, quantised blocks).
    Opaque = 0,
    /// One byte, 0 or 1.
    Bool = 1,
    /// Unsigned 8-bit integer.
    U8 = 2,
    /// Signed 8-bit integer.
    I8 = 3,
    /// Unsigned 16-bit integer.
    U16 = 4,
    /// Signed 16-bit integer.
    I16 = 5,
    /// Unsigned 32-bit integer.
    U32 = 6,
    /// Signed 32-bit integer.
    I32 = 7,
    /// Unsigned 64-bit integer.
    U64 = 8,
    /// Signed 64-bit integer.
    I64 = 9,
    /// IEEE 754 binary16.
    F16 = 10,
    /// bfloat16: the upper half of a binary32.
    Bf16 = 11,
    /// IEEE 754 binary32.
    F32 = 12,
    /// IEEE 754 binary64.
    F64 = 13,
    /// OCP 8-bit float, 4 exponent and 3 mantissa bits.
    F8E4M3 = 14,
    /// OCP 8-bit float, 5 exponent and 2 mantissa bits.
    F8E5M2 = 15,
    /// OCP 8-bit exponent-only scale.
    F8E8M0 = 16,
    /// Two binary32: real and imaginary part.
    C64 = 17,
    /// Two binary64: real and imaginary part.
    C128 = 18,
    /// OCP 4-bit float, packed.
    F4 = 19,
    /// OCP 6-bit float, 2 exponent and 3 mantissa bits, packed.
    F6E2M3 = 20,
    /// OCP 6-bit float, 3 exponent and 2 mantissa bits, packed.
    F6E3M2 = 21,
    /// 8-bit float, 4 exponent and 3 mantissa bits, no infinity and no negative zero (AMD).
    F8E4M3Fnuz = 22,
    /// 8-bit float, 5 exponent and 2 mantissa bits, no infinity and no negative zero (AMD).
    F8E5M2Fnuz = 23,
}

/// A code or name that no element type has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no element type is called `{0}`")]
pub struct UnknownDtype(pub String);

impl Dtype {
    /// Every element type, in the order of their codes.
    pub const ALL: [Dtype; 24] = [
        Dtype::Opaque,
        Dtype::Bool,
        Dtype::U8,
        Dtype::I8,
        Dtype::U16,
        Dtype::I16,
        Dtype::U32,
        Dtype::I32,
        Dtype::U64,
        Dtype::I64,
        Dtype::F16,
        Dtype::Bf16,
        Dtype::F32,
        Dtype::F64,
        Dtype::F8E4M3,
        Dtype::F8E5M2,
        Dtype::F8E8M0,
        Dtype::C64,
        Dtype::C128,
        Dtype::F4,
        Dtype::F6E2M3,
        Dtype::F6E3M2,
        Dtype::F8E4M3Fnuz,
        Dtype::F8E5M2Fnuz,
    ];

    /// The code on disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The element type with this code on disk.
    ///
    /// # Errors
    /// [`UnknownDtype`] for a code that this version does not know.
    pub fn from_code(code: u8) -> Result<Self, UnknownDtype> {
        Self::ALL.get(usize::from(code)).copied().ok_or_else(|| UnknownDtype(format!("code {code}")))
    }

    /// The name, in the spelling of the safetensors format (`F32`, `BF16`, `F8_E4M3`); `OPAQUE` for plain bytes.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::Opaque => "OPAQUE",
            Dtype::Bool => "BOOL",
            Dtype::U8 => "U8",
            Dtype::I8 => "I8",
            Dtype::U16 => "U16",
            Dtype::I16 => "I16",
            Dtype::U32 => "U32",
            Dtype::I32 => "I32",
            Dtype::U64 => "U64",
            Dtype::I64 => "I64",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            Dtype::F32 => "F32",
            Dtype::F64 => "F64",
            Dtype::F8E4M3 => "F8_E4M3",
            Dtype::F8E5M2 => "F8_E5M2",
            Dtype::F8E8M0 => "F8_E8M0",
            Dtype::C64 => "C64",
            Dtype::C128 => "C128",
            Dtype::F4 => "F4",
            Dtype::F6E2M3 => "F6_E2M3",
            Dtype::F6E3M2 => "F6_E3M2",
            Dtype::F8E4M3Fnuz => "F8_E4M3FNUZ",
            Dtype::F8E5M2Fnuz => "F8_E5M2FNUZ",
        }
    }

    /// The element type with this name.
    ///
    /// # Errors
    /// [`UnknownDtype`] for any other text.
    pub fn from_name(name: &str) -> Result<Self, UnknownDtype> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| UnknownDtype(name.to_owned()))
    }

    /// Bits per element; 8 for plain bytes.
    pub const fn bits(self) -> u64 {
        match self {
            Dtype::F4 => 4,
            Dtype::F6E2M3 | Dtype::F6E3M2 => 6,
            Dtype::Opaque | Dtype::Bool | Dtype::U8 | Dtype::I8 => 8,
            Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E8M0 | Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => 8,
            Dtype::U16 | Dtype::I16 | Dtype::F16 | Dtype::Bf16 => 16,
            Dtype::U32 | Dtype::I32 | Dtype::F32 => 32,
            Dtype::U64 | Dtype::I64 | Dtype::F64 | Dtype::C64 => 64,
            Dtype::C128 => 128,
        }
    }

    /// How codecs see the elements. Complex numbers are pairs of floats; packed sub-byte elements are bytes.
    pub const fn lane(self) -> Lane {
        match self {
            Dtype::Opaque | Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2 => Lane::Bytes,
            Dtype::Bool | Dtype::U8 | Dtype::F8E8M0 => Lane::Unsigned { width: 1 },
            Dtype::I8 => Lane::Signed { width: 1 },
            Dtype::U16 => Lane::Unsigned { width: 2 },
            Dtype::I16 => Lane::Signed { width: 2 },
            Dtype::U32 => Lane::Unsigned { width: 4 },
            Dtype::I32 => Lane::Signed { width: 4 },
            Dtype::U64 => Lane::Unsigned { width: 8 },
            Dtype::I64 => Lane::Signed { width: 8 },
            Dtype::F16 => Lane::F16,
            Dtype::Bf16 => Lane::BF16,
            Dtype::F32 | Dtype::C64 => Lane::F32,
            Dtype::F64 | Dtype::C128 => Lane::F64,
            Dtype::F8E4M3 | Dtype::F8E4M3Fnuz => Lane::Float { width: 1, mantissa_bits: 3 },
            Dtype::F8E5M2 | Dtype::F8E5M2Fnuz => Lane::Float { width: 1, mantissa_bits: 2 },
        }
    }

    /// The bytes that a contiguous tensor of this shape takes; `None` if it does not fit 64 bits or is not whole
    /// bytes.
    pub fn byte_len(self, shape: &[u64]) -> Option<u64> {
        let elements = shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent))?;
        let bits = elements.checked_mul(self.bits())?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back_to_the_same_type() {
        for dtype in Dtype::ALL {
            assert_eq!(Dtype::from_code(dtype.code()), Ok(dtype));
            assert_eq!(Dtype::from_name(dtype.name()), Ok(dtype));
        }
        assert_eq!(Dtype::from_code(200), Err(UnknownDtype("code 200".into())));
    }

    #[test]
    fn byte_lengths_refuse_overflow_and_half_bytes() {
        assert_eq!(Dtype::F32.byte_len(&[]), Some(4));
        assert_eq!(Dtype::Bf16.byte_len(&[3, 0, 7]), Some(0));
        assert_eq!(Dtype::F4.byte_len(&[3]), None);
        assert_eq!(Dtype::F64.byte_len(&[u64::MAX, 2]), None);
    }
}
