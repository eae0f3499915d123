//! Paths of trees as commands show them, by the rule for all text that is shown.

pub use crate::quote::{file, name, text};

use crate::history::TreePath;

/// A path of a tree.
pub fn path(path: &TreePath) -> String {
    name(&path.to_bytes())
}
