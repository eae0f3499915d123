//! The files and directories of a worktree in memory, each with a number that stays with it when it moves.
//!
//! Owns what a worktree looks like now; how a record changes it is in `apply`. Directories that nobody looked into are
//! only the id of their tree. Does no file I/O; trees come through [`Trees`].

mod apply;
mod file;
mod reconcile;

pub(super) use apply::Applying;
pub(super) use file::{Content, File, Safe};

use super::error::{Error, Result};
use crate::disk::Run;
use crate::history::{Attributes, Entry, Name, Node, Tree, TreePath};
use crate::id::{CommitId, StagingId, TreeId};
use crate::units::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// Nodes that stay for those who read them, while another one has their name: whoever opens the file means that one.
    pub passed_by: HashSet<NodeId>,
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
    /// Staging files whose bytes were in doubt, until somebody sets them aside.
    pub doubted: Vec<StagingId>,
    /// The run that the last records are of; `None` in a journal that does not tell.
    pub run: Option<Run>,
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
            passed_by: HashSet::new(),
            next_node: NodeId::ROOT.0 + 1,
            next_staging: 1,
            base: None,
            announced: Vec::new(),
            invalidations: Vec::new(),
            garbage: Vec::new(),
            doubted: Vec::new(),
            run: None,
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

    /// The tree that a directory equals and that nobody looked into yet.
    pub(super) fn unread(&self, id: NodeId) -> Option<TreeId> {
        match &self.nodes.get(&id)?.body {
            Body::Dir(Dir { origin, children: None }) => *origin,
            Body::Dir(_) | Body::File(_) | Body::Symlink(_) => None,
        }
    }

    /// The child with this name of a directory that somebody looked into.
    pub(super) fn loaded_child(&self, dir: NodeId, name: &Name) -> Option<NodeId> {
        match &self.nodes.get(&dir)?.body {
            Body::Dir(dir) => dir.children.as_ref()?.get(name).copied(),
            Body::File(_) | Body::Symlink(_) => None,
        }
    }

    /// Fills in a directory that equals this tree and that nobody looked into yet.
    pub(super) fn fill(&mut self, dir: NodeId, id: TreeId, tree: &Tree) -> Result<()> {
        if self.unread(dir) != Some(id) {
            return Ok(());
        }
        let children = tree.entries().iter().map(|entry| (entry.name.clone(), self.insert_entry(dir, entry)));
        let children = children.collect();
        self.dir_mut(dir)?.children = Some(children);
        Ok(())
    }

    /// What is in a directory, loading it if nobody looked before.
    pub(super) fn children(&mut self, id: NodeId, trees: &dyn Trees) -> Result<&BTreeMap<Name, NodeId>> {
        if let Some(tree) = self.unread(id) {
            self.fill(id, tree, &*trees.tree(tree)?)?;
        }
        match &self.get(id)?.body {
            Body::Dir(Dir { children: Some(children), .. }) => Ok(children),
            Body::Dir(_) => Err(Error::Stale),
            Body::File(_) | Body::Symlink(_) => {
                Err(Error::NotADirectory(self.path_of(id).unwrap_or_default()))
            }
        }
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

    /// The node of which a version is in a staging file.
    pub(super) fn by_staging(&self, staging: StagingId) -> Option<NodeId> {
        self.by_staging.get(&staging).copied()
    }

    /// The files in a directory whose names may yet go back to what was there before, although some of their bytes are
    /// durable; with the staging files of those.
    pub(super) fn unsure_names(&self, dir: NodeId) -> Vec<(NodeId, StagingId)> {
        let mut unsure = Vec::new();
        for (&staging, &id) in &self.by_staging {
            let Some(NodeState { place: Some((parent, _)), body: Body::File(file), .. }) =
                self.nodes.get(&id)
            else {
                continue;
            };
            if *parent == dir && file.unsure_of_name() == Some(staging) {
                unsure.push((id, staging));
            }
        }
        unsure
    }

    /// The file of which a version is in a staging file.
    pub(super) fn file_of(&self, staging: StagingId) -> Option<(NodeId, &File)> {
        let id = self.by_staging(staging)?;
        match &self.nodes.get(&id)?.body {
            Body::File(file) => Some((id, file)),
            Body::Dir(_) | Body::Symlink(_) => None,
        }
    }

    /// Whether the disk lost bytes of a staging file.
    pub(super) fn is_lost(&self, staging: StagingId) -> bool {
        self.file_of(staging).is_some_and(|(_, file)| file.lost == Some(staging))
    }

    /// Notes that it did.
    pub(super) fn note_lost(&mut self, staging: StagingId) -> Result<()> {
        self.by_staging(staging).map_or(Ok(()), |id| self.change_file(id, |file| file.lost = Some(staging)))
    }

    /// Every staging file that some node needs.
    pub(super) fn stagings(&self) -> impl Iterator<Item = StagingId> {
        self.by_staging.keys().copied()
    }

    /// Drops a removed node that nobody refers to any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        if self.is_linked(id) {
            return;
        }
        self.passed_by.remove(&id);
        if let Some(NodeState { body: Body::File(file), .. }) = self.nodes.remove(&id) {
            file.stagings().for_each(|staging| self.discard(id, staging));
        }
    }

    /// Changes a file, and lets go of the staging files that it no longer needs.
    pub(super) fn change_file(&mut self, id: NodeId, change: impl FnOnce(&mut File)) -> Result<()> {
        let Body::File(file) = &mut self.get_mut(id)?.body else { return Err(Error::Stale) };
        let before: Vec<StagingId> = file.stagings().collect();
        change(file);
        let after: Vec<StagingId> = file.stagings().collect();
        for staging in after.iter().filter(|staging| !before.contains(staging)) {
            self.by_staging.insert(*staging, id);
        }
        for staging in before.into_iter().filter(|staging| !after.contains(staging)) {
            self.discard(id, staging);
        }
        Ok(())
    }

    /// Notes that a file changed that is not yet in a record.
    pub(super) fn set_modified(&mut self, id: NodeId, attributes: Attributes) -> Result<()> {
        self.get_mut(id)?.attributes = attributes;
        Ok(())
    }

    /// Lets go of a staging file that a node no longer needs, unless another one needs it: a file that was moved over
    /// another falls back to that one's bytes.
    fn discard(&mut self, owner: NodeId, staging: StagingId) {
        if self.by_staging.get(&staging) == Some(&owner) {
            self.by_staging.remove(&staging);
            self.garbage.push(staging);
        }
    }
}

fn body_of(node: &Node) -> Body {
    match node {
        Node::File { recipe, len } => {
            Body::File(File::stored(Content::Stored { recipe: *recipe, len: *len }))
        }
        Node::Dir(tree) => Body::Dir(Dir { origin: Some(*tree), children: None }),
        Node::Symlink(target) => Body::Symlink(target.clone()),
    }
}
