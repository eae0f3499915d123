//! What differs between two trees, or between a tree and a worktree.
//!
//! Directories with equal ids are not looked into. A modification time alone is no difference.

use super::error::Result;
use super::file_hash::hash_whole;
use super::path::TreePath;
use super::repository::Repo;
use super::tree::Node;
use super::worktree::{
    Snapshot, SnapshotDir, SnapshotEntry, SnapshotNode, SnapshotTree, StagingId, Worktree,
};
use crate::id::{RecipeId, TreeId};
use crate::store::FileSource;
use std::cmp::Ordering;

/// One path that differs. A directory that is there on one side only is not listed itself unless it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: TreePath,
    /// How.
    pub kind: ChangeKind,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Only on the new side.
    Added,
    /// Only on the old side.
    Deleted,
    /// Other bytes, another target or another mode.
    Modified,
    /// A file became a link or a directory, or the other way round.
    TypeChanged,
}

/// Compares two sides.
struct Comparison<'a> {
    repo: &'a Repo,
    /// Whose staging files they are.
    worktree: Option<&'a Worktree>,
    new: &'a SnapshotTree,
    changes: Vec<Change>,
}

impl Repo {
    /// What differs from one tree to another, sorted by path.
    pub fn diff_trees(&self, old: TreeId, new: TreeId) -> Result<Vec<Change>> {
        self.diff(old, &SnapshotTree::of(new))
    }

    /// What differs from a tree to a snapshot all of whose files are in the store, sorted by path.
    pub(super) fn diff(&self, old: TreeId, new: &SnapshotTree) -> Result<Vec<Change>> {
        let comparison = Comparison { repo: self, worktree: None, new, changes: Vec::new() };
        comparison.run(old)
    }
}

impl Worktree {
    /// What differs from a tree to the worktree as it is in a snapshot, sorted by path. Reads the bytes of staged files
    /// that are as long as what they replace.
    pub fn diff_from(&self, old: TreeId, snapshot: &Snapshot) -> Result<Vec<Change>> {
        let comparison =
            Comparison { repo: self.repo(), worktree: Some(self), new: &snapshot.tree, changes: Vec::new() };
        comparison.run(old)
    }
}

impl Comparison<'_> {
    fn run(mut self, old: TreeId) -> Result<Vec<Change>> {
        self.dirs(&TreePath::ROOT, SnapshotDir::Unchanged(old), self.new.root)?;
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.changes)
    }

    fn dirs(&mut self, path: &TreePath, old: SnapshotDir, new: SnapshotDir) -> Result<()> {
        if let (SnapshotDir::Unchanged(old), SnapshotDir::Unchanged(new)) = (old, new)
            && old == new
        {
            return Ok(());
        }
        let (old, new) = (self.new.entries(old, self.repo)?, self.new.entries(new, self.repo)?);
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            match (before, after) {
                (Some(before), Some(after)) => self.entries(path, before, after)?,
                (Some(gone), None) => self.one_sided(path, gone, ChangeKind::Deleted)?,
                (None, Some(added)) => self.one_sided(path, added, ChangeKind::Added)?,
                (None, None) => {}
            }
        }
    }

    fn entries(&mut self, dir: &TreePath, old: &SnapshotEntry, new: &SnapshotEntry) -> Result<()> {
        let path = dir.join(new.name.clone());
        let same = match (&old.node, &new.node) {
            (SnapshotNode::Dir(a), SnapshotNode::Dir(b)) => {
                self.dirs(&path, *a, *b)?;
                true
            }
            (SnapshotNode::Known(Node::Symlink(a)), SnapshotNode::Known(Node::Symlink(b))) => a == b,
            (
                SnapshotNode::Known(Node::File { recipe: a, .. }),
                SnapshotNode::Known(Node::File { recipe: b, .. }),
            ) => a == b,
            (
                SnapshotNode::Known(Node::File { recipe, len }),
                SnapshotNode::Staged { staging, len: staged, .. },
            ) => len == staged && self.has_same_bytes(*recipe, *staging)?,
            _ => {
                self.type_change(dir, &path, old, new)?;
                return Ok(());
            }
        };
        if !same || old.attributes.mode != new.attributes.mode {
            self.changes.push(Change { path, kind: ChangeKind::Modified });
        }
        Ok(())
    }

    /// Between a directory and something else, everything in the directory comes or goes.
    fn type_change(
        &mut self,
        dir: &TreePath,
        path: &TreePath,
        old: &SnapshotEntry,
        new: &SnapshotEntry,
    ) -> Result<()> {
        match (&old.node, &new.node) {
            (SnapshotNode::Dir(_), _) | (_, SnapshotNode::Dir(_)) => {
                self.one_sided(dir, old, ChangeKind::Deleted)?;
                self.one_sided(dir, new, ChangeKind::Added)
            }
            _ => {
                self.changes.push(Change { path: path.clone(), kind: ChangeKind::TypeChanged });
                Ok(())
            }
        }
    }

    fn one_sided(&mut self, dir: &TreePath, entry: &SnapshotEntry, kind: ChangeKind) -> Result<()> {
        let path = dir.join(entry.name.clone());
        let SnapshotNode::Dir(below) = &entry.node else {
            self.changes.push(Change { path, kind });
            return Ok(());
        };
        let entries = self.new.entries(*below, self.repo)?;
        if entries.is_empty() {
            self.changes.push(Change { path: path.clone(), kind });
        }
        entries.iter().try_for_each(|entry| self.one_sided(&path, entry, kind))
    }

    fn has_same_bytes(&self, recipe: RecipeId, staging: StagingId) -> Result<bool> {
        let Some(worktree) = self.worktree else { return Ok(false) };
        let file = worktree.open_staging(staging)?;
        let source = FileSource::new(&*file).map_err(crate::store::StoreError::from)?;
        Ok(hash_whole(self.repo.store().threads(), &source)? == *self.repo.recipe(recipe)?.blake3())
    }
}
