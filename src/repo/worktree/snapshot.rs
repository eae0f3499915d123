//! What a commit of the worktree would record: the tree at one instant.

use super::super::error::Result;
use super::super::path::{Name, TreePath};
use super::super::tree::{Attributes, Entry, Node, Tree};
use super::nodes::{Body, Content, File, NodeId};
use super::record::{Record, StagingId};
use super::state::{State, Worktree};
use crate::id::{CommitId, TreeId};
use std::sync::Arc;

/// The complete files of a worktree at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// The commit that the worktree started from.
    pub base: Option<CommitId>,
    /// The top directory.
    pub root: SnapshotDir,
    /// Files that are being written: they stand in the snapshot as they were when last complete, or as in the base, or
    /// not at all.
    pub still_open: Vec<TreePath>,
    /// The generation of the journal, and the point in it, that it was taken at.
    pub(super) position: (u64, u64),
    /// What must be said again in a journal that starts from this snapshot.
    pub(super) resume: Vec<Record>,
}

/// A directory of a snapshot.
#[derive(Debug, Clone)]
pub enum SnapshotDir {
    /// Equal to a tree of the history.
    Unchanged(TreeId),
    /// Something in it changed. Sorted by name.
    Changed(Vec<SnapshotEntry>),
}

/// A name in a changed directory.
#[derive(Debug, Clone)]
pub struct SnapshotEntry {
    /// The name.
    pub name: Name,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// What stands behind it.
    pub node: SnapshotNode,
}

/// What stands behind a name.
#[derive(Debug, Clone)]
pub enum SnapshotNode {
    /// A file or link that the history can record as it is.
    Known(Node),
    /// A directory.
    Dir(SnapshotDir),
    /// A file whose bytes are not in the store yet.
    Staged {
        /// The staging file.
        staging: StagingId,
        /// Its length in bytes.
        len: u64,
    },
}

/// Gathers a snapshot.
struct Collector<'a> {
    worktree: &'a Worktree,
    include_open: bool,
    base_root: Option<TreeId>,
    still_open: Vec<TreePath>,
    resume: Vec<Record>,
}

impl Worktree {
    /// The tree as it is now. With `include_open`, files that are being written are taken with the bytes that they
    /// have; otherwise as they were when last complete.
    pub fn snapshot(&self, include_open: bool) -> Result<Snapshot> {
        self.read(|state| {
            let base = self.base_of(state)?;
            let base_root =
                base.map(|commit| self.repo.commit(commit)).transpose()?.map(|commit| commit.tree);
            let mut collector = Collector {
                worktree: self,
                include_open,
                base_root,
                still_open: Vec::new(),
                resume: Vec::new(),
            };
            let root = collector.dir(state, NodeId::ROOT, &TreePath::ROOT)?;
            let Collector { mut still_open, resume, .. } = collector;
            still_open.sort();
            Ok(Snapshot { base, root, still_open, position: state.journal.position(), resume })
        })
    }

    /// Makes a commit of a snapshot the base, durably: the journal starts over from it. The branch must name it.
    pub(in crate::repo) fn rebase_onto(
        &self,
        commit: CommitId,
        tree: TreeId,
        snapshot: &Snapshot,
    ) -> Result<()> {
        self.change(|state| {
            // A generation that somebody else started in between knows better.
            let (generation, since) = snapshot.position;
            if state.journal.position().0 != generation || !state.nodes.announced.contains(&commit) {
                return Ok(());
            }
            let mut head = vec![Record::Reset { base: Some(commit), tree }];
            head.extend(snapshot.resume.iter().cloned());
            state.sync(self)?;
            state.journal.start_generation(&head, since)?;
            state.nodes.base = Some(commit);
            state.nodes.announced.clear();
            Ok(())
        })
    }

    /// Notes, durably, that the branch is about to name a commit made of this worktree.
    pub(in crate::repo) fn announce_commit(&self, commit: CommitId) -> Result<()> {
        self.change(|state| {
            state.append(self, Record::Committed { commit })?;
            state.sync(self)
        })
    }
}

impl Collector<'_> {
    fn dir(&mut self, state: &mut State, id: NodeId, path: &TreePath) -> Result<SnapshotDir> {
        if let Body::Dir(dir) = &state.nodes.get(id)?.body
            && let Some(origin) = dir.origin
        {
            return Ok(SnapshotDir::Unchanged(origin));
        }
        let children: Vec<(Name, NodeId)> = state
            .nodes
            .children(id, &self.worktree.repo)?
            .iter()
            .map(|(name, &child)| (name.clone(), child))
            .collect();
        let mut entries = Vec::with_capacity(children.len());
        for (name, child) in children {
            let at = path.join(name.clone());
            if let Some((attributes, node)) = self.node(state, child, &at)? {
                entries.push(SnapshotEntry { name, attributes, node });
            }
        }
        Ok(SnapshotDir::Changed(entries))
    }

    fn node(
        &mut self,
        state: &mut State,
        id: NodeId,
        path: &TreePath,
    ) -> Result<Option<(Attributes, SnapshotNode)>> {
        let found = state.nodes.get(id)?;
        let attributes = found.attributes;
        let node = match &found.body {
            Body::Symlink(target) => SnapshotNode::Known(Node::Symlink(target.clone())),
            Body::Dir(_) => SnapshotNode::Dir(self.dir(state, id, path)?),
            Body::File(file) => return self.file(state, id, path, attributes, &file.clone()),
        };
        Ok(Some((attributes, node)))
    }

    fn file(
        &mut self,
        state: &mut State,
        id: NodeId,
        path: &TreePath,
        attributes: Attributes,
        file: &File,
    ) -> Result<Option<(Attributes, SnapshotNode)>> {
        let node = |content| match content {
            Content::Stored { recipe, len } => SnapshotNode::Known(Node::File { recipe, len }),
            Content::Staged { staging, len } => SnapshotNode::Staged { staging, len },
        };
        if file.complete == Some(file.current) {
            return Ok(Some((attributes, node(file.current))));
        }
        if let Content::Staged { staging, .. } = file.current {
            let at = attributes.modified;
            self.resume.push(Record::Open { path: path.clone(), attributes, staging, at });
            if self.include_open {
                let len = self.worktree.staged_len(state, id, file)?;
                return Ok(Some((attributes, SnapshotNode::Staged { staging, len })));
            }
        }
        self.still_open.push(path.clone());
        match file.complete {
            Some(complete) => Ok(Some((attributes, node(complete)))),
            None => self.as_in_base(path),
        }
    }

    /// The file at the same path in the base.
    fn as_in_base(&self, path: &TreePath) -> Result<Option<(Attributes, SnapshotNode)>> {
        let Some(root) = self.base_root else { return Ok(None) };
        match self.worktree.repo.find_in_tree(root, path)? {
            Some(Entry { attributes, node: node @ Node::File { .. }, .. }) => {
                Ok(Some((attributes, SnapshotNode::Known(node))))
            }
            _ => Ok(None),
        }
    }
}

impl SnapshotDir {
    /// The names in the directory, reading its tree if nothing in it changed.
    pub fn entries(&self, trees: &dyn super::nodes::Trees) -> Result<Vec<SnapshotEntry>> {
        match self {
            SnapshotDir::Changed(entries) => Ok(entries.clone()),
            SnapshotDir::Unchanged(tree) => {
                let tree: Arc<Tree> = trees.tree(*tree)?;
                Ok(tree.entries().iter().map(SnapshotEntry::from).collect())
            }
        }
    }

    /// Every staged file with its path, in the order of the paths.
    pub fn staged(&self) -> Vec<(TreePath, StagingId, u64)> {
        let mut found = Vec::new();
        let mut dirs = vec![(TreePath::ROOT, self)];
        while let Some((path, dir)) = dirs.pop() {
            let SnapshotDir::Changed(entries) = dir else { continue };
            for entry in entries {
                let at = path.join(entry.name.clone());
                match &entry.node {
                    SnapshotNode::Known(_) => {}
                    SnapshotNode::Dir(dir) => dirs.push((at, dir)),
                    SnapshotNode::Staged { staging, len } => found.push((at, *staging, *len)),
                }
            }
        }
        found.sort();
        found
    }
}

impl From<&Entry> for SnapshotEntry {
    fn from(entry: &Entry) -> Self {
        let node = match &entry.node {
            Node::Dir(tree) => SnapshotNode::Dir(SnapshotDir::Unchanged(*tree)),
            known @ (Node::File { .. } | Node::Symlink(_)) => SnapshotNode::Known(known.clone()),
        };
        Self { name: entry.name.clone(), attributes: entry.attributes, node }
    }
}
