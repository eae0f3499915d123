//! The way from a branch, or from a node of a worktree, to the worktree that is open.
//!
//! Owns when a worktree is opened and when it is let go, and what an error in one that was taken away comes from.

use std::sync::{Arc, Weak};

use crate::history::{BranchName, Head, Repo};
use crate::worktree::{self, CloseListener, Interrupted, Tenant, has_worktree, hear_closes};

use super::errno::{Error, Result};
use super::log::Log;
use super::report::shown;
use super::settings::Clock;
use super::worktrees::{OpenWorktree, Opening, WorktreeNode, Worktrees, explained};

/// Waits until files of a worktree that were closed just now are complete.
pub(super) type Settle = Arc<dyn Fn(&Arc<OpenWorktree>) + Send + Sync>;

/// The worktrees of a repository's branches.
pub(super) struct OpenWorktrees {
    repo: Repo,
    open: Worktrees,
    log: Arc<Log>,
    clock: Clock,
    settle: Settle,
}

/// What this mount hears of closes in one worktree.
struct OwnCloses {
    settle: Settle,
    worktree: Weak<OpenWorktree>,
}

impl CloseListener for OwnCloses {
    fn settle(&self) {
        if let Some(worktree) = self.worktree.upgrade() {
            (self.settle)(&worktree);
        }
    }
}

impl OpenWorktrees {
    /// None of this repository's is open yet.
    pub fn of(repo: &Repo, log: Arc<Log>, clock: Clock, settle: Settle) -> Self {
        Self { repo: repo.clone(), open: Worktrees::default(), log, clock, settle }
    }

    /// The worktree of a branch, opened at first use.
    pub fn open(&self, branch: &BranchName) -> Result<Arc<OpenWorktree>> {
        let open = || {
            // The kernel may still know the top of the worktree of a branch that is gone: looking must not make another.
            if !self.may_exist(branch)? {
                self.repo.refs().existing_branch(branch)?;
            }
            let (tenant, interrupted) = Tenant::adopt(self.repo.worktree(branch)?)?;
            for file in &interrupted {
                self.log.line((self.clock)(), taken_back(branch, file));
            }
            Ok((tenant, interrupted))
        };
        let opened = self.explain(self.open.find_or_open(branch, open))?;
        hear_closes(&opened, || {
            Arc::new(OwnCloses { settle: Arc::clone(&self.settle), worktree: Arc::downgrade(&opened) })
        });
        Ok(opened)
    }

    /// A result of something done in the repository: where that was moved away or replaced, an error is of that.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| explained(&self.repo, error))
    }

    fn may_exist(&self, branch: &BranchName) -> Result<bool> {
        Ok(self.repo.refs().branch(branch)?.is_some()
            || self.repo.refs().head()? == Head::Branch(branch.clone())
            || has_worktree(&self.repo, branch)?)
    }

    /// The worktree that a node is in.
    pub fn of_node(&self, at: &WorktreeNode) -> Result<Arc<OpenWorktree>> {
        match at.opening() {
            None => self.open(at.branch()),
            Some(opening) => {
                let open = self.open.find(at.branch()).filter(|open| open.opening() == opening);
                open.ok_or(Error::Worktree(worktree::Error::Stale))
            }
        }
    }

    /// Does something with a node of a worktree. A worktree that was taken away under it is let go; its top is then that
    /// of the one that stands in its place, and all its other nodes are stale.
    pub fn within<T>(&self, at: &WorktreeNode, act: impl Fn(&Arc<OpenWorktree>) -> Result<T>) -> Result<T> {
        let worktree = self.of_node(at)?;
        let act = |worktree: &Arc<OpenWorktree>| act(worktree).map_err(|error| worktree.explained(error));
        match act(&worktree) {
            Err(Error::Worktree(worktree::Error::Stale | worktree::Error::Replaced(_)))
                if worktree.is_gone() =>
            {
                self.open.drop_gone(&worktree);
                act(&self.of_node(at)?)
            }
            other => other,
        }
    }

    /// Those that somebody looked into.
    pub fn all(&self) -> Vec<Arc<OpenWorktree>> {
        self.open.all()
    }

    /// The worktree of a branch, if somebody looked into it before.
    pub fn find(&self, branch: &BranchName) -> Option<Arc<OpenWorktree>> {
        self.open.find(branch)
    }

    /// Lets worktrees go that were deleted or replaced, and those that nobody uses any more: `is_known` says whether the
    /// kernel knows a node of an opening. To be called now and then.
    pub fn tidy(&self, is_known: impl Fn(Opening) -> bool) {
        for worktree in self.all() {
            // What cannot be told is asked again.
            let is_deleted = self.may_exist(worktree.branch()).is_ok_and(|may| !may);
            if is_deleted || worktree.is_gone() {
                self.open.drop_gone(&worktree);
            }
        }
        self.open.drop_idle(is_known);
    }

    /// The branches that have worktrees: all that exist, and the current one though it may have no commit yet.
    pub fn branch_names(&self) -> Result<Vec<BranchName>> {
        let mut names: Vec<_> = self.repo.refs().branches()?.into_iter().map(|(name, _)| name).collect();
        if let Head::Branch(current) = self.repo.refs().head()?
            && !names.contains(&current)
        {
            names.push(current);
        }
        Ok(names)
    }
}

/// What became of a file whose last bytes were in doubt when its worktree was opened.
pub(super) fn taken_back(branch: &BranchName, Interrupted { path, now }: &Interrupted) -> String {
    format!("{} of worktree {branch} {}", shown(path), now.told())
}
