//! The frame: the unit of coding, and the choice among coders.

use super::coder::{Coder, try_coder};
use super::context;
use super::estimate::estimate;
use super::repeat;
use super::sample::sample;
use super::scratch::{Scratch, with_scratch};
use super::tag::Tag;
use super::turns::Transform;
use super::word::is_float;
use super::zstd::Effort;
use crate::tensor::Lane;

/// Bytes of an object that one frame covers; the last frame of an object may be shorter. Smaller frames cost the
/// context coder (64 KiB: 9 %), larger ones make small reads decode more.
pub const FRAME_LEN: usize = 256 * 1024;

/// How much time to spend for a smaller store. Every level decodes every tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Byte planes and Huffman only: fastest to write and to read.
    Fast,
    /// The best ratio that still decodes at disk speed.
    #[default]
    Default,
    /// The smallest, whatever it takes to encode.
    Max,
}

/// A name that no level has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no level is called `{0}`: there are fast, default, and max")]
pub struct UnknownLevel(pub String);

impl Level {
    /// The level of this name: `fast`, `default` or `max`.
    ///
    /// # Errors
    /// [`UnknownLevel`] for any other name.
    pub fn from_name(name: &str) -> Result<Self, UnknownLevel> {
        match name {
            "fast" => Ok(Level::Fast),
            "default" => Ok(Level::Default),
            "max" => Ok(Level::Max),
            other => Err(UnknownLevel(other.to_owned())),
        }
    }
}

/// Why stored bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The tag is not one that this version knows.
    #[error("unknown frame tag {0}")]
    UnknownTag(u8),
    /// The frame was coded against a base, and none of the frame's length was given.
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

/// Appends the smallest coding of `raw` that `level` allows to `out` and returns its tag. Never appends more than
/// `raw.len()` bytes. `base` is the same byte range of the base object; one of another length is not used.
pub fn encode_frame(raw: &[u8], base: Option<&[u8]>, lane: Lane, level: Level, out: &mut Vec<u8>) -> u8 {
    let base = base.filter(|base| base.len() == raw.len());
    let tag = with_scratch(|scratch| choose(scratch, raw, base, lane, level, out));
    tag.code()
}

/// Elements of each of the 16 runs that a frame's cost is estimated from: whole blocks of the context coder.
const ESTIMATE_RUN: usize = 256;

fn choose(
    scratch: &mut Scratch,
    raw: &[u8],
    base: Option<&[u8]>,
    lane: Lane,
    level: Level,
    out: &mut Vec<u8>,
) -> Tag {
    if !raw.is_empty() && base == Some(raw) {
        return Tag::Same;
    }
    if level == Level::Max {
        return smallest(scratch, raw, base, lane, out);
    }
    let period = repeat::period(raw, lane);
    let limit = period.unwrap_or(raw.len());
    if period.is_none_or(|period| period > SHORT_PERIOD)
        && let Some(tag) = try_coders(scratch, raw, base, lane, level, limit, out)
    {
        return tag;
    }
    out.extend_from_slice(&raw[..limit]);
    if period.is_some() { Tag::Repeat } else { Tag::Raw }
}

/// Bytes of a period that no coder is expected to beat.
const SHORT_PERIOD: usize = 64;

/// The coding that is expected to be the smallest, if it takes less than `limit` bytes.
fn try_coders(
    scratch: &mut Scratch,
    raw: &[u8],
    base: Option<&[u8]>,
    lane: Lane,
    level: Level,
    limit: usize,
    out: &mut Vec<u8>,
) -> Option<Tag> {
    let of = |bytes: &[u8]| sample(bytes, lane, ESTIMATE_RUN);
    let expected = estimate(&of(raw), base.map(of).as_deref(), lane);
    let delta = base.filter(|_| expected.delta.is_some_and(|delta| delta < expected.alone));
    delta
        .and_then(|base| encode_delta(scratch, raw, base, lane, level, limit, out))
        .or_else(|| encode_alone(scratch, raw, lane, level, expected.alone, limit, out))
}

/// Tries every coder and keeps the smallest result.
fn smallest(scratch: &mut Scratch, raw: &[u8], base: Option<&[u8]>, lane: Lane, out: &mut Vec<u8>) -> Tag {
    let start = out.len();
    let mut best = Tag::Raw;
    out.extend_from_slice(raw);
    let mut trial = Vec::with_capacity(raw.len());
    for coder in Coder::ALL.into_iter().filter(|coder| *coder != Coder::Raw) {
        trial.clear();
        let limit = out.len() - start;
        let tag = try_coder(scratch, coder, raw, base, lane, limit, &mut trial);
        if let Some(tag) = tag {
            out.truncate(start);
            out.extend_from_slice(&trial);
            best = tag;
        }
    }
    best
}

fn encode_delta(
    scratch: &mut Scratch,
    raw: &[u8],
    base: &[u8],
    lane: Lane,
    level: Level,
    limit: usize,
    out: &mut Vec<u8>,
) -> Option<Tag> {
    if level != Level::Fast
        && context::encode(&mut scratch.zstd, &mut scratch.context, raw, base, lane, limit, out)
    {
        return Some(Tag::Context);
    }
    let coder = Transform::Ordered.coder(lane);
    (coder.encode)(scratch, raw, base, limit, out).then_some(Tag::OrderedPlanes)
}

fn encode_alone(
    scratch: &mut Scratch,
    raw: &[u8],
    lane: Lane,
    level: Level,
    expected_bits: f64,
    limit: usize,
    out: &mut Vec<u8>,
) -> Option<Tag> {
    if lane == Lane::Bytes || (!is_float(lane) && repeats(scratch, raw, lane, expected_bits)) {
        return encode_bytes(scratch, raw, level, limit, out);
    }
    let coder = Transform::Alone.coder(lane);
    (coder.encode)(scratch, raw, &[], limit, out).then_some(Tag::Planes)
}

/// Bytes of an integer tensor that are tried for repetition (ids, masks, lookup tables).
const REPETITION_SAMPLE: usize = 16 * 1024;

/// Whether a match search beats byte planes on the start of the frame.
fn repeats(scratch: &mut Scratch, raw: &[u8], lane: Lane, plane_bits: f64) -> bool {
    let sample = &raw[..raw.len().min(REPETITION_SAMPLE)];
    let planes = sample.len() as f64 / lane.width() as f64 * plane_bits / 8.0;
    scratch.zstd.compress(sample, Effort::Level(1), (0.95 * planes) as usize, &mut Vec::new())
}

fn encode_bytes(
    scratch: &mut Scratch,
    raw: &[u8],
    level: Level,
    limit: usize,
    out: &mut Vec<u8>,
) -> Option<Tag> {
    if level == Level::Fast {
        return encode_lz4(raw, limit, out);
    }
    scratch.zstd.compress(raw, Effort::Level(3), limit, out).then_some(Tag::Zstd)
}

fn encode_lz4(raw: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<Tag> {
    let start = out.len();
    out.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let written = lz4_flex::block::compress_into(raw, &mut out[start..]).unwrap_or(usize::MAX);
    let fits = written < limit;
    out.truncate(if fits { start + written } else { start });
    fits.then_some(Tag::Lz4)
}

/// Fills `out` with the frame that `stored` codes under `tag`. `lane` and `base` are those it was coded with.
///
/// # Errors
/// [`DecodeError`] if it is not a coding of `out.len()` bytes; `out` then holds unspecified bytes.
pub fn decode_frame(
    tag: u8,
    stored: &[u8],
    base: Option<&[u8]>,
    lane: Lane,
    out: &mut [u8],
) -> Result<(), DecodeError> {
    let known = Tag::from_code(tag).ok_or(DecodeError::UnknownTag(tag))?;
    let base = base.filter(|base| base.len() == out.len());
    if known.needs_base() && base.is_none() {
        return Err(DecodeError::MissingBase(tag));
    }
    with_scratch(|scratch| decode(scratch, known, stored, base.unwrap_or(&[]), lane, out))
        .map_err(|what| DecodeError::Malformed { tag, what })
}

fn decode(
    scratch: &mut Scratch,
    tag: Tag,
    stored: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut [u8],
) -> Result<(), &'static str> {
    match tag {
        Tag::Raw => copy(stored, out),
        Tag::Same if stored.is_empty() => copy(base, out),
        Tag::Same => Err("bytes in a frame that has none"),
        Tag::Zstd => {
            scratch.zstd.decompress(stored, out).then_some(()).ok_or("not a zstd frame of this length")
        }
        Tag::Lz4 => decode_lz4(stored, out),
        Tag::Planes => (Transform::Alone.coder(lane).decode)(scratch, stored, base, out),
        Tag::OrderedPlanes => (Transform::Ordered.coder(lane).decode)(scratch, stored, base, out),
        Tag::Context => context::decode(&mut scratch.zstd, &mut scratch.context, stored, base, lane, out),
        Tag::Repeat => repeat::decode(stored, out),
        Tag::XorPlanes => (Transform::Xor.coder(lane).decode)(scratch, stored, base, out),
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    if from.len() != to.len() {
        return Err("length differs");
    }
    to.copy_from_slice(from);
    Ok(())
}

fn decode_lz4(stored: &[u8], out: &mut [u8]) -> Result<(), &'static str> {
    match lz4_flex::block::decompress_into(stored, out) {
        Ok(length) if length == out.len() => Ok(()),
        _ => Err("not an LZ4 block of this length"),
    }
}
