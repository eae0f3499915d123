//! What differs between two trees, or between a tree and a worktree.
//!
//! Directories with equal ids are not looked into. A modification time alone is no difference. Depth costs memory for one
//! directory a level, and no stack.

use super::error::Result;
use super::file_hash::hash_whole;
use super::path::{Name, TreePath};
use super::repository::Repo;
use super::tree::Node;
use super::worktree::{
    Snapshot, SnapshotDir, SnapshotEntry, SnapshotNode, SnapshotTree, StagingId, Worktree,
};
use crate::id::{RecipeId, TreeId};
use crate::store::FileSource;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::vec::IntoIter;

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

/// Compares two sides, one directory in the other, with a place in each and no stack.
struct Comparison<'a> {
    repo: &'a Repo,
    /// Whose staging files they are.
    worktree: Option<&'a Worktree>,
    new: &'a SnapshotTree,
    /// The directories that it is in, from the top.
    open: Vec<Open>,
    /// The one that it is in.
    path: TreePath,
    changes: Vec<Change>,
}

/// A directory that is being gone through on both sides; on a side that does not have it there is nothing in it.
struct Open {
    old: Peekable<IntoIter<SnapshotEntry>>,
    new: Peekable<IntoIter<SnapshotEntry>>,
}

impl Open {
    /// What has the next name, on either side or both.
    fn next(&mut self) -> (Option<SnapshotEntry>, Option<SnapshotEntry>) {
        let order = match (self.old.peek(), self.new.peek()) {
            (Some(a), Some(b)) => a.name.cmp(&b.name),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let old = if order.is_le() { self.old.next() } else { None };
        let new = if order.is_ge() { self.new.next() } else { None };
        (old, new)
    }
}

impl Repo {
    /// What differs from one tree to another, sorted by path.
    pub fn diff_trees(&self, old: TreeId, new: TreeId) -> Result<Vec<Change>> {
        self.diff(old, &SnapshotTree::of(new))
    }

    /// What differs from a tree to a snapshot all of whose files are in the store, sorted by path.
    pub(super) fn diff(&self, old: TreeId, new: &SnapshotTree) -> Result<Vec<Change>> {
        let comparison = Comparison {
            repo: self,
            worktree: None,
            new,
            open: Vec::new(),
            path: TreePath::ROOT,
            changes: Vec::new(),
        };
        comparison.run(old)
    }
}

impl Worktree {
    /// What differs from a tree to the worktree as it is in a snapshot, sorted by path. Reads the bytes of staged files
    /// that are as long as what they replace.
    pub fn diff_from(&self, old: TreeId, snapshot: &Snapshot) -> Result<Vec<Change>> {
        let comparison = Comparison {
            repo: self.repo(),
            worktree: Some(self),
            new: &snapshot.tree,
            open: Vec::new(),
            path: TreePath::ROOT,
            changes: Vec::new(),
        };
        comparison.run(old)
    }
}

impl Comparison<'_> {
    fn run(mut self, old: TreeId) -> Result<Vec<Change>> {
        let (old, new) = (SnapshotDir::Unchanged(old), self.new.root);
        if old != new {
            let open = self.both(Some(old), Some(new))?;
            self.open.push(open);
        }
        while let Some(open) = self.open.last_mut() {
            match open.next() {
                (None, None) => {
                    self.open.pop();
                    self.path.pop();
                }
                (Some(gone), None) => self.one_sided(&gone, ChangeKind::Deleted)?,
                (None, Some(added)) => self.one_sided(&added, ChangeKind::Added)?,
                (Some(before), Some(after)) => self.entries(&before, &after)?,
            }
        }
        // Where something gave way to something else, what went comes first.
        let order = |change: &Change| change.kind != ChangeKind::Deleted;
        self.changes.sort_by(|a, b| a.path.cmp(&b.path).then(order(a).cmp(&order(b))));
        Ok(self.changes)
    }

    fn both(&self, old: Option<SnapshotDir>, new: Option<SnapshotDir>) -> Result<Open> {
        let entries = |dir: Option<SnapshotDir>| match dir {
            Some(dir) => self.new.entries(dir, self.repo),
            None => Ok(Vec::new()),
        };
        Ok(Open { old: entries(old)?.into_iter().peekable(), new: entries(new)?.into_iter().peekable() })
    }

    fn enter(&mut self, name: &Name, open: Open) {
        self.open.push(open);
        self.path.push(name.clone());
    }

    fn note(&mut self, name: &Name, kind: ChangeKind) {
        self.changes.push(Change { path: self.path.join(name.clone()), kind });
    }

    fn entries(&mut self, old: &SnapshotEntry, new: &SnapshotEntry) -> Result<()> {
        let same = match (&old.node, &new.node) {
            (SnapshotNode::Dir(a), SnapshotNode::Dir(b)) => {
                if old.attributes.mode != new.attributes.mode {
                    self.note(&new.name, ChangeKind::Modified);
                }
                if a != b {
                    let open = self.both(Some(*a), Some(*b))?;
                    self.enter(&new.name, open);
                }
                return Ok(());
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
            // Between a directory and something else, everything in the directory comes or goes; last, since it is
            // gone into.
            (SnapshotNode::Dir(_), _) => {
                self.one_sided(new, ChangeKind::Added)?;
                return self.one_sided(old, ChangeKind::Deleted);
            }
            (_, SnapshotNode::Dir(_)) => {
                self.one_sided(old, ChangeKind::Deleted)?;
                return self.one_sided(new, ChangeKind::Added);
            }
            _ => {
                self.note(&new.name, ChangeKind::TypeChanged);
                return Ok(());
            }
        };
        if !same || old.attributes.mode != new.attributes.mode {
            self.note(&new.name, ChangeKind::Modified);
        }
        Ok(())
    }

    fn one_sided(&mut self, entry: &SnapshotEntry, kind: ChangeKind) -> Result<()> {
        let SnapshotNode::Dir(dir) = entry.node else {
            self.note(&entry.name, kind);
            return Ok(());
        };
        let mut open = match kind {
            ChangeKind::Deleted => self.both(Some(dir), None)?,
            ChangeKind::Added | ChangeKind::Modified | ChangeKind::TypeChanged => {
                self.both(None, Some(dir))?
            }
        };
        if open.old.peek().or(open.new.peek()).is_none() {
            self.note(&entry.name, kind);
        } else {
            self.enter(&entry.name, open);
        }
        Ok(())
    }

    fn has_same_bytes(&self, recipe: RecipeId, staging: StagingId) -> Result<bool> {
        let Some(worktree) = self.worktree else { return Ok(false) };
        let file = worktree.open_staging(staging)?;
        let source = FileSource::new(&*file).map_err(crate::store::StoreError::from)?;
        Ok(hash_whole(self.repo.store().threads(), &source)? == *self.repo.recipe(recipe)?.blake3())
    }
}
