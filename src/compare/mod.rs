//! What differs between two files that people look at: their tensors and numbers, or their lines.
//!
//! Knows what files are made of ([`FileContent`](crate::history::FileContent)) and no commit, no worktree. What is known to
//! be equal by its key is never read; the rest is read in pieces, by all threads at once, and each number comes out the
//! same however many those are.

mod lines;
mod pairs;
mod renames;
mod similarity;
mod tensors;

pub use lines::{Line, LineDiff, line_diff, same_lines};
pub use renames::{FileChange, with_renames};
pub use similarity::{Category, Likeness};
pub use tensors::{FileDifference, TensorChange, TensorKind, Wanted, compare_files};
