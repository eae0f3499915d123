//! What a worktree has changed, and what its files are made of that are in no commit.

use super::error::Result;
use super::snapshot::Snapshot;
use super::worktree::Worktree;
use crate::disk::DiskFile;
use crate::history::{self, Change, DraftNode, FileContent, Node, hash_source, recorded_hash};
use crate::id::{RecipeId, StagingId, TreeId};
use crate::store::{FileSource, Source, SourceError, StoreError};
use std::sync::Arc;

impl Snapshot {
    /// What differs from a tree to this snapshot of a worktree, sorted by path. Reads the bytes of staged files that are as
    /// long as what they replace.
    pub fn diff_from(&self, old: TreeId, worktree: &Worktree) -> Result<Vec<Change>> {
        let has_bytes = |staging, recipe| has_bytes(worktree, staging, recipe);
        Ok(worktree.repo().diff(old, &self.tree, &has_bytes)?)
    }
}

/// Whether a staging file has the bytes of a file of the history.
fn has_bytes(worktree: &Worktree, staging: StagingId, recipe: RecipeId) -> history::Result<bool> {
    let file = worktree.staging().open(staging)?;
    let source = FileSource::new(&*file).map_err(StoreError::from)?;
    Ok(hash_source(worktree.repo(), &source)? == recorded_hash(worktree.repo(), recipe)?)
}

impl Worktree {
    /// What a file of a snapshot is made of; `None` for what is no file.
    ///
    /// # Errors
    /// If its bytes cannot be read.
    pub fn content(&self, node: &DraftNode) -> Result<Option<FileContent>> {
        match *node {
            DraftNode::Known(Node::File { recipe, .. }) => Ok(Some(FileContent::of(self.repo(), recipe)?)),
            DraftNode::Staged { staging, len } => {
                let bytes = StagedBytes { file: self.staging().open(staging)?, len };
                Ok(Some(FileContent::of_bytes(self.repo(), Box::new(bytes))?))
            }
            DraftNode::Known(Node::Dir(_) | Node::Symlink(_)) | DraftNode::Dir(_) => Ok(None),
        }
    }
}

/// The bytes of a staging file that a snapshot holds.
struct StagedBytes {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl Source for StagedBytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}
