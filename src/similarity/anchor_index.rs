//! Anchors of known content in memory, and what has a window: within a budget of bytes, whatever there is.
//!
//! When the budget is reached, every other anchor is let go, and of what comes later as well: what is known is then found
//! where longer runs of it lie. Items are whatever the caller likes.

use super::anchors::{ANCHOR_BLOCK, Anchor};

/// Where known content has an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    hash: u32,
    /// The number of the item.
    item: u32,
    /// Where the window begins in it, in bytes.
    offset: u64,
}

const PLACE_LEN: usize = size_of::<Place>();
/// Of equal windows so many are kept: those that came first.
const SAME_MAX: usize = 4;
/// Places that came since the last sorting of all are sorted by themselves until they are one of so many.
const RECENT: usize = 4;

/// The anchors of many items.
#[derive(Debug)]
pub struct AnchorIndex<T> {
    budget: usize,
    items: Vec<T>,
    /// Both sorted, and `recent` only once it is asked.
    places: Vec<Place>,
    recent: Vec<Place>,
    is_sorted: bool,
    /// One of 2 to the power of this many blocks has its anchor kept.
    thinned: u32,
}

impl<T: Copy> Default for AnchorIndex<T> {
    /// One without room.
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T: Copy> AnchorIndex<T> {
    /// An index of at most so many bytes.
    pub fn new(budget: usize) -> Self {
        let (items, places, recent) = (Vec::new(), Vec::new(), Vec::new());
        Self { budget, items, places, recent, is_sorted: true, thinned: 0 }
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.places.len() + self.recent.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes.
    pub fn byte_len(&self) -> usize {
        self.items.len() * size_of::<T>() + self.len() * PLACE_LEN
    }

    /// Adds the anchors of an item, one for each of its blocks that has any.
    pub fn insert(&mut self, item: T, anchors: impl Iterator<Item = Option<Anchor>>) {
        let (item_number, thinned, before) = (self.items.len() as u32, self.thinned, self.recent.len());
        let places = (0_u64..).zip(anchors).filter_map(|(block, anchor)| {
            let Anchor { at, hash } = anchor.filter(|anchor| is_kept(anchor.hash, thinned))?;
            Some(Place { hash, item: item_number, offset: block * ANCHOR_BLOCK as u64 + u64::from(at) })
        });
        self.recent.extend(places);
        if self.recent.len() > before {
            self.items.push(item);
            self.is_sorted = false;
        }
        while self.byte_len() > self.budget && !self.is_empty() {
            self.thin();
        }
    }

    /// Lets go of every other anchor, and of items that have none left.
    fn thin(&mut self) {
        self.thinned += 1;
        let thinned = self.thinned;
        self.places.append(&mut self.recent);
        self.places.retain(|place| is_kept(place.hash, thinned));
        let mut numbers = vec![None; self.items.len()];
        let items = std::mem::take(&mut self.items);
        for place in &mut self.places {
            let number = numbers[place.item as usize].get_or_insert_with(|| {
                self.items.push(items[place.item as usize]);
                self.items.len() as u32 - 1
            });
            place.item = *number;
        }
        self.sort_all();
    }

    fn sort_all(&mut self) {
        self.places.append(&mut self.recent);
        self.places.sort_unstable();
        let mut same = 0;
        let mut before = None;
        self.places.retain(|place| {
            same = if before == Some(place.hash) { same + 1 } else { 0 };
            before = Some(place.hash);
            same < SAME_MAX
        });
        self.places.shrink_to_fit();
        self.is_sorted = true;
    }

    /// Calls `found` with each item that has a window of this hash, and where in it that begins.
    pub fn find(&mut self, hash: u32, mut found: impl FnMut(T, u64)) {
        if !self.is_sorted {
            if self.recent.len() * RECENT > self.places.len() {
                self.sort_all()
            } else {
                self.recent.sort_unstable()
            }
            self.is_sorted = true;
        }
        for places in [&self.places, &self.recent] {
            let first = places.partition_point(|place| place.hash < hash);
            let same = places[first..].iter().take_while(|place| place.hash == hash);
            same.take(SAME_MAX).for_each(|place| found(self.items[place.item as usize], place.offset));
        }
    }
}

/// Whether an anchor of this hash is kept where one of `2^thinned` is: it goes with its equals, wherever they are.
fn is_kept(hash: u32, thinned: u32) -> bool {
    1_u32.checked_shl(thinned).is_some_and(|kept| hash & (kept - 1) == 0)
}

#[cfg(test)]
mod tests {
    use super::super::anchors::anchors_of;
    use super::super::anchors::tests::noise;
    use super::*;

    fn found(index: &mut AnchorIndex<u32>, hash: u32) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        index.find(hash, |item, offset| all.push((item, offset)));
        all.sort_unstable();
        all
    }

    #[test]
    fn every_anchor_is_found_where_it_is_while_there_is_room() {
        let mut index = AnchorIndex::new(1 << 20);
        let bytes: Vec<_> = (0..40_u64).map(|item| noise(item, 5 * ANCHOR_BLOCK)).collect();
        for (item, bytes) in bytes.iter().enumerate() {
            index.insert(item as u32, anchors_of(bytes));
            // As if it was asked between what comes.
            for (block, anchor) in anchors_of(bytes).enumerate() {
                let Some(Anchor { at, hash }) = anchor else { continue };
                let offset = (block * ANCHOR_BLOCK) as u64 + u64::from(at);
                assert_eq!(found(&mut index, hash), [(item as u32, offset)]);
            }
        }
        for (item, bytes) in bytes.iter().enumerate() {
            let mut all = anchors_of(bytes).flatten();
            assert!(all.all(|anchor| found(&mut index, anchor.hash).len() == 1), "{item}");
        }
        assert!((190..=200).contains(&index.len()), "{}", index.len());
    }

    #[test]
    fn a_budget_is_kept_and_what_is_left_is_right() {
        for budget in [0, 100, 4000, 20_000] {
            let mut index = AnchorIndex::new(budget);
            let mut there = 0;
            for item in 0..100 {
                index.insert(item, anchors_of(&noise(u64::from(item), 10 * ANCHOR_BLOCK)));
                assert!(index.byte_len() <= budget);
            }
            for item in 0..100 {
                for anchor in anchors_of(&noise(u64::from(item), 10 * ANCHOR_BLOCK)).flatten() {
                    let all = found(&mut index, anchor.hash);
                    assert!(all.iter().all(|(found, _)| *found == item));
                    there += all.len();
                }
            }
            assert_eq!(there, index.len());
            assert!(there * PLACE_LEN * 4 >= budget.saturating_sub(1000), "{there} of {budget}");
        }
    }

    #[test]
    fn of_equal_windows_a_few_are_kept() {
        let mut index = AnchorIndex::new(1 << 20);
        let anchor = Anchor { at: 7, hash: 8 };
        for item in 0..1000 {
            index.insert(item, [Some(anchor), None, Some(anchor)].into_iter());
            assert!(found(&mut index, 8).len() <= 2 * SAME_MAX);
        }
        assert!(index.len() <= 1000 && found(&mut index, 9).is_empty());
        index.sort_all();
        assert_eq!(index.len(), SAME_MAX);
    }
}
