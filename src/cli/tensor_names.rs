//! Tensors that are named on the command line, and what is told of each.

use super::error::CommandError;
use super::json::Key;
use super::quote;
use crate::history::TreePath;
use crate::recipe::TensorInfo;
use crate::store::ObjectInfo;
use schemars::JsonSchema;
use serde::Serialize;

/// That no tensor of a file is meant.
pub fn no_tensor(pattern: &str, file: &TreePath) -> CommandError {
    CommandError::new(format!("`{}` has no tensor `{}`", quote::path(file), quote::text(pattern)))
        .hint("`coral show REF:PATH` lists its tensors")
}

/// A tensor, and how it is stored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TensorRow {
    name: String,
    /// The type of its elements, as its file calls it
    dtype: String,
    /// Elements along each axis, as its file says
    shape: Vec<u64>,
    bytes: u64,
    /// What it takes in its pack; null if it is not stored, or only in parts
    stored_bytes: Option<u64>,
    /// What it is stored as a difference to
    base: Option<Key>,
    /// How many bases have to be decoded before it, at most
    depth: Option<u8>,
}

impl TensorRow {
    /// With its length, and what the store knows of it.
    pub fn of(tensor: &TensorInfo, len: u64, info: Option<&ObjectInfo>) -> Self {
        Self {
            name: tensor.name.clone(),
            dtype: tensor.shown_dtype(),
            shape: tensor.shown_shape().to_vec(),
            bytes: len,
            stored_bytes: info.map(|info| info.stored_len),
            base: info.and_then(|info| info.base).map(Key::from),
            depth: info.map(|info| info.depth),
        }
    }
}
