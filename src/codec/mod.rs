//! Lossless coding of one frame of a tensor: pure functions on slices.
//!
//! A frame is at most [`FRAME_LEN`] consecutive bytes of an object. It is coded alone or as a difference to the same
//! byte range of a base object. Codecs know no object, key, file or clock, and decoding is total: any bytes give
//! either the frame or a typed error, in memory bounded by the frame's length.

mod cast;
mod coder;
mod context;
mod delta_type;
mod entropy;
mod estimate;
mod frame;
mod isa;
mod lossy;
mod plane;
mod planes;
mod repeat;
mod sample;
mod scratch;
mod tag;
mod turns;
mod word;
mod zstd;

#[cfg(test)]
mod tests;

pub use cast::{cast, cast_sources, is_castable};
pub use coder::{Coder, encode_frame_as};
pub use context::context_bound;
pub use delta_type::{DeltaType, UnknownDeltaType};
pub use estimate::{Estimate, estimate};
pub use frame::{DecodeError, FRAME_LEN, Level, UnknownLevel, decode_frame, encode_frame};
pub use isa::Isa;
pub use lossy::{Lossy, LossyError, LossyType, apply_lossy, encode_lossy};
pub use tag::{RAW_TAG, tag_needs_base};
