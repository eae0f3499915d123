//! How many staging files stay open for those who only read.
//!
//! A descriptor keeps the bytes for a reader when another process removes their name. There are not enough descriptors for
//! any number of readers: beyond [`HELD_MAX`] those that were read the longest ago are let go (`spare_readers.rs`), and
//! opened again by whoever reads on. Instead of them a hold keeps everybody from removing staging files until the readers
//! are gone.

use super::hold::Hold;

/// So many descriptors are held for readers, and for a moment a quarter more. Most systems give a process without
/// privileges a thousand or a million.
pub(super) const HELD_MAX: usize = 512;

/// What is remembered of the readers of one worktree.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// Goes on with each reading.
    clock: u64,
    /// How many were opened since it was last seen to that there are not too many.
    pub(super) opened: usize,
    /// Stands for the descriptors that were let go.
    pub(super) hold: Option<Hold>,
}

impl Readers {
    /// The next instant.
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}
