//! What is under way on a branch: deciding its conflicts, and giving it up.

use super::error::{Error, Result};
use super::merge::Merges;
use super::mounts::Heard;
use super::pathspec::Pathspec;
use super::unsaved::Unsaved;
use crate::history::TreePath;
use crate::merge::{Conflict, Favor};
use crate::worktree::{self, Edit, Merging, MergingKind, Worktree};

impl Merges<'_> {
    /// What is under way.
    pub(super) fn under_way(&self, worktree: &Worktree) -> Result<Merging> {
        let branch = || worktree.branch().to_string();
        Ok(worktree.under_way().get()?.ok_or_else(|| worktree::Error::NothingUnderWay(branch()))?)
    }

    /// Gives up what is under way: the worktree is as in the last commit. Tells what is lost by it.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay).
    pub fn give_up(&self, worktree: &Worktree) -> Result<(MergingKind, Result<Unsaved>, Heard)> {
        let merging = self.under_way(worktree)?;
        let dropped = Unsaved::all(worktree);
        // Whatever happens in between: a commit of what is half taken back would drop what came in, and is refused.
        let taken_back = worktree.under_way().take_back(&merging)?;
        worktree.edits().reset()?;
        worktree.under_way().end(&taken_back)?;
        Ok((merging.kind, dropped, self.0.mounts().announce()))
    }

    /// Ends what is under way, and leaves the worktree as it is.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay).
    pub fn quit(&self, worktree: &Worktree) -> Result<MergingKind> {
        let merging = self.under_way(worktree)?;
        worktree.under_way().end(&merging)?;
        Ok(merging.kind)
    }

    /// Decides conflicts: the paths have what one side has, or stay as they are.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay); [`Error::NoConflict`]. Nothing has changed then.
    pub fn decide(
        &self,
        worktree: &Worktree,
        paths: &Pathspec,
        side: Option<Favor>,
    ) -> Result<Vec<Conflict>> {
        let before = self.under_way(worktree)?;
        let mut merging = before.clone();
        let decided: Vec<Conflict> =
            merging.conflicts.iter().filter(|conflict| paths.means(&conflict.path)).cloned().collect();
        if decided.is_empty() {
            return Err(Error::NoConflict);
        }
        let mut edits = Vec::new();
        for conflict in &decided {
            let entry = match side {
                Some(Favor::Ours) => &conflict.ours,
                Some(Favor::Theirs) => &conflict.theirs,
                Some(Favor::Base) => &conflict.base,
                Some(Favor::None) | None => continue,
            };
            let path = conflict.path.clone();
            match entry {
                Some(entry) => edits.push(Edit::Put {
                    path,
                    attributes: entry.attributes,
                    node: entry.node.clone(),
                    replaces_dirs: true,
                }),
                None if worktree.names().resolve(&path)?.is_some() => edits.push(Edit::Remove { path }),
                None => {}
            }
        }
        // Names are free before they are taken.
        edits.sort_by_key(|edit| matches!(edit, Edit::Put { .. }));
        worktree.edits().make(edits, self.0.now())?;
        merging.decided.extend(decided.iter().map(|conflict| conflict.path.clone()));
        worktree.under_way().change(&before, &merging)?;
        Ok(decided)
    }

    /// Decides conflicts at or below paths by what is there, if something is under way.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn decide_as_they_are(
        &self,
        worktree: &Worktree,
        paths: impl IntoIterator<Item = TreePath>,
    ) -> Result<()> {
        if worktree.under_way().get()?.is_none() {
            return Ok(());
        }
        match self.decide(worktree, &Pathspec::below(paths), None) {
            Ok(_) | Err(Error::NoConflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
