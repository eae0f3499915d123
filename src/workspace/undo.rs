//! Taking back what was done to refs, move by move, and doing it again.
//!
//! What a commit took out of a worktree's changes is a change there again when the commit is taken back; where a branch came
//! or went elsewhere, a worktree without changes goes along. Files that were dropped and kept come back, and go again.

use super::error::Result;
use super::kept_files::{Bringing, KeptFiles};
use super::mounts::Heard;
use super::stale::in_the_end_still;
use super::workspace::Workspace;
use crate::history::{BranchName, Head, Operation, Touched, stacks};
use crate::task::Task;
use crate::worktree::{self, Branches, Keepsake, Kept, Warning, has_worktree};

/// What is there again, or no longer, of the files that an operation dropped and that no commit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// It dropped none.
    None,
    /// All of them.
    All,
    /// Those that were complete.
    Some,
    /// Nothing: they were not kept.
    Lost,
    /// Nothing: they were kept for their time.
    LetGo,
}

/// What was taken back, or done again.
#[derive(Debug)]
pub struct Undone {
    /// The operation.
    pub operation: Operation,
    /// What became of the files that it dropped.
    pub files: Files,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// What was done to the refs of a repository, to be taken back and done again.
#[derive(Debug, Clone, Copy)]
pub struct Operations<'a>(&'a Workspace);

impl Workspace {
    /// What was done to the refs of a repository, to be taken back and done again.
    pub fn operations(&self) -> Operations<'_> {
        Operations(self)
    }
}

impl Operations<'_> {
    /// Takes back the last operation that was not taken back yet.
    ///
    /// # Errors
    /// [`super::Error::NothingToUndo`]; [`RefMoved`](crate::history::Error::RefMoved) if a ref is no longer where the operation left it;
    /// [`UncommittedChanges`](worktree::Error::UncommittedChanges) if a branch would go whose worktree has some;
    /// [`ChangedSince`](super::Error::ChangedSince) if files that were dropped cannot come back. Nothing has changed then.
    pub fn undo(&self, task: &Task) -> Result<Undone> {
        let operations = self.0.repo.refs().logs().operations()?;
        let (undo, _) = stacks(&operations);
        let last = undo.last().ok_or(super::Error::NothingToUndo)?;
        self.put_back(last, true, task)
    }

    /// Does again what was taken back last.
    ///
    /// # Errors
    /// As [`Operations::undo`].
    pub fn redo(&self, task: &Task) -> Result<Undone> {
        let operations = self.0.repo.refs().logs().operations()?;
        let (_, redo) = stacks(&operations);
        let last = redo.last().ok_or(super::Error::NothingToUndo)?;
        self.put_back(last, false, task)
    }

    fn put_back(&self, operation: &Operation, is_undo: bool, task: &Task) -> Result<Undone> {
        if is_undo {
            self.bring_back_stash(operation, task)?;
        }
        let repo = &self.0.repo;
        let files = KeptFiles::of(repo, operation)?;
        let touched = operation.touched();
        let branches = || {
            touched.iter().filter_map(|touched| match touched {
                Touched::Branch(branch, before, after) => {
                    Some((branch, if is_undo { *before } else { *after }))
                }
                Touched::Head | Touched::Tag(_) | Touched::Files => None,
            })
        };
        let moves_head = touched.contains(&Touched::Head);
        let is_commit = operation.message.starts_with("commit");
        let with_files = match &files {
            KeptFiles::There(keepsake) => Some(keepsake),
            KeptFiles::None | KeptFiles::LetGo => None,
        };
        let has_files = |branch: &BranchName| with_files.is_some_and(|files| files.branch == *branch);
        let (mut keeps, mut gone) = (Vec::new(), Vec::new());
        for (branch, stays) in branches() {
            let is_current = !moves_head && repo.refs().head()? == Head::Branch(branch.clone());
            if !has_worktree(repo, branch)? {
                continue;
            }
            // What it is merged with, and what is undecided, would be forgotten.
            let worktree = repo.worktree(branch)?;
            worktree.under_way().check_nothing()?;
            // A merge that was ended must not be under way again where the branch comes back to.
            worktree.under_way().forget_ended()?;
            match stays || is_current {
                // The first commit of the current branch leaves its files to it.
                true if is_commit || has_files(branch) => keeps.push(branch.clone()),
                true => {}
                false => {
                    self.check_goes(branch, with_files.filter(|_| has_files(branch)))?;
                    gone.push(branch.clone());
                }
            }
        }
        // A worktree that goes has nothing to be dropped, and one that comes has its files when its branch is there.
        let moved_in = with_files.filter(|files| !gone.contains(&files.branch));
        let comes = moved_in.is_some_and(|files| is_undo && is_taken_away(&files.branch, &touched));
        let moved_files = match (moved_in, comes) {
            (Some(files), false) if self.move_files(files, is_undo)? => Some(files),
            _ => None,
        };
        let put_back = || -> Result<_> {
            let kept = keeps.iter().map(|branch| Ok((branch, self.keep(branch, task)?)));
            let kept = kept.collect::<Result<Vec<(&BranchName, Kept)>>>()?;
            Ok((kept, operation.put_back(repo, is_undo, &self.0.signature())?))
        };
        let (kept, moved) = put_back().inspect_err(|_| {
            // Who was faster found the files moved already, and counts on them.
            if let Some(files) = moved_files.filter(|_| !self.is_put_back(operation, is_undo)) {
                // An error means that nothing has changed. If this fails too, what is there is told as changes.
                let _ = self.move_files(files, !is_undo);
            }
        })?;
        let mut warnings: Vec<Warning> = moved.into_iter().map(Warning::from).collect();
        for (branch, kept) in &kept {
            let gone_on = repo.worktree(branch).and_then(|worktree| worktree.moving().go_on_with(kept));
            warnings.extend(trouble(branch, gone_on));
        }
        for branch in &gone {
            warnings.extend(trouble(branch, Branches::of(repo).delete_worktree(branch)));
        }
        for (branch, _) in branches() {
            if repo.refs().branch(branch)?.is_some() && has_worktree(repo, branch)? {
                let followed = repo.worktree(branch).and_then(|worktree| worktree.follow_branch());
                warnings.extend(trouble(branch, followed));
            }
        }
        if let (Some(files), true) = (moved_in, comes)
            && let Err(error) = self.move_files(files, is_undo)
        {
            // The refs have moved; who does it again and takes it back has them.
            warnings.push(Warning::FilesAway { branch: files.branch.clone(), why: error.to_string() });
        }
        let files = match files {
            KeptFiles::None if operation.lost_files => Files::Lost,
            KeptFiles::None => Files::None,
            KeptFiles::LetGo => Files::LetGo,
            KeptFiles::There(_) if operation.lost_files => Files::Some,
            KeptFiles::There(_) => Files::All,
        };
        Ok(Undone { operation: operation.clone(), files, warnings, heard: self.0.mounts().announce() })
    }

    /// Whether somebody has taken an operation back, or done it again, as far as that can be told.
    fn is_put_back(&self, operation: &Operation, is_undo: bool) -> bool {
        let operations = self.0.repo.refs().logs().operations().unwrap_or_default();
        let (undo, redo) = stacks(&operations);
        let done = if is_undo { redo } else { undo };
        done.iter().any(|one| one.number == operation.number)
    }

    /// Brings back what was dropped, or drops it again. Whether there was something to be done.
    fn move_files(&self, files: &Keepsake, is_undo: bool) -> Result<bool> {
        let branch = self.0.branch(Some(files.branch.as_str()))?;
        let (from, to) = if is_undo { (files.after, files.before) } else { (files.before, files.after) };
        let worktree = self.0.worktree(&branch)?.worktree;
        in_the_end_still(&worktree, true, |_| {
            Bringing::plan(&worktree, from, to)?.run(&worktree, self.0.now())
        })
    }

    /// What was put aside is a change again when that is taken back: its stash goes.
    fn bring_back_stash(&self, operation: &Operation, task: &Task) -> Result<()> {
        for stash in self.0.stashes().all()? {
            let is_of_it = operation.touched().contains(&Touched::Tag(stash.tag.clone()));
            if is_of_it && operation.message == format!("stash: {}", stash.message) {
                let branch = self.0.stashes().branch_of(&stash)?;
                let worktree =
                    self.0.worktree(&self.0.branch(branch.as_ref().map(BranchName::as_str))?)?.worktree;
                self.0.stashes().pop(&worktree, &stash, task)?;
            }
        }
        Ok(())
    }

    fn keep(&self, branch: &BranchName, task: &Task) -> Result<Kept> {
        Ok(self.0.repo.worktree(branch)?.moving().keep(task)?)
    }

    /// Refuses to let a worktree go that has something that is not kept.
    fn check_goes(&self, branch: &BranchName, kept: Option<&Keepsake>) -> Result<()> {
        let repo = &self.0.repo;
        if let Some(kept) = kept {
            let worktree = repo.worktree(branch)?;
            let snapshot = worktree.snapshot(false)?;
            if snapshot.is_at_rest() && snapshot.diff_from(kept.before, &worktree)?.is_empty() {
                return Ok(());
            }
        }
        match super::unsaved::Unsaved::of_branch(repo, branch)?.files.is_empty() {
            true => Ok(()),
            false => Err(worktree::Error::UncommittedChanges(branch.to_string()).into()),
        }
    }
}

/// Whether an operation took a branch away.
fn is_taken_away(branch: &BranchName, touched: &[Touched]) -> bool {
    touched.contains(&Touched::Branch(branch.clone(), true, false))
}

fn trouble(branch: &BranchName, done: worktree::Result<()>) -> Option<Warning> {
    done.err().map(|error| Warning::Worktree { branch: branch.clone(), source: Box::new(error) })
}
