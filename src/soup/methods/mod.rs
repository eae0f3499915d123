//! One file for each method: from parameters, and what it has to know of whole tensors, to what is done to each element.

mod asked;
mod ema;
mod linear;
mod model_stock;
mod nuslerp;
mod passthrough;
mod prepare;
mod slerp;
mod task;

pub use asked::{Asked, Prepared, Remark};
pub use prepare::prepare;
