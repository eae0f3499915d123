//! A run of bytes of a file, and what holds it.

use crate::id::ObjectKey;

/// A run of bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// The bytes themselves.
    Inline(Vec<u8>),
    /// A whole object: a tensor's payload, a long literal, a content-defined chunk.
    Object {
        /// Its name in the store.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
    },
    /// A part of an object, which other extents may have other parts of: of what lies between tensors, a few bytes.
    Part {
        /// The object's name in the store.
        key: ObjectKey,
        /// The object's length in bytes: at least `offset + len`.
        whole: u64,
        /// Where in the object it begins.
        offset: u64,
        /// How many bytes it is.
        len: u64,
    },
}

impl Extent {
    /// How many bytes of the file it is.
    pub fn len(&self) -> u64 {
        match self {
            Extent::Inline(bytes) => bytes.len() as u64,
            Extent::Object { len, .. } | Extent::Part { len, .. } => *len,
        }
    }

    /// Whether it is no bytes at all, as an empty tensor is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object that holds it; `None` if the recipe does.
    pub fn key(&self) -> Option<ObjectKey> {
        Some(self.object()?.0)
    }

    /// The object that holds it, with that object's length.
    pub fn object(&self) -> Option<(ObjectKey, u64)> {
        match self {
            Extent::Inline(_) => None,
            Extent::Object { key, len } => Some((*key, *len)),
            Extent::Part { key, whole, .. } => Some((*key, *whole)),
        }
    }
}
