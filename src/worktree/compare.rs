//! What a worktree has changed.

use super::error::Result;
use super::snapshot::Snapshot;
use super::worktree::Worktree;
use crate::history::{self, Change};
use crate::id::{RecipeId, StagingId, TreeId};
use crate::store::{FileSource, StoreError};

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
    Ok(worktree.repo().hash(&source)? == *worktree.repo().recipe(recipe)?.blake3())
}
