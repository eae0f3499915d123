//! The writable tree of a branch: what the next commit will record.
//!
//! A worktree is its journal (`journal.rs`): every process that uses it replays the same records (`record.rs`) onto
//! its own copy of the tree (`nodes.rs`) and appends its own under one lock (`worktree.rs`). Bytes being written are plain
//! files in `staged/` (`tenant.rs`); a commit or a background ingest moves them into the store. What is believed after a
//! crash is in `recovery.rs`, what a commit takes in `snapshot.rs`, and that it misses nothing that was closed in `cut.rs`.
//!
//! What people do with branches has worktrees in it, so that it is here as well: making, deleting and switching them
//! (`branches.rs`), committing (`commit_worktree.rs`), adding files (`add.rs`), changing whole paths (`edits.rs`), and
//! the check of a whole repository (`check.rs`).

mod add;
mod ahead;
mod apart;
mod attributes;
mod branches;
mod check;
mod closed;
mod coding;
mod commit_worktree;
mod compare;
mod copying;
mod cut;
mod edit_plan;
mod edits;
mod error;
mod folder;
mod frames;
mod generation;
mod given;
mod group_sync;
mod hold;
mod interrupted;
mod journal;
mod keepsake;
mod lend;
mod merge_words;
mod merging;
mod move_branch;
mod names;
mod nodes;
mod open;
mod open_files;
mod part;
mod reach;
mod readers;
mod record;
mod recovery;
mod rename_branch;
mod snapshot;
mod spare_readers;
mod staging;
mod staging_sync;
mod state;
mod still;
mod still_for;
mod stored_as;
mod sync;
mod take;
mod tenant;
#[cfg(test)]
mod tests;
mod unfinished;
mod warning;
#[expect(clippy::module_inception, reason = "a file is called what its type is")]
mod worktree;

pub use add::{Added, Addition, Fence, Ignores, SkipReason, Skipped, ToAdd};
pub use attributes::{ATTRIBUTES_FILE, PathAttributes, Said};
pub use branches::{Branched, Branches, Losing, Switched};
pub use check::fsck;
pub use coding::Coding;
pub use commit_worktree::{CommitRequest, Committed};
pub use copying::Giving;
pub use cut::{hear_closes, say_all_closes};
pub use edit_plan::Edit;
pub use edits::Edits;
pub use error::{Error, Result};
pub use given::Given;
pub use interrupted::{Fallback, Interrupted};
pub use keepsake::{Keepsake, Left, branch_of, worktree_of};
pub use merge_words::MergeWords;
pub use merging::{Manner, Merging, MergingKind, UnderWay};
pub use move_branch::{Keeps, Kept, Losses, Moving};
pub use names::{Kind, Names, NodeAttributes, RenameMode};
pub use nodes::{Invalidation, NodeId, Trees};
pub use open::has_worktree;
pub use open_files::Release;
pub use snapshot::Snapshot;
pub use staging::{StagedFile, Staging};
pub use still::while_still;
pub use stored_as::treatments;
pub use tenant::Tenant;
pub use unfinished::CloseListener;
pub use warning::Warning;
pub use worktree::Worktree;
