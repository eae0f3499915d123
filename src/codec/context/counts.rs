//! How often each symbol occurs in each context of a frame.

use std::ops::Range;

/// Contexts that are told apart while counting.
pub(super) const CONTEXTS: usize = 128;

/// Counters for each symbol, whose sum counts: most neighbours are equal, and one counter would wait for itself.
const WAYS: usize = 4;
const PLACES: usize = CONTEXTS << 8;

/// Counters of all symbols in all contexts.
pub(super) struct Counts {
    /// By code: context above symbol.
    counters: Vec<[u32; WAYS]>,
    /// All others are zero.
    counted: Range<usize>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { counters: vec![[0; WAYS]; PLACES], counted: 0..0 }
    }
}

impl Counts {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.counters[self.counted.start << 8..self.counted.end << 8].fill([0; WAYS]);
        self.counted = 0..0;
    }

    /// Counts codes, whose contexts are below [`CONTEXTS`].
    #[inline(always)]
    pub(super) fn add(&mut self, codes: &[u16]) {
        let counters: &mut [[u32; WAYS]; PLACES] =
            self.counters.first_chunk_mut().expect("as long as it was made");
        let (groups, rest) = codes.as_chunks::<WAYS>();
        for group in groups {
            for (way, &code) in group.iter().enumerate() {
                counters[usize::from(code) % PLACES][way] += 1;
            }
        }
        for &code in rest {
            counters[usize::from(code) % PLACES][0] += 1;
        }
        let least = codes.iter().copied().fold(u16::MAX, u16::min) >> 8;
        let most = codes.iter().copied().fold(0, u16::max) >> 8;
        let found = usize::from(least) % CONTEXTS..usize::from(most) % CONTEXTS + 1;
        self.counted = match self.counted.is_empty() {
            true => found,
            false => self.counted.start.min(found.start)..self.counted.end.max(found.end),
        };
    }

    /// Every context that occurs is among these.
    pub(super) fn contexts(&self) -> Range<usize> {
        self.counted.clone()
    }

    /// How often each symbol occurs in a context.
    pub(super) fn of(&self, context: usize) -> [u32; 256] {
        let counters = self.counters[context << 8..].first_chunk::<256>().expect("a context has 256 places");
        counters.map(|ways| ways.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_code_counts_once_and_clearing_forgets_it(
            runs in proptest::collection::vec(proptest::collection::vec(0u16..PLACES as u16, 1..40), 0..10),
        ) {
            let mut counts = Counts::default();
            counts.add(&[5, 5, 300]);
            counts.clear();
            runs.iter().for_each(|run| counts.add(run));
            for context in 0..CONTEXTS {
                let found = counts.of(context);
                let codes = runs.iter().flatten().filter(|&&code| usize::from(code >> 8) == context);
                let mut expected = [0; 256];
                codes.for_each(|&code| expected[usize::from(code as u8)] += 1);
                prop_assert_eq!(found, expected);
                prop_assert!(counts.contexts().contains(&context) || found == [0; 256]);
            }
        }
    }
}
