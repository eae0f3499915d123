//! Taking back what was done to refs, move by move, and doing it again.
//!
//! What a commit took out of a worktree's changes is a change there again when the commit is taken back; where a branch came
//! or went elsewhere, a worktree without changes goes along.

use super::error::Result;
use super::mounts::Heard;
use super::workspace::Workspace;
use crate::history::{BranchName, Head, Operation, Touched, stacks};
use crate::task::Task;
use crate::worktree::{Branches, Error, Kept, Warning, has_worktree};

/// What was taken back, or done again.
#[derive(Debug)]
pub struct Undone {
    /// The operation.
    pub operation: Operation,
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
    /// [`Error::UncommittedChanges`] if a branch would go whose worktree has some. Nothing has changed then.
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
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        let moves_head = operation.touched().contains(&Touched::Head);
        let is_commit = operation.message.starts_with("commit");
        for touched in operation.touched() {
            let Touched::Branch(branch, before, after) = touched else { continue };
            let stays = if is_undo { before } else { after };
            let is_current = !moves_head && self.0.repo.refs().head()? == Head::Branch(branch.clone());
            if !has_worktree(&self.0.repo, &branch)? {
                continue;
            }
            // What it is merged with, and what is undecided, would be forgotten.
            let worktree = self.0.repo.worktree(&branch)?;
            worktree.under_way().check_nothing()?;
            // A merge that was ended must not be under way again where the branch comes back to.
            worktree.under_way().forget_ended()?;
            match stays || is_current {
                // The first commit of the current branch leaves its files to it.
                true if is_commit => kept.push((branch.clone(), self.keep(&branch, task)?)),
                true => {}
                false => {
                    self.check_saved_all(&branch)?;
                    gone.push(branch);
                }
            }
        }
        let moved = operation.put_back(&self.0.repo, is_undo, &self.0.signature())?;
        let mut warnings: Vec<Warning> = moved.into_iter().map(Warning::from).collect();
        let trouble = |branch: &BranchName, done: std::result::Result<(), Error>| {
            done.err().map(|error| Warning::Worktree { branch: branch.clone(), source: Box::new(error) })
        };
        for (branch, kept) in &kept {
            warnings.extend(trouble(
                branch,
                self.0.repo.worktree(branch).and_then(|worktree| worktree.moving().go_on_with(kept)),
            ));
        }
        for branch in &gone {
            warnings.extend(trouble(branch, Branches::of(&self.0.repo).delete_worktree(branch)));
        }
        for touched in operation.touched() {
            let Touched::Branch(branch, ..) = touched else { continue };
            if self.0.repo.refs().branch(&branch)?.is_some() && has_worktree(&self.0.repo, &branch)? {
                let followed = self.0.repo.worktree(&branch).and_then(|worktree| worktree.follow_branch());
                warnings.extend(trouble(&branch, followed));
            }
        }
        Ok(Undone { operation: operation.clone(), warnings, heard: self.0.mounts().announce() })
    }

    /// What was put aside is a change again when that is taken back: its stash goes.
    fn bring_back_stash(&self, operation: &Operation, task: &Task) -> Result<()> {
        for stash in self.0.stashes().all()? {
            let is_of_it = operation.touched().contains(&Touched::Tag(stash.tag.clone()));
            if is_of_it && operation.message == format!("stash: {}", stash.message) {
                let worktree = self.0.worktree(&self.0.branch(None)?)?.worktree;
                self.0.stashes().pop(&worktree, &stash, task)?;
            }
        }
        Ok(())
    }

    fn keep(&self, branch: &BranchName, task: &Task) -> Result<Kept> {
        Ok(self.0.repo.worktree(branch)?.moving().keep(task)?)
    }

    fn check_saved_all(&self, branch: &BranchName) -> Result<()> {
        match super::unsaved::Unsaved::of_branch(&self.0.repo, branch)?.files.is_empty() {
            true => Ok(()),
            false => Err(Error::UncommittedChanges(branch.to_string()).into()),
        }
    }
}
