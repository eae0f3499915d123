//! What the context coder works in, kept from frame to frame.

use super::counts::Counts;
use super::rans::Ticket;

/// Allocations only: nothing here outlives a call.
#[derive(Default)]
pub(in crate::codec) struct Buffers {
    /// The prediction, as long as the frame.
    pub(super) predicted: Vec<u8>,
    /// Context and symbol of each element of a block that moved.
    pub(super) codes: Vec<u16>,
    /// Its magnitude's bits below the bucket: the lower 32, and in lanes of 64 bits the upper 32.
    pub(super) low: Vec<u32>,
    pub(super) high: Vec<u32>,
    /// How often symbols occur in each context.
    pub(super) counts: Counts,
    /// The stream, from the end.
    pub(super) stream: Vec<u8>,
    /// Encoding tables.
    pub(super) tickets: Vec<Ticket>,
    /// Decoding tables.
    pub(super) slots: Vec<u32>,
    /// Block scales, then table streams.
    pub(super) side: Vec<u8>,
}

impl Buffers {
    /// Forgets the frame before and makes room for this many elements.
    pub(super) fn start(&mut self, elements: usize) {
        self.side.clear();
        self.codes.clear();
        self.codes.reserve(elements);
        self.low.clear();
        self.low.reserve(elements);
        self.high.clear();
        self.counts.clear();
    }
}
