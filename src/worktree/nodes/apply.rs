//! How a record of the journal changes the nodes of a worktree.
//!
//! Changes nothing but memory, and remembers which names a kernel has to forget. The same records in the same order
//! give the same files at the same places in every process. Which nodes they are differs: those whom a process has lent a file
//! go on with the node that they have.

use super::super::error::{Error, Result};
use super::super::record::{Closed, Record};
use super::{Body, Content, File, Invalidation, NodeId, NodeState, Nodes, Trees, body_of};
use crate::history::{Attributes, Name, Node, Tree, TreePath};
use crate::id::{StagingId, TreeId};
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// What records change.
pub(in crate::worktree) struct Applying<'a> {
    pub nodes: &'a mut Nodes,
    /// Where directories come from that nobody looked into yet.
    pub trees: &'a dyn Trees,
    /// Which removed nodes are still in use; the others are forgotten.
    pub in_use: &'a dyn Fn(NodeId) -> bool,
    /// The staging file of a node that whoever has it open here reads, whatever the file's bytes are.
    pub lent: &'a dyn Fn(NodeId) -> Option<StagingId>,
}

impl Applying<'_> {
    /// Changes the tree as a record says. A record about something that is not there changes nothing: after a commit the tail of a journal
    /// may speak of staging files that the commit absorbed.
    pub(in crate::worktree) fn apply(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Reset { base, tree } => {
                self.nodes.base = *base;
                self.nodes.announced.clear();
                self.reconcile(NodeId::ROOT, *tree)
            }
            Record::Put { path, attributes, node, at } => {
                let Some((parent, name)) = self.parent_of(path)? else { return Ok(()) };
                if let Node::Dir(tree) = node
                    && let Some(id) = self.nodes.find(parent, &name, self.trees)?
                    && matches!(self.nodes.get(id)?.body, Body::Dir(_))
                {
                    return self.fill_again(parent, id, *attributes, *tree, *at);
                }
                let state = NodeState {
                    place: Some((parent, name.clone())),
                    attributes: *attributes,
                    body: body_of(node),
                };
                self.link(parent, name, state, *at)
            }
            Record::Open { path, attributes, staging, at } => self.open(path, *attributes, *staging, *at),
            Record::Settle { staging, len, modified } => self.settle(*staging, *len, *modified),
            Record::Closed { staging, closed } => self.close(*staging, *closed),
            Record::Stored { staging, recipe, len } => {
                let stored = Content::Stored { recipe: *recipe, len: *len };
                self.change_version(*staging, |file| file.store(*staging, stored))
            }
            Record::Synced { staging, len, complete } => {
                self.change_version(*staging, |file| file.note_synced(*staging, *len, *complete))
            }
            Record::Doubted { staging } => self.doubt(*staging),
            Record::Lost { staging } => self.nodes.note_lost(*staging),
            Record::Run { run } => {
                self.nodes.run = Some(*run);
                Ok(())
            }
            Record::Remove { path, at } => {
                let Some((parent, name)) = self.parent_of(path)? else { return Ok(()) };
                self.unlink(parent, &name, *at)
            }
            Record::Rename { from, to, exchange, at } => self.rename(from, to, *exchange, *at),
            Record::Attributes { path, attributes } => {
                if let Some(id) = self.nodes.resolve(path, self.trees)? {
                    self.nodes.get_mut(id)?.attributes = *attributes;
                    self.touch_above(id)?;
                }
                Ok(())
            }
            Record::Committed { commit } => {
                match self.nodes.announced.iter().position(|announced| announced == commit) {
                    // What was announced since is still to come.
                    Some(at) => {
                        self.nodes.base = Some(*commit);
                        self.nodes.announced.drain(..=at);
                    }
                    None => self.nodes.announced.push(*commit),
                }
                Ok(())
            }
            Record::Superseded => Ok(()),
        }
    }

    /// The directory that a path's last name is in; `None` if it does not exist.
    fn parent_of(&mut self, path: &TreePath) -> Result<Option<(NodeId, Name)>> {
        let Some((parent, name)) = path.split_last() else { return Ok(None) };
        let name = name.clone();
        match self.nodes.resolve(&parent, self.trees)? {
            Some(id) if matches!(self.nodes.get(id)?.body, Body::Dir(_)) => Ok(Some((id, name))),
            _ => Ok(None),
        }
    }

    fn open(
        &mut self,
        path: &TreePath,
        attributes: Attributes,
        staging: StagingId,
        at: Timestamp,
    ) -> Result<()> {
        self.nodes.next_staging = self.nodes.next_staging.max(staging.0.saturating_add(1));
        let current = Content::Staged { staging, len: 0 };
        let existing = match self.nodes.resolve(path, self.trees)? {
            Some(id) if matches!(self.nodes.get(id)?.body, Body::File(_)) => self.written_in(id, staging)?,
            _ => {
                let Some((parent, name)) = self.parent_of(path)? else { return Ok(()) };
                let body = Body::File(File::begun(current));
                let place = Some((parent, name.clone()));
                self.link(parent, name.clone(), NodeState { place, attributes, body }, at)?;
                let id = self.nodes.find(parent, &name, self.trees)?.ok_or(Error::Stale)?;
                self.nodes.by_staging.insert(staging, id);
                return Ok(());
            }
        };
        let writing = self.nodes.by_staging(staging).filter(|&id| !self.nodes.is_linked(id));
        let id = match writing {
            Some(removed) => self.relink(removed, existing)?,
            None => existing,
        };
        self.nodes.get_mut(id)?.attributes = attributes;
        self.nodes.change_file(id, |file| file.open(current))?;
        self.touch_above(id)
    }

    /// The node at a file's place when somebody begins to write to it in a staging file. It is another one if those who have
    /// the file open here read one of their own that is no version of it: they go on with that, which has no name any more.
    fn written_in(&mut self, id: NodeId, staging: StagingId) -> Result<NodeId> {
        let state = self.nodes.get(id)?.clone();
        let (Some(lent), Body::File(file), Some((parent, name))) =
            ((self.lent)(id), &state.body, &state.place)
        else {
            return Ok(id);
        };
        if lent == staging || !file.is_complete() || file.current.staging() == Some(lent) {
            return Ok(id);
        }
        let written = self.nodes.insert(state.clone());
        for version in file.stagings() {
            self.nodes.by_staging.insert(version, written);
        }
        self.detach(id);
        self.nodes.change_file(id, |file| *file = File::begun(Content::Staged { staging: lent, len: 0 }))?;
        self.nodes.passed_by.insert(id);
        self.place(written, *parent, name)?;
        self.invalidate(*parent, name);
        Ok(written)
    }

    /// Lets the node of a file that is being written here take the place of the one that was read back: after a
    /// generation was missed, the file is still the same.
    fn relink(&mut self, removed: NodeId, found: NodeId) -> Result<NodeId> {
        let state = self.nodes.get(found)?;
        let (place, read_back) = match (&state.place, &state.body) {
            (Some(place), Body::File(file)) => (place.clone(), file.clone()),
            _ => return Ok(found),
        };
        self.detach(found);
        self.place(removed, place.0, &place.1)?;
        self.nodes.change_file(removed, |file| {
            file.complete = read_back.complete;
            file.sure = read_back.sure;
            file.safe = read_back.safe;
            file.replaced = read_back.replaced;
        })?;
        self.invalidate(place.0, &place.1);
        Ok(removed)
    }

    fn settle(&mut self, staging: StagingId, len: u64, modified: Timestamp) -> Result<()> {
        self.end(staging, modified, |file| file.settle(staging, len))
    }

    fn close(&mut self, staging: StagingId, closed: Option<Closed>) -> Result<()> {
        match closed {
            Some(closed) => self.end(staging, closed.modified, |file| file.close(staging, Some(closed))),
            None => self.change_version(staging, |file| file.close(staging, None)),
        }
    }

    /// A writer of a staging file is done; it was last changed then.
    fn end(&mut self, staging: StagingId, modified: Timestamp, end: impl FnOnce(&mut File)) -> Result<()> {
        let Some(id) = self.nodes.by_staging(staging) else { return Ok(()) };
        self.nodes.change_file(id, end)?;
        self.nodes.get_mut(id)?.attributes.modified = modified;
        if self.nodes.is_linked(id) { self.touch_above(id) } else { Ok(()) }
    }

    fn doubt(&mut self, staging: StagingId) -> Result<()> {
        let Some(id) = self.nodes.by_staging(staging) else { return Ok(()) };
        let known = self.nodes.garbage.len();
        self.nodes.change_file(id, |file| file.doubt(staging))?;
        let doubted = self.nodes.garbage.split_off(known);
        self.nodes.doubted.extend(doubted);
        self.touch_above(id)
    }

    /// Changes the file of which a version is in a staging file, if one is there still.
    fn change_version(&mut self, staging: StagingId, change: impl FnOnce(&mut File)) -> Result<()> {
        self.nodes.by_staging(staging).map_or(Ok(()), |id| self.nodes.change_file(id, change))
    }

    /// Gives a file what it replaces to fall back to.
    fn inherit(&mut self, moved: NodeId, replaced: NodeId) -> Result<()> {
        match (&self.nodes.get(moved)?.body, &self.nodes.get(replaced)?.body) {
            (Body::File(_), Body::File(old)) => match old.after_power_cut() {
                Some(before) => self.nodes.change_file(moved, |file| file.inherit(before)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn rename(&mut self, from: &TreePath, to: &TreePath, exchange: bool, at: Timestamp) -> Result<()> {
        let (Some((from_dir, from_name)), Some((to_dir, to_name))) =
            (self.parent_of(from)?, self.parent_of(to)?)
        else {
            return Ok(());
        };
        // No writer makes a directory its own descendant; a journal that says so is not believed.
        if to.starts_with(from) || from.starts_with(to) {
            return Ok(());
        }
        let Some(moved) = self.nodes.find(from_dir, &from_name, self.trees)? else { return Ok(()) };
        let target = self.nodes.find(to_dir, &to_name, self.trees)?;
        if target == Some(moved) {
            return Ok(());
        }
        if exchange {
            let Some(target) = target else { return Ok(()) };
            self.place(moved, to_dir, &to_name)?;
            self.place(target, from_dir, &from_name)?;
        } else {
            if let Some(target) = target {
                self.inherit(moved, target)?;
                self.unlink(to_dir, &to_name, at)?;
            }
            self.place(moved, to_dir, &to_name)?;
            self.nodes.dir_mut(from_dir)?.children.as_mut().ok_or(Error::Stale)?.remove(&from_name);
        }
        self.invalidate(from_dir, &from_name);
        self.invalidate(to_dir, &to_name);
        self.touch(from_dir, at)?;
        self.touch(to_dir, at)
    }

    fn place(&mut self, id: NodeId, dir: NodeId, name: &Name) -> Result<()> {
        self.nodes.get_mut(id)?.place = Some((dir, name.clone()));
        self.nodes.dir_mut(dir)?.children.as_mut().ok_or(Error::Stale)?.insert(name.clone(), id);
        Ok(())
    }

    /// Gives a directory other names and attributes. It is the same directory: somebody may stand in it.
    fn fill_again(
        &mut self,
        parent: NodeId,
        dir: NodeId,
        attributes: Attributes,
        tree: TreeId,
        at: Timestamp,
    ) -> Result<()> {
        self.reconcile(dir, tree)?;
        self.nodes.get_mut(dir)?.attributes = attributes;
        self.touch(parent, at)
    }

    /// Puts a new node under a name, in place of whatever was there.
    fn link(&mut self, dir: NodeId, name: Name, state: NodeState, at: Timestamp) -> Result<()> {
        self.unlink(dir, &name, at)?;
        let id = self.nodes.insert(state);
        self.nodes.dir_mut(dir)?.children.as_mut().ok_or(Error::Stale)?.insert(name.clone(), id);
        self.invalidate(dir, &name);
        self.touch(dir, at)
    }

    /// Takes a name out of a directory, with everything below it.
    fn unlink(&mut self, dir: NodeId, name: &Name, at: Timestamp) -> Result<()> {
        self.nodes.children(dir, self.trees)?;
        let Some(id) = self.nodes.dir_mut(dir)?.children.as_mut().and_then(|children| children.remove(name))
        else {
            return Ok(());
        };
        self.detach(id);
        self.invalidate(dir, name);
        self.touch(dir, at)
    }

    /// Marks a node and everything below it as removed.
    pub(super) fn detach(&mut self, id: NodeId) {
        let mut removed = vec![id];
        while let Some(id) = removed.pop() {
            let Some(node) = self.nodes.nodes.get_mut(&id) else { continue };
            node.place = None;
            if let Body::Dir(dir) = &mut node.body {
                dir.origin = Some(Tree::empty_id());
                removed.extend(
                    dir.children.replace(BTreeMap::new()).into_iter().flat_map(BTreeMap::into_values),
                );
            }
            if !(self.in_use)(id) {
                self.nodes.forget(id);
            }
        }
    }

    pub(super) fn invalidate(&mut self, parent: NodeId, name: &Name) {
        self.nodes.invalidations.push(Invalidation { parent, name: name.clone() });
    }

    /// Notes that a directory's names changed at an instant.
    fn touch(&mut self, dir: NodeId, at: Timestamp) -> Result<()> {
        self.nodes.get_mut(dir)?.attributes.modified = at;
        self.nodes.dir_mut(dir)?.origin = None;
        self.touch_above(dir)
    }

    /// Notes that no directory above a node equals its tree any more.
    fn touch_above(&mut self, id: NodeId) -> Result<()> {
        let mut at = id;
        while let Some((parent, _)) = &self.nodes.get(at)?.place {
            at = *parent;
            let dir = self.nodes.dir_mut(at)?;
            if dir.origin.take().is_none() {
                break;
            }
        }
        Ok(())
    }
}
