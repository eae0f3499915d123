//! What goes wrong when it is done already, or is done on the way, where worktrees are part of it.

use super::error::Error;
use crate::disk::DiskError;
use crate::history::{self, BranchName};
use std::path::PathBuf;

/// A trouble that comes too late to be an error, or something that was done on the way.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    /// It is one of the refs.
    #[error(transparent)]
    Refs(#[from] history::Warning),
    /// The worktree of a branch did not go along.
    #[error("it is done, but not in the worktree of `{branch}`: {source}")]
    Worktree {
        /// The branch.
        branch: BranchName,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A branch came back without the files that its worktree had.
    #[error("`{branch}` is back without its files, which `coral redo` and then `coral undo` bring: {why}")]
    FilesAway {
        /// The branch.
        branch: BranchName,
        /// Why.
        why: String,
    },
    /// A worktree of an earlier branch of this name was in the way.
    #[error("an earlier branch `{branch}` left files that were never committed; they are set aside in `{}`", path.display())]
    SetAside {
        /// The branch.
        branch: BranchName,
        /// Where they are now.
        path: PathBuf,
    },
}

impl Warning {
    /// Whether a power cut might undo what was done.
    pub(super) fn is_not_durable(&self) -> bool {
        matches!(self, Warning::Refs(history::Warning::NotDurable(_)))
    }

    /// Why a power cut might undo it.
    pub(super) fn not_durable(self) -> Option<DiskError> {
        match self {
            Warning::Refs(warning) => warning.not_durable(),
            _ => None,
        }
    }
}
