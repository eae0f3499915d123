//! Models in other containers: the tensors of some files, of whatever kind they are, written as safetensors, npz or GGUF.
//!
//! What is read is what each container means by its tensors, not how they lie: views are gathered, big-endian numbers turned,
//! blocks computed where other numbers are wanted. It is done piece by piece, by all threads, in bounded memory; the pieces are
//! written where they belong beside what they become, which appears when all of it is durable. What cannot be said in the
//! container that is wanted is refused by name before anything is written.
//!
//! Knows where bytes come from ([`Source`](crate::store::Source)); knows no commit, no worktree and no path of a tree.

mod cast;
mod error;
mod gather;
mod layout;
mod numbers;
mod origin;
mod plan;
mod refusal;
mod shards;
#[cfg(test)]
mod tests;
mod view;
mod write;

pub use error::{Error, Result};
pub use numbers::{Floats, are_numbers};
pub use origin::Origin;
pub use plan::{Container, Plan, Planned, Wish, plan};
pub use refusal::{Refusal, Refused, Why};
pub use shards::Written;
pub use write::{Target, write};
