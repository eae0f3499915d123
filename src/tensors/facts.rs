//! What is known of one tensor beside its bytes.

use serde::Serialize;

use crate::history::{self, Repo};
use crate::id::ObjectKey;
use crate::store::Encoding;

use super::array::{fortran_shape, tensor_at};
use super::error::Result;
use super::index::Located;

/// What the file, the store and the container say of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Facts {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: String,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// From one element along each axis to the next, where that is not C order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strides: Option<Vec<u64>>,
    /// Whether its values are the complex conjugates of what is stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conjugate: bool,
    /// Whether its values are the negatives of what is stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub negative: bool,
    /// The object that is its payload; `None` if that is parts of others.
    pub id: Option<String>,
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
        let key = recipe.key_of(tensor_at(&recipe, at.tensor)?.0);
        let info = key.map(|key| repo.store().info(key)).transpose().map_err(history::Error::from)?.flatten();
        let missing = if key.is_some() { MISSING } else { PARTS };
        Ok(Self {
            stored_bytes: info.as_ref().map_or(0, |info| info.stored_len),
            encoding: info.as_ref().map_or(missing, |info| encoding_name(info.encoding)),
            base: info.and_then(|info| info.base).map(|base| base.to_string()),
            ..Self::in_file(repo, at)?
        })
    }

    /// What the file says, without a look-up of the object.
    pub(super) fn in_file(repo: &Repo, at: Located) -> Result<Self> {
        let recipe = repo.recipe(at.recipe)?;
        let (tensor, _, bytes) = tensor_at(&recipe, at.tensor)?;
        let info = &tensor.info;
        let shape = fortran_shape(repo, &recipe, at.tensor)?;
        let declared = info.declared.as_deref();
        Ok(Self {
            name: info.name.clone(),
            dtype: info.shown_dtype(),
            shape: shape.unwrap_or_else(|| info.shown_shape().to_vec()),
            strides: declared.and_then(|declared| declared.strides.clone()),
            conjugate: declared.is_some_and(|declared| declared.conjugate),
            negative: declared.is_some_and(|declared| declared.negative),
            id: recipe.key_of(tensor).map(|key| key.to_string()),
            bytes,
            stored_bytes: 0,
            encoding: MISSING,
            base: None,
        })
    }
}

/// How an object is encoded that is not there.
const MISSING: &str = "missing";

/// The same of a tensor that is parts of objects.
const PARTS: &str = "parts";

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
        Encoding::Computed => "computed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_has_a_name_that_is_not_longer_than_the_longest() {
        let all = [Encoding::Raw, Encoding::Compressed, Encoding::Delta, Encoding::Cast, Encoding::Computed]
            .map(encoding_name);
        assert!(all.into_iter().chain([MISSING, PARTS]).all(|name| name.len() <= LONGEST.len()));
    }
}
