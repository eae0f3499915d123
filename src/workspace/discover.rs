//! Which repository a folder belongs to, and which worktree of it.

use super::error::{Error, Result};
use crate::daemons::mounted_above;
use crate::history::{self, BranchName, Head, Repo, TreePath};
use crate::worktree::has_worktree;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The folder of a repository inside the folder that it is for.
pub const FOLDER: &str = ".coral";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its own folder.
    pub root: PathBuf,
    /// The mount that it was found through.
    pub mount: Option<PathBuf>,
}

/// The repository at or above a folder, also from inside a mount of it.
pub(super) fn find(cwd: &Path) -> Result<Found> {
    // What a mount shows is content: its repository is the one that the kernel names, and nothing in it is another.
    if let Ok(Some(mounted)) = mounted_above(cwd) {
        let told = std::fs::read(mounted.mount_point.join(FOLDER).join("repository")).unwrap_or_default();
        let named = match told.strip_suffix(b"\n") {
            Some(path) => PathBuf::from(OsStr::from_bytes(path)),
            // Only a part of the mount is shown here.
            None => mounted.repository,
        };
        return Ok(Found { root: root_of(&named)?, mount: Some(mounted.mount_point) });
    }
    for folder in cwd.ancestors() {
        let own = folder.join(FOLDER);
        if own.join("format").exists() {
            return Ok(Found { root: own, mount: None });
        }
        // The inside of a repository's own folder.
        if folder.join("format").is_file() && folder.join("refs").is_dir() && folder.join("packs").is_dir() {
            return Ok(Found { root: folder.to_owned(), mount: None });
        }
    }
    Err(history::Error::NotARepository(cwd.to_owned()).into())
}

/// A repository's own folder, given that or the folder around it.
///
/// # Errors
/// [`NotARepository`](history::Error::NotARepository).
pub fn root_of(folder: &Path) -> Result<PathBuf> {
    let own = folder.join(FOLDER);
    let root = if own.join("format").exists() { own } else { folder.to_owned() };
    let missing = || Error::from(history::Error::NotARepository(folder.to_owned()));
    match root.join("format").exists() {
        true => root.canonicalize().map_err(|_| missing()),
        false => Err(missing()),
    }
}

/// The branch and the path below `MNT/worktree/` that a folder is at. Branch names may have slashes: the one that
/// exists counts.
///
/// # Errors
/// [`Error::BranchGone`].
pub(super) fn inside_worktree(
    repo: &Repo,
    mount: &Path,
    cwd: &Path,
) -> Result<Option<(BranchName, TreePath)>> {
    // The whole mount may be one worktree.
    let alone = std::fs::read_to_string(mount.join(FOLDER).join("worktree")).unwrap_or_default();
    if let (Ok(branch), Ok(below)) = (BranchName::new(alone.trim_end()), cwd.strip_prefix(mount)) {
        return match is_there(repo, &branch)? {
            true => Ok(Some((branch, TreePath::parse(below.as_os_str().as_bytes())?))),
            false => Err(Error::BranchGone(branch.to_string())),
        };
    }
    let Ok(below) = cwd.strip_prefix(mount.join("worktree")) else { return Ok(None) };
    let path = TreePath::parse(below.as_os_str().as_bytes())?;
    for split in 1..=path.names().len() {
        let (branch, rest) = path.names().split_at(split);
        let branch: TreePath = branch.iter().cloned().collect();
        let Ok(branch) = BranchName::new(branch.to_string()) else { continue };
        if is_there(repo, &branch)? {
            return Ok(Some((branch, rest.iter().cloned().collect())));
        }
    }
    let folder = format!("{path}/");
    let mut branches = repo.refs().branches()?.into_iter();
    match path.is_root() || branches.any(|(branch, _)| branch.as_str().starts_with(&folder)) {
        true => Ok(None),
        false => Err(Error::BranchGone(path.to_string())),
    }
}

/// Whether there is a branch, or a worktree of the one that has no commit yet.
fn is_there(repo: &Repo, branch: &BranchName) -> Result<bool> {
    Ok(repo.refs().branch(branch)?.is_some()
        || repo.refs().head()? == Head::Branch(branch.clone())
        || has_worktree(repo, branch)?)
}
