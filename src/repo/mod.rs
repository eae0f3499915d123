//! History: commits, trees, refs and worktrees. The first layer that knows a name or a path.
//!
//! Knows no pack, offset or encoding: objects are keys, and the store finds them. Shows the history as values
//! ([`Commit`], [`Tree`], [`Change`]) and changes it through transactions whose only commit point is the swap of a
//! ref.

mod branching;
mod commit;
mod content;
mod diff;
mod error;
mod export;
mod file_hash;
mod fsck;
mod import;
mod ingest;
mod likeness;
mod out_dir;
mod path;
mod reader;
mod recent;
mod ref_move;
mod ref_name;
mod reflog;
mod refs;
mod repack;
mod repository;
mod revision;
mod suggest;
mod tag;
mod taking_back;
#[cfg(test)]
mod tests;
mod transaction;
mod tree;
mod tree_walk;
mod walk;
mod warning;
mod worktree;

pub use branching::{Branched, Switched};
pub use commit::{Commit, Signature};
pub use diff::{Change, ChangeKind};
pub use error::{Error, Result};
pub use export::Exported;
pub use fsck::{Finding, FsckReport};
pub use import::{Added, Addition, Fence, SkipReason, Skipped, ToAdd};
pub use ingest::IngestFile;
pub use likeness::{Likeness, Lineage, Location, Wanted};
pub use path::{DEPTH_MAX, NAME_MAX, Name, PATH_MAX, PathError, TreePath};
pub use reader::{FileReader, ReaderSlot};
pub use reflog::{LogEntry, LogLine};
pub use refs::{BranchName, Head, Moved, REF_NAME_MAX, RefNameError, Refs, TagName};
pub use repository::{FORMAT, Options, Repo};
pub use revision::{Target, split_target};
pub use tag::Tag;
pub use transaction::{CommitRequest, Committed};
pub use tree::{Attributes, Entry, MODE_MASK, Node, SYMLINK_MAX, Tree};
pub use tree_walk::TreeWalk;
pub use walk::Walk;
pub use warning::Warning;
pub use worktree::{
    Edit, Fallback, Interrupted, Invalidation, Kind, NodeAttributes, NodeId, Release, RenameMode, Snapshot,
    SnapshotDir, SnapshotEntry, SnapshotNode, SnapshotTree, StagedFile, StagingId, Tenant, Trees, Worktree,
};
