//! Paths of trees as commands show them, by the rule for all text that is shown.

pub use crate::quote::{file, name, text};

use crate::history::TreePath;
use serde_json::{Value, json};

/// A path of a tree.
pub fn path(path: &TreePath) -> String {
    name(&path.to_bytes())
}

/// Puts a path into a JSON object: `path`, and `path_hex` with the very bytes if they are no text.
pub fn put_path(object: &mut Value, path: &TreePath) {
    let bytes = path.to_bytes();
    object["path"] = json!(path.to_string());
    if std::str::from_utf8(&bytes).is_err() {
        object["path_hex"] = json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}
