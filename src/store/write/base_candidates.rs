//! Which objects are tried as the base of a new one: what was named, what holds the same numbers, what resembles it.

use crate::id::ObjectKey;
use crate::similarity::{Bucket, Neighbour, Signature};
use crate::store::catalog::{bucket_of, cast_buckets};
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::read::Chain;

use super::choose_base::{Judged, Search};
use super::find_pieces::find_pieces;
use super::incoming::Incoming;
use super::writer::Writer;

/// Tensors that are tried as bases because they resemble one.
const NEIGHBOURS: usize = 2;
/// Tensors of each other type that are tried for holding the same numbers.
const TWINS: usize = 4;
/// A difference that takes a smaller share of what an object takes alone is not compared with pieces of others; and what
/// pieces have to save beside it.
const SHARE_MIN: f64 = 0.05;
const SAVED_MIN: f64 = 0.03;
/// Bits of a signature in which a tensor and its rounding differ at most: 12 were seen.
const SAME_NUMBERS_DISTANCE: u32 = 16;

/// The objects that a transaction may take differences to.
pub struct Candidates<'a> {
    writer: &'a Writer,
}

impl<'a> Candidates<'a> {
    /// All that is sealed, and what this transaction stored.
    pub fn of(writer: &'a Writer) -> Self {
        Self { writer }
    }

    /// What to store an object as a difference to: one of those that were named, the same numbers in another type, or
    /// else what it resembles under whatever name; or pieces of what is stored, if these leave less.
    pub fn choose(&self, incoming: &Incoming<'_>) -> Result<Option<Chain>> {
        let max_depth = self.writer.options.max_depth;
        if incoming.kind != Kind::Content || max_depth == 0 || incoming.treatment.no_delta {
            return Ok(None);
        }
        let mut named = incoming.bases.to_vec();
        named.extend(incoming.signature.iter().flat_map(|signature| self.same_numbers(incoming, signature)));
        let nearest =
            || incoming.signature.map_or_else(Vec::new, |signature| self.nearest(incoming, &signature));
        let chosen = self.search(max_depth).choose(incoming, &named, nearest)?;
        let share = chosen.as_ref().map_or(1.0, Judged::share);
        Ok(match self.pieces(incoming, share)? {
            None => chosen.map(|judged| judged.chain),
            pieces => pieces,
        })
    }

    /// Pieces of stored content that leave less of an object than a share of it.
    fn pieces(&self, incoming: &Incoming<'_>, share: f64) -> Result<Option<Chain>> {
        if share < SHARE_MIN {
            return Ok(None);
        }
        let Some(mosaic) = find_pieces(self.writer, incoming, self.writer.options.max_depth)? else {
            return Ok(None);
        };
        let left = 1.0 - mosaic.covered() as f64 / incoming.len as f64;
        if left + SAVED_MIN > share { Ok(None) } else { self.writer.chain_of(&mosaic) }
    }

    /// The same among the bases that an object has and what this transaction stored, and no deeper than `max_depth`:
    /// what is not in the transaction may be removed once it is sealed.
    pub fn choose_own(&self, incoming: &Incoming<'_>, max_depth: u8) -> Result<Option<Chain>> {
        if incoming.treatment.no_delta {
            return Ok(None);
        }
        let own =
            |signature| self.writer.nearest(bucket_of(incoming.dtype, incoming.len), &signature, NEIGHBOURS);
        let nearest = || incoming.signature.map_or_else(Vec::new, |signature| items(own(signature)));
        let chosen = self.search(max_depth).choose(incoming, incoming.bases, nearest)?;
        Ok(chosen.map(|judged| judged.chain))
    }

    fn search(&self, max_depth: u8) -> Search<'_> {
        Search { objects: self.writer, memory: &self.writer.decoder.memory, max_depth }
    }

    /// The tensors that resemble one most, sealed or of this transaction.
    fn nearest(&self, incoming: &Incoming<'_>, signature: &Signature) -> Vec<ObjectKey> {
        let bucket = bucket_of(incoming.dtype, incoming.len);
        let mut near = self.writer.nearest(bucket, signature, NEIGHBOURS);
        near.extend(self.writer.decoder.catalog.nearest(bucket, signature, NEIGHBOURS));
        near.sort_by_key(|neighbour| (neighbour.distance, neighbour.item));
        items(near)
    }

    /// The tensors of other types that seem to hold the same numbers. Fine-tunes of one model all seem to: what is
    /// stored together comes first.
    fn same_numbers(&self, incoming: &Incoming<'_>, signature: &Signature) -> Vec<ObjectKey> {
        let buckets: Vec<Bucket> = cast_buckets(incoming.dtype, incoming.len).collect();
        let own = |bucket: &Bucket| self.writer.nearest(*bucket, signature, TWINS);
        let sealed = |bucket: &Bucket| self.writer.decoder.catalog.nearest(*bucket, signature, TWINS);
        let mut twins: Vec<Neighbour<ObjectKey>> = buckets.iter().flat_map(own).collect();
        twins.extend(buckets.iter().flat_map(sealed));
        twins.retain(|twin| twin.distance <= SAME_NUMBERS_DISTANCE);
        items(twins)
    }
}

fn items(near: Vec<Neighbour<ObjectKey>>) -> Vec<ObjectKey> {
    near.into_iter().map(|neighbour| neighbour.item).collect()
}
