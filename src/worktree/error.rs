//! What can go wrong with a worktree, one variant for each thing a caller would do differently.
//!
//! What goes wrong below it, in the history, the store or on the disk, is told as the history tells of it.

use crate::disk::DiskError;
use crate::history::{self, PathError, TreePath, short};
use crate::id::CommitId;
use crate::store::StoreError;
use crate::task::Stopped;
use std::path::PathBuf;

/// A result of a worktree.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a worktree.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that must be a directory is none.
    #[error("`{0}` is not a directory")]
    NotADirectory(TreePath),
    /// Something that must not be a directory is one.
    #[error("`{0}` is a directory")]
    IsADirectory(TreePath),
    /// A name is taken.
    #[error("`{0}` exists already")]
    Exists(TreePath),
    /// A directory to remove or replace has entries.
    #[error("`{0}` is not empty")]
    NotEmpty(TreePath),
    /// A directory cannot move into itself.
    #[error("`{0}` cannot move into itself")]
    IntoItself(TreePath),
    /// A node is gone.
    #[error("the file is gone")]
    Stale,
    /// The worktree that was opened, or its repository, is no longer what is there: it was deleted, moved away, or
    /// replaced by another of its name.
    #[error("`{}` was removed or replaced by another process", .0.display())]
    Replaced(PathBuf),
    /// Another process is writing to a file.
    #[error("`{0}` is being written by another process")]
    BeingWritten(TreePath),
    /// The disk accepted bytes of a file and did not keep them.
    #[error("the disk lost bytes of `{0}` that it had accepted")]
    LostBytes(TreePath),
    /// A change would be a longer record than any reader takes: paths are too long.
    #[error("the path is too long")]
    RecordTooLong,
    /// A journal holds something else.
    #[error("`{}` is damaged: {what}", path.display())]
    DamagedJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A commit would equal its parent.
    #[error("nothing to commit on `{branch}`: {}", if *is_part { "nothing at these paths differs from its last commit" } else { "the worktree equals its last commit" })]
    NothingToCommit {
        /// The branch.
        branch: String,
        /// Whether only some paths were meant.
        is_part: bool,
        /// Files left out because they are still being written.
        still_open: Vec<TreePath>,
    },
    /// The branch moved without its worktree.
    #[error("branch `{branch}` moved while its worktree has changes based on {}", short(*.base))]
    Diverged {
        /// The branch.
        branch: String,
        /// The commit that the worktree is based on.
        base: Option<CommitId>,
    },
    /// A commit is not the last one of its branch any more, whose place another was to take.
    #[error("{} is no longer the last commit of `{branch}`", short(Some(*.commit)))]
    NotTheLast {
        /// The branch.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
    /// An operation would drop changes.
    #[error("the worktree of `{0}` has changes that are not committed")]
    UncommittedChanges(String),
    /// A commit would leave conflicts undecided.
    #[error("{} path(s) of a merge are in conflict, the first is `{}`", .0.len(), first(.0))]
    Unmerged(Vec<TreePath>),
    /// Something was begun on a branch that has to come to its end first.
    #[error("a {what} is under way on `{branch}`")]
    UnderWay {
        /// `merge`, `revert` or `cherry-pick`.
        what: &'static str,
        /// The branch.
        branch: String,
    },
    /// Something was begun, and what comes in was not there yet when it was stopped.
    #[error("a {what} was stopped before its changes were there")]
    CutShort {
        /// `merge`, `revert` or `cherry-pick`.
        what: &'static str,
    },
    /// There is nothing of the kind under way that could go on or be given up.
    #[error("no merge, revert or cherry-pick is under way on `{0}`")]
    NothingUnderWay(String),
    /// What is about to be dropped cannot be kept in the history, so that it stays.
    #[error("what would be dropped cannot be kept for `coral undo`: {0}")]
    NotKept(#[source] Box<Error>),
    /// A repository's own folder would be taken into it.
    #[error("`{}` is in the repository's own store", .0.display())]
    OwnStore(PathBuf),
    /// What a mount of a repository shows would be taken into it.
    #[error("`{}` is in a mount of this repository", .0.display())]
    OwnMount(PathBuf),
    /// The history, the store or the disk could not do it.
    #[error(transparent)]
    History(history::Error),
}

fn first(paths: &[TreePath]) -> String {
    paths.first().map(TreePath::to_string).unwrap_or_default()
}

impl Error {
    /// That something is not dropped, because this keeps it from being kept.
    pub fn not_kept(self) -> Self {
        match self {
            // Whoever was asked to stop, or has to look again, is not in the way of keeping it.
            Error::Stale
            | Error::Replaced(_)
            | Error::NotKept(_)
            | Error::History(history::Error::Stopped(_)) => self,
            error => Error::NotKept(Box::new(error)),
        }
    }

    /// What the disk said, if it was asked for something of the worktree itself.
    pub(super) fn disk(&self) -> Option<&DiskError> {
        match self {
            Error::History(history::Error::Disk(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the cause is that a file or folder is not there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Error::History(error) if error.is_absence())
    }

    /// Whether the cause is a disk or quota that is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::History(error) if error.is_full())
    }
}

impl From<history::Error> for Error {
    fn from(error: history::Error) -> Self {
        match error {
            // A worktree goes with its repository.
            history::Error::Replaced(path) => Error::Replaced(path),
            error => Error::History(error),
        }
    }
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
through_history!(DiskError, PathError, StoreError, Stopped);
