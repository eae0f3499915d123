//! Changes of whole paths: several as one, taking paths out, back from a commit, or all back to the tip of the branch.
//!
//! Everything is looked at first, each change as if those before it had been made (`edit_plan.rs`); then all of it is in the
//! journal by one write, or none is.

use super::edit_plan::{Edit, Plan};
use super::error::{Error, Result};
use super::names::{Kind, RenameMode};
use super::record::Record;
use super::snapshot::Snapshot;
use super::worktree::Worktree;
use crate::history::{self, Entry, Node, Tree, TreePath, nearest_path};
use crate::id::{CommitId, TreeId};
use crate::units::Timestamp;

/// Changes of whole paths of a worktree, as a person means them: all that are made together happen, durably, or none.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'a> {
    pub(super) worktree: &'a Worktree,
}

impl Worktree {
    /// Changes of whole paths.
    pub fn edits(&self) -> Edits<'_> {
        Edits { worktree: self }
    }
}

impl Edits<'_> {
    /// Refuses to go on if something happened since a snapshot was taken.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn check_unchanged_since(&self, snapshot: &Snapshot) -> Result<()> {
        self.worktree.read(|state| match state.journal.position() == snapshot.position {
            true => Ok(()),
            false => Err(Error::Stale),
        })
    }

    /// Makes changes in their order, durably. One that changes a path again goes by what those before it made.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] if something on the way to a path is a file, [`Error::IsADirectory`] if a file would
    /// replace a directory that has entries, [`UnknownPath`](crate::history::Error::UnknownPath) if nothing is there to remove. After any error
    /// nothing has changed.
    pub fn make(&self, edits: Vec<Edit>, now: Timestamp) -> Result<()> {
        self.worktree.append_durably(|state| Plan::of(self.worktree, state, now).run(edits))
    }

    /// The same, unless something happened since a snapshot was taken: then [`Error::Stale`], and nothing has changed.
    pub fn make_since(&self, snapshot: &Snapshot, edits: Vec<Edit>, now: Timestamp) -> Result<()> {
        self.worktree.append_durably(|state| match state.journal.position() == snapshot.position {
            true => Plan::of(self.worktree, state, now).run(edits),
            false => Err(Error::Stale),
        })
    }

    /// Makes the whole worktree equal the tip of its branch, which becomes its base. Changes are dropped; who has a
    /// file open keeps it, removed.
    pub fn reset(&self) -> Result<()> {
        let reset = self.to_tip()?;
        self.worktree.append_durably(|_| Ok(vec![reset]))
    }

    /// The same, unless something happened since a snapshot was taken: then [`Error::Stale`].
    pub fn reset_since(&self, snapshot: &Snapshot) -> Result<()> {
        let reset = self.to_tip()?;
        self.worktree.append_durably(|state| match state.journal.position() == snapshot.position {
            true => Ok(vec![reset]),
            false => Err(Error::Stale),
        })
    }

    fn to_tip(self) -> Result<Record> {
        let base = self.worktree.repo().refs().branch(self.worktree.branch())?;
        let tree = self.worktree.repo().tree_of(base)?;
        // What cannot be read is refused.
        self.worktree.repo().tree(tree)?;
        Ok(Record::Reset { base, tree })
    }

    /// Removes paths, durably; directories only if `recursive`. A path may be named twice, or lie in another one.
    ///
    /// # Errors
    /// [`UnknownPath`](history::Error::UnknownPath) with the nearest that the last commit has, [`Error::IsADirectory`]. After any error nothing
    /// has changed.
    pub fn remove(&self, paths: &[TreePath], recursive: bool, now: Timestamp) -> Result<()> {
        let paths = self.removable(paths, recursive)?;
        self.make(paths.into_iter().map(|path| Edit::Remove { path }).collect(), now)
    }

    /// What removes paths; directories that are left without anything go as well, but for those that somebody stands in: at
    /// and above `standing_in`.
    ///
    /// # Errors
    /// As [`Edits::remove`].
    pub fn removing_with_emptied(
        &self,
        paths: &[TreePath],
        recursive: bool,
        standing_in: &TreePath,
    ) -> Result<Vec<Edit>> {
        let paths = self.removable(paths, recursive)?;
        let mut emptied: Vec<TreePath> = paths.iter().flat_map(TreePath::above).collect();
        emptied.retain(|dir| !standing_in.starts_with(dir));
        // The deepest come first.
        emptied.sort_by_key(|dir| std::cmp::Reverse(dir.names().len()));
        emptied.dedup();
        let removed = paths.into_iter().map(|path| Edit::Remove { path });
        Ok(removed.chain(emptied.into_iter().map(|path| Edit::Prune { path })).collect())
    }

    /// Refuses what [`Edits::remove`] refuses, and removes nothing.
    ///
    /// # Errors
    /// As [`Edits::remove`].
    pub fn check_removable(&self, paths: &[TreePath], recursive: bool) -> Result<()> {
        self.removable(paths, recursive).map(drop)
    }

    /// The paths that go, each without those below it.
    fn removable(&self, paths: &[TreePath], recursive: bool) -> Result<Vec<TreePath>> {
        for path in paths {
            let Some(node) = self.worktree.names().resolve(path)? else { return Err(self.unknown(path)?) };
            if path.is_root() || (!recursive && self.worktree.names().attributes(node)?.kind == Kind::Dir) {
                return Err(Error::IsADirectory(path.clone()));
            }
        }
        let mut paths = paths.to_vec();
        paths.sort();
        // What lies in a directory goes with it.
        paths.dedup_by(|path, above| path.starts_with(above));
        Ok(paths)
    }

    /// Whether there is a directory at a path.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn is_dir(&self, path: &TreePath) -> Result<bool> {
        Ok(match self.worktree.names().resolve(path)? {
            Some(node) => self.worktree.names().attributes(node)?.kind == Kind::Dir,
            None => false,
        })
    }

    /// Gives paths other names, one after the other, durably. All are looked at first.
    ///
    /// # Errors
    /// [`UnknownPath`](history::Error::UnknownPath) with the nearest that the last commit has, [`Error::Exists`] unless `replace`, and
    /// what rename(2) says. Of several, those before the one that fails are renamed.
    pub fn rename(&self, moves: &[(TreePath, TreePath)], replace: bool, now: Timestamp) -> Result<()> {
        let names = self.worktree.names();
        for (from, to) in moves {
            if names.resolve(from)?.is_none() {
                return Err(self.unknown(from)?);
            }
            if !replace && names.resolve(to)?.is_some() {
                return Err(Error::Exists(to.clone()));
            }
        }
        for (from, to) in moves {
            let (Some((from_dir, from)), Some((to_dir, to))) = (from.split_last(), to.split_last()) else {
                return Err(Error::IsADirectory(TreePath::ROOT));
            };
            let dir = |path: &TreePath| match names.resolve(path)? {
                Some(dir) => Ok(dir),
                None => Err(self.unknown(path)?),
            };
            let mode = if replace { RenameMode::Replace } else { RenameMode::NoReplace };
            names.rename((dir(&from_dir)?, from), (dir(&to_dir)?, to), mode, now)?;
        }
        self.worktree.sync_records()
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
        self.make(self.restoring(paths, commit, shown_as)?, now)
    }

    /// The same of the worktree's last commit, unless something happened since a snapshot was taken: then [`Error::Stale`].
    pub fn restore_since(&self, snapshot: &Snapshot, paths: &[TreePath], now: Timestamp) -> Result<()> {
        let edits = match snapshot.base {
            Some(base) => self.restoring(paths, base, self.worktree.branch().as_str())?,
            None => paths.iter().map(|path| Edit::Remove { path: path.clone() }).collect(),
        };
        self.make_since(snapshot, edits, now)
    }

    /// What makes paths equal those of a commit.
    ///
    /// # Errors
    /// As [`Edits::restore`].
    pub fn restoring(&self, paths: &[TreePath], commit: CommitId, shown_as: &str) -> Result<Vec<Edit>> {
        let tree = self.worktree.repo().commit(commit)?.tree;
        let mut edits = Vec::with_capacity(paths.len());
        for path in paths {
            match self.worktree.repo().find_in_tree(tree, path)? {
                Some(_) if path.is_root() => return Err(Error::IsADirectory(path.clone())),
                Some(Entry { attributes, node, .. }) => {
                    self.restore_parents(path, tree, &mut edits)?;
                    edits.push(Edit::Put { path: path.clone(), attributes, node, replaces_dirs: true });
                }
                None if self.worktree.names().resolve(path)?.is_some() => {
                    edits.push(Edit::Remove { path: path.clone() })
                }
                None => drop(self.worktree.repo().entry_at(commit, shown_as, path)?),
            }
        }
        Ok(edits)
    }

    /// Brings missing directories back as they were; those that are there stay as they are.
    fn restore_parents(&self, path: &TreePath, tree: TreeId, edits: &mut Vec<Edit>) -> Result<()> {
        let mut above = TreePath::ROOT;
        let (parents, _) = path.split_last().ok_or_else(|| Error::IsADirectory(path.clone()))?;
        for name in parents.names() {
            above.push(name.clone());
            if self.worktree.names().resolve(&above)?.is_some() {
                continue;
            }
            if let Some(Entry { attributes, node: Node::Dir(_), .. }) =
                self.worktree.repo().find_in_tree(tree, &above)?
            {
                let node = Node::Dir(Tree::empty_id());
                edits.push(Edit::Put { path: above.clone(), attributes, node, replaces_dirs: false });
            }
        }
        Ok(())
    }

    fn unknown(&self, path: &TreePath) -> Result<Error> {
        let tree =
            self.worktree.repo().tree_of(self.worktree.repo().refs().branch(self.worktree.branch())?)?;
        let nearest = nearest_path(self.worktree.repo(), tree, path)?;
        let place = format!("the worktree of `{}`", self.worktree.branch());
        Ok(history::Error::UnknownPath { path: path.clone(), place, nearest }.into())
    }
}
