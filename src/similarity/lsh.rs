//! Which of many signatures are near one: locality-sensitive hashing by banding.
//!
//! A signature is cut into 21 bands of 12 bits; two tensors are candidates if they agree in a whole band, and neighbours
//! if they then differ in at most 64 of 256 bits. Recall, measured: 1.0 at cosine 0.95, 0.95 and more at 0.9; at most
//! 2 % of unrelated ones are candidates. Buckets keep apart what cannot be compared at all.

use super::simhash::Signature;
use std::collections::HashMap;
use std::hash::Hash;

const BANDS: usize = 21;
const BAND_BITS: usize = 12;
/// Neighbours differ in at most so many bits: cosine 0.7 and more.
const DISTANCE_MAX: u32 = 64;
/// Buckets up to this size are searched one by one, which is faster than looking up 21 bands.
const SCANNED: usize = 256;

/// What signatures must have in common to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// The code of the element type.
    pub dtype: u8,
    /// The length in bytes.
    pub len: u64,
}

/// A signature near to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour<T> {
    /// What has it.
    pub item: T,
    /// In how many of 256 bits they differ.
    pub distance: u32,
    /// The cosine that this stands for.
    pub cosine: f64,
}

/// Signatures in memory, by bucket and band.
#[derive(Debug)]
pub struct LshIndex<T> {
    buckets: HashMap<Bucket, Shelf<T>>,
    len: usize,
}

/// The signatures of one bucket.
#[derive(Debug)]
struct Shelf<T> {
    entries: Vec<(Signature, T)>,
    /// Positions in `entries` by band and its bits; built when the shelf outgrows scanning.
    bands: HashMap<(u8, u16), Vec<u32>>,
}

impl<T> Default for LshIndex<T> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), len: 0 }
    }
}

impl<T: Copy + Eq + Hash + Ord> LshIndex<T> {
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
        let shelf = self
            .buckets
            .entry(bucket)
            .or_insert_with(|| Shelf { entries: Vec::new(), bands: HashMap::new() });
        shelf.entries.push((signature, item));
        self.len += 1;
        match shelf.entries.len() {
            len if len <= SCANNED => {}
            len if len == SCANNED + 1 => (0..len).for_each(|at| shelf.index(at)),
            len => shelf.index(len - 1),
        }
    }

    /// The nearest items, the nearest first, at most `count`.
    pub fn nearest(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<T>> {
        let Some(shelf) = self.buckets.get(&bucket) else { return Vec::new() };
        if shelf.entries.len() <= SCANNED {
            return rank(signature, shelf.entries.iter(), count);
        }
        let mut positions: Vec<u32> = bands_of(signature)
            .filter_map(|band| shelf.bands.get(&band))
            .flat_map(|positions| positions.iter().copied())
            .collect();
        positions.sort_unstable();
        positions.dedup();
        rank(signature, positions.into_iter().map(|at| &shelf.entries[at as usize]), count)
    }

    /// The same by looking at every signature of the bucket: slower, exact, what tests compare with.
    pub fn nearest_by_scan(&self, bucket: Bucket, signature: &Signature, count: usize) -> Vec<Neighbour<T>> {
        self.buckets.get(&bucket).map_or_else(Vec::new, |shelf| rank(signature, shelf.entries.iter(), count))
    }
}

impl<T> Shelf<T> {
    fn index(&mut self, at: usize) {
        for band in bands_of(&self.entries[at].0) {
            self.bands.entry(band).or_default().push(at as u32);
        }
    }
}

/// Each band's number with its bits.
fn bands_of(signature: &Signature) -> impl Iterator<Item = (u8, u16)> {
    (0..BANDS).map(|band| (band as u8, signature.bits(band * BAND_BITS, BAND_BITS)))
}

fn rank<'a, T: Copy + Eq + Hash + Ord + 'a>(
    signature: &Signature,
    entries: impl Iterator<Item = &'a (Signature, T)>,
    count: usize,
) -> Vec<Neighbour<T>> {
    let mut near: Vec<Neighbour<T>> = entries
        .filter_map(|(other, item)| {
            let distance = signature.distance(other);
            let cosine = signature.cosine(other);
            (distance <= DISTANCE_MAX).then_some(Neighbour { item: *item, distance, cosine })
        })
        .collect();
    near.sort_by_key(|near| (near.distance, near.item));
    near.dedup_by(|a, b| a.item == b.item);
    near.truncate(count);
    near
}

#[cfg(test)]
mod tests {
    use super::super::simhash::tests::{at_cosine, normal, signature};
    use super::*;

    const BUCKET: Bucket = Bucket { dtype: 12, len: 16_000 };

    /// How many of 60 tensors at a cosine find their origin among 600.
    fn found(cosine: f32) -> usize {
        let mut index = LshIndex::default();
        let origins: Vec<Vec<f32>> = (0..600).map(|seed| normal(seed, 4_000)).collect();
        for (item, origin) in origins.iter().enumerate() {
            index.insert(BUCKET, signature(origin), item);
        }
        let finds = |item: &usize| {
            let query = signature(&at_cosine(&origins[*item], cosine, 10_000 + *item as u64));
            index.nearest(BUCKET, &query, 3).first().is_some_and(|first| first.item == *item)
        };
        (0..60).filter(finds).count()
    }

    #[test]
    fn near_tensors_are_found() {
        assert_eq!(found(0.98), 60);
        assert!(found(0.9) >= 54);
    }

    #[test]
    fn unrelated_tensors_are_no_neighbours_and_banding_finds_what_scanning_finds() {
        let mut index = LshIndex::default();
        for seed in 0..400 {
            index.insert(BUCKET, signature(&normal(seed, 2_000)), seed);
        }
        for seed in 0..20 {
            let query = signature(&normal(1_000 + seed, 2_000));
            assert_eq!(index.nearest(BUCKET, &query, 5), []);
            let near = signature(&at_cosine(&normal(seed, 2_000), 0.97, 77));
            assert_eq!(index.nearest(BUCKET, &near, 5), index.nearest_by_scan(BUCKET, &near, 5));
        }
    }

    #[test]
    fn buckets_are_kept_apart_and_items_are_found_once() {
        let mut index = LshIndex::default();
        let one = signature(&normal(1, 1_000));
        index.insert(BUCKET, one, 'a');
        index.insert(BUCKET, one, 'a');
        index.insert(Bucket { dtype: 11, ..BUCKET }, one, 'b');
        let near = index.nearest(BUCKET, &one, 5);
        assert_eq!(near, [Neighbour { item: 'a', distance: 0, cosine: 1.0 }]);
        assert_eq!((index.len(), index.is_empty()), (3, false));
    }
}
