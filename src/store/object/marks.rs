//! What an object is found by where nobody knows its key.

use crate::similarity::Signature;

/// What a directory has of an object beside its entry.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// What it resembles others by; `None` if it has no direction.
    pub signature: Option<Signature>,
    /// The record of the anchors of its blocks ([`Anchor::each_of`](crate::similarity::Anchor::each_of)); empty if it has none.
    pub anchors: Vec<u8>,
}
