//! Objects as values: what names them, what kinds there are, what is known of them, where their bytes come from.
//!
//! Knows no pack.

mod hashed;
mod info;
mod key;
mod kind;
mod marks;
mod source;
mod treatment;
mod watched;

pub use hashed::{ContentHasher, Hashed};
pub use info::{Encoding, ObjectInfo};
pub use key::{Digest, KeyHasher, content_key, key_of, metadata_key};
pub use kind::{Kind, METADATA_MAX};
pub use marks::Marks;
pub use source::{FileSource, Slice, Source, SourceError};
pub use treatment::Treatment;
pub use watched::Watched;
