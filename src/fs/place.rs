//! What an inode stands for, as data. What each kind of node does is in `node/`.

use crate::history::Attributes;
use crate::id::{CommitId, RecipeId, TreeId};
use crate::tensors::{Lens, Located, Model};

use super::namespace::ControlFile;
use super::path_key::PathKey;
use super::worktrees::WorktreeNode;

/// A thing in the mount. Two equal places have equal content for ever, or stand for the same changing thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The top of a mount that shows everything.
    Root,
    /// `branches/` and the folders in it.
    Branches(BranchFolder),
    /// `tags/` and the folders in it.
    Tags(TagFolder),
    /// `commits/`.
    Commits,
    /// `by-date/`.
    Dates,
    /// One day in `by-date/`.
    Day(Day),
    /// `worktree/` and the folders in it that are no worktrees.
    Worktrees(WorktreeFolder),
    /// `tensors/`, or one of the views, and the folders in it that are no refs.
    Tensors(TensorRefFolder),
    /// `views/`.
    Views,
    /// `.coral/`.
    ControlDir,
    /// A file in `.coral/`.
    Control(ControlFile),
    /// A symbolic link that we made up.
    Link(Link),
    /// A directory of a snapshot.
    Dir(SnapshotDir),
    /// A file of a snapshot.
    File(SnapshotFile),
    /// A symbolic link of a snapshot.
    Symlink(SnapshotLink),
    /// A node of a worktree.
    Worktree(WorktreeNode),
    /// The tensors of a directory of a snapshot.
    TensorDir(TensorDir),
    /// The tensors of one file, or of all shards of a model.
    TensorFile(TensorFile),
    /// One tensor as an `.npy` file.
    Array(ArrayFile),
    /// What is known of one tensor, as JSON.
    ArrayFacts(FactsFile),
}

/// Branches whose names begin with this prefix, which is empty or ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct BranchFolder(pub String);

/// Tags whose names begin with this prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct TagFolder(pub String);

/// Worktrees of the branches whose names begin with this prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct WorktreeFolder(pub String);

/// Tensors of the refs whose names begin with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TensorRefFolder {
    /// Empty, or ends with `/`.
    pub prefix: String,
    /// How tensors are shown.
    pub lens: Lens,
}

/// The commits of one day, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Day(pub String);

/// A link with its target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link(pub String);

/// A directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SnapshotDir {
    /// What is in it.
    pub tree: TreeId,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// The snapshot; `None` for a branch that has no commit yet.
    pub commit: Option<CommitId>,
    /// Where in which snapshot it is.
    pub at: PathKey,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SnapshotFile {
    /// Its content.
    pub recipe: RecipeId,
    /// Its length in bytes.
    pub len: u64,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// Where in which snapshot it is: equal files are two.
    pub at: PathKey,
}

/// A symbolic link of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SnapshotLink {
    /// Its target.
    pub target: Vec<u8>,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// Where in which snapshot it is.
    pub at: PathKey,
}

/// A directory of a snapshot, as that which its tensors are in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TensorDir {
    /// The directory.
    pub dir: SnapshotDir,
    /// How tensors are shown.
    pub lens: Lens,
}

/// The files whose tensors are shown in one directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TensorFile {
    /// The files.
    pub model: Model,
    /// Where in which snapshot they would be as one.
    pub within: PathKey,
    /// How tensors are shown.
    pub lens: Lens,
}

/// A tensor's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ArrayFile {
    /// Which tensor it is.
    pub at: Located,
    /// Where in which snapshot the model is that has it.
    pub within: PathKey,
    /// Mode and modification time of the file that it is in.
    pub attributes: Attributes,
    /// How it is shown.
    pub lens: Lens,
}

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FactsFile {
    /// Which tensor it is of.
    pub at: Located,
    /// Where in which snapshot the model is that has the tensor.
    pub within: PathKey,
    /// Mode and modification time of the file that the tensor is in.
    pub attributes: Attributes,
}
