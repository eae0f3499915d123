//! How many numbers of a tensor are in which interval.

use super::Dtype;
use super::statistics::reader;

/// Counts of numbers in intervals of one width. Fed piece by piece, so that a tensor of any size takes no memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    from: f64,
    to: f64,
    /// How many are in each interval.
    pub counts: Vec<u64>,
    /// How many finite ones are outside.
    pub outside: u64,
}

impl Histogram {
    /// Nothing counted yet, in so many intervals from one number to another; the last one has its end.
    pub fn new(from: f64, to: f64, intervals: usize) -> Self {
        Self { from, to, counts: vec![0; intervals.max(1)], outside: 0 }
    }

    /// Counts the whole elements in `bytes`, little-endian; NaN and infinities are nowhere. False if elements of the type are
    /// no real numbers that this reads; then nothing is counted.
    pub fn add(&mut self, dtype: Dtype, bytes: &[u8]) -> bool {
        let Some(read) = reader(dtype) else { return false };
        let scale = self.counts.len() as f64 / (self.to - self.from);
        for value in
            bytes.chunks_exact((dtype.bits() / 8) as usize).map(read).filter(|value| value.is_finite())
        {
            let last = self.counts.len() - 1;
            match (self.from..=self.to).contains(&value) {
                true => self.counts[(((value - self.from) * scale) as usize).min(last)] += 1,
                false => self.outside += 1,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_number_is_counted_once() {
        let values = [-1.0f32, -0.99, 0.0, 0.49, 1.0, 2.0, f32::NAN, f32::INFINITY];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut found = Histogram::new(-1.0, 1.0, 4);
        assert!(found.add(Dtype::F32, &bytes));
        assert_eq!((found.counts.as_slice(), found.outside), (&[2, 0, 2, 1][..], 1));
        assert!(!found.add(Dtype::C64, &bytes));
        // All numbers may be one.
        let mut same = Histogram::new(3.0, 3.0, 4);
        assert!(same.add(Dtype::F32, &3f32.to_le_bytes()));
        assert_eq!(same.counts.iter().sum::<u64>(), 1);
    }
}
