//! What can go wrong with the history of a repository, one variant for each thing a caller would do differently.

use super::path::{Name, PathError, TreePath};
use super::ref_name::RefNameError;
use crate::disk::DiskError;
use crate::id::CommitId;
use crate::store::{SourceError, StoreError};
use crate::task::Stopped;
use crate::wire::WireError;
use std::fmt;
use std::path::PathBuf;

/// A result of the repository.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository at or above a folder.
    #[error("no repository at `{}` or any folder above it", .0.display())]
    NotARepository(PathBuf),
    /// There is one already.
    #[error("`{}` already is a repository", .0.display())]
    AlreadyARepository(PathBuf),
    /// A newer program made the repository.
    #[error("`{}` has format {found}; this program reads up to {known}", path.display())]
    NewerFormat {
        /// The repository.
        path: PathBuf,
        /// Its format.
        found: String,
        /// The newest format that this program reads.
        known: u32,
    },
    /// A revision means nothing here.
    #[error("unknown revision `{text}`")]
    UnknownRevision {
        /// What was asked for.
        text: String,
        /// A name close to it that exists.
        nearest: Option<String>,
    },
    /// A prefix fits several commits.
    #[error("`{text}` is the start of {count} commits")]
    AmbiguousPrefix {
        /// The prefix.
        text: String,
        /// How many commits it fits.
        count: usize,
        /// The newest of them, with their subjects.
        matches: Vec<(CommitId, String)>,
    },
    /// What may be a prefix is too short to be one.
    #[error("`{text}` is too short for the start of a commit: it takes {least} digits")]
    TooShort {
        /// What was asked for.
        text: String,
        /// How many digits are enough.
        least: usize,
    },
    /// A revision leads further than there is something.
    #[error("`{text}` names nothing: {has}")]
    TooFar {
        /// What was asked for.
        text: String,
        /// What there is.
        has: Limit,
    },
    /// An instant that nobody understands.
    #[error("`{0}` is no time")]
    UnknownTime(String),
    /// A ref names a commit that is not in the store.
    #[error("`{name}` names commit {}, which is not in the store", &.commit.to_string()[..10])]
    MissingCommit {
        /// The ref, or what else was asked for.
        name: String,
        /// The commit.
        commit: CommitId,
    },
    /// A path is not in a tree.
    #[error("no `{path}` in {place}")]
    UnknownPath {
        /// What was asked for.
        path: TreePath,
        /// Where: a revision or a worktree.
        place: String,
        /// A path close to it that exists.
        nearest: Option<TreePath>,
    },
    /// What was opened is no longer what is there: it was deleted, moved away, or replaced by another of its name.
    #[error("`{}` was removed or replaced by another process", .0.display())]
    Replaced(PathBuf),
    /// A path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A ref name is malformed.
    #[error(transparent)]
    RefName(#[from] RefNameError),
    /// A ref to be created exists.
    #[error("{kind} `{name}` exists already")]
    RefExists {
        /// `branch` or `tag`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A name of which Coral makes tags itself.
    #[error("`{0}` is a name for what `coral undo` brings back")]
    ReservedName(String),
    /// A ref to be created would be a folder of another, or below it.
    #[error("{kind} `{name}` cannot exist beside `{other}`")]
    RefConflict {
        /// `branch` or `tag`.
        kind: &'static str,
        /// The new one.
        name: String,
        /// The one in the way.
        other: String,
    },
    /// Somebody else took an operation back, or did it again, at the same moment.
    #[error("operation {0} was taken back, or done again, by somebody else just now")]
    Overtaken(usize),
    /// There is no such ref.
    #[error("no {kind} is called `{name}`")]
    UnknownRef {
        /// `branch` or `tag`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// A name close to it that exists.
        nearest: Option<String>,
    },
    /// Somebody else moved a ref in between.
    #[error("`{name}` moved in the meantime: expected {}, found {}", short(*.expected), short(*.found))]
    RefMoved {
        /// The ref.
        name: String,
        /// What it pointed to before.
        expected: Option<CommitId>,
        /// What it points to now.
        found: Option<CommitId>,
    },
    /// A ref file holds something else.
    #[error("`{}` is damaged: {what}", path.display())]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// HEAD names no branch.
    #[error("HEAD is detached at {0}: no branch to work on")]
    DetachedHead(CommitId),
    /// The branch has no commit yet.
    #[error("branch `{0}` has no commits yet")]
    Unborn(String),
    /// The current branch cannot be deleted.
    #[error("`{0}` is the current branch")]
    CurrentBranch(String),
    /// A branch holds commits that no other ref reaches.
    #[error("branch `{0}` has commits that nothing else reaches")]
    NotMerged(String),
    /// A file kept changing while it was read.
    #[error("`{0}` changed while it was being read")]
    KeepsChanging(PathBuf),
    /// An export would overwrite something.
    #[error("`{}` exists already", .0.display())]
    OutputExists(PathBuf),
    /// A file is of a kind that no history records.
    #[error("`{}` is neither a file, a directory nor a symbolic link", .0.display())]
    UnsupportedFile(PathBuf),
    /// A directory and the recipe that it names do not agree.
    #[error("`{name}` has {found} bytes, its directory says {recorded}")]
    WrongLength {
        /// The file.
        name: String,
        /// What the directory says.
        recorded: u64,
        /// What the recipe says.
        found: u64,
    },
    /// The bytes of a file do not hash to what its recipe says.
    #[error("`{0}` does not have the bytes that were saved")]
    WrongBytes(String),
    /// A draft names a file whose bytes are not in the store yet.
    #[error("`{0}` is not stored yet")]
    NotStored(Name),
    /// An object does not decode.
    #[error("{what} is damaged: {source}")]
    Damaged {
        /// The object.
        what: String,
        /// What is wrong with it.
        source: WireError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The disk failed.
    #[error(transparent)]
    Disk(DiskError),
    /// Who asked for it does not want it any more: nothing has changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What there is of something of which more was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Commits before one, by first parents.
    Ancestors {
        /// What it was called.
        of: String,
        /// How many.
        count: usize,
    },
    /// Parents of a commit.
    Parents {
        /// The commit.
        of: CommitId,
        /// How many.
        count: usize,
    },
    /// Moves in a log.
    Entries {
        /// Whose.
        of: String,
        /// How many.
        count: usize,
    },
    /// Switches of HEAD.
    Switches(usize),
    /// Commits whose messages have a text: none.
    Message(String),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: &usize| if *count == 1 { "" } else { "s" };
        match self {
            Limit::Ancestors { of, count } => write!(f, "`{of}` has {count} ancestor{}", s(count)),
            Limit::Parents { of, count } => {
                write!(f, "{} has {count} parent{}", &of.to_string()[..10], s(count))
            }
            Limit::Entries { of, count: 1 } => write!(f, "the log of `{of}` has 1 entry"),
            Limit::Entries { of, count } => write!(f, "the log of `{of}` has {count} entries"),
            Limit::Switches(count) => write!(f, "HEAD was switched {count} time{}", s(count)),
            Limit::Message(text) => write!(f, "no message has `{text}`"),
        }
    }
}

impl Error {
    /// Whether the cause is that a file or folder is not there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Error::Disk(error) if error.is_absence())
    }

    /// Whether the cause is a disk or quota that is full.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Store(error) => error.is_full(),
            Error::Disk(error) => error.is_full(),
            _ => false,
        }
    }
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        error.stopped().map_or(Error::Disk(error), Error::Stopped)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped(stopped) => Error::Stopped(stopped),
            // What was to be stored or looked at was itself read from here.
            StoreError::Source(error) => match error.into_cause().downcast::<Error>() {
                Ok(error) => *error,
                Err(cause) => Error::Store(StoreError::Source(SourceError::new(cause))),
            },
            error => Error::Store(error),
        }
    }
}

/// A commit for a message: the first ten digits, or what stands for none.
pub(crate) fn short(id: Option<CommitId>) -> String {
    id.map_or_else(|| "no commit".to_owned(), |id| id.to_string()[..10].to_owned())
}
