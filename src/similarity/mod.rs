//! Finding tensors that resemble each other: a signature of 256 bits for each, and an index of signatures.
//!
//! Pure and deterministic: a tensor has the same signature on every machine. Knows no store and no name; items in an
//! index are whatever the caller likes.

mod lsh;
mod nearest;
mod shelf;
mod simhash;

pub use lsh::{Bucket, LshIndex};
pub use nearest::Neighbour;
pub use simhash::{Sampler, Signature};
