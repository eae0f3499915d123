//! History: commits, trees, refs and their logs. The first layer that knows a name or a path.
//!
//! Knows no pack, offset or encoding: objects are keys, and the store finds them. Knows no worktree: a commit needs none.
//! Shows the history as values ([`Commit`], [`Tree`], [`Change`]) and changes it by swapping refs, the only commit point
//! there is.

mod ancestry;
mod any_ref;
mod assembled;
mod commit;
mod commit_graph;
mod commit_tree;
mod composition;
mod content;
mod diff;
mod draft;
mod error;
mod export;
mod file_content;
mod file_hash;
mod find_path;
mod format_version;
mod fsck;
mod glob;
mod graph;
mod kept;
mod known_graph;
mod lineage;
mod open_copy;
mod operations;
mod out_dir;
mod path;
mod plain_copy;
mod plain_file;
mod put_back;
mod reader;
mod ref_files;
mod ref_intent;
mod ref_move;
mod ref_name;
mod ref_transaction;
mod ref_value;
mod reflog;
mod refs;
mod repository;
mod requantised;
mod resolve;
mod revision;
mod said_time;
mod series;
mod served;
mod suggest;
mod tag;
mod take_in;
#[cfg(test)]
mod testing;
mod tips;
mod tree;
mod tree_walk;
mod two_generations;
mod verify;
mod walk;
mod warning;

pub use assembled::assemble;
pub use commit::{Commit, Signature, metadata_pair};
pub use commit_graph::CommitGraph;
pub use diff::{Change, ChangeKind};
pub use draft::{DraftDir, DraftEntry, DraftNode, DraftTree};
pub(crate) use error::short;
pub use error::{Error, Limit, Result};
pub use export::Exported;
pub use file_content::{FileContent, TensorAt};
pub(crate) use find_path::nearest_path;
pub use format_version::FORMAT;
pub(crate) use fsck::Check;
pub use fsck::{Finding, FsckReport};
pub use glob::{glob, is_glob};
pub use lineage::{Asked, Likeness, Lineage, Location, Resemblance, Wanted};
pub use operations::{Operation, Touched, stacks};
pub use path::{DEPTH_MAX, NAME_MAX, Name, PATH_MAX, PathError, TreePath};
pub use plain_copy::{Fill, Prefetched, prefetch};
pub(crate) use plain_file::{PlainFile, at, open_file};
pub use reader::FileReader;
pub(crate) use reader::ReaderSlot;
pub use ref_transaction::Transaction;
pub use reflog::{LogEntry, LogLine};
pub use refs::{BranchName, Head, Logs, Moved, REF_NAME_MAX, RefNameError, Refs, TagName};
pub use repository::{Options, Repo, stored, stored_len};
pub use resolve::{Revisions, Selection};
pub use revision::{Range, Revision, Side, Target};
pub use said_time::parse_time;
pub use served::repack;
pub use tag::Tag;
pub use take_in::{InPlace, IngestFile, Intake, MadePart};
pub(crate) use take_in::{hash_source, recorded_hash};
pub use tips::prefer_tips;
pub use tree::{Attributes, Entry, MODE_MASK, Node, SYMLINK_MAX, Tree};
pub use tree_walk::TreeWalk;
pub use verify::{Verified, verify_commit};
pub use walk::{Order, Walk, WalkRequest};
pub use warning::Warning;

#[cfg(test)]
pub(crate) mod tests {
    //! What tests of the rooms above need of this one.
    pub(crate) use super::tree::tests::node;
}
