//! The choice of a base: whether an object is stored as a difference, and to which of the candidates.
//!
//! What a difference saves is estimated on a sample. It is taken if it saves enough and reading it does not cost too much:
//! all differences of its chain together are bounded, in number and in bytes. Beyond that the chain's keyframe, the
//! object at its end, is tried instead; and if that has drifted away, the object is a new keyframe.

use crate::codec::{Estimate, FRAME_LEN, cast_sources, estimate};
use crate::id::ObjectKey;
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::{Through, frame_count, frame_len};
use crate::store::read::{Chain, FrameReader, Memory, Objects};

use super::incoming::Incoming;

/// More candidates than this are not looked at: each costs the decoding of some frames.
const MAX_CANDIDATES: usize = 8;
/// Frames that are sampled, spread evenly; of each candidate these have to be decoded.
const SAMPLED_FRAMES: u64 = 4;
/// Runs of consecutive elements from each sampled frame, and elements in each: 4,096 elements in all.
const RUNS: usize = 4;
const RUN_ELEMENTS: usize = 256;

/// The differences of one chain together take at most so many times what the object takes alone.
const CHAIN_COPIES: f64 = 2.0;

/// Where bases are looked for, and what reading may cost.
pub struct Search<'a> {
    pub objects: &'a dyn Objects,
    pub memory: &'a Memory,
    /// No base is this deep.
    pub max_depth: u8,
}

/// A candidate and what it promises.
pub struct Judged {
    pub chain: Chain,
    estimate: Estimate,
}

impl Search<'_> {
    /// The base that is expected to save most among the `named` objects, their keyframes if none of them will do, or
    /// else the objects that `nearest` knows; `None` if none saves enough. A candidate that is absent, of another
    /// number of elements, too deep or damaged is passed over.
    pub fn choose(
        &self,
        incoming: &Incoming<'_>,
        named: &[ObjectKey],
        nearest: impl FnOnce() -> Vec<ObjectKey>,
    ) -> Result<Option<Judged>> {
        if incoming.len == 0 {
            return Ok(None);
        }
        let mut sample = None;
        let chains = self.chains(incoming, named);
        let keyframes: Vec<Chain> = distinct(chains.iter().filter_map(Chain::keyframe));
        if let Some(best) = self.best(incoming, chains, self.max_depth, &mut sample)? {
            return Ok(Some(best));
        }
        if let Some(best) = self.best(incoming, keyframes, self.max_depth, &mut sample)? {
            return Ok(Some(best));
        }
        // What ended at the cap does not begin anew on something deep.
        self.best(incoming, self.chains(incoming, &nearest()), self.max_depth.div_ceil(2), &mut sample)
    }

    /// What the objects under these keys give of the incoming's type and length.
    fn chains(&self, incoming: &Incoming<'_>, keys: &[ObjectKey]) -> Vec<Chain> {
        let others = keys.iter().filter(|key| **key != incoming.key);
        let chains = others.filter_map(|key| self.chain(key));
        let fitting = chains.filter_map(|chain| {
            if chain.through() == Some(Through::Formula) {
                return Some(chain);
            }
            let is_cast = cast_sources(incoming.dtype).any(|from| from == chain.object().entry.dtype);
            if is_cast { chain.cast(incoming.dtype) } else { Some(chain) }
        });
        distinct(fitting.filter(|chain| chain.len() == incoming.len && chain.can_be_base()))
    }

    /// What the object or the formula under a key gives; `None` if it is absent or damaged.
    fn chain(&self, key: &ObjectKey) -> Option<Chain> {
        let find = |kind| self.objects.find(kind, key, None).ok().flatten();
        match find(Kind::Content) {
            Some(object) => Chain::resolve(self.objects, object).ok(),
            None => Chain::of_formula(self.objects, find(Kind::Formula)?).ok(),
        }
    }

    /// The best of some candidates that are less than `max_depth` deep, if it is good enough.
    fn best(
        &self,
        incoming: &Incoming<'_>,
        candidates: Vec<Chain>,
        max_depth: u8,
        sample: &mut Option<Vec<u8>>,
    ) -> Result<Option<Judged>> {
        let mut best: Option<Judged> = None;
        // What waits to be coded is no base: coding it may take what would be a difference to it for its own base.
        let can_be = |chain: &Chain| chain.depth() < max_depth && !chain.waits();
        for chain in candidates.into_iter().filter(can_be).take(MAX_CANDIDATES) {
            if sample.is_none() {
                *sample = Some(sample_source(incoming)?);
            }
            let Ok(base) = sample_base(incoming, &chain, self.memory) else { continue };
            let raw = sample.as_deref().unwrap_or_default();
            let judged = Judged { estimate: estimate(raw, Some(&base), incoming.dtype.lane()), chain };
            if judged.pays(incoming) && best.as_ref().is_none_or(|best| judged.bits() < best.bits()) {
                best = Some(judged);
            }
        }
        Ok(best)
    }
}

impl Judged {
    /// The share that a difference probably takes of what the object takes alone.
    pub fn share(&self) -> f64 {
        1.0 - self.estimate.saved().unwrap_or(0.0)
    }

    fn bits(&self) -> f64 {
        self.estimate.delta.unwrap_or(f64::INFINITY)
    }

    /// Whether the difference is worth what it costs to read. One that takes no bytes always is.
    fn pays(&self, incoming: &Incoming<'_>) -> bool {
        if !self.estimate.prefers_delta() || self.chain.depth() == 0 || self.bits() == 0.0 {
            return self.estimate.prefers_delta();
        }
        let elements = incoming.len as f64 / incoming.dtype.lane().width() as f64;
        let bytes = |bits: f64| elements * bits / 8.0;
        let chain = self.chain.delta_len().map_or(f64::INFINITY, |len| len as f64) + bytes(self.bits());
        chain <= CHAIN_COPIES * bytes(self.estimate.alone)
    }
}

/// The chains without those that give what an earlier one gives.
fn distinct(chains: impl Iterator<Item = Chain>) -> Vec<Chain> {
    let mut kept: Vec<Chain> = Vec::new();
    for chain in chains {
        if !kept.iter().any(|known| known.object().entry.key == chain.object().entry.key) {
            kept.push(chain);
        }
    }
    kept
}

fn sample_source(incoming: &Incoming<'_>) -> Result<Vec<u8>> {
    sample(incoming, |offset, buf| Ok(incoming.source.read_exact_at(buf, offset)?))
}

/// The elements that are compared, read by `read(offset, buf)`.
fn sample(incoming: &Incoming<'_>, mut read: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<Vec<u8>> {
    let mut sample = Vec::new();
    for index in sampled_frames(incoming.len) {
        for (from, len) in runs(frame_len(incoming.len, index), incoming.dtype.lane().width()) {
            let start = sample.len();
            sample.resize(start + len, 0);
            read(index * FRAME_LEN as u64 + from as u64, &mut sample[start..])?;
        }
    }
    Ok(sample)
}

fn sample_base(incoming: &Incoming<'_>, base: &Chain, memory: &Memory) -> Result<Vec<u8>> {
    let mut reader = FrameReader::new(base, memory);
    sample(incoming, |offset, buf| reader.read_range(offset, buf))
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
