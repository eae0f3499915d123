//! What can be said of a stored object without reading it.

use crate::id::ObjectKey;
use crate::tensor::Dtype;

use super::kind::Kind;

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// Coded by itself.
    Compressed,
    /// At least in part as a lossless difference to a base.
    Delta,
    /// Not at all: it is its base in another float type.
    Cast,
    /// Not at all: it is what a formula makes of others.
    Computed,
}

/// What can be said of an object without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// What it is.
    pub kind: Kind,
    /// How its bytes were coded; other tensors of other types may share them.
    pub dtype: Dtype,
    /// Its bytes.
    pub len: u64,
    /// The bytes it takes on disk, without its share of the directory (some 40 bytes and 16 per frame).
    pub stored_len: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// What it is a difference to, if that is an object or a cast of one.
    pub base: Option<ObjectKey>,
    /// How many bases have to be decoded before it, at most.
    pub depth: u8,
}
