//! Adding what was typed: where it goes, and what of it lies in the repository's own mounts.

use super::discover::FOLDER;
use super::error::{Error, Result};
use super::ignored::Ignored;
use super::mounts::Heard;
use super::workspace::Workspace;
use crate::daemons::Mounted;
use crate::history::{BranchName, TreePath};
use crate::task::Task;
use crate::worktree::{self, Addition, Fence, Ignores, ToAdd, Worktree};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddRequest {
    /// Files, directories and links, as they were typed.
    pub paths: Vec<PathBuf>,
    /// The directory of the worktree that they go into; if it is not said, a file keeps its path below the repository's
    /// folder, and goes to the top from elsewhere.
    pub to: Option<TreePath>,
    /// Take what `.coralignore` files leave out as well.
    pub no_ignore: bool,
}

/// Taking files into a worktree.
#[derive(Debug, Clone, Copy)]
pub struct Adding<'a>(&'a Workspace);

impl Workspace {
    /// Taking files into a worktree.
    pub fn adding(&self) -> Adding<'_> {
        Adding(self)
    }
}

impl Adding<'_> {
    /// Whether what is named lies in the mounted worktree of the branch already, where saving is adding.
    pub fn is_in_place(&self, branch: &BranchName, request: &AddRequest) -> bool {
        let inside = self.0.inside.as_ref().is_some_and(|(inside, _)| inside == branch);
        inside && request.to.is_none() && request.paths.iter().all(|path| path.is_relative())
    }

    /// Makes sure that files are in the mounted worktree that somebody stands in, and whole. Returns one of each that is
    /// still being written: commits take it when it is closed.
    ///
    /// # Errors
    /// [`Error::NotHere`], and [`Error::Unfinished`] for what was left by a writer that is gone.
    pub fn check_saved(&self, worktree: &Worktree, typed: &[PathBuf]) -> Result<Vec<TreePath>> {
        let snapshot = worktree.snapshot(false)?;
        let mut open = Vec::new();
        for typed in typed {
            if self.0.surroundings.absolute(typed).symlink_metadata().is_err() {
                let branch = worktree.branch().to_string();
                return Err(Error::NotHere { path: typed.clone(), branch });
            }
            let path = self.0.paths().tree_path(typed)?;
            let find = |paths: &[TreePath]| paths.iter().find(|file| file.starts_with(&path)).cloned();
            if let Some(file) = find(&snapshot.interrupted) {
                return Err(Error::Unfinished(file));
            }
            open.extend(find(&snapshot.still_open));
        }
        Ok(open)
    }

    /// Takes what was typed into a worktree, durably, all or nothing.
    ///
    /// # Errors
    /// [`Error::Nameless`], [`Error::Around`]; [`OwnMount`](worktree::Error::OwnMount) for what lies in a mount of the repository itself, but
    /// for single files of its history; as [`Edits::add`](worktree::Edits::add).
    pub fn add(&self, worktree: &Worktree, request: &AddRequest, task: &Task) -> Result<(Addition, Heard)> {
        let mounts = self.0.own_mounts.of(&self.0.repo, &self.0.folder);
        let (mut items, mut history) = (Vec::new(), HashSet::new());
        for typed in &request.paths {
            let from = self.0.surroundings.absolute(typed);
            if check_mounts(mounts, &from)? {
                history.insert(from.clone());
            }
            let to = match (&request.to, from.strip_prefix(&self.0.folder)) {
                (Some(dir), _) => dir.concat(&own_name(&from)?),
                (None, Ok(below)) => TreePath::parse(below.as_os_str().as_encoded_bytes())?,
                (None, Err(_)) if self.0.folder.starts_with(&from) => {
                    return Err(Error::Around(typed.clone()));
                }
                (None, Err(_)) => own_name(&from)?,
            };
            to.check()?;
            items.push(ToAdd { from, to });
        }
        let ignores =
            (!request.no_ignore).then(|| Arc::new(Ignored::below(&self.0.folder)) as Arc<dyn Ignores>);
        let fence = Fence { mounts: mounts.iter().map(|mounted| mounted.device).collect(), history, ignores };
        let added = worktree.edits().add(&items, &fence, self.0.now(), task)?;
        self.0.merges().decide_as_they_are(worktree, items.iter().map(|item| item.to.clone()))?;
        Ok((added, self.0.mounts().announce()))
    }
}

/// Refuses what is in a mount of the repository itself, but for single files of its history: whether it is one of those.
fn check_mounts(mounts: &[Mounted], from: &Path) -> Result<bool> {
    let Some(Ok(around)) = from.parent().map(Path::canonicalize) else { return Ok(false) };
    let whole = around.join(from.file_name().unwrap_or_default());
    let above = mounts.iter().filter(|mounted| whole.starts_with(&mounted.mount_point));
    let Some(mounted) = above.max_by_key(|mounted| mounted.mount_point.components().count()) else {
        return Ok(false);
    };
    let is_file = whole.symlink_metadata().is_ok_and(|found| found.is_file());
    let below = whole.strip_prefix(&mounted.mount_point).unwrap_or(&whole);
    match is_file && is_history(mounts, mounted, below) {
        true => Ok(true),
        false => Err(worktree::Error::OwnMount(from.to_owned()).into()),
    }
}

/// Whether what is below a mount point belongs to a branch, tag, commit or tensor.
fn is_history(mounts: &[Mounted], mounted: &Mounted, below: &Path) -> bool {
    // A part of the file system can be bound elsewhere; only where the whole is can be read what it shows.
    let whole = mounts.iter().find(|other| other.device == mounted.device && other.root == Path::new("/"));
    let Some(whole) = whole else { return false };
    let shows = std::fs::read(whole.mount_point.join(FOLDER).join("worktree"));
    let path = mounted.root.join(below);
    let top = path.strip_prefix("/").unwrap_or(&path).components().next();
    let top = top.map(|top| top.as_os_str().to_owned()).unwrap_or_default();
    shows.is_ok_and(|shows| shows.trim_ascii().is_empty()) && top != "worktree" && top != FOLDER
}

fn own_name(path: &Path) -> Result<TreePath> {
    match path.file_name() {
        Some(name) => Ok(TreePath::parse(name.as_encoded_bytes())?),
        None => Err(Error::Nameless(path.to_owned())),
    }
}
