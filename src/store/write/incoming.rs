//! An object on its way into the store.

use crate::id::ObjectKey;
use crate::similarity::Signature;
use crate::store::object::{Digest, Kind, Source, Treatment};
use crate::tensor::Dtype;

/// What is to be stored unless it is there.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    pub kind: Kind,
    /// Which digest its key is: its bytes are hashed again while they are coded.
    pub digest: Digest,
    pub key: ObjectKey,
    /// How its bytes are seen when they are coded.
    pub dtype: Dtype,
    pub source: &'a dyn Source,
    pub len: u64,
    /// What it may resemble, the likeliest first.
    pub bases: &'a [ObjectKey],
    /// How somebody wants it to be stored.
    pub treatment: Treatment,
    /// What it is found by among its like; `None` before it was signed, or if it has no direction.
    pub signature: Option<Signature>,
}
