//! Merging trees three ways: path by path, and inside of files tensor by tensor.
//!
//! Pure upon the history: from three trees to the changes that one of them needs and the conflicts that are left. Knows no
//! worktree and moves no ref. A merged file has the layout of the first side.

mod conflict;
mod favor;
mod lines;
mod mix;
mod share;
mod tensors;
mod trees;
mod virtual_base;
mod word;

pub use conflict::{Conflict, ConflictKind};
pub use favor::{Favor, Way};
pub use share::Mix;
pub use trees::{Sides, TreeMerge, merge_trees};
pub use virtual_base::base_tree;
pub use word::MergeWord;
