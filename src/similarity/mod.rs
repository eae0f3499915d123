//! Finding tensors that resemble each other, by a signature of 256 bits for each and an index of signatures, and bytes that are
//! known, by anchors of their content and an index of anchors.
//!
//! Pure and deterministic: a tensor has the same signature and the same anchors on every machine. Knows no store and no name; items in an
//! index are whatever the caller likes.

mod anchor_index;
mod anchors;
mod lsh;
mod nearest;
mod shelf;
mod simhash;

pub use anchor_index::AnchorIndex;
pub use anchors::{
    ANCHOR_BLOCK, ANCHOR_WINDOW, ANCHORED_MIN, Anchor, Candidate, anchor_blocks, anchors_of, candidates,
};
pub use lsh::{Bucket, LshIndex};
pub use nearest::Neighbour;
pub use simhash::{Sampler, Signature};
