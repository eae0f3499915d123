//! What a commit of the worktree would record: the tree at one instant.
//!
//! A snapshot holds what it needs: as long as it lives, no process removes the staging files that it names, and complete
//! staging files never change. Flat: directories are numbered, so that depth costs no stack.

use super::error::Result;
use super::hold::Hold;
use super::nodes::{Body, Content, File, NodeId, Safe};
use super::record::Record;
use super::state::State;
use super::unfinished::Unfinished;
use super::worktree::Worktree;
use crate::history::{Attributes, DraftDir, DraftEntry, DraftNode, DraftTree, Entry, Name, Node, TreePath};
use crate::id::{CommitId, StagingId, TreeId};
use std::fmt;

/// The complete files of a worktree at one instant.
pub struct Snapshot {
    /// The commit that the worktree started from.
    pub base: Option<CommitId>,
    /// The directories.
    pub tree: DraftTree,
    /// Files that are being written: they stand in the snapshot as they were when last complete, or as in the base, or
    /// not at all.
    pub still_open: Vec<TreePath>,
    /// Files whose writer ended in the middle; they stand in the snapshot in the same way.
    pub interrupted: Vec<TreePath>,
    /// Files of which the disk lost bytes.
    pub lost: Vec<TreePath>,
    /// The bytes of files that are being written, or whose writer ended in the middle.
    pub(super) unfinished: Vec<Unfinished>,
    /// The generation of the journal, and the point in it, that it was taken at.
    pub(super) position: (u64, u64),
    /// What must be said again in a journal that starts from this snapshot.
    pub(super) resume: Vec<Record>,
    /// Keeps the staging files from being removed.
    _hold: Hold,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("base", &self.base).field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// Gathers a snapshot.
struct Collector<'a> {
    worktree: &'a Worktree,
    include_open: bool,
    base_root: Option<TreeId>,
    changed: Vec<Vec<DraftEntry>>,
    still_open: Vec<TreePath>,
    interrupted: Vec<TreePath>,
    lost: Vec<TreePath>,
    unfinished: Vec<Unfinished>,
    resume: Vec<Record>,
}

/// The tree as far as is known now: a file that was closed a moment ago may pass for one that is being written. With
/// `include_open`, such files are taken with the bytes that they have; otherwise as they were when last complete.
pub(super) fn look(worktree: &Worktree, include_open: bool) -> Result<Snapshot> {
    let hold = Hold::take(&**worktree.repo().disk(), &worktree.dir)?;
    let base = worktree.base()?;
    let base_root = base.map(|commit| worktree.repo().commit(commit)).transpose()?.map(|commit| commit.tree);
    let mut collector = Collector {
        worktree,
        include_open,
        base_root,
        changed: Vec::new(),
        still_open: Vec::new(),
        interrupted: Vec::new(),
        lost: Vec::new(),
        unfinished: Vec::new(),
        resume: Vec::new(),
    };
    let (root, position) = worktree.read(|state| {
        collector.resume = state.nodes.run.map(|run| Record::Run { run }).into_iter().collect();
        Ok((collector.run(state)?, state.journal.position()))
    })?;
    let Collector { changed, mut still_open, mut interrupted, mut lost, unfinished, resume, .. } = collector;
    for list in [&mut still_open, &mut interrupted, &mut lost] {
        list.sort();
    }
    let tree = DraftTree::new(root, changed);
    Ok(Snapshot { base, tree, still_open, interrupted, lost, unfinished, position, resume, _hold: hold })
}

impl Snapshot {
    /// Whether every file is complete and whole.
    pub fn is_at_rest(&self) -> bool {
        [&self.still_open, &self.interrupted, &self.lost].iter().all(|paths| paths.is_empty())
    }
}

/// Declares files complete whose writer ended in the middle, with the bytes that arrived.
pub(super) fn settle_interrupted(worktree: &Worktree) -> Result<()> {
    let abandoned: Vec<StagingId> = worktree.read(|state| {
        let stagings: Vec<StagingId> = state.nodes.stagings().collect();
        let abandoned = stagings.into_iter().filter_map(|staging| {
            abandoned_len(worktree, state, staging).map(|len| len.map(|_| staging)).transpose()
        });
        abandoned.collect()
    })?;
    if abandoned.is_empty() {
        return Ok(());
    }
    worktree.change(|state| {
        for staging in abandoned {
            // A writer may have come back since, and even be done.
            if let Some((node, len)) = abandoned_len(worktree, state, staging)? {
                let modified = state.nodes.get(node)?.attributes.modified;
                state.append(worktree.repo(), Record::Settle { staging, len, modified })?;
            }
        }
        Ok(())
    })
}

/// The file that is being written in a staging file although nobody is at work on it, and how much there is of it.
fn abandoned_len(worktree: &Worktree, state: &State, staging: StagingId) -> Result<Option<(NodeId, u64)>> {
    let Some((node, file)) = state.nodes.file_of(staging) else { return Ok(None) };
    let is_begun = file.current.staging() == Some(staging) && !file.is_complete();
    match is_begun && state.nodes.is_linked(node) && !worktree.staging().is_in_use(staging)? {
        true => Ok(Some((node, worktree.staging().len(state, node, file)?))),
        false => Ok(None),
    }
}

impl Collector<'_> {
    /// Gathers all directories that changed, each before those in it.
    fn run(&mut self, state: &mut State) -> Result<DraftDir> {
        let mut waiting = Vec::new();
        let root = self.number(state, NodeId::ROOT, &TreePath::ROOT, &mut waiting)?;
        while let Some((number, dir, path)) = waiting.pop() {
            let children: Vec<(Name, NodeId)> = state
                .nodes
                .children(dir, self.worktree.repo())?
                .iter()
                .map(|(name, &child)| (name.clone(), child))
                .collect();
            let mut entries = Vec::with_capacity(children.len());
            for (name, child) in children {
                let at = path.join(name.clone());
                if let Some((attributes, node)) = self.node(state, child, &at, &mut waiting)? {
                    entries.push(DraftEntry { name, attributes, node });
                }
            }
            self.changed[number] = entries;
        }
        Ok(root)
    }

    /// A directory as the snapshot refers to it; one that changed is gathered later.
    fn number(
        &mut self,
        state: &State,
        id: NodeId,
        path: &TreePath,
        waiting: &mut Vec<(usize, NodeId, TreePath)>,
    ) -> Result<DraftDir> {
        if let Body::Dir(dir) = &state.nodes.get(id)?.body
            && let Some(origin) = dir.origin
        {
            return Ok(DraftDir::Unchanged(origin));
        }
        let number = self.changed.len();
        self.changed.push(Vec::new());
        waiting.push((number, id, path.clone()));
        Ok(DraftDir::Changed(number))
    }

    fn node(
        &mut self,
        state: &State,
        id: NodeId,
        path: &TreePath,
        waiting: &mut Vec<(usize, NodeId, TreePath)>,
    ) -> Result<Option<(Attributes, DraftNode)>> {
        let found = state.nodes.get(id)?;
        let attributes = found.attributes;
        let node = match &found.body {
            Body::Symlink(target) => DraftNode::Known(Node::Symlink(target.clone())),
            Body::Dir(_) => DraftNode::Dir(self.number(state, id, path, waiting)?),
            Body::File(file) => return self.file(state, id, path, attributes, file),
        };
        Ok(Some((attributes, node)))
    }

    fn file(
        &mut self,
        state: &State,
        id: NodeId,
        path: &TreePath,
        attributes: Attributes,
        file: &File,
    ) -> Result<Option<(Attributes, DraftNode)>> {
        if file.is_lost() {
            self.lost.push(path.clone());
        }
        let node = |content| match content {
            Content::Stored { recipe, len } => DraftNode::Known(Node::File { recipe, len }),
            Content::Staged { staging, len } => DraftNode::Staged { staging, len },
        };
        if file.is_complete() {
            return Ok(Some((attributes, node(file.current))));
        }
        if let Content::Staged { staging, .. } = file.current {
            self.resume(path, attributes, staging, file);
            if self.include_open {
                let len = self.worktree.staging().len(state, id, file)?;
                return Ok(Some((attributes, DraftNode::Staged { staging, len })));
            }
            let list = match self.worktree.staging().is_in_use(staging)? {
                true => &mut self.still_open,
                false => &mut self.interrupted,
            };
            list.push(path.clone());
            let at = self.worktree.staging().path(staging);
            self.unfinished.push(Unfinished::at(&**self.worktree.repo().disk(), &at, staging)?);
        }
        match file.complete {
            Some(complete) => Ok(Some((attributes, node(complete)))),
            None => self.as_in_base(path),
        }
    }

    /// Says again that a file is being written, and what of it is durable.
    fn resume(&mut self, path: &TreePath, attributes: Attributes, staging: StagingId, file: &File) {
        let at = attributes.modified;
        self.resume.push(Record::Open { path: path.clone(), attributes, staging, at });
        if let Some(Safe { content: Content::Staged { staging: safe, len }, .. }) = file.safe
            && safe == staging
        {
            self.resume.push(Record::Synced { staging, len, complete: false });
        }
        if file.lost == Some(staging) {
            self.resume.push(Record::Lost { staging });
        }
        if let Some(closed) = file.closed.as_deref() {
            self.resume.push(Record::Closed { staging, closed: Some(*closed) });
        }
    }

    /// The file at the same path in the base.
    fn as_in_base(&self, path: &TreePath) -> Result<Option<(Attributes, DraftNode)>> {
        let Some(root) = self.base_root else { return Ok(None) };
        match self.worktree.repo().find_in_tree(root, path)? {
            Some(Entry { attributes, node: node @ Node::File { .. }, .. }) => {
                Ok(Some((attributes, DraftNode::Known(node))))
            }
            _ => Ok(None),
        }
    }
}
