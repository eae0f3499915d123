//! A tree that is not in the history yet: of the next commit of a worktree, of a merge.
//!
//! Directories that are in the history as they are stand there by id and are not looked into. Flat: the others are
//! numbered, so that depth costs no stack. Knows that bytes may lie elsewhere, and not where.

use super::error::{Error, Result};
use super::path::{Name, TreePath};
use super::repository::{Repo, root_entry};
use super::tree::{Attributes, Entry, Node, Tree};
use crate::id::{StagingId, TreeId};

/// A tree of which some directories are in the history and some are not.
#[derive(Debug, Clone)]
pub struct DraftTree {
    /// The top directory.
    pub root: DraftDir,
    /// The directories that are not in the history as they are. Those below one come behind it.
    changed: Vec<Vec<DraftEntry>>,
}

/// A directory of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftDir {
    /// Equal to a tree of the history.
    Unchanged(TreeId),
    /// Something in it changed: its number among those.
    Changed(usize),
}

/// A name in a directory of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftEntry {
    /// The name.
    pub name: Name,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// What stands behind it.
    pub node: DraftNode,
}

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftNode {
    /// A file or link that the history can record as it is.
    Known(Node),
    /// A directory.
    Dir(DraftDir),
    /// A file whose bytes are not in the store yet.
    Staged {
        /// The staging file.
        staging: StagingId,
        /// Its length in bytes.
        len: u64,
    },
}

impl DraftNode {
    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        matches!(self, DraftNode::Known(Node::File { .. }) | DraftNode::Staged { .. })
    }

    /// The length of a file in bytes; 0 for what is none.
    pub fn len(&self) -> u64 {
        match self {
            DraftNode::Known(Node::File { len, .. }) | DraftNode::Staged { len, .. } => *len,
            DraftNode::Known(Node::Dir(_) | Node::Symlink(_)) | DraftNode::Dir(_) => 0,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl DraftTree {
    /// A tree whose directories that are not in the history are `changed`, each before those in it.
    pub fn new(root: DraftDir, changed: Vec<Vec<DraftEntry>>) -> Self {
        Self { root, changed }
    }

    /// A tree of the history.
    pub fn of(tree: TreeId) -> Self {
        Self { root: DraftDir::Unchanged(tree), changed: Vec::new() }
    }

    /// The names in a directory, sorted, reading its tree if nothing in it changed.
    pub fn entries(&self, dir: DraftDir, repo: &Repo) -> Result<Vec<DraftEntry>> {
        match dir {
            DraftDir::Changed(number) => Ok(self.changed[number].clone()),
            DraftDir::Unchanged(tree) => {
                Ok(repo.tree(tree)?.entries().iter().map(DraftEntry::from).collect())
            }
        }
    }

    /// What is at a path; `None` if nothing is.
    pub fn find(&self, path: &TreePath, repo: &Repo) -> Result<Option<DraftEntry>> {
        let root =
            DraftEntry { node: DraftNode::Dir(self.root), ..DraftEntry::from(&root_entry(Tree::empty_id())) };
        let mut entry = root;
        for name in path.names() {
            let found = match entry.node {
                DraftNode::Dir(DraftDir::Changed(number)) => {
                    self.changed[number].iter().find(|entry| entry.name == *name).cloned()
                }
                DraftNode::Dir(DraftDir::Unchanged(tree)) => {
                    repo.tree(tree)?.find(name).map(DraftEntry::from)
                }
                DraftNode::Known(_) | DraftNode::Staged { .. } => None,
            };
            match found {
                Some(found) => entry = found,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// Every staged file with its path and its length, in the order of the paths.
    pub fn staged(&self) -> Vec<(StagingId, TreePath, u64)> {
        let mut found = Vec::new();
        let mut dirs = vec![(TreePath::ROOT, self.root)];
        while let Some((path, dir)) = dirs.pop() {
            let DraftDir::Changed(number) = dir else { continue };
            for entry in &self.changed[number] {
                match &entry.node {
                    DraftNode::Known(_) => {}
                    DraftNode::Dir(dir) => dirs.push((path.join(entry.name.clone()), *dir)),
                    &DraftNode::Staged { staging, len } => {
                        found.push((staging, path.join(entry.name.clone()), len));
                    }
                }
            }
        }
        found.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
        found
    }

    /// The same with every staged file replaced by what it is in the store.
    pub fn with_stored(&self, stored: &dyn Fn(StagingId) -> Node) -> Self {
        let mut tree = self.clone();
        for entry in tree.changed.iter_mut().flatten() {
            if let DraftNode::Staged { staging, .. } = entry.node {
                entry.node = DraftNode::Known(stored(staging));
            }
        }
        tree
    }

    /// Makes trees of the directories that changed, those in a directory before it. `write` records one and names it.
    pub(super) fn write(self, write: &dyn Fn(Tree) -> Result<TreeId>) -> Result<TreeId> {
        let mut written: Vec<Option<TreeId>> = vec![None; self.changed.len()];
        let id = |dir: DraftDir, written: &[Option<TreeId>]| match dir {
            DraftDir::Unchanged(tree) => tree,
            // Directories come behind the one that they are in, and are written from behind.
            DraftDir::Changed(number) => written[number].expect("it was written before the one it is in"),
        };
        for (number, entries) in self.changed.into_iter().enumerate().rev() {
            let mut tree = Vec::with_capacity(entries.len());
            for DraftEntry { name, attributes, node } in entries {
                let node = match node {
                    DraftNode::Known(node) => node,
                    DraftNode::Dir(dir) => Node::Dir(id(dir, &written)),
                    // Every staged file was stored and replaced.
                    DraftNode::Staged { .. } => return Err(Error::NotStored(name)),
                };
                tree.push(Entry { name, attributes, node });
            }
            let tree = Tree::new(tree).expect("a directory has each name once");
            written[number] = Some(write(tree)?);
        }
        Ok(id(self.root, &written))
    }
}

impl DraftEntry {
    /// The same as the history has it; `None` if it does not yet.
    pub fn stored(&self) -> Option<Entry> {
        let node = match &self.node {
            DraftNode::Known(node) => node.clone(),
            DraftNode::Dir(DraftDir::Unchanged(tree)) => Node::Dir(*tree),
            DraftNode::Dir(DraftDir::Changed(_)) | DraftNode::Staged { .. } => return None,
        };
        Some(Entry { name: self.name.clone(), attributes: self.attributes, node })
    }
}

impl From<&Entry> for DraftEntry {
    fn from(entry: &Entry) -> Self {
        let node = match &entry.node {
            Node::Dir(tree) => DraftNode::Dir(DraftDir::Unchanged(*tree)),
            known @ (Node::File { .. } | Node::Symlink(_)) => DraftNode::Known(known.clone()),
        };
        Self { name: entry.name.clone(), attributes: entry.attributes, node }
    }
}
