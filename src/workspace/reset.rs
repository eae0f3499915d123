//! Letting a branch go elsewhere.

use super::error::Result;
use super::mounts::Heard;
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{DROPPING, LogEntry};
use crate::id::CommitId;
use crate::task::Task;
use crate::worktree::{Keeps, Warning, Worktree};

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
    /// Lets the branch of a worktree go to a revision.
    ///
    /// # Errors
    /// As [`Moving::branch`](crate::worktree::Moving::branch).
    pub fn reset(
        &self,
        worktree: &Worktree,
        revision: &str,
        keeps: Keeps,
        task: &Task,
    ) -> Result<ResetBranch> {
        let is = self.repo.resolve(revision, self.now())?;
        let was = self.repo.refs().existing_branch(worktree.branch())?;
        let dropped = match keeps {
            Keeps::Files | Keeps::Unchanged => Ok(Unsaved::default()),
            Keeps::Nothing => Unsaved::all(worktree),
        };
        let drops = dropped.as_ref().is_ok_and(|dropped: &Unsaved| !dropped.files.is_empty());
        let entry = self.said(format!("reset: to {revision}{}", if drops { DROPPING } else { "" }));
        let warnings = worktree.moving().branch(is, keeps, &entry, task)?;
        Ok(ResetBranch { was, is, dropped, warnings, heard: self.mounts().announce() })
    }

    /// Somebody's reason, there and then.
    pub(super) fn said(&self, message: String) -> LogEntry {
        LogEntry { who: self.signature(), message }
    }
}
