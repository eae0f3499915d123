//! The bytes of a file as another one may have them without a copy: named, not read.

use crate::disk::DiskFile;
use crate::id::RecipeId;
use std::path::PathBuf;
use std::sync::Arc;

/// The bytes of a whole file, which never change.
#[derive(Debug, Clone)]
pub enum Given {
    /// They are in the store.
    Stored {
        /// What they are made of.
        recipe: RecipeId,
        /// How many there are.
        len: u64,
    },
    /// They are in a staging file.
    Staged {
        /// Where it is, or was.
        path: PathBuf,
        /// The file.
        file: Arc<dyn DiskFile>,
        /// How many there are.
        len: u64,
    },
}

impl Given {
    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        match self {
            Given::Stored { len, .. } | Given::Staged { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
