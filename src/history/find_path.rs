//! A path in the tree of a commit, and the one that was probably meant if there is none.

use super::error::{Error, Result};
use super::path::TreePath;
use super::repository::Repo;
use super::suggest::nearest;
use super::tree::{Attributes, Entry};
use crate::id::CommitId;

impl Repo {
    /// The entry of a path in the tree of a commit.
    ///
    /// # Errors
    /// [`Error::UnknownPath`] with the nearest name in the deepest directory that exists.
    pub fn entry_at(&self, commit: CommitId, shown_as: &str, path: &TreePath) -> Result<Entry> {
        let found = self.commit(commit)?;
        let tree = found.tree;
        match self.find_in_tree(tree, path)? {
            // Nothing records when a whole tree changed but the commit.
            Some(entry) if path.is_root() => {
                let attributes = Attributes { modified: found.committer.time, ..entry.attributes };
                Ok(Entry { attributes, ..entry })
            }
            Some(entry) => Ok(entry),
            None => Err(Error::UnknownPath {
                path: path.clone(),
                place: format!("`{shown_as}`"),
                nearest: nearest_path(self, tree, path)?,
            }),
        }
    }
}

/// The path that somebody probably meant: right up to some directory, one name off.
pub(crate) fn nearest_path(
    repo: &Repo,
    tree: crate::id::TreeId,
    path: &TreePath,
) -> Result<Option<TreePath>> {
    let mut dir = tree;
    let mut found = TreePath::ROOT;
    for name in path.names() {
        let entries = repo.tree(dir)?;
        match entries.find(name).map(|entry| &entry.node) {
            Some(super::tree::Node::Dir(below)) => {
                dir = *below;
                found = found.join(name.clone());
            }
            Some(_) => return Ok(Some(found.join(name.clone()))),
            None => {
                let names = entries.entries().iter().map(|entry| entry.name.to_string());
                let near = nearest(&name.to_string(), names);
                let near = near.and_then(|near| super::path::Name::new(near).ok());
                return Ok(near.map(|near| found.join(near)));
            }
        }
    }
    Ok(None)
}
