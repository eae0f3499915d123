//! Which objects are tried as the base of a new one: what was named, what holds the same numbers, what resembles it.

use crate::id::ObjectKey;
use crate::similarity::{Bucket, Neighbour, Signature};
use crate::tensor::Dtype;

use super::base::{Applicant, Search};
use super::error::Result;
use super::ingest::{Candidate, Ingest};
use super::kind::Kind;
use super::resolve::Chain;
use super::similar::{bucket_of, cast_buckets};

/// Tensors that are tried as bases because they resemble one.
const NEIGHBOURS: usize = 2;
/// Tensors of each other type that are tried for holding the same numbers.
const TWINS: usize = 4;
/// Bits of a signature in which a tensor and its rounding differ at most: 12 were seen.
const SAME_NUMBERS_DISTANCE: u32 = 16;

impl Ingest {
    /// What to store an object as a difference to: one of those that were named, the same numbers in another type, or
    /// else what it resembles under whatever name.
    pub(super) fn choose_base(
        &self,
        candidate: &Candidate<'_>,
        signature: Option<&Signature>,
    ) -> Result<Option<Chain>> {
        let Candidate { key, source, len, dtype, bases, .. } = *candidate;
        let max_depth = self.store.options.max_depth;
        if candidate.kind != Kind::Content || max_depth == 0 {
            return Ok(None);
        }
        let search = Search { objects: self, memory: &self.store.memory, max_depth };
        let mut named = bases.to_vec();
        named.extend(signature.into_iter().flat_map(|signature| self.same_numbers(candidate, signature)));
        let nearest = || signature.map_or_else(Vec::new, |signature| self.nearest(candidate, signature));
        search.choose(&Applicant { key, source, len, dtype }, &named, nearest)
    }

    /// The tensors that resemble one most, sealed or of this transaction.
    fn nearest(&self, candidate: &Candidate<'_>, signature: &Signature) -> Vec<ObjectKey> {
        let bucket = bucket_of(candidate.dtype, candidate.len);
        let mut near = self.lock_transaction().similar.nearest(bucket, signature, NEIGHBOURS);
        near.extend(self.store.nearest(bucket, signature, NEIGHBOURS));
        near.sort_by_key(|neighbour| (neighbour.distance, neighbour.item));
        near.into_iter().map(|neighbour| neighbour.item).collect()
    }

    /// The tensors of this transaction that resemble one most.
    pub(super) fn nearest_own(&self, dtype: Dtype, len: u64, signature: &Signature) -> Vec<ObjectKey> {
        let near = self.lock_transaction().similar.nearest(bucket_of(dtype, len), signature, NEIGHBOURS);
        near.into_iter().map(|neighbour| neighbour.item).collect()
    }

    /// The tensors of other types that seem to hold the same numbers. Fine-tunes of one model all seem to: what is
    /// stored together comes first.
    fn same_numbers(&self, candidate: &Candidate<'_>, signature: &Signature) -> Vec<ObjectKey> {
        let buckets: Vec<Bucket> = cast_buckets(candidate.dtype, candidate.len).collect();
        let near = |bucket: &Bucket| self.lock_transaction().similar.nearest(*bucket, signature, TWINS);
        let mut twins: Vec<Neighbour<ObjectKey>> = buckets.iter().flat_map(near).collect();
        twins.extend(buckets.iter().flat_map(|bucket| self.store.nearest(*bucket, signature, TWINS)));
        twins.retain(|twin| twin.distance <= SAME_NUMBERS_DISTANCE);
        twins.into_iter().map(|twin| twin.item).collect()
    }
}
