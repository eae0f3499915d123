//! The frame: the unit of coding, and the choice among coders.

use crate::tensor::Lane;

/// Bytes of an object that one frame covers; the last frame of an object may be shorter. Smaller frames cost the
/// context coder (64 KiB: 9 %), larger ones make small reads decode more.
pub const FRAME_LEN: usize = 256 * 1024;

/// How much time to spend for a smaller store. Every level decodes every tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Byte planes and Huffman only: fastest to write and to read.
    Fast,
    /// The best ratio that still decodes at disk speed.
    #[default]
    Default,
    /// The smallest, whatever it takes to encode.
    Max,
}

/// The bytes that a difference is taken against: all slices are exactly as long as the frame.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The same byte range of the base object.
    pub base: &'a [u8],
    /// The same byte range of the base's own base, where the base is itself a difference: tells how much each
    /// element moved in the step before.
    pub before: Option<&'a [u8]>,
}

/// Why stored bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The tag is not one that this version knows.
    #[error("unknown frame tag {0}")]
    UnknownTag(u8),
    /// The frame was coded against a base and none was given.
    #[error("frame tag {0} needs a base")]
    MissingBase(u8),
    /// The stored bytes contradict themselves or the frame's length.
    #[error("malformed frame with tag {tag}: {what}")]
    Malformed {
        /// The coder.
        tag: u8,
        /// What is wrong.
        what: &'static str,
    },
}

const RAW: u8 = 0;

/// Appends the smallest coding of `raw` that `level` allows to `out` and returns its tag. Never appends more than
/// `raw.len()` bytes.
pub fn encode_frame(
    raw: &[u8],
    _reference: Option<Reference<'_>>,
    _lane: Lane,
    _level: Level,
    out: &mut Vec<u8>,
) -> u8 {
    out.extend_from_slice(raw);
    RAW
}

/// Fills `out` with the frame that `stored` codes under `tag`. `lane` and `reference` are those it was coded with.
///
/// # Errors
/// [`DecodeError`] if it is not a coding of `out.len()` bytes; `out` then holds unspecified bytes.
pub fn decode_frame(
    tag: u8,
    stored: &[u8],
    _reference: Option<Reference<'_>>,
    _lane: Lane,
    out: &mut [u8],
) -> Result<(), DecodeError> {
    match tag {
        RAW if stored.len() == out.len() => Ok(out.copy_from_slice(stored)),
        RAW => Err(DecodeError::Malformed { tag, what: "length differs" }),
        _ => Err(DecodeError::UnknownTag(tag)),
    }
}

/// Whether frames with this tag decode only with a [`Reference`].
pub fn tag_needs_base(_tag: u8) -> bool {
    false
}
