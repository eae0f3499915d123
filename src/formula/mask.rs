//! Which elements of a difference are kept.

use super::top::Top;
use crate::random::{Philox, unit};

/// Which elements of one model's differences are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Mask {
    /// All.
    All,
    /// The largest.
    Top(Top),
    /// Each with the same probability.
    Random {
        /// Where its random numbers come from.
        stream: Philox,
        /// The probability.
        probability: f64,
    },
    /// Each with a probability that grows with its rank in its row.
    Ranked {
        /// Where its random numbers come from.
        stream: Philox,
        /// The mean of the probabilities.
        density: f64,
        /// How far they are from it at most.
        epsilon: f64,
        /// Elements of a row.
        row: usize,
    },
    /// These.
    #[cfg(test)]
    Given(Vec<bool>),
}

/// The random number of each element from one on.
fn numbers(stream: Philox, from: u64) -> impl Iterator<Item = f64> {
    let mut place = from;
    let mut block = stream.block(from / 4);
    std::iter::from_fn(move || {
        let number = unit(block[(place % 4) as usize]);
        place += 1;
        if place.is_multiple_of(4) {
            block = stream.block(place / 4);
        }
        Some(number)
    })
}

impl Mask {
    /// Whether it needs the differences of whole rows.
    pub fn needs_rows(&self) -> bool {
        matches!(self, Mask::Ranked { .. })
    }

    /// Tells of differences from an element on which are kept.
    pub fn tell(&self, at: u64, differences: &[f64], kept: &mut Vec<bool>) {
        kept.clear();
        match self {
            Mask::All => kept.resize(differences.len(), true),
            Mask::Top(top) => {
                kept.extend((at..).zip(differences).map(|(place, difference)| top.keeps(place, *difference)));
            }
            Mask::Random { stream, probability } => {
                let drawn = numbers(*stream, at).take(differences.len());
                kept.extend(drawn.map(|number| number < *probability));
            }
            #[cfg(test)]
            Mask::Given(given) => kept.extend(&given[at as usize..at as usize + differences.len()]),
            Mask::Ranked { stream, density, epsilon, row } => {
                let mut drawn = numbers(*stream, at);
                for row in differences.chunks((*row).max(1)) {
                    let probabilities = probabilities(row, *density, *epsilon);
                    kept.extend(
                        probabilities
                            .iter()
                            .zip(&mut drawn)
                            .map(|(probability, number)| number < *probability),
                    );
                }
            }
        }
    }
}

/// The probability of each element of a row: the smallest has the least, among equals the first.
fn probabilities(row: &[f64], density: f64, epsilon: f64) -> Vec<f64> {
    if row.len() == 1 {
        return vec![density];
    }
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|a, b| row[*a as usize].abs().total_cmp(&row[*b as usize].abs()));
    let mut probabilities = vec![0.0; row.len()];
    for (rank, place) in order.into_iter().enumerate() {
        let part = 2.0 * epsilon * rank as f64 / (row.len() - 1) as f64;
        probabilities[place as usize] = density - epsilon + part;
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_known_by_their_place() {
        let stream = Philox { key: [7, 1] };
        let all: Vec<f64> = numbers(stream, 0).take(100).collect();
        for from in [0u64, 1, 3, 4, 50, 97] {
            let some: Vec<f64> = numbers(stream, from).take(3).collect();
            assert_eq!(some, all[from as usize..from as usize + 3]);
        }
    }

    #[test]
    fn the_part_that_is_kept_is_the_density() {
        let mask = Mask::Random { stream: Philox { key: [3, 0] }, probability: 0.3 };
        let mut kept = Vec::new();
        mask.tell(0, &vec![1.0; 100_000], &mut kept);
        let count = kept.iter().filter(|kept| **kept).count() as f64;
        let deviation = (100_000.0f64 * 0.3 * 0.7).sqrt();
        assert!((count - 30_000.0).abs() < 5.0 * deviation, "{count}");
    }

    #[test]
    fn small_elements_of_a_row_are_kept_less_often() {
        assert_eq!(probabilities(&[-3.0, 1.0, 2.0], 0.5, 0.25), [0.75, 0.25, 0.5]);
        // Among equals the first is the smaller one; a row of one has no ranks.
        assert_eq!(probabilities(&[1.0, -1.0, 0.0], 0.5, 0.25), [0.5, 0.75, 0.25]);
        assert_eq!(probabilities(&[5.0], 0.5, 0.25), [0.5]);
        let mask = Mask::Ranked { stream: Philox { key: [0, 0] }, density: 0.5, epsilon: 0.4, row: 1000 };
        let row: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut kept = Vec::new();
        mask.tell(0, &row, &mut kept);
        let half = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
        assert!(half(&kept[..500]) + 100 < half(&kept[500..]));
    }
}
