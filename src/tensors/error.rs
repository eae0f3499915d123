//! What can go wrong with a tensor that was asked for by name.

use crate::convert;
use crate::history;

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a tensor cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is there is no tensor, or none that an `.npy` file can describe.
    #[error("it is no tensor that an .npy file can hold")]
    NotAnArray,
    /// The history could not do it.
    #[error(transparent)]
    History(#[from] history::Error),
}

impl From<convert::Error> for Error {
    fn from(error: convert::Error) -> Self {
        match error {
            convert::Error::Repo(error) => error.into(),
            _ => Error::NotAnArray,
        }
    }
}
