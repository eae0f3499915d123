//! Recipes: what one file is made of, and which tensors are in it.
//!
//! Knows keys, not where objects are, nor how they are stored.

mod encoding;
mod extent;
mod file;
mod table;

pub use extent::Extent;
pub use file::{INLINE_LIMIT, Recipe};
pub use table::{Place, Tensor, TensorInfo};
