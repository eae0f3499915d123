//! What a worktree has changed.

use super::copy::Worktree;
use super::error::Result;
use super::snapshot::Snapshot;
use crate::history::{self, Change};
use crate::id::{RecipeId, StagingId, TreeId};
use crate::store::{FileSource, StoreError};

impl Worktree {
    /// What differs from a tree to the worktree as it is in a snapshot, sorted by path. Reads the bytes of staged files
    /// that are as long as what they replace.
    pub fn diff_from(&self, old: TreeId, snapshot: &Snapshot) -> Result<Vec<Change>> {
        Ok(self.repo().diff(old, &snapshot.tree, &|staging, recipe| self.has_bytes(staging, recipe))?)
    }

    /// Whether a staging file has the bytes of a file of the history.
    fn has_bytes(&self, staging: StagingId, recipe: RecipeId) -> history::Result<bool> {
        let file = self.open_staging(staging)?;
        let source = FileSource::new(&*file).map_err(StoreError::from)?;
        Ok(self.repo().hash(&source)? == *self.repo().recipe(recipe)?.blake3())
    }
}
