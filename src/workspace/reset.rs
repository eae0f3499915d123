//! Letting a branch go elsewhere.

use super::error::Result;
use super::keep::Keeping;
use super::mounts::Heard;
use super::stale::{BeingWritten, in_the_end_still, unless_stale};
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{LogEntry, TreePath};
use crate::id::CommitId;
use crate::task::Task;
use crate::worktree::{Keeps, Left, Losses, Warning, Worktree};

/// A branch that went elsewhere.
#[derive(Debug)]
pub struct ResetBranch {
    /// Where it was.
    pub was: CommitId,
    /// Where it is.
    pub is: CommitId,
    /// What is lost; nothing if files were kept.
    pub dropped: Result<Unsaved>,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

impl Workspace {
    /// Lets the branch of a worktree go to a revision. What is dropped is kept if `keep` says so.
    ///
    /// # Errors
    /// [`NotKept`](crate::worktree::Error::NotKept); as [`Moving::branch`](crate::worktree::Moving::branch).
    pub fn reset(
        &self,
        worktree: &Worktree,
        revision: &str,
        keeps: Keeps,
        keep: bool,
        task: &Task,
    ) -> Result<ResetBranch> {
        let keeping = Keeping::of(self, keep.then_some(task));
        let reset = |written| {
            let is = self.repo.resolve(revision, self.now())?;
            let was = self.repo.refs().existing_branch(worktree.branch())?;
            let entry = self.said(format!("reset: to {revision}"));
            let (dropped, losses) = match keeps {
                Keeps::Files | Keeps::Unchanged => (Ok(Unsaved::default()), Losses::default()),
                Keeps::Nothing => losses(worktree, is, (keeping, written), &entry)?,
            };
            let is_kept = losses.kept.is_some();
            let warnings = worktree.moving().branch(is, keeps, losses, &entry, task)?;
            // Where the worktree did not go along, it has everything still.
            let stays = warnings.iter().any(|warning| matches!(warning, Warning::Worktree { .. }));
            let dropped = if stays { Ok(Unsaved::default()) } else { dropped };
            Ok((ResetBranch { was, is, dropped, warnings, heard: Heard::default() }, is_kept))
        };
        let (reset, is_kept) = match keeps {
            Keeps::Nothing => in_the_end_still(worktree, keeping.is_some(), reset)?,
            // Storing files may take long.
            Keeps::Files | Keeps::Unchanged => unless_stale(|| reset(BeingWritten::PassedOver))?,
        };
        if let (true, Some(keeping)) = (is_kept, keeping) {
            keeping.let_go_of_old();
        }
        Ok(ResetBranch { heard: self.mounts().announce(), ..reset })
    }

    /// Somebody's reason, there and then.
    pub(super) fn said(&self, message: String) -> LogEntry {
        LogEntry { who: self.signature(), message }
    }
}

/// What a worktree has that is lost when it is left as a commit.
fn losses(
    worktree: &Worktree,
    to: CommitId,
    (keeping, written): (Option<Keeping<'_>>, BeingWritten),
    entry: &LogEntry,
) -> Result<(Result<Unsaved>, Losses)> {
    let seen = Unsaved::look(worktree, written, &[TreePath::ROOT]);
    let (snapshot, mut dropped) = match Keeping::known(keeping, seen)? {
        Ok(seen) => seen,
        Err(error) => return Ok((Err(error), Losses::default())),
    };
    let kept = match keeping {
        Some(keeping) => {
            let left = Left::All(worktree.repo().commit(to)?.tree);
            keeping.take(worktree, &snapshot, &left, &mut dropped, &entry.message)?
        }
        None => None,
    };
    let loses_files = dropped.kept.len() < dropped.files.len();
    // Whoever keeps nothing does not wait until nobody saves.
    let seen = keeping.map(|_| snapshot);
    Ok((Ok(dropped), Losses { seen, kept, loses_files }))
}
