//! Objects: strings of bytes under keys, each stored once, in sealed packs.
//!
//! Knows keys only: no path, no name, no ref. Equal bytes are stored once (compared, not believed), similar ones as
//! lossless differences to a base, everything in frames that are decoded and checked one by one. Packs are the truth;
//! sidecars and the index are rebuilt from them. `docs/format.md` draws every byte.

mod base;
mod buffers;
mod cache;
mod candidates;
mod coder;
mod collision;
mod copy;
mod durable;
mod error;
mod handles;
mod index;
mod ingest;
mod inner;
mod key;
mod kind;
mod object;
mod odb;
mod open_pack;
mod pack;
mod packs;
mod prefix;
mod rebuild;
mod repack;
mod resolve;
mod seal;
mod sidecar;
mod similar;
mod source;
mod stored;
mod sweep;
#[cfg(test)]
mod tests;
mod verify;

pub use durable::{Durable, ObjectName};
pub use error::{Result, StoreError};
pub use index::IndexState;
pub use ingest::{Ingest, Outcome, Put};
pub use inner::Options;
pub use key::ContentHasher;
pub use kind::{Kind, METADATA_MAX};
pub use object::{Encoding, ObjectInfo};
pub use odb::{Stats, Store};
pub use packs::{Damage, DamageCause};
pub use rebuild::{Moved, Rebuilt};
pub use repack::{Repack, Repacked};
pub use seal::Sealed;
pub use source::{FileSource, Slice, Source, SourceError};
pub use sweep::Swept;
pub use verify::{Problem, Report};
