//! Which stored tensors resemble one: the signatures in the directories of packs, kept in memory.
//!
//! Resident from the first question on; packs that come later are taken in when they are next asked about. Nothing of
//! it is on disk but the signatures themselves.

use std::collections::HashSet;

use crate::codec::cast_sources;
use crate::id::{ObjectKey, PackId};
use crate::similarity::{Bucket, LshIndex, Neighbour, Sampler, Signature};
use crate::store::error::Result;
use crate::store::object::Source;
use crate::tensor::Dtype;

use super::packs::Packs;

/// The signatures of the packs that were taken in.
#[derive(Default)]
pub struct Resident {
    index: LshIndex<ObjectKey>,
    packs: HashSet<PackId>,
}

impl Resident {
    /// The stored tensors nearest to a signature.
    pub fn nearest(
        &mut self,
        packs: &Packs,
        bucket: Bucket,
        signature: &Signature,
        count: usize,
    ) -> Vec<Neighbour<ObjectKey>> {
        if !self.packs.iter().all(|id| packs.contains(id)) {
            // Written anew: what is gone is not to be found, and what is twice not to be kept twice.
            *self = Self::default();
        }
        for pack in packs.iter().filter(|pack| !self.packs.contains(&pack.id)) {
            for (row, signature) in pack.directory.signatures() {
                // A damaged row costs a candidate, nothing else.
                if let Ok(entry) = pack.directory.entry(row) {
                    self.index.insert(bucket_of(entry.dtype, entry.len), signature, entry.key);
                }
            }
        }
        self.packs.extend(packs.iter().map(|pack| pack.id));
        self.index.nearest(bucket, signature, count)
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
