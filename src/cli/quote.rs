//! Paths of trees as commands show them, by the rule for all text that is shown.

pub use crate::quote::{file, name, text};

use crate::history::TreePath;
use crate::quote::argument;
use std::path::Path;

/// A path of a tree; its top is `.`.
pub fn path(path: &TreePath) -> String {
    if path.is_root() { ".".to_owned() } else { name(&path.to_bytes()) }
}

/// The same in a command that somebody may copy into a shell.
pub fn path_argument(path: &TreePath) -> String {
    if path.is_root() { ".".to_owned() } else { argument(&path.to_bytes()) }
}

/// The name of a ref, or another text, in such a command.
pub fn word(text: &str) -> String {
    argument(text.as_bytes())
}

/// A path on the disk in such a command.
pub fn file_argument(path: &Path) -> String {
    argument(path.as_os_str().as_encoded_bytes())
}
