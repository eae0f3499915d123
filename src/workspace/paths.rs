//! Paths as they are typed by somebody who stands somewhere, and where they are in a tree.

use super::discover::inside_worktree;
use super::error::{Error, Result};
use super::pathspec::{Pathspec, Spec};
use super::surroundings::normalised;
use super::workspace::Workspace;
use crate::history::{Name, TreePath, is_glob};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What paths mean that are typed in a workspace.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a>(&'a Workspace);

impl Workspace {
    /// What paths mean that are typed here.
    pub fn paths(&self) -> Paths<'_> {
        Paths(self)
    }
}

impl Paths<'_> {
    /// Where in the tree a path is that was typed: below the repository's folder, in the mounted worktree that somebody stands in,
    /// or in that of the branch that is meant as a mount shows it.
    ///
    /// # Errors
    /// [`Error::OutOfWorktree`], [`Error::OtherWorktree`], or what no tree can have.
    pub fn tree_path(&self, typed: &Path) -> Result<TreePath> {
        // As in git `:/` is the top, wherever somebody stands.
        if let Some(below) = typed.as_os_str().as_bytes().strip_prefix(b":/") {
            return relative_to(&TreePath::ROOT, Path::new(OsStr::from_bytes(below)));
        }
        if let Some((_, at)) = self.0.inside.as_ref().filter(|_| typed.is_relative()) {
            return relative_to(at, typed);
        }
        let absolute = normalised(&self.0.surroundings.cwd.join(typed));
        if let Some(path) = self.in_mount(&absolute)? {
            return Ok(path);
        }
        if let Ok(below) = absolute.strip_prefix(&self.0.folder) {
            return Ok(TreePath::parse(below.as_os_str().as_bytes())?);
        }
        Ok(TreePath::parse(typed.as_os_str().as_bytes())?)
    }

    /// Where in the worktree of the branch that is meant a path of a mount is; `None` if it is in no mounted worktree.
    fn in_mount(&self, absolute: &Path) -> Result<Option<TreePath>> {
        let above = self
            .0
            .own_mounts
            .of(&self.0.repo, &self.0.folder)
            .iter()
            .filter(|mounted| absolute.starts_with(&mounted.mount_point));
        let Some(mounted) = above.max_by_key(|mounted| mounted.mount_point.components().count()) else {
            return Ok(None);
        };
        match inside_worktree(&self.0.repo, &mounted.mount_point, absolute) {
            Ok(Some((branch, path))) if self.0.branch(None).is_ok_and(|meant| meant == branch) => {
                Ok(Some(path))
            }
            Ok(Some((branch, _))) => {
                Err(Error::OtherWorktree { path: absolute.to_owned(), branch: branch.to_string() })
            }
            Ok(None) | Err(Error::BranchGone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The folder of the tree that somebody stands in: below the repository's folder or in a mounted worktree; the top if
    /// he stands in neither.
    pub fn here(&self) -> TreePath {
        if let Some((_, at)) = &self.0.inside {
            return at.clone();
        }
        let below = self.0.surroundings.cwd.strip_prefix(&self.0.folder);
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
    /// As [`Paths::tree_path`].
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

    /// What was typed, relative to where somebody stands. `is_there` tells whether something is at a path: what is not may
    /// be a file with the tensors of it that are meant.
    ///
    /// # Errors
    /// [`Error::OutOfWorktree`], or what no tree can have.
    pub fn pathspec(
        &self,
        typed: &[PathBuf],
        is_there: &dyn Fn(&TreePath) -> Result<bool>,
    ) -> Result<Pathspec> {
        let mut found = Pathspec::default();
        for typed in typed {
            let bytes = typed.as_os_str().as_bytes();
            let hash = bytes.iter().position(|byte| *byte == b'#');
            let (file, tensor) = match hash {
                Some(at) if !is_there(&self.tree_path(typed)?)? => (&bytes[..at], Some(&bytes[at + 1..])),
                Some(_) | None => (bytes, None),
            };
            found.specs.push(self.spec(Path::new(std::ffi::OsStr::from_bytes(file)), is_there)?);
            found.tensors.extend(tensor.map(|name| String::from_utf8_lossy(name).into_owned()));
        }
        Ok(found)
    }

    fn spec(&self, typed: &Path, is_there: &dyn Fn(&TreePath) -> Result<bool>) -> Result<Spec> {
        let path = self.tree_path(typed)?;
        let text = path.to_string();
        Ok(if is_glob(&text) && !is_there(&path)? { Spec::Glob(text) } else { Spec::Below(path) })
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
