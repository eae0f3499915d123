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

    pub(super) fn is_same(&self, other: &Given) -> bool {
        match (self, other) {
            (Given::Stored { recipe, .. }, Given::Stored { recipe: other, .. }) => recipe == other,
            (Given::Staged { path, len, .. }, Given::Staged { path: other, len: other_len, .. }) => {
                path == other && len == other_len
            }
            (Given::Stored { .. } | Given::Staged { .. }, _) => false,
        }
    }
}

/// A staging file that is empty stands for the first bytes of another file.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    pub of: Given,
    pub len: u64,
    /// Whether they are just being copied.
    pub is_copied: bool,
}
