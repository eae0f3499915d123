//! Tensors of the history by name: which files of a directory have some, which of them are one model, what each tensor
//! is called, and its bytes as an `.npy` file.
//!
//! Above the history, which knows trees and files; knows no mount, no inode and no worktree. Names stand in recipes, so
//! that no object is looked up before somebody asks for one tensor.

mod array;
mod error;
mod facts;
mod index;
mod lens;
mod lookup;
mod model;
mod names;
#[cfg(test)]
mod testing;

pub use array::Array;
pub use error::{Error, Result};
pub use facts::Facts;
pub use index::{Index, Located};
pub use lens::Lens;
pub use lookup::Tensors;
pub use model::Model;
