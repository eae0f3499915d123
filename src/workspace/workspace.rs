//! An open repository, and the place in it that somebody stands at.

use super::discover::{Found, inside_worktree};
use super::error::{Error, Result};
use super::mounts::{self, Heard};
use super::settings::open_repo;
use super::surroundings::{Surroundings, normalised};
use crate::config::Config;
use crate::daemons::{Daemons, Request};
use crate::disk::{Disk, RealDisk};
use crate::history::{self, BranchName, Name, Repo, Signature, TreePath};
use crate::store::{CodedFiles, StoreError};
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{Interrupted, Worktree, has_worktree};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A repository, and the place in it that somebody stands at.
#[derive(Debug)]
pub struct Workspace {
    /// The repository.
    pub repo: Repo,
    /// The settings in force.
    pub config: Config,
    /// The folder that contains the repository's own folder.
    pub folder: PathBuf,
    /// The branch whose mounted worktree he stands in, and where in it.
    pub inside: Option<(BranchName, TreePath)>,
    /// Where and when that is.
    pub surroundings: Surroundings,
    daemons: Daemons,
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
    /// As [`Surroundings::find`] and [`Surroundings::config`]; [`Error::BranchGone`].
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
        let folder = root.parent().unwrap_or(&root).to_owned();
        Ok(Self { repo, config, folder, inside, surroundings: surroundings.clone(), daemons: Daemons::new() })
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
                self.repo.refs().existing_branch(&branch)?;
            }
            return Ok(branch);
        }
        match &self.inside {
            Some((branch, _)) => Ok(branch.clone()),
            None => Ok(self.repo.refs().current_branch()?),
        }
    }

    /// The worktree of a branch, as it is after whatever a mount of it has under way, recovered if nobody else uses it and
    /// gone along with its branch.
    ///
    /// # Errors
    /// If the disk fails or the worktree is damaged.
    pub fn worktree(&self, branch: &BranchName) -> Result<OpenedWorktree> {
        let worktree = self.repo.worktree(branch)?;
        let interrupted = worktree.recover_if_abandoned()?;
        worktree.follow_branch()?;
        Ok(OpenedWorktree { worktree, interrupted })
    }

    /// Where in the tree a path is that was typed: below the repository's folder or the mounted worktree.
    ///
    /// # Errors
    /// [`Error::OutOfWorktree`], or what no tree can have.
    pub fn tree_path(&self, typed: &Path) -> Result<TreePath> {
        if let Some((_, at)) = self.inside.as_ref().filter(|_| typed.is_relative()) {
            return relative_to(at, typed);
        }
        let absolute = normalised(&self.surroundings.cwd.join(typed));
        if let Ok(below) = absolute.strip_prefix(&self.folder) {
            return Ok(TreePath::parse(below.as_os_str().as_bytes())?);
        }
        Ok(TreePath::parse(typed.as_os_str().as_bytes())?)
    }

    /// The folder of the tree that somebody stands in: below the repository's folder or in a mounted worktree; the top if
    /// he stands in neither.
    pub fn here(&self) -> TreePath {
        if let Some((_, at)) = &self.inside {
            return at.clone();
        }
        let below = self.surroundings.cwd.strip_prefix(&self.folder);
        below.ok().and_then(|below| TreePath::parse(below.as_os_str().as_bytes()).ok()).unwrap_or_default()
    }

    /// A path that is relative to a folder of the tree.
    ///
    /// # Errors
    /// [`Error::OutOfWorktree`], or what no tree can have.
    pub fn below(&self, folder: &TreePath, typed: &Path) -> Result<TreePath> {
        relative_to(folder, typed)
    }

    /// The same for several, each once, in the order in which they were typed.
    ///
    /// # Errors
    /// As [`Workspace::tree_path`].
    pub fn tree_paths(&self, typed: &[PathBuf]) -> Result<Vec<TreePath>> {
        let mut paths: Vec<TreePath> = Vec::with_capacity(typed.len());
        let mut seen = HashSet::new();
        for typed in typed {
            let path = self.tree_path(typed)?;
            if seen.insert(path.clone()) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Lets mounts of the repository show at once what was changed.
    pub fn announce(&self) -> Heard {
        mounts::ask(&self.daemons, self.repo.root(), Request::Refresh, &Task::default())
    }

    /// Lets mounts finish with files that were closed just now.
    pub fn settle(&self) -> Heard {
        mounts::ask(&self.daemons, self.repo.root(), Request::Settle, &Task::default())
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

    /// Lets mounts finish with files that were closed just now, and leave what is done in the background for a commit that
    /// is made now.
    pub fn begin_commit(&self) -> Heard {
        mounts::ask(&self.daemons, self.repo.root(), Request::GiveWay, &Task::default())
    }

    /// Lets mounts store what is settled, which may take long.
    pub fn drain(&self, task: &Task) -> Heard {
        mounts::ask(&self.daemons, self.repo.root(), Request::Drain, task)
    }
}

fn relative_to(base: &TreePath, typed: &Path) -> Result<TreePath> {
    let mut names: Vec<Name> = base.names().to_vec();
    for component in typed.components() {
        match component {
            Component::ParentDir if names.pop().is_none() => {
                return Err(Error::OutOfWorktree(typed.to_owned()));
            }
            Component::Normal(name) => names.push(Name::new(name.as_bytes())?),
            Component::ParentDir | Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(names.into_iter().collect())
}
