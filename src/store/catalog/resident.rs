//! Which stored tensors resemble one, and which stored content a window of bytes lies in: the signatures and anchors in the
//! directories of packs, kept in memory.
//!
//! Resident from the first question on; packs that come later are taken in when they are next asked about. Nothing of
//! it is on disk but the signatures and anchors themselves.

use std::collections::HashSet;

use crate::codec::cast_sources;
use crate::id::{ObjectKey, PackId};
use crate::similarity::{Anchor, AnchorIndex, Bucket, Candidate, LshIndex, Neighbour, Sampler, Signature};
use crate::store::error::Result;
use crate::store::object::Source;
use crate::tensor::Dtype;

use super::packs::Packs;

/// The signatures and anchors of the packs that were taken in.
pub struct Resident {
    index: LshIndex<ObjectKey>,
    anchors: AnchorIndex<ObjectKey>,
    /// Bytes that anchors may take.
    anchor_bytes: usize,
    packs: HashSet<PackId>,
}

impl Resident {
    /// Nothing is taken in yet.
    pub fn new(anchor_bytes: usize) -> Self {
        let (index, packs) = (LshIndex::default(), HashSet::new());
        Self { index, anchors: AnchorIndex::new(anchor_bytes), anchor_bytes, packs }
    }

    /// The stored tensors nearest to a signature.
    pub fn nearest(
        &mut self,
        packs: &Packs,
        bucket: Bucket,
        signature: &Signature,
        count: usize,
    ) -> Vec<Neighbour<ObjectKey>> {
        self.take_in(packs);
        self.index.nearest(bucket, signature, count)
    }

    /// Whether any stored content has anchors.
    pub fn has_anchors(&mut self, packs: &Packs) -> bool {
        self.take_in(packs);
        !self.anchors.is_empty()
    }

    /// The stored content that has the windows of some candidates, as far as anybody knows: appends for each the number of the
    /// candidate, the object, and where in it the window begins.
    pub fn anchored(
        &mut self,
        packs: &Packs,
        candidates: &[Candidate],
        found: &mut Vec<(usize, ObjectKey, u64)>,
    ) {
        self.take_in(packs);
        for (number, candidate) in candidates.iter().enumerate() {
            self.anchors.find(candidate.hash, |key, offset| found.push((number, key, offset)));
        }
    }

    fn take_in(&mut self, packs: &Packs) {
        if !self.packs.iter().all(|id| packs.contains(id)) {
            // Written anew: what is gone is not to be found, and what is twice not to be kept twice.
            *self = Self::new(self.anchor_bytes);
        }
        for pack in packs.iter().filter(|pack| !self.packs.contains(&pack.id)) {
            for (row, signature) in pack.directory.signatures() {
                // A damaged row costs a candidate, nothing else.
                if let Ok(entry) = pack.directory.entry(row) {
                    self.index.insert(bucket_of(entry.dtype, entry.len), signature, entry.key);
                }
            }
            for (row, record) in pack.directory.anchors() {
                self.anchors.insert(pack.directory.key(row), Anchor::each_of(record));
            }
        }
        self.packs.extend(packs.iter().map(|pack| pack.id));
    }
}

/// What is compared with what.
pub fn bucket_of(dtype: Dtype, len: u64) -> Bucket {
    Bucket { dtype: dtype.code(), len }
}

/// Where tensors of the same number of elements in other float types are.
pub fn cast_buckets(dtype: Dtype, len: u64) -> impl Iterator<Item = Bucket> {
    let width = |dtype: Dtype| dtype.lane().width() as u64;
    let elements = len / width(dtype);
    cast_sources(dtype).filter_map(move |from| Some(bucket_of(from, elements.checked_mul(width(from))?)))
}

/// The signature of a tensor's bytes; `None` if it has no direction to speak of. Reads a sample.
pub fn sign(dtype: Dtype, source: &dyn Source) -> Result<Option<Signature>> {
    let Some(mut sampler) = Sampler::new(dtype, source.len()) else { return Ok(None) };
    let mut buf = Vec::new();
    for (index, range) in sampler.ranges().enumerate() {
        buf.resize((range.end - range.start) as usize, 0);
        source.read_exact_at(&mut buf, range.start)?;
        sampler.feed(index as u64, &buf);
    }
    Ok(sampler.finish())
}
