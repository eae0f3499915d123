//! Container formats: where in a file's bytes the tensors are.
//!
//! A parser only *proposes* extents: whoever stores them hashes the re-assembled file, so a mistake here can cost
//! space and never a byte. Formats are recognised by content, never by name; whatever is doubtful is plain bytes, cut
//! where its content says. Knows element types; knows no store, no disk and no path. Total on hostile bytes: no
//! panic, and what is read and kept of one file is bounded, with all archives in it: beyond that it is plain bytes too.

mod bytes;
mod chunks;
mod cursor;
pub mod gguf;
pub mod gguf_header;
mod hdf5;
mod msgpack;
pub mod npy;
pub mod npz;
mod onnx;
mod pickle;
mod pickle_arrays;
mod pickle_walk;
mod propose;
mod region;
pub mod safetensors;
mod sniff;
mod tar;
#[cfg(test)]
pub(crate) mod testing;
mod torch;
mod torch_legacy;
mod zip;

pub use bytes::Bytes;
pub use chunks::{CHUNK_AVERAGE, CHUNK_MAX, CHUNK_MIN};
pub use propose::{Extent, Proposal, Proposed, passed_over, propose};
pub use region::{Found, LITERAL_MAX};
