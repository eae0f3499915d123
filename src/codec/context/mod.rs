//! The context coder: differences to a base, entropy-coded with a table chosen by what is already known of each
//! element.
//!
//! What makes it small: the block's scale and the exponent of the base's element tell how large a step to expect, so
//! most steps are coded with a table of their own kind. `encode` has the layout of a coded frame. No published
//! lossless coder was found that conditions on the base's exponent.

mod bound;
mod buffers;
mod counts;
mod decode;
mod encode;
mod fit;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_avx2;
#[cfg(target_arch = "x86_64")]
mod lanes_avx512;
mod layout;
mod merge;
mod predict;
mod rans;
mod scales;
mod symbol;
mod tables;
mod with_lanes;

pub use bound::context_bound;
pub(super) use buffers::Buffers;
pub(super) use decode::decode;
pub(super) use encode::encode;

/// Flag of a coded frame: a decay precedes the scales.
const HAS_DECAY: u8 = 1;
/// The flags' bit from which on they say how many blocks share a scale.
const SHARING_AT: u32 = 1;
