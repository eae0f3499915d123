//! What differs between two trees, or between a tree and one that is not in the history yet.
//!
//! Directories with equal ids are not looked into. A modification time alone is no difference. Depth costs memory for one
//! directory a level, and no stack.

use super::draft::{DraftDir, DraftEntry, DraftNode, DraftTree};
use super::error::Result;
use super::path::{Name, TreePath};
use super::repository::Repo;
use super::tree::Node;
use crate::id::{RecipeId, StagingId, TreeId};
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
    /// What was there; `None` if nothing was.
    pub old: Option<DraftEntry>,
    /// What is there; `None` if nothing is.
    pub new: Option<DraftEntry>,
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

impl ChangeKind {
    /// The letter that it is listed by.
    pub fn letter(self) -> char {
        match self {
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
            ChangeKind::Modified => 'M',
            ChangeKind::TypeChanged => 'T',
        }
    }
}

/// Whether a staged file has the bytes of a file of the history that is as long.
type HasBytes<'a> = dyn Fn(StagingId, RecipeId) -> Result<bool> + 'a;

/// Compares two sides, one directory in the other, with a place in each and no stack.
struct Comparison<'a> {
    repo: &'a Repo,
    has_bytes: &'a HasBytes<'a>,
    new: &'a DraftTree,
    /// The directories that it is in, from the top.
    open: Vec<Open>,
    /// The one that it is in.
    path: TreePath,
    changes: Vec<Change>,
}

/// A directory that is being gone through on both sides; on a side that does not have it there is nothing in it.
struct Open {
    old: Peekable<IntoIter<DraftEntry>>,
    new: Peekable<IntoIter<DraftEntry>>,
}

impl Open {
    /// What has the next name, on either side or both.
    fn next(&mut self) -> (Option<DraftEntry>, Option<DraftEntry>) {
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
        self.diff(old, &DraftTree::of(new), &|_, _| Ok(false))
    }

    /// What differs from a tree to a draft, sorted by path. `has_bytes` tells whether a staged file of the draft has the
    /// bytes of a file of the history; it is asked only of those that are as long.
    pub fn diff(&self, old: TreeId, new: &DraftTree, has_bytes: &HasBytes<'_>) -> Result<Vec<Change>> {
        let comparison = Comparison {
            repo: self,
            has_bytes,
            new,
            open: Vec::new(),
            path: TreePath::ROOT,
            changes: Vec::new(),
        };
        comparison.run(old)
    }
}

impl Comparison<'_> {
    fn run(mut self, old: TreeId) -> Result<Vec<Change>> {
        let (old, new) = (DraftDir::Unchanged(old), self.new.root);
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

    fn both(&self, old: Option<DraftDir>, new: Option<DraftDir>) -> Result<Open> {
        let entries = |dir: Option<DraftDir>| match dir {
            Some(dir) => self.new.entries(dir, self.repo),
            None => Ok(Vec::new()),
        };
        Ok(Open { old: entries(old)?.into_iter().peekable(), new: entries(new)?.into_iter().peekable() })
    }

    fn enter(&mut self, name: &Name, open: Open) {
        self.open.push(open);
        self.path.push(name.clone());
    }

    fn note(&mut self, name: &Name, kind: ChangeKind, old: Option<&DraftEntry>, new: Option<&DraftEntry>) {
        let path = self.path.join(name.clone());
        self.changes.push(Change { path, kind, old: old.cloned(), new: new.cloned() });
    }

    /// Notes something that is on one side only.
    fn note_one(&mut self, entry: &DraftEntry, kind: ChangeKind) {
        match kind {
            ChangeKind::Deleted => self.note(&entry.name, kind, Some(entry), None),
            ChangeKind::Added | ChangeKind::Modified | ChangeKind::TypeChanged => {
                self.note(&entry.name, kind, None, Some(entry));
            }
        }
    }

    fn entries(&mut self, old: &DraftEntry, new: &DraftEntry) -> Result<()> {
        let same = match (&old.node, &new.node) {
            (DraftNode::Dir(a), DraftNode::Dir(b)) => {
                if old.attributes.mode != new.attributes.mode {
                    self.note(&new.name, ChangeKind::Modified, Some(old), Some(new));
                }
                if a != b {
                    let open = self.both(Some(*a), Some(*b))?;
                    self.enter(&new.name, open);
                }
                return Ok(());
            }
            (DraftNode::Known(Node::Symlink(a)), DraftNode::Known(Node::Symlink(b))) => a == b,
            (
                DraftNode::Known(Node::File { recipe: a, .. }),
                DraftNode::Known(Node::File { recipe: b, .. }),
            ) => a == b,
            (
                DraftNode::Known(Node::File { recipe, len }),
                DraftNode::Staged { staging, len: staged, .. },
            ) => len == staged && (self.has_bytes)(*staging, *recipe)?,
            // Between a directory and something else, everything in the directory comes or goes; last, since it is
            // gone into.
            (DraftNode::Dir(_), _) => {
                self.one_sided(new, ChangeKind::Added)?;
                return self.one_sided(old, ChangeKind::Deleted);
            }
            (_, DraftNode::Dir(_)) => {
                self.one_sided(old, ChangeKind::Deleted)?;
                return self.one_sided(new, ChangeKind::Added);
            }
            _ => {
                self.note(&new.name, ChangeKind::TypeChanged, Some(old), Some(new));
                return Ok(());
            }
        };
        if !same || old.attributes.mode != new.attributes.mode {
            self.note(&new.name, ChangeKind::Modified, Some(old), Some(new));
        }
        Ok(())
    }

    fn one_sided(&mut self, entry: &DraftEntry, kind: ChangeKind) -> Result<()> {
        let DraftNode::Dir(dir) = entry.node else {
            self.note_one(entry, kind);
            return Ok(());
        };
        let mut open = match kind {
            ChangeKind::Deleted => self.both(Some(dir), None)?,
            ChangeKind::Added | ChangeKind::Modified | ChangeKind::TypeChanged => {
                self.both(None, Some(dir))?
            }
        };
        if open.old.peek().or(open.new.peek()).is_none() {
            self.note_one(entry, kind);
        } else {
            self.enter(&entry.name, open);
        }
        Ok(())
    }
}
