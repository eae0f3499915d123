//! When the files that a training program saves are a checkpoint, what it says of itself, and what a commit of it is called.
//!
//! Pure: paths, bytes and instants in, decisions out. Knows no worktree, no clock and no mount.

mod facts;
mod message;
mod policy;
mod sentinel;

pub use facts::{Facts, STATE_FILES, step_of_name};
pub use message::message;
pub use policy::{Due, Event, Policy, When};
