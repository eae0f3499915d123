//! Bringing back files that were dropped and kept, and dropping them again.
//!
//! What was saved since stays: a path moves only if the worktree has there what was left, and no path does if one cannot.

use super::error::{Error, Result};
use crate::history::{Change, DraftEntry, DraftNode, Entry, Node, Operation, Repo, Tree, TreePath};
use crate::id::TreeId;
use crate::units::Timestamp;
use crate::worktree::{Edit, Keepsake, Snapshot, Worktree};
use std::collections::{BTreeSet, HashSet};

/// What is there of the files that an operation dropped.
#[derive(Debug)]
pub(super) enum KeptFiles {
    /// It dropped none, or did not keep them.
    None,
    /// They were kept for their time.
    LetGo,
    /// They are there.
    There(Keepsake),
}

/// What a worktree is about to have again.
pub(super) struct Bringing {
    snapshot: Snapshot,
    edits: Vec<Edit>,
}

impl KeptFiles {
    /// What is there of the files that an operation dropped.
    ///
    /// # Errors
    /// If that cannot be read.
    pub(super) fn of(repo: &Repo, operation: &Operation) -> Result<Self> {
        let Some((tag, commit)) = operation.kept() else { return Ok(Self::None) };
        // Another operation may have come to use the name.
        match repo.refs().tag(&tag)?.is_some_and(|tag| tag.commit == commit) {
            true => Ok(Keepsake::of(repo, commit)?.map_or(Self::LetGo, Self::There)),
            false => Ok(Self::LetGo),
        }
    }
}

impl Bringing {
    /// What differs between two trees, for a worktree that has what the first one says.
    ///
    /// # Errors
    /// [`Error::ChangedSince`] if it has something else there; if it cannot be read.
    pub(super) fn plan(worktree: &Worktree, from: TreeId, to: TreeId) -> Result<Self> {
        let repo = worktree.repo();
        let snapshot = worktree.snapshot(false)?;
        let others = |tree: TreeId| -> Result<HashSet<TreePath>> {
            Ok(snapshot.diff_from(tree, worktree)?.into_iter().map(|change| change.path).collect())
        };
        let (not_from, not_to) = (others(from)?, others(to)?);
        let unfinished: Vec<&TreePath> =
            [&snapshot.still_open, &snapshot.interrupted, &snapshot.lost].into_iter().flatten().collect();
        // What is neither as it was left nor as it is to be was saved since.
        let since: BTreeSet<&TreePath> = not_from.intersection(&not_to).chain(unfinished).collect();
        let changes = repo.diff_trees(from, to)?;
        let (mut edits, mut conflicts) = (Vec::new(), Vec::new());
        for change in changes {
            match (not_to.contains(&change.path), not_from.contains(&change.path)) {
                _ if is_in_the_way(worktree, &since, &change)? => conflicts.push(change.path),
                // Whoever was stopped got so far.
                (false, _) => {}
                (true, true) => conflicts.push(change.path),
                (true, false) => edits.push(change),
            }
        }
        if !conflicts.is_empty() {
            return Err(Error::ChangedSince(conflicts));
        }
        let edits = edits_of(worktree, to, edits)?;
        Ok(Self { snapshot, edits })
    }

    /// Brings it about, durably. Whether there was something to be done.
    ///
    /// # Errors
    /// [`Stale`](crate::worktree::Error::Stale) if something happened since it was planned. Nothing has changed then.
    pub(super) fn run(self, worktree: &Worktree, now: Timestamp) -> Result<bool> {
        let has_some = !self.edits.is_empty();
        if has_some {
            worktree.edits().make_since(&self.snapshot, self.edits, now)?;
        }
        Ok(has_some)
    }
}

/// Whether one of some paths is below a path that changes to something that is no directory any more, or is what no path can
/// be below.
fn is_in_the_way(worktree: &Worktree, since: &BTreeSet<&TreePath>, change: &Change) -> Result<bool> {
    if !is_mode_of_dir(change) {
        let next = since.range::<&TreePath, _>(&change.path..).next();
        if next.is_some_and(|path| path.starts_with(&change.path)) {
            return Ok(true);
        }
    }
    for above in change.path.above().filter(|above| since.contains(above)) {
        if !worktree.edits().is_dir(&above)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a directory stays one, with another mode.
fn is_mode_of_dir(change: &Change) -> bool {
    let is_dir = |entry: &Option<DraftEntry>| {
        entry.as_ref().is_some_and(|entry| matches!(entry.node, DraftNode::Dir(_)))
    };
    is_dir(&change.old) && is_dir(&change.new)
}

/// Edits that make paths equal those of a tree: names are free before they are taken, directories come as they were and go
/// when they are empty.
fn edits_of(worktree: &Worktree, to: TreeId, changes: Vec<Change>) -> Result<Vec<Edit>> {
    let repo = worktree.repo();
    let (mut gone, mut put, mut emptied) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut dirs = BTreeSet::new();
    let mut modes = Vec::new();
    for change in changes {
        let is_mode = is_mode_of_dir(&change);
        let Change { path, new, .. } = change;
        match new.as_ref().and_then(DraftEntry::stored) {
            // What is in it is told of path by path.
            Some(Entry { attributes, .. }) if is_mode => modes.push(Edit::Attributes { path, attributes }),
            Some(Entry { attributes, node, .. }) => {
                dirs.extend(path.above());
                put.push(Edit::Put { path, attributes, node, replaces_dirs: true });
            }
            None => {
                emptied.extend(path.above());
                gone.push(Edit::Remove { path });
            }
        }
    }
    let is_dir = |path: &TreePath| -> Result<Option<Entry>> {
        let entry = repo.find_in_tree(to, path)?;
        Ok(entry.filter(|entry| matches!(entry.node, Node::Dir(_))))
    };
    let mut made = Vec::new();
    for path in dirs {
        if let Some(Entry { attributes, .. }) =
            is_dir(&path)?.filter(|_| !worktree.edits().is_dir(&path).unwrap_or(false))
        {
            let node = Node::Dir(Tree::empty_id());
            made.push(Edit::Put { path, attributes, node, replaces_dirs: false });
        }
    }
    let mut pruned = Vec::new();
    // The deepest come first.
    for path in emptied.into_iter().rev() {
        if is_dir(&path)?.is_none() {
            pruned.push(Edit::Prune { path });
        }
    }
    Ok([gone, pruned, made, put, modes].concat())
}
