//! What `rm` and `restore` do to a worktree: everything is looked at first, then all of it happens or none.

use super::error::{Error, Result};
use super::{Edit, Kind, Worktree};
use crate::history::{self, Entry, Node, Tree, TreePath};
use crate::id::{CommitId, TreeId};
use crate::units::Timestamp;

impl Worktree {
    /// Removes paths, durably; directories only if `recursive`. A path may be named twice, or lie in another one.
    ///
    /// # Errors
    /// [`UnknownPath`](history::Error::UnknownPath) with the nearest that the last commit has, [`Error::IsADirectory`]. After any error nothing
    /// has changed.
    pub fn remove_all(&self, paths: &[TreePath], recursive: bool, now: Timestamp) -> Result<()> {
        for path in paths {
            let Some(node) = self.resolve(path)? else { return Err(self.unknown_with_nearest(path)?) };
            if path.is_root() || (!recursive && self.attributes(node)?.kind == Kind::Dir) {
                return Err(Error::IsADirectory(path.clone()));
            }
        }
        let mut paths = paths.to_vec();
        paths.sort();
        // What lies in a directory goes with it.
        paths.dedup_by(|path, above| path.starts_with(above));
        self.edit(paths.into_iter().map(|path| Edit::Remove { path }).collect(), now)
    }

    /// Makes paths equal those of a commit, durably: what the commit does not have is removed. `shown_as` is what to call
    /// the commit.
    ///
    /// # Errors
    /// [`UnknownPath`](history::Error::UnknownPath) for what neither has. After any error nothing has changed.
    pub fn restore(
        &self,
        paths: &[TreePath],
        commit: CommitId,
        shown_as: &str,
        now: Timestamp,
    ) -> Result<()> {
        let tree = self.repo().commit(commit)?.tree;
        let mut edits = Vec::with_capacity(paths.len());
        for path in paths {
            match self.repo().find_in_tree(tree, path)? {
                Some(_) if path.is_root() => return Err(Error::IsADirectory(path.clone())),
                Some(Entry { attributes, node, .. }) => {
                    self.restore_parents(path, tree, &mut edits)?;
                    edits.push(Edit::Put { path: path.clone(), attributes, node, replaces_dirs: true });
                }
                None if self.resolve(path)?.is_some() => edits.push(Edit::Remove { path: path.clone() }),
                None => drop(self.repo().entry_at(commit, shown_as, path)?),
            }
        }
        self.edit(edits, now)
    }

    /// Brings missing directories back as they were; those that are there stay as they are.
    fn restore_parents(&self, path: &TreePath, tree: TreeId, edits: &mut Vec<Edit>) -> Result<()> {
        let mut above = TreePath::ROOT;
        let (parents, _) = path.split_last().ok_or_else(|| Error::IsADirectory(path.clone()))?;
        for name in parents.names() {
            above.push(name.clone());
            if self.resolve(&above)?.is_some() {
                continue;
            }
            if let Some(Entry { attributes, node: Node::Dir(_), .. }) =
                self.repo().find_in_tree(tree, &above)?
            {
                let node = Node::Dir(Tree::empty_id());
                edits.push(Edit::Put { path: above.clone(), attributes, node, replaces_dirs: false });
            }
        }
        Ok(())
    }

    fn unknown_with_nearest(&self, path: &TreePath) -> Result<Error> {
        let tree = self.repo().tree_of(self.repo().refs().branch(self.branch())?)?;
        let nearest = self.repo().nearest_path(tree, path)?;
        let place = format!("the worktree of `{}`", self.branch());
        Ok(history::Error::UnknownPath { path: path.clone(), place, nearest }.into())
    }
}
