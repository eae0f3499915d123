//! How a record of the journal changes the nodes of a worktree.
//!
//! Changes nothing but memory, and remembers which names a kernel has to forget. The same records in the same order
//! give the same nodes in every process.

use super::super::error::{Error, Result};
use super::super::record::Record;
use super::{Body, Content, File, Invalidation, NodeId, NodeState, Nodes, Safe, Trees, body_of};
use crate::history::{Attributes, Name, Tree, TreePath};
use crate::id::StagingId;
use crate::units::Timestamp;
use std::collections::BTreeMap;

impl Nodes {
    /// Changes the tree as a record says. `pinned` tells which removed nodes are still in use; the others are
    /// forgotten. A record about something that is not there changes nothing: after a commit the tail of a journal
    /// may speak of staging files that the commit absorbed.
    pub(in crate::worktree) fn apply(
        &mut self,
        record: &Record,
        trees: &dyn Trees,
        pinned: &dyn Fn(NodeId) -> bool,
    ) -> Result<()> {
        match record {
            Record::Reset { base, tree } => {
                self.base = *base;
                self.announced.clear();
                self.reconcile(NodeId::ROOT, *tree, trees, pinned)
            }
            Record::Put { path, attributes, node, at } => {
                let Some((parent, name)) = self.parent_of(path, trees)? else { return Ok(()) };
                let state = NodeState {
                    place: Some((parent, name.clone())),
                    attributes: *attributes,
                    body: body_of(node),
                };
                self.link(parent, name, state, *at, trees, pinned)
            }
            Record::Open { path, attributes, staging, at } => {
                self.apply_open(path, *attributes, *staging, *at, trees, pinned)
            }
            Record::Settle { staging, len, modified } => self.apply_settle(*staging, *len, *modified),
            Record::Stored { staging, recipe, len } => {
                self.apply_stored(*staging, Content::Stored { recipe: *recipe, len: *len })
            }
            Record::Synced { staging, len, complete } => self.apply_synced(*staging, *len, *complete),
            Record::Doubted { staging } => self.apply_doubted(*staging),
            Record::Lost { staging } => self.note_lost(*staging),
            Record::Run { run } => {
                self.run = Some(*run);
                Ok(())
            }
            Record::Remove { path, at } => {
                let Some((parent, name)) = self.parent_of(path, trees)? else { return Ok(()) };
                self.unlink(parent, &name, *at, trees, pinned)
            }
            Record::Rename { from, to, exchange, at } => {
                self.apply_rename(from, to, *exchange, *at, trees, pinned)
            }
            Record::Attributes { path, attributes } => {
                if let Some(id) = self.resolve(path, trees)? {
                    self.get_mut(id)?.attributes = *attributes;
                    self.touch_above(id)?;
                }
                Ok(())
            }
            Record::Committed { commit } => {
                match self.announced.iter().position(|announced| announced == commit) {
                    // What was announced since is still to come.
                    Some(at) => {
                        self.base = Some(*commit);
                        self.announced.drain(..=at);
                    }
                    None => self.announced.push(*commit),
                }
                Ok(())
            }
            Record::Superseded => Ok(()),
        }
    }

    /// The directory that a path's last name is in; `None` if it does not exist.
    fn parent_of(&mut self, path: &TreePath, trees: &dyn Trees) -> Result<Option<(NodeId, Name)>> {
        let Some((parent, name)) = path.split_last() else { return Ok(None) };
        let name = name.clone();
        match self.resolve(&parent, trees)? {
            Some(id) if matches!(self.get(id)?.body, Body::Dir(_)) => Ok(Some((id, name))),
            _ => Ok(None),
        }
    }

    fn apply_open(
        &mut self,
        path: &TreePath,
        attributes: Attributes,
        staging: StagingId,
        at: Timestamp,
        trees: &dyn Trees,
        pinned: &dyn Fn(NodeId) -> bool,
    ) -> Result<()> {
        self.next_staging = self.next_staging.max(staging.0.saturating_add(1));
        let current = Content::Staged { staging, len: 0 };
        let existing = match self.resolve(path, trees)? {
            Some(id) if matches!(self.get(id)?.body, Body::File(_)) => id,
            _ => {
                let Some((parent, name)) = self.parent_of(path, trees)? else { return Ok(()) };
                let body = Body::File(File::begun(current));
                let place = Some((parent, name.clone()));
                self.link(parent, name.clone(), NodeState { place, attributes, body }, at, trees, pinned)?;
                let id = self.find(parent, &name, trees)?.ok_or(Error::Stale)?;
                self.by_staging.insert(staging, id);
                return Ok(());
            }
        };
        let writing = self.by_staging(staging).filter(|&id| !self.is_linked(id));
        let id = match writing {
            Some(removed) => self.relink(removed, existing, pinned)?,
            None => existing,
        };
        self.get_mut(id)?.attributes = attributes;
        self.open_content(id, current)?;
        self.touch_above(id)
    }

    /// Lets the node of a file that is being written here take the place of the one that was read back: after a
    /// generation was missed, the file is still the same.
    fn relink(&mut self, removed: NodeId, found: NodeId, pinned: &dyn Fn(NodeId) -> bool) -> Result<NodeId> {
        let state = self.get(found)?;
        let (place, read_back) = match (&state.place, &state.body) {
            (Some(place), Body::File(file)) => (place.clone(), file.clone()),
            _ => return Ok(found),
        };
        self.detach(found, pinned);
        self.place(removed, place.0, &place.1)?;
        self.change_file(removed, |file| {
            file.complete = read_back.complete;
            file.sure = read_back.sure;
            file.safe = read_back.safe;
            file.replaced = read_back.replaced;
        })?;
        self.invalidate(place.0, &place.1);
        Ok(removed)
    }

    /// Lets a file be written in a staging file.
    pub(in crate::worktree) fn open_content(&mut self, id: NodeId, current: Content) -> Result<()> {
        self.change_file(id, |file| {
            file.current = current;
            // A journal of before may let a complete file be written on in place: what was complete is gone then.
            if file.complete.and_then(|content| content.staging()) == current.staging() {
                file.complete = None;
                file.safe = file.safe.map(|safe| Safe { complete: safe.content.staging().is_none(), ..safe });
            }
        })
    }

    fn apply_settle(&mut self, staging: StagingId, len: u64, modified: Timestamp) -> Result<()> {
        let Some(id) = self.by_staging(staging) else { return Ok(()) };
        self.settle_content(id, staging, len)?;
        self.get_mut(id)?.attributes.modified = modified;
        if self.is_linked(id) { self.touch_above(id) } else { Ok(()) }
    }

    /// Declares the bytes in a staging file complete.
    pub(in crate::worktree) fn settle_content(
        &mut self,
        id: NodeId,
        staging: StagingId,
        len: u64,
    ) -> Result<()> {
        self.change_file(id, |file| {
            if file.current.staging() == Some(staging) {
                file.current = Content::Staged { staging, len };
                file.complete = Some(file.current);
                file.sure = false;
            }
        })
    }

    /// Swaps a complete staging file for the same bytes in the store.
    fn apply_stored(&mut self, staging: StagingId, stored: Content) -> Result<()> {
        let Some(id) = self.by_staging(staging) else { return Ok(()) };
        let is_staged = |content: Content| content.staging() == Some(staging);
        self.change_file(id, |file| {
            if !file.complete.is_some_and(is_staged) {
                return;
            }
            file.complete = Some(stored);
            file.sure = true;
            if is_staged(file.current) {
                file.current = stored;
            }
            // What is being written since may be durable already, and is newer.
            let newer = file.safe.filter(|safe| {
                safe.content.staging().is_some() && safe.content.staging() == file.current.staging()
            });
            if newer.is_none() {
                file.safe = Some(Safe { content: stored, complete: true });
                file.replaced = None;
            }
        })
    }

    /// Notes that bytes are durable, and that the name stands for them from now on.
    fn apply_synced(&mut self, staging: StagingId, len: u64, complete: bool) -> Result<()> {
        let Some(id) = self.by_staging(staging) else { return Ok(()) };
        self.change_file(id, |file| {
            let is_complete = file.complete.and_then(|content| content.staging()) == Some(staging);
            if is_complete && complete {
                file.sure = true;
                // What is being written since may be durable already, and is newer.
                let newer = file.safe.filter(|safe| {
                    safe.content.staging() == file.current.staging()
                        && safe.content.staging() != Some(staging)
                });
                if newer.is_none() {
                    file.safe = file.complete.map(|content| Safe { content, complete });
                    file.replaced = None;
                }
            } else if file.current.staging() == Some(staging) && !(is_complete && file.sure) {
                file.safe = Some(Safe { content: Content::Staged { staging, len }, complete: false });
                file.replaced = None;
            }
        })
    }

    /// Goes back behind what the machine may not have written: to the last version that is durable, or, where there is
    /// none, to a file that was never complete.
    fn apply_doubted(&mut self, staging: StagingId) -> Result<()> {
        let Some(id) = self.by_staging(staging) else { return Ok(()) };
        let is_staged = |content: Content| content.staging() == Some(staging);
        let known = self.garbage.len();
        self.change_file(id, |file| {
            file.replaced = file.replaced.filter(|safe| !is_staged(safe.content));
            if file.safe.is_some_and(|safe| is_staged(safe.content)) && file.replaced.is_some() {
                file.safe = file.replaced.take();
            }
            let fallback = file.safe.filter(|safe| !is_staged(safe.content));
            if file.complete.is_some_and(is_staged) {
                file.complete = fallback.filter(|safe| safe.complete).map(|safe| safe.content);
                file.sure = file.complete.is_some();
            }
            if let Some(safe) = fallback
                && is_staged(file.current)
            {
                file.current = safe.content;
            }
        })?;
        let doubted = self.garbage.split_off(known);
        self.doubted.extend(doubted);
        self.touch_above(id)
    }

    fn apply_rename(
        &mut self,
        from: &TreePath,
        to: &TreePath,
        exchange: bool,
        at: Timestamp,
        trees: &dyn Trees,
        pinned: &dyn Fn(NodeId) -> bool,
    ) -> Result<()> {
        let (Some((from_dir, from_name)), Some((to_dir, to_name))) =
            (self.parent_of(from, trees)?, self.parent_of(to, trees)?)
        else {
            return Ok(());
        };
        // No writer makes a directory its own descendant; a journal that says so is not believed.
        if to.starts_with(from) || from.starts_with(to) {
            return Ok(());
        }
        let Some(moved) = self.find(from_dir, &from_name, trees)? else { return Ok(()) };
        let target = self.find(to_dir, &to_name, trees)?;
        if target == Some(moved) {
            return Ok(());
        }
        if exchange {
            let Some(target) = target else { return Ok(()) };
            self.place(moved, to_dir, &to_name)?;
            self.place(target, from_dir, &from_name)?;
        } else {
            if let Some(target) = target {
                self.inherit_safe(moved, target)?;
                self.unlink(to_dir, &to_name, at, trees, pinned)?;
            }
            self.place(moved, to_dir, &to_name)?;
            self.dir_mut(from_dir)?.children.as_mut().ok_or(Error::Stale)?.remove(&from_name);
        }
        self.invalidate(from_dir, &from_name);
        self.invalidate(to_dir, &to_name);
        self.touch(from_dir, at)?;
        self.touch(to_dir, at)
    }

    /// Gives a file that is not durable what it replaces to fall back to: after a power cut the name leads to the old
    /// bytes or to the new ones. What was synced of the new ones is not forgotten: with the rest they are a version that
    /// is durable, and once the folder is synced too they are what the name leads to.
    fn inherit_safe(&mut self, moved: NodeId, replaced: NodeId) -> Result<()> {
        let (Body::File(new), Body::File(old)) = (&self.get(moved)?.body, &self.get(replaced)?.body) else {
            return Ok(());
        };
        let Some(before) = old.after_power_cut() else { return Ok(()) };
        match new.safe {
            None => self.change_file(moved, |file| file.safe = Some(before)),
            Some(Safe { complete: false, .. }) => {
                self.change_file(moved, |file| file.replaced = Some(before))
            }
            Some(Safe { complete: true, .. }) => Ok(()),
        }
    }

    fn place(&mut self, id: NodeId, dir: NodeId, name: &Name) -> Result<()> {
        self.get_mut(id)?.place = Some((dir, name.clone()));
        self.dir_mut(dir)?.children.as_mut().ok_or(Error::Stale)?.insert(name.clone(), id);
        Ok(())
    }

    /// Puts a new node under a name, in place of whatever was there.
    fn link(
        &mut self,
        dir: NodeId,
        name: Name,
        state: NodeState,
        at: Timestamp,
        trees: &dyn Trees,
        pinned: &dyn Fn(NodeId) -> bool,
    ) -> Result<()> {
        self.unlink(dir, &name, at, trees, pinned)?;
        let id = self.insert(state);
        self.dir_mut(dir)?.children.as_mut().ok_or(Error::Stale)?.insert(name.clone(), id);
        self.invalidate(dir, &name);
        self.touch(dir, at)
    }

    /// Takes a name out of a directory, with everything below it.
    fn unlink(
        &mut self,
        dir: NodeId,
        name: &Name,
        at: Timestamp,
        trees: &dyn Trees,
        pinned: &dyn Fn(NodeId) -> bool,
    ) -> Result<()> {
        self.children(dir, trees)?;
        let Some(id) = self.dir_mut(dir)?.children.as_mut().and_then(|children| children.remove(name)) else {
            return Ok(());
        };
        self.detach(id, pinned);
        self.invalidate(dir, name);
        self.touch(dir, at)
    }

    /// Marks a node and everything below it as removed.
    pub(super) fn detach(&mut self, id: NodeId, pinned: &dyn Fn(NodeId) -> bool) {
        let mut removed = vec![id];
        while let Some(id) = removed.pop() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.place = None;
            if let Body::Dir(dir) = &mut node.body {
                dir.origin = Some(Tree::empty_id());
                removed.extend(
                    dir.children.replace(BTreeMap::new()).into_iter().flat_map(BTreeMap::into_values),
                );
            }
            if !pinned(id) {
                self.forget(id);
            }
        }
    }

    pub(super) fn invalidate(&mut self, parent: NodeId, name: &Name) {
        self.invalidations.push(Invalidation { parent, name: name.clone() });
    }

    /// Notes that a directory's names changed at an instant.
    fn touch(&mut self, dir: NodeId, at: Timestamp) -> Result<()> {
        self.get_mut(dir)?.attributes.modified = at;
        self.dir_mut(dir)?.origin = None;
        self.touch_above(dir)
    }

    /// Notes that no directory above a node equals its tree any more.
    fn touch_above(&mut self, id: NodeId) -> Result<()> {
        let mut at = id;
        while let Some((parent, _)) = &self.get(at)?.place {
            at = *parent;
            let dir = self.dir_mut(at)?;
            if dir.origin.take().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Notes that a file changed that is not yet in a record.
    pub(in crate::worktree) fn set_modified(&mut self, id: NodeId, attributes: Attributes) -> Result<()> {
        self.get_mut(id)?.attributes = attributes;
        Ok(())
    }
}
