//! The fixed-width little-endian lanes that a codec sees in a tensor's bytes.

/// What one lane holds. Bytes that do not fill a last whole lane are a tail that codecs carry verbatim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// No lanes: text, archives, packed sub-byte elements.
    Bytes,
    /// Unsigned integers of `width` bytes (1, 2, 4 or 8).
    Unsigned {
        /// Bytes per lane.
        width: usize,
    },
    /// Two's complement integers of `width` bytes (1, 2, 4 or 8).
    Signed {
        /// Bytes per lane.
        width: usize,
    },
    /// Sign, exponent, mantissa from the top bit down, `width` bytes (1, 2, 4 or 8).
    Float {
        /// Bytes per lane.
        width: usize,
        /// Bits of stored mantissa; the exponent has `8 * width - 1 - mantissa_bits`.
        mantissa_bits: u32,
    },
}

impl Lane {
    /// IEEE 754 binary16.
    pub const F16: Lane = Lane::Float { width: 2, mantissa_bits: 10 };
    /// bfloat16.
    pub const BF16: Lane = Lane::Float { width: 2, mantissa_bits: 7 };
    /// IEEE 754 binary32.
    pub const F32: Lane = Lane::Float { width: 4, mantissa_bits: 23 };
    /// IEEE 754 binary64.
    pub const F64: Lane = Lane::Float { width: 8, mantissa_bits: 52 };

    /// Bytes per lane; 1 where there are no lanes.
    pub const fn width(self) -> usize {
        match self {
            Lane::Bytes => 1,
            Lane::Unsigned { width } | Lane::Signed { width } | Lane::Float { width, .. } => width,
        }
    }
}
