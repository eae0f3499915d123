//! What a mount is told when it begins: what it shows, who changes the repository through it, and what tells the time.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::checkpoint::When;
use crate::history::{BranchName, TagName};
use crate::units::Timestamp;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Who changes the repository through a mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Author {
    /// The person's name.
    pub name: String,
    /// The person's address; may be empty.
    pub email: String,
    /// Minutes east of UTC where the person is.
    pub offset_minutes: i16,
}

/// How a mount commits by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoCommitSettings {
    /// On what.
    pub when: When,
    /// Which paths count, as [`Policy`](crate::checkpoint::Policy) takes them.
    pub paths: String,
    /// What commits say, as [`message`](crate::checkpoint::message) takes it.
    pub message: String,
    /// The tag that names the last one.
    pub tag_last: Option<TagName>,
    /// The tag that names the best one, as its program says.
    pub tag_best: Option<TagName>,
}

/// What a file system needs to know beside its repository.
#[derive(Clone)]
pub struct Settings {
    /// What it shows.
    pub view: View,
    /// Who makes its commits.
    pub author: Author,
    /// Tells the time.
    pub clock: Clock,
    /// The file that tells what went wrong when the mount is gone, if one is kept.
    pub log: Option<PathBuf>,
    /// Whether the mount commits by itself, and how.
    pub auto_commit: Option<AutoCommitSettings>,
    /// Whether large files are stored as soon as they are complete, by a thread of its own.
    pub background_ingest: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Every ref, commit, tensor and worktree.
    All,
    /// One read-only tree, as the revision was when it was mounted.
    Snapshot {
        /// What to show, as for `coral show`.
        revision: String,
        /// A directory in it; empty for the whole.
        folder: String,
    },
    /// One writable tree.
    Worktree(BranchName),
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            View::All => f.write_str("everything"),
            View::Snapshot { revision, folder } if folder.is_empty() => f.write_str(revision),
            View::Snapshot { revision, folder } => write!(f, "{revision}:{folder}"),
            View::Worktree(branch) => write!(f, "the worktree of {branch}"),
        }
    }
}
