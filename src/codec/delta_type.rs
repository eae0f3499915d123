//! The lossless delta types by the names that users of the original know, as coders of frames.
//!
//! In the original only the two exclusive ors were exact, and those for few element types. Here every name is bit-exact
//! for every element type: differences are exclusive ors or wrapping differences of ranks, never of numbers, so zeros
//! of both signs, denormals and NaN payloads come back. A name chooses how a frame is coded, not what is decoded: the
//! frame's tag says that.

use super::coder::{Coder, encode_frame_as};
use crate::tensor::Lane;

/// A lossless way to store a tensor as its difference to a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeltaType {
    /// The bytes themselves: fastest, saves nothing.
    Float32Raw,
    /// The smallest: differences of ranks, entropy-coded by context.
    #[default]
    Compressed,
    /// Byte planes of the exclusive or of words. The element type gives their width, not the name.
    XorFloat32,
    /// The same coder as [`DeltaType::XorFloat32`].
    XorBfloat16,
    /// Byte planes of the difference of ranks, where exponent and mantissa are one ordered number.
    ExponentMantissa,
}

/// A name that no lossless delta type has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no lossless delta type is called `{0}`")]
pub struct UnknownDeltaType(pub String);

impl DeltaType {
    /// Every lossless delta type.
    pub const ALL: [DeltaType; 5] = [
        DeltaType::Float32Raw,
        DeltaType::Compressed,
        DeltaType::XorFloat32,
        DeltaType::XorBfloat16,
        DeltaType::ExponentMantissa,
    ];

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            DeltaType::Float32Raw => "float32_raw",
            DeltaType::Compressed => "compressed",
            DeltaType::XorFloat32 => "xor_float32",
            DeltaType::XorBfloat16 => "xor_bfloat16",
            DeltaType::ExponentMantissa => "exponent_mantissa",
        }
    }

    /// The type with this name.
    ///
    /// # Errors
    /// [`UnknownDeltaType`] for any other name, also those of lossy types: these are not chosen by configuration.
    pub fn from_name(name: &str) -> Result<Self, UnknownDeltaType> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownDeltaType(name.to_owned()))
    }

    /// The coder of frames of this type.
    pub const fn coder(self) -> Coder {
        match self {
            DeltaType::Float32Raw => Coder::Raw,
            DeltaType::Compressed => Coder::Context,
            DeltaType::XorFloat32 | DeltaType::XorBfloat16 => Coder::XorPlanes,
            DeltaType::ExponentMantissa => Coder::OrderedPlanes,
        }
    }

    /// Appends `raw` to `out` as a difference to `base` and returns the tag to decode it with: never more than
    /// `raw.len()` bytes, and raw bytes where `base` has another length.
    pub fn encode(self, raw: &[u8], base: &[u8], lane: Lane, out: &mut Vec<u8>) -> u8 {
        encode_frame_as(self.coder(), raw, Some(base), lane, out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode_frame, tag_needs_base};
    use super::*;
    use crate::tensor::Dtype;
    use proptest::prelude::*;

    #[test]
    fn names_lead_back_to_their_types() {
        for known in DeltaType::ALL {
            assert_eq!(DeltaType::from_name(known.name()), Ok(known));
        }
        assert!(DeltaType::from_name("int8_quantized").is_err());
    }

    proptest! {
        #[test]
        fn every_type_is_exact_for_every_element_type(
            raw in proptest::collection::vec(any::<u8>(), 0..900),
            moved in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
            dtype in proptest::sample::select(Dtype::ALL.to_vec()),
            delta in proptest::sample::select(DeltaType::ALL.to_vec()),
        ) {
            let mut base = raw.clone();
            for (at, byte) in moved.iter().filter(|_| !raw.is_empty()) {
                base[at.index(raw.len())] = *byte;
            }
            let mut stored = Vec::new();
            let tag = delta.encode(&raw, &base, dtype.lane(), &mut stored);
            prop_assert!(stored.len() <= raw.len());
            prop_assert!(delta != DeltaType::Float32Raw || !tag_needs_base(tag));
            let mut back = vec![0; raw.len()];
            decode_frame(tag, &stored, Some(&base), dtype.lane(), &mut back).expect("what was coded decodes");
            prop_assert_eq!(back, raw);
        }
    }
}
