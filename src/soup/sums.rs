//! Sums whose last bit does not depend on who adds: plainly in blocks of 4096 elements, then the blocks in pairs, the pairs
//! in pairs, and so on, an odd one with zero.

use super::blocks::BLOCK;

/// Adds the sums of blocks as they come, several sums side by side. Takes memory for a few of them, however many come.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// What waits for its other half: of one block, of two, of four ...
    waiting: Vec<Option<Vec<f64>>>,
}

impl Pairs {
    /// Takes the sums of the next block.
    pub(super) fn push(&mut self, sums: Vec<f64>) {
        let mut sums = sums;
        for level in 0.. {
            if self.waiting.len() == level {
                self.waiting.push(None);
            }
            match self.waiting[level].take() {
                None => {
                    self.waiting[level] = Some(sums);
                    return;
                }
                Some(before) => sums = added(before, &sums),
            }
        }
    }

    /// The sums of all blocks; of none, so many zeros.
    pub(super) fn finish(mut self, count: usize) -> Vec<f64> {
        let zeros = vec![0.0; count];
        let mut sums: Option<Vec<f64>> = None;
        for level in 0..self.waiting.len() {
            let is_last = self.waiting[level + 1..].iter().all(Option::is_none);
            sums = match (self.waiting[level].take(), sums) {
                (Some(before), Some(sums)) => Some(added(before, &sums)),
                (Some(sums), None) | (None, Some(sums)) if is_last => Some(sums),
                (Some(sums), None) | (None, Some(sums)) => Some(added(sums, &zeros)),
                (None, None) => None,
            };
        }
        sums.unwrap_or(zeros)
    }
}

fn added(mut before: Vec<f64>, after: &[f64]) -> Vec<f64> {
    before.iter_mut().zip(after).for_each(|(sum, more)| *sum += more);
    before
}

/// Adds elements of one sum after the other in blocks, wherever they are cut into pieces.
#[derive(Debug)]
pub(super) struct Blocks {
    pairs: Pairs,
    sums: Vec<f64>,
    filled: usize,
}

impl Blocks {
    /// So many sums side by side.
    pub(super) fn new(count: usize) -> Self {
        Self { pairs: Pairs::default(), sums: vec![0.0; count], filled: 0 }
    }

    /// Takes elements, as many of each sum.
    pub(super) fn extend(&mut self, elements: &[Vec<f64>]) {
        let len = elements.first().map_or(0, Vec::len);
        let mut from = 0;
        while from < len {
            let part = (BLOCK - self.filled).min(len - from);
            for (sum, elements) in self.sums.iter_mut().zip(elements) {
                elements[from..from + part].iter().for_each(|element| *sum += element);
            }
            (from, self.filled) = (from + part, self.filled + part);
            if self.filled == BLOCK {
                let count = self.sums.len();
                self.pairs.push(std::mem::replace(&mut self.sums, vec![0.0; count]));
                self.filled = 0;
            }
        }
    }

    /// The sums.
    pub(super) fn finish(mut self) -> Vec<f64> {
        let count = self.sums.len();
        if self.filled > 0 {
            self.pairs.push(self.sums);
        }
        self.pairs.finish(count)
    }
}

/// The sum of elements that are all in memory.
pub(super) fn sum(elements: impl Iterator<Item = f64>) -> f64 {
    let (mut pairs, mut sum, mut filled) = (Pairs::default(), 0.0, 0);
    for element in elements {
        sum += element;
        filled += 1;
        if filled == BLOCK {
            pairs.push(vec![sum]);
            (sum, filled) = (0.0, 0);
        }
    }
    if filled > 0 {
        pairs.push(vec![sum]);
    }
    pairs.finish(1)[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As it is defined: all blocks at hand.
    fn defined(elements: &[f64]) -> f64 {
        let mut sums: Vec<f64> = elements
            .chunks(BLOCK)
            .map(|block| block.iter().fold(0.0, |sum, element| sum + element))
            .collect();
        while sums.len() > 1 {
            if sums.len() % 2 == 1 {
                sums.push(0.0);
            }
            sums = sums.chunks(2).map(|pair| pair[0] + pair[1]).collect();
        }
        sums.first().copied().unwrap_or_default()
    }

    proptest! {
        #[test]
        fn a_sum_is_the_same_however_it_is_cut(seed: u64, len in 0usize..70_000, cut in 1usize..9000) {
            let mut random = crate::random::Random::new(seed);
            let elements: Vec<f64> = (0..len).map(|_| f64::from(random.symmetric()) / 3.0).collect();
            let expected = defined(&elements).to_bits();
            prop_assert_eq!(sum(elements.iter().copied()).to_bits(), expected);
            let mut blocks = Blocks::new(2);
            for piece in elements.chunks(cut) {
                blocks.extend(&[piece.to_vec(), piece.to_vec()]);
            }
            let sums = blocks.finish();
            prop_assert_eq!((sums[0].to_bits(), sums[1].to_bits()), (expected, expected));
        }
    }
}
