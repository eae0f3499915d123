//! The arithmetic of models: one made of several by a method, tensor by tensor.
//!
//! `docs/merge.md` defines it to the last bit. Numbers are widened to `f64` exactly, computed in the order of the operands,
//! and rounded once. Nothing depends on how many threads there are or on what is read at once: sums are added in blocks of a
//! fixed length and then in pairs, random numbers are known by their place. Memory is a few pieces of each operand, however
//! large a tensor is.
//!
//! Knows where bytes come from ([`Source`](crate::store::Source)) and no commit, no path and no worktree.

mod arc;
mod bake;
mod blend;
mod blocks;
mod error;
mod facing;
mod kernel;
mod layers;
mod mergekit;
mod method;
mod methods;
mod model;
mod parameters;
mod passes;
mod plan;
mod problem;
mod scratch;
mod side_files;
mod stock;
mod stream;
mod sums;
#[cfg(test)]
mod tests;
mod top;
mod values;
mod write;
mod yaml;

pub use crate::formula::Consensus;
pub(crate) use bake::has_checksums;
pub use bake::{Baked, Order, Report, bake, forecast};
pub use blend::{Blend, Making};
pub use error::{Error, Result};
pub use facing::{Facing, Numbers};
pub use kernel::Kernel;
pub use layers::{Layer, Layers};
pub use mergekit::{NamedRecipe, read_recipe};
pub use method::{Base, Method};
pub use methods::{Asked, Prepared, Remark, prepare};
pub use model::{Model, Tensor};
pub use parameters::{Parameter, Parameters, Rescale, Scope, Settings};
pub use passes::Passes;
pub use plan::{Recipe, Slice};
pub use problem::{Problem, Trouble};
pub use scratch::sweep_scratch;
pub use side_files::{SIDE_FILE_MAX, configuration_of, index_of};
pub use values::{BadValues, Values};
pub use write::{Part, TakeIn, Written, write_file};
pub use yaml::YamlError;
