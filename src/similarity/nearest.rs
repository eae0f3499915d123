//! The few nearest of many that are offered one by one.

use super::simhash::Signature;

/// Neighbours differ in at most so many bits: cosine 0.7 and more.
const DISTANCE_MAX: u32 = 64;

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

/// The nearest so far, each item once, ordered by distance and then by item.
pub(super) struct Nearest<T> {
    count: usize,
    found: Vec<(u32, T)>,
    /// Nothing farther is wanted.
    reach: u32,
}

impl<T: Copy + Ord> Nearest<T> {
    /// At most `count` of them.
    pub(super) fn new(count: usize) -> Self {
        Self { count, found: Vec::new(), reach: DISTANCE_MAX }
    }

    /// Whether something so far away may be among them.
    pub(super) fn wants(&self, distance: u32) -> bool {
        distance <= self.reach
    }

    pub(super) fn offer(&mut self, distance: u32, item: T) {
        if let Some(known) = self.found.iter().position(|(_, known)| *known == item) {
            if self.found[known].0 <= distance {
                return;
            }
            self.found.remove(known);
        }
        let at = self.found.partition_point(|&nearer| nearer < (distance, item));
        self.found.insert(at, (distance, item));
        self.found.truncate(self.count);
        if self.found.len() == self.count {
            self.reach = self.found.last().map_or(self.reach, |last| last.0);
        }
    }

    pub(super) fn into_neighbours(self) -> Vec<Neighbour<T>> {
        let neighbour =
            |(distance, item)| Neighbour { item, distance, cosine: Signature::cosine_at(distance) };
        self.found.into_iter().map(neighbour).collect()
    }
}
