//! Objects: strings of bytes under keys, each stored once, in sealed packs.
//!
//! Knows keys only: no path, no name, no ref. Equal bytes are stored once (compared, not believed), similar ones as
//! lossless differences to a base, everything in frames that are decoded and checked one by one. Packs are the truth;
//! sidecars and the index are rebuilt from them. `docs/format.md` draws every byte.
//!
//! The rooms, each of which knows only those before it: `object` (values), `pack` (one file), `catalog` (where everything
//! is), `read` (from keys to bytes), `write` (from bytes to a sealed pack), `care` (checking, writing anew); around them
//! [`Store`].

mod care;
mod catalog;
mod durable;
mod error;
mod layout;
mod object;
mod options;
mod pack;
mod read;
#[expect(clippy::module_inception, reason = "a file is called what its type is")]
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use care::{CodedFiles, Copies, Moved, Problem, Rebuilt, Repack, Repacked, Report, Swept};
pub use catalog::{Damage, DamageCause, IndexState, Stats};
pub use durable::{Durable, ObjectName};
pub use error::{Result, StoreError};
pub use object::{
    ContentHasher, Encoding, FileSource, Hashed, Kind, METADATA_MAX, ObjectInfo, Slice, Source, SourceError,
    Treatment, Watched, content_key,
};
pub use options::{Consent, Options};
pub use read::ObjectReader;
pub use store::Store;
pub use write::{AttachedFile, Ingest, Outcome, Put, Sealed};
