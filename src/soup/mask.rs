//! Which elements of a difference are kept.

use super::method::Method;
use super::top::Top;
use crate::random::{Philox, unit};

/// Which elements of one model's differences are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mask {
    /// All.
    All,
    /// The largest.
    Top(Top),
    /// Each with the same probability.
    Random { stream: Philox, probability: f64 },
    /// Each with a probability that grows with its rank in its row.
    Ranked { stream: Philox, density: f64, epsilon: f64, row: usize },
    /// These.
    #[cfg(test)]
    Given(Vec<bool>),
}

/// The random numbers of a model's differences: others for each method, tensor and model, the same on every machine.
pub(super) fn stream(seed: u64, method: Method, tensor: &str, model: usize) -> Philox {
    let mut hasher = blake3::Hasher::new();
    hasher.update(method.name().as_bytes()).update(&[0]).update(tensor.as_bytes()).update(&[0]);
    hasher.update(&(model as u64).to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Philox { key: [seed, u64::from_le_bytes(first)] }
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
    pub(super) fn needs_rows(&self) -> bool {
        matches!(self, Mask::Ranked { .. })
    }

    /// Tells of differences from an element on which are kept.
    pub(super) fn tell(&self, at: u64, differences: &[f64], kept: &mut Vec<bool>) {
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
        let stream = stream(7, Method::DareTies, "w", 1);
        let all: Vec<f64> = numbers(stream, 0).take(100).collect();
        for from in [0u64, 1, 3, 4, 50, 97] {
            let some: Vec<f64> = numbers(stream, from).take(3).collect();
            assert_eq!(some, all[from as usize..from as usize + 3]);
        }
    }

    #[test]
    fn seed_name_model_and_method_change_the_mask() {
        let keys = [
            stream(0, Method::DareTies, "w", 0),
            stream(1, Method::DareTies, "w", 0),
            stream(0, Method::DareTies, "v", 0),
            stream(0, Method::DareTies, "w", 1),
            stream(0, Method::DareLinear, "w", 0),
        ];
        for (number, key) in keys.iter().enumerate() {
            assert!(keys[..number].iter().all(|other| other != key), "{number}");
        }
        // Never to be changed: what was made with it has to be made again.
        assert_eq!(keys[0].key, [0, STREAM_OF_W]);
    }

    const STREAM_OF_W: u64 = 15_871_958_620_205_214_296;

    #[test]
    fn the_part_that_is_kept_is_the_density() {
        let mask = Mask::Random { stream: stream(3, Method::DareLinear, "w", 0), probability: 0.3 };
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
        let mask =
            Mask::Ranked { stream: stream(0, Method::Della, "w", 0), density: 0.5, epsilon: 0.4, row: 1000 };
        let row: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut kept = Vec::new();
        mask.tell(0, &row, &mut kept);
        let half = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
        assert!(half(&kept[..500]) + 200 < half(&kept[500..]));
    }
}
