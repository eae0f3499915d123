//! From keys to bytes: which frames of which objects a range needs, and decoding them.
//!
//! Every frame's checksum is compared before it is decoded; a doubt is an error, never wrong bytes.

mod buffers;
mod by_key;
mod cache;
mod chain;
mod counted;
mod decoder;
mod equals;
mod formulas;
mod frames;
mod object_source;
mod plan;
mod prefix;
mod reader;
mod undo;
mod whole_copies;

pub use buffers::Buffers;
pub use cache::{Cache, Memory};
pub use chain::{Chain, MAX_WIDTH_ANEW, Objects};
pub use decoder::Decoder;
pub use equals::same_bytes;
pub use formulas::read_formula;
pub use frames::FrameReader;
pub use object_source::Stored;
pub use reader::ObjectReader;
pub use whole_copies::WholeCopies;
