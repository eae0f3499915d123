//! What is known of one tensor beside its bytes.

use serde::Serialize;

use crate::history::{self, Repo};
use crate::id::ObjectKey;
use crate::recipe::Extent;
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
        let key = repo.recipe(at.recipe)?.extents().get(at.extent).and_then(Extent::key);
        let info = repo.store().info(key.ok_or(Error::NotAnArray)?).map_err(history::Error::from)?;
        Ok(Self {
            stored_bytes: info.as_ref().map_or(0, |info| info.stored_len),
            encoding: info.as_ref().map_or(MISSING, |info| encoding_name(info.encoding)),
            base: info.and_then(|info| info.base).map(|base| base.to_string()),
            ..Self::in_file(repo, at)?
        })
    }

    /// What the file says, without a look-up of the object.
    pub(super) fn in_file(repo: &Repo, at: Located) -> Result<Self> {
        let recipe = repo.recipe(at.recipe)?;
        let (tensor, bytes) = tensor_at(&recipe, at.extent)?;
        let shape = fortran_shape(repo, &recipe, at.extent)?;
        Ok(Self {
            name: tensor.name.clone(),
            dtype: tensor.dtype.name(),
            shape: shape.unwrap_or_else(|| tensor.shape.clone()),
            id: recipe.extents()[at.extent].key().ok_or(Error::NotAnArray)?.to_string(),
            bytes,
            stored_bytes: 0,
            encoding: MISSING,
            base: None,
        })
    }
}

/// How an object is encoded that is not there.
const MISSING: &str = "missing";

/// The longest name of an encoding.
const LONGEST: &str = "compressed";

/// A base is an object's key in hexadecimal digits.
const BASE_DIGITS: usize = 2 * ObjectKey::LEN;

impl Facts {
    /// The same with what only the store knows as long as it can be.
    pub(super) fn widest(self) -> Self {
        let base = Some("0".repeat(BASE_DIGITS));
        Self { stored_bytes: u64::MAX, encoding: LONGEST, base, ..self }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_has_a_name_that_is_not_longer_than_the_longest() {
        let all = [Encoding::Raw, Encoding::Compressed, Encoding::Delta, Encoding::Cast].map(encoding_name);
        assert!(all.into_iter().chain([MISSING]).all(|name| name.len() <= LONGEST.len()));
    }
}
