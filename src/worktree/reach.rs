//! How far the paths below a directory lead: what moves takes everything in it along, and nothing may come to lie beyond
//! the limits of a path, where no record can name it any more.
//!
//! Holds the copy for one directory at a time. A tree of the history is measured once, wherever and however often it is.

use super::error::{Error, Result};
use super::nodes::{Body, NodeId};
use super::worktree::Worktree;
use crate::history::{Name, Node, Repo, TreePath};
use crate::id::TreeId;
use std::collections::HashMap;

/// The most names, and the most bytes with a slash before each name, that paths have beyond the one that they start from.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    names: usize,
    bytes: usize,
}

impl Reach {
    fn over(self, name: &Name) -> Self {
        Self { names: self.names + 1, bytes: self.bytes + 1 + name.as_bytes().len() }
    }

    fn plus(self, further: Self) -> Self {
        Self { names: self.names + further.names, bytes: self.bytes + further.bytes }
    }

    fn max(self, other: Self) -> Self {
        Self { names: self.names.max(other.names), bytes: self.bytes.max(other.bytes) }
    }
}

/// Refuses to move what is at a path to one from which it would lead too far. Nobody may change the tree meanwhile.
///
/// # Errors
/// [`Path`](crate::history::Error::Path) beyond the limits of [`TreePath::check`].
pub(super) fn check_reach(worktree: &Worktree, moved: NodeId, from: &TreePath, to: &TreePath) -> Result<()> {
    let (before, after) = (reach_of(from), reach_of(to));
    if after.names <= before.names && after.bytes <= before.bytes {
        return Ok(());
    }
    let below = reach_below(worktree, moved)?;
    let farthest = after.plus(below);
    // The slash before the first name is not part of a path.
    Ok(TreePath::check_size(farthest.names, farthest.bytes.saturating_sub(1))?)
}

fn reach_below(worktree: &Worktree, top: NodeId) -> Result<Reach> {
    let (mut farthest, mut trees) = (Reach::default(), Trees::new(worktree.repo()));
    let mut waiting = vec![(top, Reach::default())];
    while let Some((node, reach)) = waiting.pop() {
        farthest = farthest.max(reach);
        let unread = worktree.state().nodes.unread(node);
        if let Some(tree) = unread {
            farthest = farthest.max(reach.plus(trees.reach(tree)?));
            continue;
        }
        let state = worktree.state();
        if let Body::Dir(dir) = &state.nodes.get(node)?.body {
            let children = dir.children.as_ref().ok_or(Error::Stale)?.iter();
            waiting.extend(children.map(|(name, child)| (*child, reach.over(name))));
        }
    }
    Ok(farthest)
}

fn reach_of(path: &TreePath) -> Reach {
    path.names().iter().fold(Reach::default(), Reach::over)
}

/// Trees of the history with what is known of their reach.
struct Trees<'a> {
    repo: &'a Repo,
    known: HashMap<TreeId, Reach>,
}

impl<'a> Trees<'a> {
    fn new(repo: &'a Repo) -> Self {
        Self { repo, known: HashMap::new() }
    }

    /// Measures those in a tree before the tree itself.
    fn reach(&mut self, top: TreeId) -> Result<Reach> {
        let mut waiting = vec![top];
        while let Some(&tree) = waiting.last() {
            let (mut reach, mut is_known) = (Reach::default(), true);
            for entry in self.repo.tree(tree)?.entries() {
                let below = match &entry.node {
                    Node::Dir(below) => self.known.get(below).copied().unwrap_or_else(|| {
                        is_known = false;
                        waiting.push(*below);
                        Reach::default()
                    }),
                    Node::File { .. } | Node::Symlink(_) => Reach::default(),
                };
                reach = reach.max(below.over(&entry.name));
            }
            if is_known {
                self.known.insert(tree, reach);
                waiting.pop();
            }
        }
        Ok(self.known[&top])
    }
}
