//! Making, deleting and switching branches as a person means it: with what their worktrees have.
//!
//! Owns the order of the steps: what may fail comes before the one that others see, so that an error means that nothing
//! has changed, and what was cut short is completed by asking again.

use super::error::{Error, Result};
use super::keepsake::{Keepsake, Left};
use super::move_branch::Losses;
use super::open::has_worktree;
use super::still::Still;
use super::warning::Warning;
use crate::history::{self, BranchName, CommitGraph, Head, LogEntry, Moved, Repo, Revisions, Signature};
use crate::id::CommitId;
use crate::task::Task;

/// A branch that was made or deleted.
#[derive(Debug)]
pub struct Branched {
    /// The commit that it names, or did.
    pub commit: CommitId,
    /// Whether what its worktree had is kept, and can be brought back.
    pub is_kept: bool,
    /// What went wrong when it was done, or was done on the way.
    pub warnings: Vec<Warning>,
}

/// HEAD, moved.
#[derive(Debug)]
pub struct Switched {
    /// What it says now.
    pub head: Head,
    /// What went wrong when it was done, or was done on the way.
    pub warnings: Vec<Warning>,
}

/// What may be lost with a branch.
#[derive(Debug, Clone, Copy)]
pub enum Losing<'a> {
    /// Nothing: its commits are elsewhere, and its worktree has no changes.
    Nothing,
    /// Anything; what only its worktree has is kept in the history, to be brought back.
    Kept(&'a Task),
    /// Anything.
    All,
}

/// The branches of a repository, with what their worktrees have.
#[derive(Debug, Clone, Copy)]
pub struct Branches<'a> {
    pub(super) repo: &'a Repo,
}

impl<'a> Branches<'a> {
    /// Those of this repository.
    pub fn of(repo: &'a Repo) -> Self {
        Self { repo }
    }

    /// Makes a branch that starts at a revision. Whatever worktree an earlier branch of this name left behind is set
    /// aside first: a new branch has no changes.
    ///
    /// # Errors
    /// [`RefExists`](history::Error::RefExists); [`Error::UncommittedChanges`] if it is the current branch, without a commit so far, and its
    /// worktree has something.
    pub fn create(&self, branch: &BranchName, start: &str, who: &Signature) -> Result<Branched> {
        let commit = self.start_of(branch, start, who)?;
        let message = format!("branch: created from {start}");
        self.create_at(branch, commit, message, who)
    }

    /// Makes a branch that starts at a commit; `message` is for its log.
    ///
    /// # Errors
    /// As [`Branches::create`].
    pub fn create_at(
        &self,
        branch: &BranchName,
        commit: CommitId,
        message: String,
        who: &Signature,
    ) -> Result<Branched> {
        let mut warnings = self.clear_way(branch)?;
        let entry = LogEntry { who: who.clone(), message };
        let moved = self.repo.refs().update_branch(branch, None, self.repo.store().durable(commit)?, &entry);
        warnings.extend(moved.map_err(made)?.warnings.into_iter().map(Warning::from));
        Ok(Branched { commit, is_kept: false, warnings })
    }

    /// The commit that a new branch starts at.
    fn start_of(&self, branch: &BranchName, start: &str, who: &Signature) -> Result<CommitId> {
        match self.repo.refs().branch(branch)? {
            Some(_) => Err(exists(branch.to_string())),
            None => Ok(self.repo.resolve(start, who.time)?),
        }
    }

    /// Sees to it that a branch that is about to be made finds no worktree.
    fn clear_way(&self, branch: &BranchName) -> Result<Vec<Warning>> {
        if !has_worktree(self.repo, branch)? {
            return Ok(Vec::new());
        }
        if self.repo.refs().head()? == Head::Branch(branch.clone()) {
            return match self.has_changes(branch)? {
                true => Err(Error::UncommittedChanges(branch.to_string())),
                false => Ok(Vec::new()),
            };
        }
        let aside = Still::hold(self.repo, branch)?.map(Still::set_aside).transpose()?;
        Ok(aside.map(|path| Warning::SetAside { branch: branch.clone(), path }).into_iter().collect())
    }

    /// Whether the worktree of a branch differs from its tip.
    fn has_changes(&self, branch: &BranchName) -> Result<bool> {
        let worktree = self.repo.worktree(branch)?;
        worktree.follow_branch()?;
        let snapshot = worktree.snapshot(false)?;
        let tree = self.repo.tree_of(self.repo.refs().branch(branch)?)?;
        Ok(!snapshot.is_at_rest() || !snapshot.diff_from(tree, &worktree)?.is_empty())
    }

    /// Deletes a branch with its worktree. Its log stays. Where a deletion was cut short after the branch was gone, its
    /// worktree goes now.
    ///
    /// # Errors
    /// [`CurrentBranch`](history::Error::CurrentBranch); if nothing may be lost, [`NotMerged`](history::Error::NotMerged) if nothing else reaches its
    /// commits, and [`Error::UncommittedChanges`] if its worktree has any; [`Error::NotKept`].
    pub fn delete(&self, branch: &BranchName, losing: Losing<'_>, who: &Signature) -> Result<Branched> {
        // From here on nobody saves into its worktree, and below no ref moves: what is seen is what goes.
        let still = Still::hold(self.repo, branch)?;
        let half_deleted = self.half_deleted(branch)?;
        let commit = half_deleted.map_or_else(|| self.repo.refs().existing_branch(branch), Ok)?;
        let force = !matches!(losing, Losing::Nothing);
        let check_merged = || match force || self.is_reached_without(commit, branch)? {
            true => Ok(()),
            false => Err(history::Error::NotMerged(branch.to_string())),
        };
        if half_deleted.is_none() {
            // Asked first without holding up others who move refs: it reads the history.
            check_merged()?;
        }
        if !force && still.is_some() && has_worktree(self.repo, branch)? && self.has_unsaved(branch)? {
            return Err(Error::UncommittedChanges(branch.to_string()));
        }
        let (mut warnings, mut is_kept) = (Vec::new(), false);
        if half_deleted.is_none() {
            let entry = LogEntry { who: who.clone(), message: "branch: deleted".into() };
            let losses = match still.is_some() && has_worktree(self.repo, branch)? {
                true => self.losses(branch, commit, losing, &entry)?,
                false => Losses::default(),
            };
            let mut transaction = self.repo.refs().transaction()?;
            transaction.delete_branch(branch, commit, &entry)?;
            check_merged()?;
            is_kept = losses.kept.is_some();
            if let Some(kept) = losses.kept {
                transaction.keep(kept, &entry)?;
            }
            if losses.loses_files {
                transaction.loses_files();
            }
            warnings.extend(transaction.commit()?.into_iter().map(Warning::from));
        }
        let is_held = !(is_kept && warnings.iter().any(Warning::is_not_durable));
        // What holds its files may not be there after a power cut: they stay, and are set aside as below.
        match still.filter(|_| is_held).map(|still| still.delete()).transpose() {
            Ok(_) => {}
            Err(error) if half_deleted.is_some() => return Err(error),
            // It is set aside when a branch of this name is made again.
            Err(error) => {
                warnings.push(Warning::Worktree { branch: branch.clone(), source: Box::new(error) });
            }
        }
        Ok(Branched { commit, is_kept, warnings })
    }

    /// What goes with the worktree of a branch that nobody saves into. Where nothing is kept, that it cannot be told is no reason to
    /// leave it.
    fn losses(
        &self,
        branch: &BranchName,
        tip: CommitId,
        losing: Losing<'_>,
        entry: &LogEntry,
    ) -> Result<Losses> {
        let Losing::Kept(task) = losing else {
            let loses_files = matches!(losing, Losing::All) && self.has_unsaved(branch).unwrap_or(false);
            return Ok(Losses { loses_files, ..Losses::default() });
        };
        let keep = || {
            if !self.has_unsaved(branch)? {
                return Ok(Losses::default());
            }
            let worktree = self.repo.worktree(branch)?;
            let snapshot = worktree.snapshot(false)?;
            let left = Left::All(self.repo.commit(tip)?.tree);
            let kept = Keepsake::make(&worktree, &snapshot, &left, (&entry.message, &entry.who), task)?;
            Ok(Losses { seen: None, kept: Some(kept), loses_files: !snapshot.is_at_rest() })
        };
        keep().map_err(Error::not_kept)
    }

    /// Removes the worktree of a branch, if it has one, with everything that was not committed.
    ///
    /// # Errors
    /// If the disk fails: it is there still.
    pub fn delete_worktree(&self, branch: &BranchName) -> Result<()> {
        Still::hold(self.repo, branch)?.map_or(Ok(()), Still::delete)
    }

    /// Whether the worktree of a branch has something that no commit has.
    fn has_unsaved(&self, branch: &BranchName) -> Result<bool> {
        let worktree = self.repo.worktree(branch)?;
        let snapshot = worktree.snapshot(false)?;
        let base = self.repo.tree_of(snapshot.base)?;
        Ok(!snapshot.is_at_rest() || !snapshot.diff_from(base, &worktree)?.is_empty())
    }

    /// Where a branch was that is gone, if its worktree is still there.
    fn half_deleted(&self, branch: &BranchName) -> Result<Option<CommitId>> {
        let is_gone = self.repo.refs().branch(branch)?.is_none()
            && self.repo.refs().head()? != Head::Branch(branch.clone())
            && has_worktree(self.repo, branch)?;
        Ok(match is_gone {
            true => self.repo.refs().logs().branch(branch)?.last().and_then(|line| line.old),
            false => None,
        })
    }

    /// Whether another branch, a tag or a detached HEAD reaches a commit.
    fn is_reached_without(&self, commit: CommitId, branch: &BranchName) -> history::Result<bool> {
        let branches = self.repo.refs().branches()?.into_iter();
        let mut others: Vec<CommitId> =
            branches.filter(|(other, _)| other != branch).map(|(_, id)| id).collect();
        let tags = self.repo.refs().tags()?.into_iter().filter(|(tag, _)| !tag.is_kept());
        others.extend(tags.map(|(_, tag)| tag.commit));
        if let Head::Detached(commit) = self.repo.refs().head()? {
            others.push(commit);
        }
        CommitGraph::of(self.repo).is_ancestor_of_any(commit, others)
    }

    /// Makes a branch that starts at `start` (HEAD if it is not said) and lets HEAD name it. Before the first commit
    /// there is nothing to start from: the branch without a commit gets another name, and its worktree goes along.
    ///
    /// # Errors
    /// As [`Branches::create`].
    pub fn switch_to_new(
        &self,
        branch: &BranchName,
        start: Option<&str>,
        who: &Signature,
    ) -> Result<Switched> {
        if let (None, Some(unborn)) = (start, self.unborn()?) {
            return self.rename_unborn(&unborn, branch, who);
        }
        let start = start.unwrap_or("HEAD");
        let head = Head::Branch(branch.clone());
        let commit = self.start_of(branch, start, who)?;
        let mut warnings = self.clear_way(branch)?;
        let entry = LogEntry { who: who.clone(), message: format!("branch: created from {start}") };
        let durable = self.repo.store().durable(commit)?;
        let mut transaction = self.repo.refs().transaction()?;
        transaction.update_branch(branch, None, durable, &entry).map_err(made)?;
        transaction.set_head(&head, who)?;
        warnings.extend(transaction.commit()?.into_iter().map(Warning::from));
        Ok(Switched { head, warnings })
    }

    /// The current branch, if it has no commit.
    fn unborn(&self) -> Result<Option<BranchName>> {
        match self.repo.refs().head()? {
            Head::Branch(branch) if self.repo.refs().branch(&branch)?.is_none() => Ok(Some(branch)),
            Head::Branch(_) | Head::Detached(_) => Ok(None),
        }
    }

    fn rename_unborn(&self, from: &BranchName, to: &BranchName, who: &Signature) -> Result<Switched> {
        let head = Head::Branch(to.clone());
        self.repo.refs().check_new_branch(to)?;
        let mut warnings = Vec::new();
        let takes_along = from != to && has_worktree(self.repo, from)? && self.has_changes(from)?;
        if takes_along {
            let aside = Still::hold(self.repo, to)?.map(Still::set_aside).transpose()?;
            warnings.extend(aside.map(|path| Warning::SetAside { branch: to.clone(), path }));
            Still::hold(self.repo, from)?.map_or(Ok(()), |still| still.give_to(to))?;
        }
        match self.repo.refs().set_head(&head, who) {
            Ok(Moved { warnings: late, .. }) => warnings.extend(late.into_iter().map(Warning::from)),
            Err(error) => {
                if takes_along {
                    // If this fails too, the same command goes on from here.
                    let _ = Still::hold(self.repo, to).map(|still| still.map(|still| still.give_to(from)));
                }
                return Err(error.into());
            }
        }
        Ok(Switched { head, warnings })
    }

    /// Lets HEAD name a branch or, detached, any other revision.
    ///
    /// # Errors
    /// [`UnknownRevision`](history::Error::UnknownRevision) and what else [`Repo::resolve`] says.
    pub fn switch_to(&self, target: &str, who: &Signature) -> Result<Switched> {
        let previous = Revisions::of(self.repo).previous_named(target)?;
        let target = previous.as_deref().unwrap_or(target);
        let head = match BranchName::new(target) {
            Ok(branch) if self.can_switch_to(&branch)? => Head::Branch(branch),
            Ok(_) | Err(_) => Head::Detached(self.repo.resolve(target, who.time)?),
        };
        let moved = self.repo.refs().set_head(&head, who)?;
        Ok(Switched { head, warnings: moved.warnings.into_iter().map(Warning::from).collect() })
    }

    /// Whether there is such a branch. Before the first commit that is one with a worktree.
    fn can_switch_to(&self, branch: &BranchName) -> Result<bool> {
        Ok(self.repo.refs().branch(branch)?.is_some()
            || self.repo.refs().head()? == Head::Branch(branch.clone())
            || (self.unborn()?.is_some()
                && has_worktree(self.repo, branch)?
                && self.repo.worktree(branch)?.base()?.is_none()))
    }
}

/// That a branch to be made is there already.
fn exists(name: String) -> Error {
    history::Error::RefExists { kind: BranchName::KIND, name }.into()
}

/// The same, if that is why a branch could not be made.
fn made(error: history::Error) -> Error {
    match error {
        history::Error::RefMoved { name, expected: None, found: Some(_) } => exists(name),
        other => other.into(),
    }
}
