//! One byte plane, stored in the cheapest of four ways.
//!
//! Kind 0, raw: the bytes. Kind 1, constant: one byte. Kind 2, zstd: u32 length and a magicless zstd frame. Kind 3,
//! Golomb: see `golomb`. An empty plane is raw.

pub(super) mod golomb;

use super::entropy::{byte_bits, sampled_histogram};
use super::zstd::{Effort, Zstd};

const RAW: u8 = 0;
const CONSTANT: u8 = 1;
const ZSTD: u8 = 2;
const GOLOMB: u8 = 3;

/// A plane whose sampled entropy exceeds this many bits per byte is stored raw, to be decoded by a copy: what
/// Huffman could save there (1.5 %) costs more than half the decoding speed.
const RAW_BITS: f64 = 8.0 * 0.985;

/// Under this many bits per byte a Huffman code, which spends at least one, loses to a match search.
const RUNS_BITS: f64 = 0.9;

/// Over this many bits per byte a small plane has no runs that a match search could find.
const RUNS_IN_FEW_BITS: f64 = 2.0;

/// Appends the plane's body to `out` and returns its kind.
pub(super) fn encode(zstd: &mut Zstd, plane: &[u8], out: &mut Vec<u8>) -> u8 {
    let Some(&first) = plane.first() else { return RAW };
    if plane.iter().all(|&byte| byte == first) {
        out.push(first);
        return CONSTANT;
    }
    let bits = byte_bits(&sampled_histogram(plane));
    if bits < RAW_BITS && encode_zstd(zstd, plane, bits, out) {
        return ZSTD;
    }
    out.extend_from_slice(plane);
    RAW
}

/// Like [`encode`] for a few bytes that are mostly small numbers: without a code table, which would be as long as they.
pub(super) fn encode_small(zstd: &mut Zstd, plane: &[u8], out: &mut Vec<u8>) -> u8 {
    let Some(&first) = plane.first() else { return RAW };
    if plane.iter().all(|&byte| byte == first) {
        out.push(first);
        return CONSTANT;
    }
    let (order, length) = golomb::measure(plane);
    let bits = byte_bits(&sampled_histogram(plane));
    let start = out.len();
    if bits < RUNS_IN_FEW_BITS && encode_zstd(zstd, plane, bits, out) {
        if out.len() - start <= length {
            return ZSTD;
        }
        out.truncate(start);
    }
    if length < plane.len() {
        golomb::encode(plane, order, out);
        return GOLOMB;
    }
    out.extend_from_slice(plane);
    RAW
}

fn encode_zstd(zstd: &mut Zstd, plane: &[u8], bits: f64, out: &mut Vec<u8>) -> bool {
    let effort = if bits < RUNS_BITS { Effort::Level(1) } else { Effort::Huffman };
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let limit = ((plane.len() as f64 * RAW_BITS / 8.0) as usize).saturating_sub(4);
    if !zstd.compress(plane, effort, limit, out) {
        out.truncate(start);
        return false;
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    true
}

/// The plane of `space.len()` bytes whose body starts `rest`; moves `rest` beyond it. Raw planes are not copied.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode<'a>(
    zstd: &mut Zstd,
    kind: u8,
    rest: &mut &'a [u8],
    space: &'a mut [u8],
) -> Result<&'a [u8], &'static str> {
    match kind {
        RAW => take(rest, space.len()),
        CONSTANT => {
            space.fill(take(rest, 1)?[0]);
            Ok(space)
        }
        ZSTD => {
            let length = take(rest, 4)?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let frame = take(rest, length as usize)?;
            if !zstd.decompress(frame, space) {
                return Err("a plane does not decompress to its length");
            }
            Ok(space)
        }
        GOLOMB => {
            let mut values = golomb::Reader::open(rest)?;
            for byte in &mut *space {
                *byte = values.next()?;
            }
            *rest = values.finish()?;
            Ok(space)
        }
        _ => Err("unknown plane kind"),
    }
}

/// The next `length` bytes.
///
/// # Errors
/// If there are fewer.
pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (taken, after) = rest.split_at_checked(length).ok_or("cut short")?;
    *rest = after;
    Ok(taken)
}
