//! Why a model is not converted.

use super::refusal::Refused;
use crate::disk::DiskError;
use crate::history;
use crate::store::{SourceError, StoreError};
use crate::task::Stopped;

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model is not converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A source cannot be read, the destination cannot be written, something is in the way there, or it was stopped.
    #[error(transparent)]
    Repo(#[from] history::Error),
    /// Tensors cannot be what they are to become.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A source has no tensors.
    #[error("`{0}` has no tensors")]
    NoTensors(String),
    /// No tensor is meant.
    #[error("no tensor of the source is meant")]
    Nothing,
    /// There are more tensors than the container can tell of, or they are too large.
    #[error("a file of this kind cannot hold so many tensors, or such large ones")]
    TooLarge,
    /// The container keeps no such facts.
    #[error("{0} has no room for `--meta`")]
    NoMetadata(&'static str),
    /// The container is always one file.
    #[error("{0} is always one file")]
    NoShards(&'static str),
    /// Only one container has blocks.
    #[error("only GGUF has blocks of quantised numbers")]
    NoBlocks,
}

macro_rules! through_history {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                history::Error::from(error).into()
            }
        }
    )*};
}
through_history!(StoreError, DiskError, Stopped);

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        StoreError::from(error).into()
    }
}
