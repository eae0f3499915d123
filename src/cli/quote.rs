//! Paths of trees as commands show them, by the rule for all text that is shown.

pub use crate::quote::{file, name, text};

use crate::history::TreePath;
use crate::quote::argument;
use std::path::Path;
use std::sync::OnceLock;

/// The folder of the tree that somebody stands in.
static HERE: OnceLock<TreePath> = OnceLock::new();

/// Says where somebody stands who is told of paths, once.
pub fn stand_in(here: TreePath) {
    HERE.get_or_init(|| here);
}

/// A path of a tree; its top is `.`.
pub fn path(path: &TreePath) -> String {
    if path.is_root() { ".".to_owned() } else { name(&path.to_bytes()) }
}

/// The same in a command that somebody may copy into a shell. Below the top what is typed is relative, unless it begins with `:/`.
pub fn path_argument(path: &TreePath) -> String {
    match HERE.get().is_none_or(TreePath::is_root) {
        true if path.is_root() => ".".to_owned(),
        true => argument(&path.to_bytes()),
        false => argument(&[b":/", &*path.to_bytes()].concat()),
    }
}

/// The name of a ref, or another text, in such a command.
pub fn word(text: &str) -> String {
    argument(text.as_bytes())
}

/// A path on the disk in such a command.
pub fn file_argument(path: &Path) -> String {
    argument(path.as_os_str().as_encoded_bytes())
}
