//! The writable tree of a branch: what the next commit will record.
//!
//! A worktree is its journal (`journal.rs`): every process that uses it replays the same records (`record.rs`) onto
//! its own copy of the tree (`nodes.rs`) and appends its own under one lock (`copy.rs`). Bytes being written are plain
//! files in `staged/` (`tenant.rs`); a commit or a background ingest moves them into the store. What is believed after a
//! crash is in `recovery.rs`, what a commit takes in `snapshot.rs`.

mod copy;
mod edit;
mod frames;
mod journal;
mod names;
mod nodes;
mod reach;
mod record;
mod recovery;
mod snapshot;
mod staging;
mod sync;
mod tenant;

pub use copy::Worktree;
pub use edit::Edit;
pub use names::{Kind, NodeAttributes, RenameMode};
pub use nodes::{Invalidation, NodeId, Trees};
pub use record::StagingId;
pub use recovery::{Fallback, Interrupted};
pub use snapshot::{Snapshot, SnapshotDir, SnapshotEntry, SnapshotNode, SnapshotTree};
pub use staging::StagedFile;
pub use tenant::{Release, Tenant};
