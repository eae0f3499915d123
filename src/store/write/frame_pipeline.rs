//! Coding a new object frame by frame, on several threads, in order, in bounded memory.
//!
//! Every frame is decoded again and compared before it is handed on.

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{DeltaType, FRAME_LEN, Level, decode_frame, encode_frame};
use crate::id::ObjectKey;
use crate::similarity::{Anchor, anchors_of};
use crate::store::error::{Result, StoreError};
use crate::store::object::Source;
use crate::store::pack::{frame_count, frame_len};
use crate::store::read::{Chain, FrameReader, Memory};
use crate::tensor::Lane;
use crate::threads::Threads;

/// A frame of a new object.
pub struct Coded {
    pub raw: Vec<u8>,
    pub stored: Vec<u8>,
    pub tag: u8,
    /// XXH3-64 of `stored`.
    pub checksum: u64,
    /// The record of the anchors of its blocks.
    pub anchors: Vec<u8>,
}

/// All that the coding of an object's frames depends on.
pub struct FramePipeline<'a> {
    pub key: ObjectKey,
    pub source: &'a dyn Source,
    pub len: u64,
    pub lane: Lane,
    pub level: Level,
    pub delta_type: DeltaType,
    pub base: Option<&'a Chain>,
    pub memory: &'a Memory,
    /// Whether it gets anchors.
    pub is_anchored: bool,
}

impl<'a> FramePipeline<'a> {
    fn worker(&self) -> Worker<'_> {
        Worker { base: self.base.map(|chain| FrameReader::new(chain, self.memory)), check: Vec::new() }
    }

    fn code(&self, index: u64, worker: &mut Worker<'_>) -> Result<Coded> {
        let Worker { base, check } = worker;
        let mut raw = self.memory.buffers.take(frame_len(self.len, index));
        check.resize(raw.len(), 0);
        self.source.read_exact_at(&mut raw, index * FRAME_LEN as u64)?;
        let base = match base.as_mut().map(|reader| reader.as_base(index)) {
            // To what cannot be read nothing is a difference; what is to be stored is here.
            Some(Err(error)) if error.is_corruption() => None,
            base => base.transpose()?,
        };
        let mut stored = self.memory.buffers.take_empty();
        // A frame whose difference does not decode to itself is coded alone.
        let coded = [base, None].into_iter().find_map(|base| {
            stored.clear();
            let tag = self.encode(&raw, base, &mut stored);
            let decoded = decode_frame(tag, &stored, base, self.lane, check);
            (decoded.is_ok() && stored.len() <= raw.len() && raw == *check).then_some(tag)
        });
        let tag = coded.ok_or(StoreError::Coder { key: self.key, frame: index as u32 })?;
        let anchors = match self.is_anchored {
            true => anchors_of(&raw).flat_map(Anchor::to_bytes).collect(),
            false => Vec::new(),
        };
        Ok(Coded { raw, checksum: xxh3_64(&stored), stored, tag, anchors })
    }

    /// A difference of the configured type, or the best that the level allows.
    fn encode(&self, raw: &[u8], base: Option<&[u8]>, out: &mut Vec<u8>) -> u8 {
        match (base, self.delta_type) {
            (Some(base), delta_type) if delta_type != DeltaType::default() && base != raw => {
                delta_type.encode(raw, base, self.lane, out)
            }
            _ => encode_frame(raw, base, self.lane, self.level, out),
        }
    }

    /// Runs `consume` with the frames in order, while those that come next are coded. No more than a constant number of
    /// frames for each thread is in memory.
    pub fn with_frames<R>(
        &self,
        threads: &Threads,
        consume: impl FnOnce(&mut dyn Iterator<Item = Result<Coded>>) -> R,
    ) -> R {
        let code = |worker: &mut Worker<'_>, index| self.code(index, worker);
        threads.in_order(frame_count(self.len), || self.worker(), code, consume)
    }
}

/// The buffers of one thread.
struct Worker<'c> {
    base: Option<FrameReader<'c>>,
    check: Vec<u8>,
}
