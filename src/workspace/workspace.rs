//! An open repository, and the place in it that somebody stands at.

use super::discover::{Found, inside_worktree};
use super::error::Result;
use super::own_mounts::OwnMounts;
use super::settings::open_repo;
use super::surroundings::Surroundings;
use crate::config::Config;
use crate::daemons::Daemons;
use crate::disk::{Disk, RealDisk};
use crate::history::{self, BranchName, Repo, Signature, TreePath};
use crate::soup::sweep_scratch;
use crate::store::{CodedFiles, StoreError};
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{Interrupted, Worktree, has_worktree, hear_closes};
use std::path::PathBuf;
use std::sync::Arc;

/// A repository, and the place in it that somebody stands at.
#[derive(Debug)]
pub struct Workspace {
    /// The repository; HEAD means the branch that he stands in.
    pub repo: Repo,
    /// The settings in force.
    pub config: Config,
    /// The folder that contains the repository's own folder.
    pub folder: PathBuf,
    /// The branch whose mounted worktree he stands in, and where in it.
    pub inside: Option<(BranchName, TreePath)>,
    /// Where and when that is.
    pub surroundings: Surroundings,
    pub(super) daemons: Arc<Daemons>,
    pub(super) own_mounts: OwnMounts,
}

/// A worktree as it is after what a mount that died left unfinished was put in order.
#[derive(Debug)]
pub struct OpenedWorktree {
    /// The worktree.
    pub worktree: Worktree,
    /// Files that had bytes which were not yet on the disk then, and what they are now.
    pub interrupted: Vec<Interrupted>,
}

impl Workspace {
    /// Opens the repository at or above the folder that somebody stands in.
    ///
    /// # Errors
    /// As [`Surroundings::find`] and [`Surroundings::config`]; [`Error::BranchGone`](super::Error::BranchGone).
    pub fn open(surroundings: &Surroundings) -> Result<Self> {
        Self::open_on(Arc::new(RealDisk), surroundings)
    }

    /// The same on a disk of one's own: the operating system's, with a stop for those who wait.
    ///
    /// # Errors
    /// As [`Workspace::open`].
    pub fn open_on(disk: Arc<dyn Disk>, surroundings: &Surroundings) -> Result<Self> {
        let Found { root, mount } = surroundings.find()?;
        let config = surroundings.config(Some(&root))?;
        let repo = open_repo(disk, &root, &config)?;
        let inside = match &mount {
            Some(mount) => inside_worktree(&repo, mount, &surroundings.cwd)?,
            None => None,
        };
        let repo = match &inside {
            Some((branch, _)) => repo.standing_on(branch.clone()),
            None => repo,
        };
        let folder = root.parent().unwrap_or(&root).to_owned();
        Ok(Self {
            repo,
            config,
            folder,
            inside,
            surroundings: surroundings.clone(),
            daemons: Arc::default(),
            own_mounts: OwnMounts::default(),
        })
    }

    /// When somebody asks.
    pub fn now(&self) -> Timestamp {
        self.surroundings.now
    }

    /// Who asks, there and then.
    pub fn signature(&self) -> Signature {
        Signature {
            name: self.config.text("user.name").to_owned(),
            email: self.config.text("user.email").to_owned(),
            time: self.now(),
            offset_minutes: self.surroundings.offset_minutes,
        }
    }

    /// The branch that is meant: the one that is named, the one whose worktree he stands in, or the current one.
    ///
    /// # Errors
    /// [`UnknownRef`](crate::history::Error::UnknownRef), or [`DetachedHead`](crate::history::Error::DetachedHead).
    pub fn branch(&self, named: Option<&str>) -> Result<BranchName> {
        if let Some(name) = named {
            let branch = BranchName::new(name)?;
            if self.repo.refs().branch(&branch)?.is_none() && !has_worktree(&self.repo, &branch)? {
                match self.repo.refs().existing_branch(&branch) {
                    // Before the first commit the current branch is a name alone.
                    Ok(_) | Err(history::Error::Unborn(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(branch);
        }
        Ok(self.repo.head()?.into_branch()?)
    }

    /// The worktree of a branch, as it is after whatever a mount of it has under way, recovered if nobody else uses it and
    /// gone along with its branch.
    ///
    /// # Errors
    /// If the disk fails or the worktree is damaged.
    pub fn worktree(&self, branch: &BranchName) -> Result<OpenedWorktree> {
        // What a soup left that was killed takes room, and is of no use: that it stays is no reason to fail.
        let _ = sweep_scratch(&self.repo);
        let worktree = self.repo.worktree(branch)?;
        hear_closes(&worktree, || self.mounts().closings());
        let interrupted = worktree.recover_if_abandoned()?;
        worktree.follow_branch()?;
        Ok(OpenedWorktree { worktree, interrupted })
    }

    /// Codes what commits left as it was saved. If somebody is at it already, that is left to him.
    ///
    /// # Errors
    /// Those of [`Store::code_attached`](crate::store::Store::code_attached); nothing is lost then.
    pub fn code_attached(&self, task: &Task) -> Result<CodedFiles> {
        match self.repo.store().code_attached(task) {
            Err(StoreError::Busy { .. }) => Ok(CodedFiles::default()),
            other => Ok(other.map_err(history::Error::from)?),
        }
    }
}
