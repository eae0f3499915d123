//! What a directory says of one object, and where the frames of an object are cut.

use std::sync::Arc;

use crate::codec::FRAME_LEN;
use crate::id::ObjectKey;
use crate::store::object::Kind;
use crate::tensor::Dtype;

/// Where one frame of an object lies and how it is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where its stored bytes begin, from the beginning of the object's payload.
    pub start: u64,
    pub end: u64,
    pub tag: u8,
    /// XXH3-64 of the stored bytes.
    pub checksum: u64,
}

/// What is made of a base before something is a difference to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Its elements, which are of this type, are cast.
    Cast(Dtype),
    /// It is a formula, and computed.
    Formula,
}

/// What a directory says of one object, without its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub key: ObjectKey,
    pub kind: Kind,
    pub dtype: Dtype,
    /// Bytes of the object.
    pub len: u64,
    /// How many bases deep the deepest chain below it is.
    pub depth: u8,
    pub base: Option<ObjectKey>,
    /// What is made of the base first, if it is not its bytes that this is a difference to.
    pub through: Option<Through>,
    /// Which file its payload lies in: 0 is the pack itself, each other number a file that is attached to it.
    pub file: u16,
    /// Where its payload begins in that file.
    pub offset: u64,
}

impl Entry {
    /// Whether its payload lies in a file of its own, as it was saved, and waits to be coded.
    pub fn is_attached(&self) -> bool {
        self.file != 0
    }
}

/// An entry with all its frames.
pub type Record = (Entry, Arc<[Frame]>);

/// How many frames an object of `len` bytes has.
pub fn frame_count(len: u64) -> u64 {
    len.div_ceil(FRAME_LEN as u64)
}

/// How many bytes frame `index` of an object of `len` bytes covers.
pub fn frame_len(len: u64, index: u64) -> usize {
    (len - index * FRAME_LEN as u64).min(FRAME_LEN as u64) as usize
}
