//! Packs as files: payloads, a directory that says what they are, and a footer.
//!
//! Knows one pack at a time: which ones there are is the catalog's affair, what a frame's bytes mean is a reader's.

mod directory;
mod directory_build;
mod directory_layout;
mod entry;
mod files;
mod footer;
#[cfg(test)]
mod in_memory;
mod local;
mod located;
mod open;
mod range_source;
mod sealed;
mod sections;

pub use directory::Directory;
pub use directory_build::{Beside, build_directory};
pub use entry::{Entry, Frame, Record, Through, frame_count, frame_len};
pub use files::PackFiles;
pub use footer::Footer;
#[cfg(test)]
pub use in_memory::InMemory;
pub use located::Object;
pub use open::{Attached, OpenPack};
pub use range_source::Wanted;
#[cfg(test)]
pub use sealed::PACK_HEAD;
pub use sealed::{
    Loaded, PACK_SUFFIX, Pack, SIDECAR_SUFFIX, attached_path, pack_id, pack_of_attached, pack_path,
    read_directory, sidecar_path,
};
pub use sections::OTHER_VERSION;
