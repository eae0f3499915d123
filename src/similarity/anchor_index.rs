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
/// A sorted run is merged into the one before it unless that is so many times as long: then there are few runs, whatever comes and is
/// asked in turn, and each place is moved a few times for each of them (a log-structured merge, O'Neil and others 1996).
const GROWTH: usize = 4;

/// The anchors of many items.
#[derive(Debug)]
pub struct AnchorIndex<T> {
    budget: usize,
    items: Vec<T>,
    /// Each sorted, and the earlier the longer: what is in one came after all that is in those before it.
    runs: Vec<Vec<Place>>,
    /// What came since something was looked for, in any order.
    recent: Vec<Place>,
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
        let (items, runs, recent) = (Vec::new(), Vec::new(), Vec::new());
        Self { budget, items, runs, recent, thinned: 0 }
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum::<usize>() + self.recent.len()
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
        }
        while self.byte_len() > self.budget && !self.is_empty() {
            self.thin();
        }
    }

    /// Lets go of every other anchor, and of items that have none left.
    fn thin(&mut self) {
        self.thinned += 1;
        let thinned = self.thinned;
        let mut is_used = vec![false; self.items.len()];
        for places in self.runs.iter_mut().chain([&mut self.recent]) {
            places.retain(|place| is_kept(place.hash, thinned));
            places.shrink_to_fit();
            places.iter().for_each(|place| is_used[place.item as usize] = true);
        }
        // Items keep their order, and with it places theirs.
        let (mut numbers, mut count) = (Vec::with_capacity(is_used.len()), 0);
        for is_used in &is_used {
            numbers.push(count);
            count += u32::from(*is_used);
        }
        for place in self.runs.iter_mut().flatten().chain(&mut self.recent) {
            place.item = numbers[place.item as usize];
        }
        let mut is_used = is_used.into_iter();
        self.items.retain(|_| is_used.next().is_some_and(|is_used| is_used));
        self.runs.retain(|run| !run.is_empty());
    }

    /// Makes a run of what came last, and merges those that are not much longer than what comes behind them.
    fn sort(&mut self) {
        if self.recent.is_empty() {
            return;
        }
        let mut last = std::mem::take(&mut self.recent);
        last.sort_unstable();
        while let Some(before) = self.runs.pop_if(|before| before.len() < last.len().saturating_mul(GROWTH)) {
            last = merged(before, &last);
        }
        self.runs.push(last);
    }

    /// Calls `found` with each item that has a window of this hash, and where in it that begins; those that came first if there are many.
    pub fn find(&mut self, hash: u32, mut found: impl FnMut(T, u64)) {
        self.sort();
        let mut left = SAME_MAX;
        for run in &self.runs {
            let first = run.partition_point(|place| place.hash < hash);
            for place in run[first..].iter().take_while(|place| place.hash == hash).take(left) {
                found(self.items[place.item as usize], place.offset);
                left -= 1;
            }
        }
    }
}

/// Two runs as one, of equal windows the first.
fn merged(mut run: Vec<Place>, later: &[Place]) -> Vec<Place> {
    run.reserve_exact(later.len());
    run.extend_from_slice(later);
    // A sort that finds what is sorted already, and merges it.
    run.sort();
    let (mut same, mut before) = (0, None);
    run.retain(|place| {
        same = if before == Some(place.hash) { same + 1 } else { 0 };
        before = Some(place.hash);
        same < SAME_MAX
    });
    run
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
            assert!(found(&mut index, 8).len() <= SAME_MAX);
        }
        assert!(index.len() <= 10 * SAME_MAX && found(&mut index, 9).is_empty());
        // Those that came first.
        let at = |block: u64| block * ANCHOR_BLOCK as u64 + 7;
        assert_eq!(found(&mut index, 8), [(0, at(0)), (0, at(2)), (1, at(0)), (1, at(2))]);
    }

    #[test]
    fn what_comes_and_is_asked_in_turn_is_moved_a_few_times() {
        let mut index = AnchorIndex::new(1 << 20);
        let (mut moved, mut random) = (0, crate::random::Random::new(1));
        let hashes: Vec<u32> = (0..20_000).map(|_| random.below(1 << 30) as u32).collect();
        for (item, hash) in (0..).zip(&hashes) {
            index.insert(item, [Some(Anchor { at: 7, hash: *hash })].into_iter());
            assert!(found(&mut index, *hash).contains(&(item, 7)));
            // What the last run has it was just given.
            moved += index.runs.last().expect("a run").len();
            assert!(index.runs.windows(2).all(|two| two[0].len() >= GROWTH * two[1].len()));
        }
        assert!(index.runs.len() <= 8, "{}", index.runs.len());
        assert!(moved <= 40 * hashes.len(), "{moved}");
        for (item, hash) in (0..).zip(&hashes) {
            assert!(found(&mut index, *hash).contains(&(item, 7)));
        }
    }
}
