//! Tensors that are named on the command line, and what is told of each.

use super::error::CommandError;
use super::quote;
use crate::history::TreePath;
use crate::recipe::TensorInfo;
use crate::store::ObjectInfo;
use serde_json::{Value, json};

/// That no tensor of a file is meant.
pub fn no_tensor(pattern: &str, file: &TreePath) -> CommandError {
    CommandError::new(format!("`{}` has no tensor `{}`", quote::path(file), quote::text(pattern)))
        .hint("`coral show REF:PATH` lists its tensors")
}

/// A tensor as JSON.
pub fn tensor_json(tensor: &TensorInfo, len: u64, info: Option<&ObjectInfo>) -> Value {
    json!({
        "name": tensor.name, "dtype": tensor.shown_dtype(), "shape": tensor.shown_shape(), "bytes": len,
        "stored_bytes": info.map(|info| info.stored_len),
        "base": info.and_then(|info| info.base).map(|key| key.to_string()),
        "depth": info.map(|info| info.depth),
    })
}
