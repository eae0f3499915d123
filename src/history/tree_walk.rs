//! Everything in a tree, each directory before what is in it.
//!
//! Keeps one place in each directory from the top to where it is: depth costs memory, and no stack.

use super::error::Result;
use super::path::TreePath;
use super::repository::Repo;
use super::tree::{Entry, Node, Tree};
use crate::id::TreeId;
use std::sync::Arc;

/// Goes through a tree.
#[derive(Debug)]
pub struct TreeWalk {
    repo: Repo,
    /// Where it is in each directory that it is in.
    open: Vec<(Arc<Tree>, usize)>,
    /// The directory that it is in.
    path: TreePath,
    /// The directory that it saw last and has not looked into.
    next: Option<TreeId>,
}

impl TreeWalk {
    /// Everything below a tree, in the order of the names. Ends at the first error.
    pub fn below(repo: &Repo, tree: TreeId) -> Self {
        Self { repo: repo.clone(), open: Vec::new(), path: TreePath::ROOT, next: Some(tree) }
    }

    fn enter_next(&mut self) -> Result<()> {
        if let Some(tree) = self.next.take() {
            self.open.push((self.repo.tree(tree)?, 0));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(TreePath, Entry)>> {
        self.enter_next()?;
        while let Some((tree, at)) = self.open.last_mut() {
            let Some(entry) = tree.entries().get(*at).cloned() else {
                self.open.pop();
                self.path.pop();
                continue;
            };
            *at += 1;
            let path = self.path.join(entry.name.clone());
            if let Node::Dir(below) = entry.node {
                self.path.push(entry.name.clone());
                self.next = Some(below);
            }
            return Ok(Some((path, entry)));
        }
        Ok(None)
    }
}

impl Iterator for TreeWalk {
    type Item = Result<(TreePath, Entry)>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.open.clear();
            self.next = None;
        }
        step.transpose()
    }
}
