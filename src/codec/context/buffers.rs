//! What the context coder works in, kept from frame to frame.

use super::rans::Ticket;

/// Allocations only: nothing here outlives a call.
#[derive(Default)]
pub(in crate::codec) struct Buffers {
    /// The prediction, as long as the frame.
    pub(super) predicted: Vec<u8>,
    /// Context and symbol of each element of a block that moved.
    pub(super) codes: Vec<u16>,
    /// Its magnitude's bits below the bucket.
    pub(super) verbatim: Vec<u64>,
    /// Stream words, from the end.
    pub(super) words: Vec<u16>,
    /// Encoding tables.
    pub(super) tickets: Vec<Ticket>,
    /// Decoding tables.
    pub(super) slots: Vec<u32>,
    /// Block scales, then table streams.
    pub(super) side: Vec<u8>,
}
