//! What goes wrong after the point of no return: what was asked for has happened and stands, and somebody should know.

use super::error::Error;
use super::ref_name::BranchName;
use crate::disk::DiskError;
use std::path::PathBuf;

/// A trouble that comes too late to be an error, or something that was done on the way.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    /// The change is there for everybody, but the disk did not say that it would survive a power cut.
    #[error("it is done, but a power cut now might undo it: {0}")]
    NotDurable(#[source] DiskError),
    /// Folders that nothing is in any more stay.
    #[error("it is done, but something needless stays: {0}")]
    Leftover(#[source] DiskError),
    /// The worktree of a branch did not go along.
    #[error("it is done, but not in the worktree of `{branch}`: {source}")]
    Worktree {
        /// The branch.
        branch: BranchName,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A commit was made that should have been named, and was not.
    #[error("the commit was made, but it has no tag: {0}")]
    Tag(#[source] Box<Error>),
    /// A worktree of an earlier branch of this name was in the way.
    #[error("an earlier branch `{branch}` left files that were never committed; they are set aside in `{}`", path.display())]
    SetAside {
        /// The branch.
        branch: BranchName,
        /// Where they are now.
        path: PathBuf,
    },
}
