//! Keeping what a verb is about to drop, for as long as the settings say, so that it can be taken back.

use super::error::{Error, Result};
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{self, TreePath};
use crate::id::CommitId;
use crate::store::Durable;
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{self, Keepsake, Left, Snapshot, Worktree};

/// Paths that an operation is called by; of the others it is said how many there are.
const NAMED: usize = 3;

/// The setting that says for how many days.
const DAYS: &str = "core.keep_days";

/// Keeps what is about to be dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping<'a> {
    pub workspace: &'a Workspace,
    pub task: &'a Task,
}

impl<'a> Keeping<'a> {
    /// Keeps what is about to be dropped; `None` if it is not to be kept, or the settings say that nothing is.
    pub(super) fn of(workspace: &'a Workspace, keep: Option<&'a Task>) -> Option<Self> {
        let task = keep?;
        (workspace.config.number(DAYS) > 0).then_some(Self { workspace, task })
    }
}

impl Keeping<'_> {
    /// What was seen of what is about to be dropped. Who keeps it must know it; for others what cannot be told, which may be
    /// damaged, is no reason to leave it.
    ///
    /// # Errors
    /// [`NotKept`](worktree::Error::NotKept).
    pub(super) fn known<T>(keeping: Option<Self>, seen: Result<T>) -> Result<Result<T>> {
        match (keeping, seen) {
            (_, Err(error @ Error::Worktree(worktree::Error::Stale))) => Err(error),
            (Some(_), Err(Error::Worktree(error))) => Err(error.not_kept().into()),
            (Some(_), Err(Error::Repo(error))) => Err(worktree::Error::from(error).not_kept().into()),
            (Some(_), Err(error)) => Err(error),
            (_, seen) => Ok(seen),
        }
    }

    /// Takes what is about to be dropped into the history, if some of it is in no commit. Marks what is kept.
    ///
    /// # Errors
    /// [`NotKept`](worktree::Error::NotKept).
    pub(super) fn take(
        &self,
        worktree: &Worktree,
        snapshot: &Snapshot,
        left: &Left,
        dropped: &mut Unsaved,
        message: &str,
    ) -> Result<Option<Durable<CommitId>>> {
        let mut kept = dropped.clone();
        kept.keep_whole();
        kept.kept.retain(|path| !snapshot.lost.contains(path));
        if kept.kept.is_empty() {
            return Ok(None);
        }
        let who = self.workspace.signature();
        let commit = Keepsake::make(worktree, snapshot, left, (message, &who), self.task);
        let commit = commit.map_err(worktree::Error::not_kept)?;
        *dropped = kept;
        Ok(Some(commit))
    }

    /// The same as an operation of its own, which is told of before `act` drops anything.
    ///
    /// # Errors
    /// As [`Keeping::take`]; [`Stale`](worktree::Error::Stale) if something happened since the snapshot was taken; what `act`
    /// says. It is not kept then.
    pub(super) fn around(
        &self,
        worktree: &Worktree,
        snapshot: &Snapshot,
        left: &Left,
        dropped: &mut Unsaved,
        verb: &str,
        act: impl FnOnce() -> worktree::Result<()>,
    ) -> Result<()> {
        let message = match left {
            Left::All(_) => format!("{verb}: all"),
            Left::At(paths, _) | Left::Without(paths) => message(verb, paths),
        };
        let Some(kept) = self.take(worktree, snapshot, left, dropped, &message)? else { return Ok(act()?) };
        worktree.edits().check_unchanged_since(snapshot)?;
        let refs = self.workspace.repo.refs();
        let mut transaction = refs.transaction()?;
        let commit = kept.get();
        let tag = transaction.keep(kept, &self.workspace.said(message))?;
        if dropped.kept.len() < dropped.files.len() {
            transaction.loses_files();
        }
        let kept = transaction.commit()?.into_iter().find_map(history::Warning::not_durable);
        let act = || match kept {
            Some(error) => Err(worktree::Error::from(error).not_kept()),
            None => act(),
        };
        act().inspect_err(|_| {
            // For want of this the operation stands there, and taking it back changes nothing.
            let _ = refs.give_up_kept(&[(tag, commit)], &self.workspace.said("nothing was dropped".into()));
        })?;
        self.let_go_of_old();
        Ok(())
    }

    /// Lets go of what was kept for so long that the settings say it may go. What cannot be looked at stays.
    pub(super) fn let_go_of_old(&self) {
        let days = i64::try_from(self.workspace.config.number(DAYS)).unwrap_or(i64::MAX);
        let now = self.workspace.now();
        let before = Timestamp { seconds: now.seconds.saturating_sub(days.saturating_mul(86_400)), ..now };
        let entry = self.workspace.said("kept for its time".into());
        let repo = &self.workspace.repo;
        let is_ours = |commit| matches!(Keepsake::of(repo, commit), Ok(Some(_)));
        let _ = repo.refs().let_go_of_kept(before, is_ours, &entry);
    }
}

/// What a verb did, in one line.
fn message(verb: &str, paths: &[TreePath]) -> String {
    let named: Vec<String> = paths.iter().take(NAMED).map(TreePath::to_string).collect();
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{verb}: {}{more}", named.join(", "))
}
