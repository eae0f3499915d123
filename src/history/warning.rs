//! What goes wrong after the point of no return: what was asked for has happened and stands, and somebody should know.

use super::error::Error;
use crate::disk::DiskError;

/// A trouble that comes too late to be an error, or something that was done on the way.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    /// The change is there for everybody, but the disk did not say that it would survive a power cut.
    #[error("it is done, but a power cut now might undo it: {0}")]
    NotDurable(#[source] DiskError),
    /// Several refs say something else now, for everybody, but not all of their files do yet.
    #[error("it is done; the next change of a ref has to finish it first: {0}")]
    Unfinished(#[source] Box<Error>),
    /// Folders that nothing is in any more stay.
    #[error("it is done, but something needless stays: {0}")]
    Leftover(#[source] DiskError),
}

impl Warning {
    /// Why a power cut might undo it.
    pub fn not_durable(self) -> Option<DiskError> {
        match self {
            Warning::NotDurable(error) => Some(error),
            _ => None,
        }
    }
}
