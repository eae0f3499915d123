//! What an inode stands for.

use std::sync::Arc;

use crate::history::Attributes;
use crate::id::{CommitId, RecipeId, TreeId};
use crate::tensors::Located;

use super::attr::Kind;
use super::inode::Identity;
use super::namespace::ControlFile;
use super::worktrees::WorktreeNode;

/// A thing in the mount. Two equal places have equal content for ever, or stand for the same changing thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The top of a mount that shows everything.
    Root,
    /// Branches whose names begin with this prefix, which is empty or ends with `/`.
    Branches(String),
    /// Tags whose names begin with this prefix.
    Tags(String),
    /// `commits/`.
    Commits,
    /// `by-date/`.
    Dates,
    /// One day in `by-date/`.
    Day(String),
    /// Worktrees of the branches whose names begin with this prefix.
    Worktrees(String),
    /// Tensors of the refs whose names begin with this prefix.
    Tensors(String),
    /// `.coral/`.
    ControlDir,
    /// A file in `.coral/`.
    Control(ControlFile),
    /// A symbolic link that we made up, with its target.
    Link(String),
    /// A directory of a snapshot.
    Dir(SnapshotDir),
    /// A file of a snapshot.
    File {
        /// Its content.
        recipe: RecipeId,
        /// Its length in bytes.
        len: u64,
        /// Mode and modification time.
        attributes: Attributes,
    },
    /// A symbolic link of a snapshot.
    Symlink {
        /// Its target.
        target: Vec<u8>,
        /// Mode and modification time.
        attributes: Attributes,
    },
    /// A node of a worktree.
    Worktree(WorktreeNode),
    /// The tensors of a directory of a snapshot.
    TensorDir(SnapshotDir),
    /// The tensors of one file, or of all shards of a model.
    TensorFile(TensorFile),
    /// One tensor as an `.npy` file.
    Array(TensorPlace),
    /// What is known of one tensor, as JSON.
    ArrayFacts(TensorPlace),
}

/// A directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SnapshotDir {
    /// What is in it.
    pub tree: TreeId,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// The snapshot; `None` for a branch that has no commit yet.
    pub commit: Option<CommitId>,
}

/// The files whose tensors are shown in one directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TensorFile {
    /// In the order of their names.
    pub recipes: Arc<[RecipeId]>,
    /// Mode and modification time of the first.
    pub attributes: Attributes,
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TensorPlace {
    /// Which one.
    pub at: Located,
    /// Mode and modification time of the file.
    pub attributes: Attributes,
}

impl Place {
    /// The node's identity when it is found as `name` in the directory `parent`.
    pub fn found_as(self: Arc<Self>, parent: u64, name: &[u8]) -> Identity {
        match &*self {
            // The kernel allows a directory one place only, and these can be in several.
            Place::Dir(_) | Place::TensorDir(_) | Place::TensorFile(_) | Place::Link(_) => {
                Identity::Named(parent, name.into(), self)
            }
            Place::Root
            | Place::Branches(_)
            | Place::Tags(_)
            | Place::Commits
            | Place::Dates
            | Place::Day(_)
            | Place::Worktrees(_)
            | Place::Tensors(_)
            | Place::ControlDir
            | Place::Control(_)
            | Place::File { .. }
            | Place::Symlink { .. }
            | Place::Worktree(_)
            | Place::Array(_)
            | Place::ArrayFacts(_) => Identity::Place(self),
        }
    }

    /// The kind of node, if the place alone tells.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Place::Root
            | Place::Branches(_)
            | Place::Tags(_)
            | Place::Commits
            | Place::Dates
            | Place::Day(_)
            | Place::Worktrees(_)
            | Place::Tensors(_)
            | Place::ControlDir
            | Place::Dir(_)
            | Place::TensorDir(_)
            | Place::TensorFile(_) => Some(Kind::Dir),
            Place::Control(_) | Place::File { .. } | Place::Array(_) | Place::ArrayFacts(_) => {
                Some(Kind::File)
            }
            Place::Link(_) | Place::Symlink { .. } => Some(Kind::Symlink),
            Place::Worktree(_) => None,
        }
    }

    /// Whether nothing about it can ever change.
    pub fn is_immutable(&self) -> bool {
        match self {
            Place::Dir(_)
            | Place::File { .. }
            | Place::Symlink { .. }
            | Place::TensorDir(_)
            | Place::TensorFile(_)
            | Place::Array(_)
            | Place::ArrayFacts(_)
            | Place::Link(_) => true,
            Place::Root
            | Place::Branches(_)
            | Place::Tags(_)
            | Place::Commits
            | Place::Dates
            | Place::Day(_)
            | Place::Worktrees(_)
            | Place::Tensors(_)
            | Place::ControlDir
            | Place::Control(_)
            | Place::Worktree(_) => false,
        }
    }
}
