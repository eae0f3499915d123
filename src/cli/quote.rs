//! Paths of trees as commands show them, by the rule for all text that is shown.

pub use crate::quote::{file, name, text};

use crate::history::TreePath;

/// A path of a tree; its top is `.`.
pub fn path(path: &TreePath) -> String {
    if path.is_root() { ".".to_owned() } else { name(&path.to_bytes()) }
}
