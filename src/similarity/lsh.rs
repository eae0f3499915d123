//! Which of many signatures are near one: locality-sensitive hashing by banding.
//!
//! A signature is cut into 21 bands of 12 bits; two tensors are candidates if they agree in a whole band, and neighbours
//! if they then differ in at most 64 of 256 bits. Buckets keep apart what cannot be compared at all.

use super::nearest::{Nearest, Neighbour};
use super::shelf::Shelf;
use super::simhash::Signature;
use std::collections::HashMap;

/// What signatures must have in common to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// The code of the element type.
    pub dtype: u8,
    /// The length in bytes.
    pub len: u64,
}

/// Signatures in memory, by bucket and band.
#[derive(Debug)]
pub struct LshIndex<T> {
    buckets: HashMap<Bucket, Shelf<T>>,
    len: usize,
}

impl<T> Default for LshIndex<T> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), len: 0 }
    }
}

impl<T: Copy + Ord> LshIndex<T> {
    /// How many signatures there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a signature. An item that is added twice is found once.
    pub fn insert(&mut self, bucket: Bucket, signature: Signature, item: T) {
        self.buckets.entry(bucket).or_default().push(signature, item);
        self.len += 1;
    }

    /// The nearest items, the nearest first, at most `count`.
    pub fn nearest(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<T>> {
        self.search(bucket, count, |shelf, nearest| shelf.nearest(signature, nearest))
    }

    /// The same by looking at every signature of the bucket: slower, exact, what tests compare with.
    pub fn nearest_by_scan(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<T>> {
        self.search(bucket, count, |shelf, nearest| shelf.nearest_by_scan(signature, nearest))
    }

    /// How many signatures of a bucket agree with one in a band, and are compared with it once the bucket is large.
    /// Looks at all of them: for measuring.
    pub fn candidates(&self, bucket: Bucket, signature: &Signature) -> usize {
        self.buckets.get(&bucket).map_or(0, |shelf| shelf.candidates(signature))
    }

    fn search(
        &self,
        bucket: Bucket,
        count: usize,
        look: impl FnOnce(&Shelf<T>, &mut Nearest<T>),
    ) -> Vec<Neighbour<T>> {
        let mut nearest = Nearest::new(count);
        if let Some(shelf) = self.buckets.get(&bucket) {
            look(shelf, &mut nearest);
        }
        nearest.into_neighbours()
    }
}

#[cfg(test)]
mod tests {
    use super::super::simhash::tests::{at_cosine, normal, signature};
    use super::*;

    const BUCKET: Bucket = Bucket { dtype: 12, len: 4_000 };
    const ELEMENTS: usize = 1_000;

    /// Of 250 queries at a cosine to one of the first items of the index, how many find it.
    fn found(index: &LshIndex<u64>, cosine: f32) -> usize {
        let finds = |&item: &u64| {
            let query = signature(&at_cosine(&normal(item, ELEMENTS), cosine, 100_000 + item));
            index.nearest(BUCKET, &query, 1).first().is_some_and(|first| first.item == item)
        };
        (0..250).filter(finds).count()
    }

    #[test]
    fn near_tensors_are_found_and_unrelated_ones_are_no_candidates() {
        let mut index = LshIndex::default();
        for item in 0..4_500 {
            index.insert(BUCKET, signature(&normal(item, ELEMENTS)), item);
        }
        assert_eq!(found(&index, 0.98), 250);
        assert!(found(&index, 0.9) >= 225);
        let strangers: Vec<Signature> =
            (0..250).map(|seed| signature(&normal(50_000 + seed, ELEMENTS))).collect();
        let candidates: usize = strangers.iter().map(|stranger| index.candidates(BUCKET, stranger)).sum();
        assert!(candidates * 100 < 3 * strangers.len() * index.len(), "{candidates}");
        assert!(strangers.iter().all(|stranger| index.nearest_by_scan(BUCKET, stranger, 5).is_empty()));
    }

    #[test]
    fn buckets_are_kept_apart_and_items_are_found_once() {
        let mut index = LshIndex::default();
        let one = signature(&normal(1, ELEMENTS));
        index.insert(BUCKET, one, 'a');
        index.insert(BUCKET, one, 'a');
        index.insert(Bucket { dtype: 11, ..BUCKET }, one, 'b');
        let near = index.nearest(BUCKET, &one, 5);
        assert_eq!(near, [Neighbour { item: 'a', distance: 0, cosine: 1.0 }]);
        assert_eq!((index.len(), index.is_empty()), (3, false));
    }
}
