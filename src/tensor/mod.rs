//! Tensors as bytes with a meaning: element types, shapes, and the lane layout that codecs work on.
//!
//! Knows nothing of files or of how tensors are stored.

mod block;
mod declared;
mod difference;
mod dtype;
mod histogram;
mod lane;
mod quantised;
mod real;
mod statistics;

pub use block::Block;
pub use declared::{Declared, Element, c_strides, memory_order};
pub use difference::{Difference, ULP_CLASSES};
pub use dtype::{Dtype, UnknownDtype};
pub use histogram::Histogram;
pub use lane::Lane;
pub use quantised::QUANTISED_ELEMENTS;
pub use real::{is_real, narrow, widen};
pub use statistics::Statistics;
