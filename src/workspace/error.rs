//! Why there is nothing to work with, or what was asked for is refused.

use crate::config::ConfigError;
use crate::disk::DiskError;
use crate::history::{self, PathError, RefNameError, TreePath};
use crate::id::CommitId;
use crate::store::StoreError;
use crate::worktree;
use std::io;
use std::path::PathBuf;

/// A result of the workspace.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the workspace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository says no.
    #[error(transparent)]
    Repo(history::Error),
    /// A worktree says no.
    #[error(transparent)]
    Worktree(worktree::Error),
    /// A setting does not hold.
    #[error("{source}")]
    Config {
        /// What is wrong with it.
        source: ConfigError,
        /// The file that has it; `None` for the environment.
        file: Option<PathBuf>,
    },
    /// A file of settings cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no place for settings of the user.
    #[error("there is no place for the user's settings")]
    Homeless,
    /// The folder is left of a branch that is gone: nothing that is asked for there may be done to another one.
    #[error("this is the worktree of `{0}`, and that branch is gone")]
    BranchGone(String),
    /// A path climbs out of the worktree that it is relative to.
    #[error("`{}` leads out of the worktree", .0.display())]
    OutOfWorktree(PathBuf),
    /// A path is in the worktree of another branch than the one that is meant.
    #[error("`{}` is in the worktree of `{branch}`, which is not the branch that is meant here", path.display())]
    OtherWorktree {
        /// As it lies in the mount.
        path: PathBuf,
        /// The branch of that worktree.
        branch: String,
    },
    /// A path has no last name under which it could be added.
    #[error("`{}` has no name of its own", .0.display())]
    Nameless(PathBuf),
    /// A folder around the repository was to be added under its own name.
    #[error("`{}` is around the repository, and not said is where it is to go", .0.display())]
    Around(PathBuf),
    /// There are no changes to be put aside.
    #[error("no changes on `{0}` to put aside: the worktree equals its last commit")]
    NothingToStash(String),
    /// There are not so many stashes.
    #[error("there is no stash@{{{back}}}: {}", if *count == 0 { "nothing is put aside".to_owned() } else { format!("the oldest is stash@{{{}}}", count - 1) })]
    NoStashBack {
        /// So many before the newest.
        back: usize,
        /// How many there are.
        count: usize,
    },
    /// Something is not in the worktree where it was to be.
    #[error("no `{}` here, which is the worktree of `{branch}`", path.display())]
    NotHere {
        /// As it was typed.
        path: PathBuf,
        /// The branch.
        branch: String,
    },
    /// It is not said from which of its parents the changes of a commit are counted.
    #[error("{commit} has {parents} parents, and it is not said which of them its changes are counted from")]
    Mainline {
        /// The commit.
        commit: String,
        /// How many it has.
        parents: usize,
    },
    /// Nothing is left that could be taken back, or done again.
    #[error("there is nothing left to take back or to do again")]
    NothingToUndo,
    /// Files that were dropped cannot come back, or go again, as something else was saved there. The first path is named.
    #[error("{} path(s) were changed since, the first is `{}`", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    ChangedSince(Vec<TreePath>),
    /// No search for a bad commit is under way.
    #[error("no bisection is under way")]
    NoBisection,
    /// Something is no file of a commit.
    #[error("`{0}` is no file of a commit")]
    NoFile(history::TreePath),
    /// There is no stash of a number, or none at all.
    #[error("{}", .0.map_or("nothing is put aside".to_owned(), |number| format!("there is no stash {number}")))]
    NoStash(Option<u32>),
    /// A stash and the worktree, or what was committed since, changed the same. The first path is named.
    #[error("{} path(s) of the stash changed otherwise since, the first is `{}`", paths.len(), paths.first().map(ToString::to_string).unwrap_or_default())]
    StashConflicts {
        /// Which stash.
        number: u32,
        /// Where they differ.
        paths: Vec<TreePath>,
    },
    /// A commit that is good comes behind one that is bad, or is the same.
    #[error("{} is bad, and {}, which is good, is not before it", &bad.to_string()[..10], &good.to_string()[..10])]
    BadBeforeGood {
        /// The bad one.
        bad: CommitId,
        /// The good one.
        good: CommitId,
    },
    /// Two commits have no ancestor in common.
    #[error("`{ours}` and `{theirs}` have no commit in common")]
    Unrelated {
        /// One.
        ours: String,
        /// The other.
        theirs: String,
    },
    /// A branch cannot go forward to where it was to go: it has commits of its own.
    #[error("`{branch}` has commits that `{theirs}` has not")]
    NotForward {
        /// The branch.
        branch: String,
        /// Where it was to go.
        theirs: String,
    },
    /// A model cannot be made of others.
    #[error("`{path}` cannot be mixed: {why}")]
    Soup {
        /// The model.
        path: history::TreePath,
        /// What is in the way.
        why: String,
    },
    /// What was asked for makes no soup.
    #[error("{0}")]
    SoupRefused(String),
    /// None of the paths that were named is in conflict.
    #[error("nothing of that is in conflict")]
    NoConflict,
    /// Two worktrees were to be compared.
    #[error("two worktrees are not compared with each other")]
    TwoWorktrees,
    /// A file of the worktree has bytes whose writer ended in the middle.
    #[error("`{0}` was not finished by who wrote it")]
    Unfinished(history::TreePath),
    /// So few rows are to be a block that there are more blocks than anybody reads.
    #[error("with `{tensor}` there are more than {most} blocks of rows")]
    TooManyBlocks {
        /// The tensor that is one too many.
        tensor: String,
        /// How many there may be.
        most: u64,
    },
    /// Whenever a worktree was looked at to be changed, somebody had saved into it before it was.
    #[error("files were saved all the time, so that nothing was done")]
    SavedMeanwhile,
}

impl From<worktree::Error> for Error {
    fn from(error: worktree::Error) -> Self {
        match error {
            worktree::Error::History(error) => Error::Repo(error),
            error => Error::Worktree(error),
        }
    }
}

macro_rules! through_repo {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Error::Repo(error.into())
            }
        }
    )*};
}
through_repo!(history::Error, PathError, RefNameError, DiskError, StoreError);
