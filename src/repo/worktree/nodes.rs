//! The files and directories of a worktree in memory, each with a number that stays with it when it moves.
//!
//! Owns what a worktree looks like now; how a record changes it is in `apply`. Directories that nobody looked into are
//! only the id of their tree. Does no file I/O; trees come through [`Trees`].

mod apply;

use super::super::error::{Error, Result};
use super::super::path::{Name, TreePath};
use super::super::tree::{Attributes, Entry, Node, Tree};
use super::record::StagingId;
use crate::id::{CommitId, RecipeId, TreeId};
use crate::units::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where trees of the history come from.
pub trait Trees {
    /// The tree with this id.
    fn tree(&self, id: TreeId) -> Result<Arc<Tree>>;
}

/// The number of a file or directory in a worktree: stable across renames, never given out twice in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The top directory.
    pub const ROOT: NodeId = NodeId(1);
}

/// The bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// In the store.
    Stored { recipe: RecipeId, len: u64 },
    /// In a staging file; `len` is the length at the last time it was complete.
    Staged { staging: StagingId, len: u64 },
}

impl Content {
    fn staging(&self) -> Option<StagingId> {
        match self {
            Content::Staged { staging, .. } => Some(*staging),
            Content::Stored { .. } => None,
        }
    }
}

/// A regular file.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// What a reader sees.
    pub current: Content,
    /// What a commit takes: the bytes as of the last time that no writer was at work; `None` if there was none.
    pub complete: Option<Content>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Body {
    File(File),
    Dir(Dir),
    Symlink(Vec<u8>),
}

/// A directory.
#[derive(Debug, Clone)]
pub(super) struct Dir {
    /// The tree that it equals; `None` if something in it changed (then `children` is there).
    pub origin: Option<TreeId>,
    /// What is in it; `None` if nobody looked.
    pub children: Option<BTreeMap<Name, NodeId>>,
}

/// One file, directory or link.
#[derive(Debug, Clone)]
pub(super) struct NodeState {
    /// Where it is; `None` for the root and for what was removed.
    pub place: Option<(NodeId, Name)>,
    pub attributes: Attributes,
    pub body: Body,
}

/// What a kernel that caches names must forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalidation {
    /// The directory.
    pub parent: NodeId,
    /// The name in it.
    pub name: Name,
}

/// All nodes of a worktree.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: HashMap<NodeId, NodeState>,
    by_staging: HashMap<StagingId, NodeId>,
    next_node: u64,
    next_staging: u64,
    /// The commit that the worktree started from.
    pub base: Option<CommitId>,
    /// Commits that were made of it since; one of them is the base if the branch got to name it.
    pub announced: Vec<CommitId>,
    /// Names whose meaning changed, until somebody takes them.
    pub invalidations: Vec<Invalidation>,
    /// Staging files that no node needs any more, until somebody removes them.
    pub garbage: Vec<StagingId>,
}

const ROOT_MODE: u32 = 0o755;

impl Nodes {
    /// An empty worktree.
    pub(super) fn new() -> Self {
        let attributes = Attributes { mode: ROOT_MODE, modified: Timestamp::EPOCH };
        let body = Body::Dir(Dir { origin: Some(Tree::empty_id()), children: None });
        Self {
            nodes: HashMap::from([(NodeId::ROOT, NodeState { place: None, attributes, body })]),
            by_staging: HashMap::new(),
            next_node: NodeId::ROOT.0 + 1,
            next_staging: 1,
            base: None,
            announced: Vec::new(),
            invalidations: Vec::new(),
            garbage: Vec::new(),
        }
    }

    /// A staging id that no record used.
    pub(super) fn fresh_staging(&mut self) -> StagingId {
        let id = StagingId(self.next_staging);
        self.next_staging += 1;
        id
    }

    /// The node; absent if it was removed and forgotten.
    pub(super) fn get(&self, id: NodeId) -> Result<&NodeState> {
        self.nodes.get(&id).ok_or(Error::Stale)
    }

    fn get_mut(&mut self, id: NodeId) -> Result<&mut NodeState> {
        self.nodes.get_mut(&id).ok_or(Error::Stale)
    }

    /// Whether it is in the tree, not removed.
    pub(super) fn is_linked(&self, id: NodeId) -> bool {
        id == NodeId::ROOT || self.nodes.get(&id).is_some_and(|node| node.place.is_some())
    }

    /// Where a node is; [`Error::Stale`] if it was removed.
    pub(super) fn path_of(&self, id: NodeId) -> Result<TreePath> {
        let mut names = Vec::new();
        let mut at = id;
        while at != NodeId::ROOT {
            let (parent, name) = self.get(at)?.place.as_ref().ok_or(Error::Stale)?;
            names.push(name.clone());
            at = *parent;
        }
        names.reverse();
        Ok(names.into_iter().collect())
    }

    /// What is in a directory, loading it if nobody looked before.
    pub(super) fn children(&mut self, id: NodeId, trees: &dyn Trees) -> Result<&BTreeMap<Name, NodeId>> {
        let origin = match &self.get(id)?.body {
            Body::Dir(Dir { children: Some(_), .. }) => None,
            Body::Dir(Dir { origin, .. }) => Some(*origin),
            Body::File(_) | Body::Symlink(_) => return Err(self.not_a_directory(id)),
        };
        if let Some(origin) = origin {
            let children = self.load(id, origin, trees)?;
            self.dir_mut(id)?.children = Some(children);
        }
        match &self.get(id)?.body {
            Body::Dir(Dir { children: Some(children), .. }) => Ok(children),
            _ => Err(Error::Stale),
        }
    }

    fn load(
        &mut self,
        dir: NodeId,
        origin: Option<TreeId>,
        trees: &dyn Trees,
    ) -> Result<BTreeMap<Name, NodeId>> {
        let Some(tree) = origin else { return Ok(BTreeMap::new()) };
        let tree = trees.tree(tree)?;
        Ok(tree.entries().iter().map(|entry| (entry.name.clone(), self.insert_entry(dir, entry))).collect())
    }

    fn insert_entry(&mut self, parent: NodeId, entry: &Entry) -> NodeId {
        let place = Some((parent, entry.name.clone()));
        self.insert(NodeState { place, attributes: entry.attributes, body: body_of(&entry.node) })
    }

    fn insert(&mut self, state: NodeState) -> NodeId {
        let id = NodeId(self.next_node);
        self.next_node += 1;
        self.nodes.insert(id, state);
        id
    }

    fn dir_mut(&mut self, id: NodeId) -> Result<&mut Dir> {
        match &mut self.get_mut(id)?.body {
            Body::Dir(dir) => Ok(dir),
            Body::File(_) | Body::Symlink(_) => Err(Error::Stale),
        }
    }

    fn not_a_directory(&self, id: NodeId) -> Error {
        Error::NotADirectory(self.path_of(id).unwrap_or_default())
    }

    /// The child with this name.
    pub(super) fn find(&mut self, dir: NodeId, name: &Name, trees: &dyn Trees) -> Result<Option<NodeId>> {
        Ok(self.children(dir, trees)?.get(name).copied())
    }

    /// The node at a path; `None` if nothing is there.
    pub(super) fn resolve(&mut self, path: &TreePath, trees: &dyn Trees) -> Result<Option<NodeId>> {
        let mut at = NodeId::ROOT;
        for name in path.names() {
            if !matches!(self.get(at)?.body, Body::Dir(_)) {
                return Ok(None);
            }
            match self.find(at, name, trees)? {
                Some(child) => at = child,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The node whose current or complete bytes are in a staging file.
    pub(super) fn by_staging(&self, staging: StagingId) -> Option<NodeId> {
        self.by_staging.get(&staging).copied()
    }

    /// Every staging file that some node needs.
    pub(super) fn stagings(&self) -> impl Iterator<Item = StagingId> {
        self.by_staging.keys().copied()
    }

    /// Drops a removed node that nobody refers to any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        if !self.is_linked(id)
            && let Some(node) = self.nodes.remove(&id)
            && let Body::File(file) = &node.body
        {
            self.discard(file.current.staging());
            self.discard(file.complete.and_then(|content| content.staging()));
        }
    }

    fn discard(&mut self, staging: Option<StagingId>) {
        if let Some(staging) = staging
            && self.by_staging.remove(&staging).is_some()
        {
            self.garbage.push(staging);
        }
    }
}

fn body_of(node: &Node) -> Body {
    match node {
        Node::File { recipe, len } => {
            let stored = Content::Stored { recipe: *recipe, len: *len };
            Body::File(File { current: stored, complete: Some(stored) })
        }
        Node::Dir(tree) => Body::Dir(Dir { origin: Some(*tree), children: None }),
        Node::Symlink(target) => Body::Symlink(target.clone()),
    }
}
