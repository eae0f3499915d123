//! Why there is no soup: each tensor by its name.

use super::problem::Trouble;
use crate::history;
use crate::store::{SourceError, StoreError};
use crate::task::Stopped;
use crate::tensor::Dtype;

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a tensor cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository says no.
    #[error(transparent)]
    Repo(#[from] history::Error),
    /// Tensors do not face each other.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// A file is of a kind whose tensors cannot be exchanged: it keeps checksums of them, or says nothing of its own.
    #[error("file {} of model 1 is of a kind that tensors cannot be put into", file + 1)]
    Container {
        /// Which of the model's files.
        file: usize,
    },
    /// Something depends on all numbers of a tensor, and some are none, or their squares are too large.
    #[error("`{tensor}` has numbers that are not finite, and what is made of them depends on all")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// Numbers do not fit into the type of the result.
    #[error("{elements} elements of `{tensor}` are too large for {}", dtype.name())]
    Overflow {
        /// The tensor.
        tensor: String,
        /// How many.
        elements: u64,
        /// The type of the result.
        dtype: Dtype,
    },
    /// Weights that are divided by their sum have none.
    #[error("the weights of `{tensor}` add up to zero")]
    ZeroSum {
        /// The tensor.
        tensor: String,
    },
    /// A formula has no value for these operands.
    #[error("{method} has no value for `{tensor}`: {why}")]
    Undefined {
        /// The method.
        method: &'static str,
        /// The tensor.
        tensor: String,
        /// Why.
        why: String,
    },
    /// A parameter is missing.
    #[error("{method} needs `{parameter}` for `{tensor}`")]
    Missing {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The tensor.
        tensor: String,
    },
    /// A parameter is outside of where it has a meaning.
    #[error("`{parameter}` is {value} for `{tensor}`, and must be {allowed}")]
    OutOfRange {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
        /// The tensor.
        tensor: String,
        /// In words.
        allowed: &'static str,
    },
    /// A method takes another number of models.
    #[error("{method} takes {takes}, and {given} are given")]
    Operands {
        /// The method.
        method: &'static str,
        /// In words.
        takes: &'static str,
        /// How many there are.
        given: usize,
    },
    /// A row is too long for what has to see it whole.
    #[error("a row of `{tensor}` has {elements} elements, and {method} sees at most {most} at once")]
    LongRow {
        /// The method.
        method: &'static str,
        /// The tensor.
        tensor: String,
        /// Its length.
        elements: u64,
        /// The most.
        most: u64,
    },
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        history::Error::from(stopped).into()
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        history::Error::from(error).into()
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        StoreError::from(error).into()
    }
}
