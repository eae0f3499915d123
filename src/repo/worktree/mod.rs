//! The writable tree of a branch: what the next commit will record.
//!
//! A worktree is its journal (`journal.rs`): every process that uses it replays the same records (`record.rs`) onto
//! its own copy of the tree (`nodes.rs`) and appends its own under one lock. Bytes being written are plain files in
//! `staged/`; a commit or a background ingest moves them into the store. A complete staging file never changes: who
//! writes on writes to a copy, so that a commit never sees half a write.

mod bytes;
mod journal;
mod names;
mod nodes;
mod record;
mod snapshot;
mod state;

pub use bytes::StagedFile;
pub use names::{Kind, NodeAttributes, RenameMode};
pub use nodes::{Invalidation, NodeId, Trees};
pub use record::StagingId;
pub use snapshot::{Snapshot, SnapshotDir, SnapshotEntry, SnapshotNode};
pub use state::{Interrupted, Worktree};
