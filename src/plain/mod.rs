//! Plain copies: whole files of the history as they are, beside the packs that they are stored in.
//!
//! A copy is a cache: it can go at any time, and comes back from the packs. It is named by the BLAKE3 of its bytes, so it
//! never changes and serves every path, commit and branch with that content. What is kept stays within a number of
//! bytes on the disk; those that whoever keeps them prefers stay longest, and those that were used last.
//!
//! Knows disks and hashes, not what decodes the bytes: a [`Filling`] is filled from outside, in any order, by any number
//! of threads, while others read what is there of it already.

mod copies;
mod filling;

pub use copies::{Begun, LEN_MIN, PlainCopies, PlainUsage};
pub use filling::{CHUNK_LEN, Filling, Part, Reader};
