//! The elements of a difference that are largest by their absolute value, once it is known which are the last of them.

/// Which elements are the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// Larger ones are kept.
    pub size: u32,
    /// Of those that are equal the ones before this place.
    pub until: u64,
}

/// What elements are sorted by: the bits of their absolute value, rounded to `f32`.
pub fn size(difference: f64) -> u32 {
    (difference.abs() as f32).to_bits()
}

impl Top {
    /// Whether the element at a place is kept.
    pub fn keeps(&self, place: u64, difference: f64) -> bool {
        let size = size(difference);
        size > self.size || size == self.size && place < self.until
    }
}
