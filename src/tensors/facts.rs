//! What is known of one tensor beside its bytes.

use serde::Serialize;

use crate::history::{self, Repo};
use crate::store::Encoding;

use super::array::{fortran_shape, tensor_at};
use super::error::{Error, Result};
use super::index::Located;

/// What the file, the store and the container say of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: &'static str,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// The object that is its payload.
    pub id: String,
    /// Bytes of its payload.
    pub bytes: u64,
    /// What they take in the store.
    pub stored_bytes: u64,
    /// How the object is encoded.
    pub encoding: &'static str,
    /// The object that it is encoded against.
    pub base: Option<String>,
}

impl Facts {
    /// Looks one object up.
    pub(super) fn of(repo: &Repo, at: Located) -> Result<Self> {
        let recipe = repo.recipe(at.recipe)?;
        let (tensor, bytes) = tensor_at(&recipe, at.extent)?;
        let shape = fortran_shape(repo, &recipe, at.extent)?;
        let key = recipe.extents()[at.extent].key().ok_or(Error::NotAnArray)?;
        let info = repo.store().info(key).map_err(history::Error::from)?;
        Ok(Self {
            name: tensor.name.clone(),
            dtype: tensor.dtype.name(),
            shape: shape.unwrap_or_else(|| tensor.shape.clone()),
            id: key.to_string(),
            bytes,
            stored_bytes: info.as_ref().map_or(0, |info| info.stored_len),
            encoding: info.as_ref().map_or("missing", |info| encoding_name(info.encoding)),
            base: info.and_then(|info| info.base).map(|base| base.to_string()),
        })
    }
}

const fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::Compressed => "compressed",
        Encoding::Delta => "delta",
        Encoding::Cast => "cast",
    }
}
