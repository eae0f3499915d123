//! The signatures of one bucket in memory, and which of them are nearest to one.
//!
//! Few are scanned. Many are found by bands: for each band, the places of all signatures sorted by what they have in
//! it, 84 bytes a signature. Those that came after the last sorting are scanned too until they are many.

use super::nearest::Nearest;
use super::simhash::Signature;

/// Bands of a signature, and bits of each; the last four bits of a signature are in none.
const BANDS: usize = 21;
const BAND_BITS: usize = 12;
/// What a band can be.
const VALUES: usize = 1 << BAND_BITS;
/// Up to so many signatures are scanned: below, that is faster than looking up 21 bands, and it misses nothing.
pub(super) const SCANNED: usize = 4096;
/// Signatures are sorted into bands when more than one in so many of them is not.
const UNSORTED: usize = 3;

/// The signatures of one bucket.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    signatures: Vec<Signature>,
    items: Vec<T>,
    bands: Bands,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { signatures: Vec::new(), items: Vec::new(), bands: Bands::default() }
    }
}

impl<T: Copy + Ord> Shelf<T> {
    pub(super) fn push(&mut self, signature: Signature, item: T) {
        self.signatures.push(signature);
        self.items.push(item);
        let len = self.signatures.len();
        if len - self.bands.len > (len / UNSORTED).max(SCANNED) {
            self.bands = Bands::of(&self.signatures);
        }
    }

    /// The nearest of those that agree with a signature in a band, and of those not yet sorted into bands.
    pub(super) fn nearest(&self, signature: &Signature, nearest: &mut Nearest<T>) {
        // Where most agree in some band, as the versions of one tensor do, there is nothing to gain from bands.
        if self.bands.agreements(signature) >= self.bands.len {
            return self.nearest_by_scan(signature, nearest);
        }
        for place in self.bands.agreeing(signature) {
            self.offer(signature, place as usize, nearest);
        }
        self.scan(self.bands.len, signature, nearest);
    }

    /// The nearest of all.
    pub(super) fn nearest_by_scan(&self, signature: &Signature, nearest: &mut Nearest<T>) {
        self.scan(0, signature, nearest);
    }

    /// How many signatures agree with one in a band.
    pub(super) fn candidates(&self, signature: &Signature) -> usize {
        let agrees = |other: &&Signature| (0..BANDS).any(|band| value(signature, band) == value(other, band));
        self.signatures.iter().filter(agrees).count()
    }

    fn scan(&self, first: usize, signature: &Signature, nearest: &mut Nearest<T>) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "popcnt")]
            fn popcnt<T: Copy + Ord>(
                shelf: &Shelf<T>,
                first: usize,
                signature: &Signature,
                nearest: &mut Nearest<T>,
            ) {
                shelf.offer_from(first, signature, nearest);
            }
            if is_x86_feature_detected!("popcnt") {
                // SAFETY: the machine has what the function was compiled for.
                return unsafe { popcnt(self, first, signature, nearest) };
            }
        }
        self.offer_from(first, signature, nearest);
    }

    #[inline(always)]
    fn offer_from(&self, first: usize, signature: &Signature, nearest: &mut Nearest<T>) {
        for place in first..self.signatures.len() {
            self.offer(signature, place, nearest);
        }
    }

    #[inline(always)]
    fn offer(&self, signature: &Signature, place: usize, nearest: &mut Nearest<T>) {
        let distance = signature.distance(&self.signatures[place]);
        if nearest.wants(distance) {
            nearest.offer(distance, self.items[place]);
        }
    }
}

/// Places of signatures by what they have in each band.
#[derive(Debug, Default)]
struct Bands {
    /// How many signatures were sorted: the first ones.
    len: usize,
    /// `len` places for each band, sorted by the band's value.
    places: Vec<u32>,
    /// For each band, where each value's places start in `places`, and where the last one's end.
    starts: Vec<u32>,
}

impl Bands {
    /// Sorts by counting.
    fn of(signatures: &[Signature]) -> Self {
        let len = signatures.len();
        let mut places = vec![0; BANDS * len];
        let mut starts = Vec::with_capacity(BANDS * (VALUES + 1));
        let mut next = vec![0u32; VALUES + 1];
        for band in 0..BANDS {
            next.fill(0);
            for signature in signatures {
                next[value(signature, band) + 1] += 1;
            }
            next[0] = (band * len) as u32;
            for at in 0..VALUES {
                next[at + 1] += next[at];
            }
            starts.extend_from_slice(&next);
            for (place, signature) in signatures.iter().enumerate() {
                let at = &mut next[value(signature, band)];
                places[*at as usize] = place as u32;
                *at += 1;
            }
        }
        Self { len, places, starts }
    }

    /// The places of those that agree with a signature in a band; once for each band.
    fn agreeing(&self, signature: &Signature) -> impl Iterator<Item = u32> {
        self.runs(signature).flat_map(|(start, end)| &self.places[start..end]).copied()
    }

    /// How many places [`Bands::agreeing`] gives.
    fn agreements(&self, signature: &Signature) -> usize {
        self.runs(signature).map(|(start, end)| end - start).sum()
    }

    fn runs(&self, signature: &Signature) -> impl Iterator<Item = (usize, usize)> {
        (0..BANDS).filter_map(|band| {
            let at = band * (VALUES + 1) + value(signature, band);
            Some((*self.starts.get(at)? as usize, *self.starts.get(at + 1)? as usize))
        })
    }
}

fn value(signature: &Signature, band: usize) -> usize {
    usize::from(signature.bits(band * BAND_BITS, BAND_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(number: u64) -> [u8; Signature::LEN] {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    /// One of many versions of one of few origins.
    fn version(item: usize, origins: u64) -> Signature {
        let mut bytes = origin(item as u64 % origins);
        bytes[item % bytes.len()] ^= (item / bytes.len()) as u8;
        Signature::from_bytes(&bytes)
    }

    /// A signature that differs from one of three origins in few bits.
    fn near_an_origin() -> impl Strategy<Value = Signature> {
        (0..3u64, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(number, flips)| {
            let mut bytes = origin(number);
            flips.into_iter().for_each(|bit| bytes[usize::from(bit / 8)] ^= 1 << (bit % 8));
            Signature::from_bytes(&bytes)
        })
    }

    fn all<'a>(offers: impl Iterator<Item = (&'a Signature, usize)>, query: &Signature) -> Vec<(u32, usize)> {
        let mut all: Vec<_> = offers.map(|(other, item)| (query.distance(other), item)).collect();
        all.retain(|(distance, _)| *distance <= 64);
        all.sort_unstable();
        all
    }

    fn found(look: impl FnOnce(&mut Nearest<usize>), count: usize) -> Vec<(u32, usize)> {
        let mut nearest = Nearest::new(count);
        look(&mut nearest);
        nearest.into_neighbours().into_iter().map(|near| (near.distance, near.item)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn bands_find_what_agrees_in_one_and_scanning_finds_all(
            origins in prop::sample::select(vec![1u64, 3, 300]),
            query in near_an_origin(),
            count in 1usize..20,
            extra in 1..SCANNED,
        ) {
            let mut shelf = Shelf::default();
            for item in 0..SCANNED + extra {
                shelf.push(version(item, origins), item);
            }
            prop_assert_eq!(shelf.bands.len, SCANNED + 1);
            let everything = all(shelf.signatures.iter().zip(0..), &query);
            let scanned = found(|nearest| shelf.nearest_by_scan(&query, nearest), count);
            prop_assert_eq!(&scanned, &everything[..count.min(everything.len())]);
            let reached = |(other, item): &(&Signature, usize)| {
                *item >= shelf.bands.len
                    || shelf.bands.agreements(&query) >= shelf.bands.len
                    || (0..BANDS).any(|band| value(other, band) == value(&query, band))
            };
            let agreeing = all(shelf.signatures.iter().zip(0..).filter(reached), &query);
            let banded = found(|nearest| shelf.nearest(&query, nearest), count);
            prop_assert_eq!(&banded, &agreeing[..count.min(agreeing.len())]);
        }
    }

    #[test]
    fn every_signature_is_in_every_band_once() {
        let signatures: Vec<Signature> = (0..5_000).map(|item| version(item, 300)).collect();
        let bands = Bands::of(&signatures);
        for (band, places) in bands.places.chunks_exact(bands.len).enumerate() {
            assert!(places.is_sorted_by_key(|&place| value(&signatures[place as usize], band)));
            let mut places = places.to_vec();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..5_000));
        }
    }
}
