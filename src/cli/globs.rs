//! Patterns that no shell filled in, because it was told not to or because the names are in the worktree alone.

use super::context::Place;
use super::error::{CommandError, Result};
use crate::history::{DraftNode, TreePath, glob, is_glob};
use crate::workspace::{Surroundings, View};
use crate::worktree::Worktree;
use std::path::{Component, Path, PathBuf};

/// What was typed, as paths of a worktree, each once. A pattern that is no name there stands for the files that it fits, those
/// that only the last commit has as well.
pub fn in_worktree(place: &Place, worktree: &Worktree, typed: &[PathBuf]) -> Result<Vec<TreePath>> {
    let mut found = Vec::new();
    for typed in typed {
        let path = place.paths().tree_path(typed)?;
        let pattern = path.to_string();
        if !is_glob(&pattern) || worktree.names().resolve(&path)?.is_some() {
            found.push(path);
            continue;
        }
        let before = found.len();
        for view in views(place, worktree)? {
            found.extend(fitting(&view, &pattern)?);
        }
        if found.len() == before {
            return Err(no_match(&pattern, &format!("the worktree of `{}`", worktree.branch())));
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.clone()));
    Ok(found)
}

/// The worktree, and its last commit if it has one.
fn views(place: &Place, worktree: &Worktree) -> Result<Vec<View>> {
    let mut views = vec![place.views().view_worktree(worktree.branch())?];
    if let Some(tip) = place.repo.refs().branch(worktree.branch())? {
        views.push(place.views().view_of(tip, worktree.branch().as_str())?);
    }
    Ok(views)
}

/// The files and links that a pattern fits.
fn fitting(view: &View, pattern: &str) -> Result<Vec<TreePath>> {
    let all = view.all_below(view.tree().root)?;
    let is_leaf = |node: &DraftNode| !matches!(node, DraftNode::Dir(_));
    let fits =
        all.into_iter().filter(|(path, entry)| is_leaf(&entry.node) && glob(pattern, &path.to_string()));
    Ok(fits.map(|(path, _)| path).collect())
}

/// What was typed, as paths on the disk. A pattern that is no name there stands for what it fits, folder by folder, as in a
/// shell: names that begin with a dot are not fitted by a wildcard.
pub fn on_disk(surroundings: &Surroundings, typed: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for typed in typed {
        let is_pattern = is_glob(&typed.to_string_lossy());
        if !is_pattern || surroundings.absolute(typed).symlink_metadata().is_ok() {
            found.push(typed.clone());
            continue;
        }
        let mut fits = vec![PathBuf::new()];
        for component in typed.components() {
            fits = fits.iter().flat_map(|at| step(surroundings, at, component)).collect();
        }
        if fits.is_empty() {
            return Err(no_match(&typed.to_string_lossy(), "this folder"));
        }
        found.extend(fits);
    }
    Ok(found)
}

/// What a component of a pattern leads to from a folder.
fn step(surroundings: &Surroundings, at: &Path, component: Component<'_>) -> Vec<PathBuf> {
    let pattern = component.as_os_str().to_string_lossy();
    if !is_glob(&pattern) {
        let next = at.join(component);
        let is_there = surroundings.absolute(&next).symlink_metadata().is_ok();
        return if is_there { vec![next] } else { Vec::new() };
    }
    let entries = std::fs::read_dir(surroundings.absolute(at)).into_iter().flatten().flatten();
    let fits = |name: &str| glob(&pattern, name) && (pattern.starts_with('.') || !name.starts_with('.'));
    let names = entries.map(|entry| entry.file_name()).filter(|name| fits(&name.to_string_lossy()));
    let mut next: Vec<PathBuf> = names.map(|name| at.join(name)).collect();
    next.sort();
    next
}

fn no_match(pattern: &str, place: &str) -> CommandError {
    CommandError::new(format!("nothing in {place} fits `{pattern}`"))
        .hint("`*` stands for any letters, `?` for one; `coral ls -r :` lists the worktree")
}
