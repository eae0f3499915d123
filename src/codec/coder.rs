//! The coders by name, for callers that want one of them rather than the best.

use super::context;
use super::repeat;
use super::scratch::{Scratch, with_scratch};
use super::tag::Tag;
use super::turns::Transform;
use super::zstd::Effort;
use crate::tensor::Lane;

/// One way to code a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coder {
    /// The bytes themselves.
    Raw,
    /// General compression of the bytes.
    Bytes,
    /// Byte planes, Huffman-coded where that pays.
    Planes,
    /// Byte planes of the difference of ranks to the base.
    OrderedPlanes,
    /// Byte planes of the exclusive or with the base.
    XorPlanes,
    /// The difference of ranks, entropy-coded by context.
    Context,
    /// The period, of bytes that repeat.
    Repeat,
}

impl Coder {
    /// Every coder.
    pub const ALL: [Coder; 7] = [
        Coder::Raw,
        Coder::Bytes,
        Coder::Planes,
        Coder::OrderedPlanes,
        Coder::XorPlanes,
        Coder::Context,
        Coder::Repeat,
    ];

    /// Whether the coder codes differences to a base.
    pub const fn needs_base(self) -> bool {
        match self {
            Coder::Raw | Coder::Bytes | Coder::Planes | Coder::Repeat => false,
            Coder::OrderedPlanes | Coder::XorPlanes | Coder::Context => true,
        }
    }
}

/// Appends `raw` to `out` coded by `coder` and returns its tag: that of raw bytes where the coder saves nothing, or
/// needs a base that is not given. Never appends more than `raw.len()` bytes.
pub fn encode_frame_as(coder: Coder, raw: &[u8], base: Option<&[u8]>, lane: Lane, out: &mut Vec<u8>) -> u8 {
    let base = base.filter(|base| base.len() == raw.len());
    let coded = with_scratch(|scratch| try_coder(scratch, coder, raw, base, lane, raw.len(), out));
    let tag = coded.unwrap_or_else(|| {
        out.extend_from_slice(raw);
        Tag::Raw
    });
    tag.code()
}

/// How hard `Coder::Bytes` looks for repetition: what is worth it where size is all that counts.
const THOROUGH: Effort = Effort::Level(12);

fn encode_period(raw: &[u8], lane: Lane, limit: usize, out: &mut Vec<u8>) -> bool {
    let period = repeat::period(raw, lane).filter(|period| *period < limit);
    out.extend_from_slice(&raw[..period.unwrap_or(0)]);
    period.is_some()
}

/// Appends `raw` coded by `coder` if that takes less than `limit` bytes and has the base it needs.
pub(super) fn try_coder(
    scratch: &mut Scratch,
    coder: Coder,
    raw: &[u8],
    base: Option<&[u8]>,
    lane: Lane,
    limit: usize,
    out: &mut Vec<u8>,
) -> Option<Tag> {
    let planes = |scratch: &mut Scratch, transform: Transform, base: &[u8], out: &mut Vec<u8>| {
        (transform.coder(lane).encode)(scratch, raw, base, limit, out)
    };
    let (coded, tag) = match (coder, base) {
        (Coder::Raw, _) | (Coder::OrderedPlanes | Coder::XorPlanes | Coder::Context, None) => return None,
        (Coder::Bytes, _) => (scratch.zstd.compress(raw, THOROUGH, limit, out), Tag::Zstd),
        (Coder::Repeat, _) => (encode_period(raw, lane, limit, out), Tag::Repeat),
        (Coder::Planes, _) => (planes(scratch, Transform::Alone, &[], out), Tag::Planes),
        (Coder::OrderedPlanes, Some(base)) => {
            (planes(scratch, Transform::Ordered, base, out), Tag::OrderedPlanes)
        }
        (Coder::XorPlanes, Some(base)) => (planes(scratch, Transform::Xor, base, out), Tag::XorPlanes),
        (Coder::Context, Some(base)) => (
            context::encode(&mut scratch.zstd, &mut scratch.context, raw, base, lane, limit, out),
            Tag::Context,
        ),
    };
    coded.then_some(tag)
}
