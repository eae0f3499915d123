//! How the bytes of one object come of those of others, element by element.
//!
//! Whoever mixes models uses the arithmetic; the store keeps a formula in the place of what it makes, or as what that is
//! a difference to. Nothing in it depends on a sum over all elements: those were computed before, and are numbers in it. So
//! any element can be made from those that face it alone, with the same bits on every machine and forever.
//!
//! Content that is made of pieces of other content as they are is a mosaic.
//!
//! Knows bytes and numbers; not where they come from.

mod computation;
mod elementwise;
mod encoding;
#[expect(clippy::module_inception, reason = "a file is called what its type is")]
mod formula;
mod mask;
mod mosaic;
mod stock;
mod strip;
mod task;
mod top;
mod weighted;

pub use computation::Computation;
pub use elementwise::Elementwise;
pub use formula::{Formula, NumberBuffers, OPERANDS_MAX, Operand};
pub use mask::Mask;
pub use mosaic::{Mosaic, PIECES_MAX, Piece};
pub use stock::towards_mean;
pub use strip::Strip;
pub use task::{Consensus, Scaling, TaskVectors};
pub use top::{Top, size};
pub use weighted::{SUM_MIN, Weighted, plain_sum};
