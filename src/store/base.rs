//! The choice of a base: whether an object is stored as a difference, and to which of the candidates.

use crate::codec::{FRAME_LEN, estimate};
use crate::id::ObjectKey;
use crate::tensor::Lane;

use super::cache::Memory;
use super::error::Result;
use super::resolve::{Chain, FrameReader, Objects};
use super::sidecar::{frame_count, frame_len};
use super::source::Source;

/// More candidates than this are not looked at: each costs the decoding of some frames.
const MAX_CANDIDATES: usize = 4;
/// Frames that are sampled, spread evenly; of each candidate these have to be decoded.
const SAMPLED_FRAMES: u64 = 4;
/// Runs of consecutive elements from each sampled frame, and elements in each: 4,096 elements in all.
const RUNS: usize = 4;
const RUN_ELEMENTS: usize = 256;

/// What is to be stored, as far as the choice depends on it.
pub(super) struct Applicant<'a> {
    pub(super) key: ObjectKey,
    pub(super) source: &'a dyn Source,
    pub(super) len: u64,
    pub(super) lane: Lane,
}

/// The candidate that is expected to save most, if it saves enough. A candidate that is absent, of another length,
/// too deep or damaged is passed over.
pub(super) fn choose(
    applicant: &Applicant<'_>,
    candidates: &[ObjectKey],
    max_depth: u8,
    objects: &dyn Objects,
    memory: &Memory,
) -> Result<Option<Chain>> {
    let mut best: Option<(f64, Chain)> = None;
    let mut raw = None;
    for chain in usable(applicant, candidates, max_depth, objects).take(MAX_CANDIDATES) {
        if raw.is_none() {
            raw = Some(sample(applicant, |offset, buf| Ok(applicant.source.read_exact_at(buf, offset)?))?);
        }
        let Ok(base) = sample_base(applicant, &chain, memory) else { continue };
        let expected = estimate(raw.as_deref().unwrap_or_default(), Some(&base), applicant.lane);
        let bits = expected.delta.unwrap_or(f64::INFINITY);
        if expected.prefers_delta() && best.as_ref().is_none_or(|(least, _)| bits < *least) {
            best = Some((bits, chain));
        }
    }
    Ok(best.map(|(_, chain)| chain))
}

fn usable<'a>(
    applicant: &'a Applicant<'_>,
    candidates: &'a [ObjectKey],
    max_depth: u8,
    objects: &'a dyn Objects,
) -> impl Iterator<Item = Chain> + 'a {
    let distinct =
        |&(at, key): &(usize, &ObjectKey)| *key != applicant.key && !candidates[..at].contains(key);
    let find = move |key| objects.find_content(key, Some(max_depth)).ok().flatten();
    (candidates.iter().enumerate().filter(distinct))
        .filter_map(move |(_, key)| find(key))
        .filter(|object| object.entry.len == applicant.len && applicant.len > 0)
        .filter_map(|object| Chain::resolve(objects, object).ok())
}

/// The elements that are compared, read by `read(offset, buf)`.
fn sample(applicant: &Applicant<'_>, mut read: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<Vec<u8>> {
    let mut sample = Vec::new();
    for index in sampled_frames(applicant.len) {
        for (from, len) in runs(frame_len(applicant.len, index), applicant.lane.width()) {
            let start = sample.len();
            sample.resize(start + len, 0);
            read(index * FRAME_LEN as u64 + from as u64, &mut sample[start..])?;
        }
    }
    Ok(sample)
}

fn sample_base(applicant: &Applicant<'_>, base: &Chain, memory: &Memory) -> Result<Vec<u8>> {
    let mut reader = FrameReader::new(base, memory);
    sample(applicant, |offset, buf| {
        let frame = FRAME_LEN as u64;
        reader.read_part(offset / frame, (offset % frame) as usize, buf)
    })
}

fn sampled_frames(len: u64) -> impl Iterator<Item = u64> {
    let count = frame_count(len);
    let sampled = count.min(SAMPLED_FRAMES);
    // The middle of each of as many equal parts.
    (0..sampled).map(move |part| (2 * part + 1) * count / (2 * sampled))
}

/// The runs of a frame of `len` bytes: (offset, bytes), aligned to elements of `width` bytes.
fn runs(len: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    let run = RUN_ELEMENTS * width;
    let whole = len <= RUNS * run;
    let step = if whole { 0 } else { (len - run) / (RUNS - 1) / width * width };
    (0..if whole { 1 } else { RUNS }).map(move |k| (k * step, if whole { len } else { run }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_within_the_object_and_on_elements() {
        for len in [1, 7, 4096, 16_384, 262_143, 262_144, 262_145, 5_000_001] {
            let mut frames = 0;
            for index in sampled_frames(len) {
                frames += 1;
                for (from, run) in runs(frame_len(len, index), 4) {
                    assert!(from.is_multiple_of(4) && from + run <= frame_len(len, index));
                }
            }
            assert_eq!(frames, frame_count(len).min(SAMPLED_FRAMES));
        }
    }
}
