//! Names in a worktree: looking up, creating, moving and removing, by POSIX rules.

use super::error::{Error, Result};
use super::nodes::{Body, Content, Invalidation, NodeId};
use super::reach::check_reach;
use super::record::{Record, recorded_mode};
use super::state::State;
use super::worktree::Worktree;
use crate::history::{self, Attributes, Name, Node, Tree, TreePath};
use crate::id::RecipeId;
use crate::units::Timestamp;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
}

/// What `stat` tells of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAttributes {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// When its bytes, or the names in it, last changed.
    pub modified: Timestamp,
    /// Length in bytes; of a link, that of its target; 0 for a directory.
    pub len: u64,
    /// The content, if it is in the store.
    pub recipe: Option<RecipeId>,
    /// Whether a name leads to it; false once it was removed.
    pub linked: bool,
}

/// What a rename does with a target that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces a file, or an empty directory by a directory.
    Replace,
    /// Fails with [`Error::Exists`].
    NoReplace,
    /// Both names trade places; the target must exist.
    Exchange,
}

/// The files of a worktree for one who knows them by number, as a kernel does. Every method is one atomic step.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    worktree: &'a Worktree,
}

impl Worktree {
    /// Its names, and the files that they lead to.
    pub fn names(&self) -> Names<'_> {
        Names { worktree: self }
    }
}

impl Names<'_> {
    /// The node that a name in a directory leads to.
    pub fn lookup(&self, dir: NodeId, name: &Name) -> Result<Option<(NodeId, NodeAttributes)>> {
        self.worktree.ahead().and_look(dir, |state| {
            match state.nodes.find(dir, name, self.worktree.repo())? {
                Some(node) => Ok(Some((node, self.attributes_of(state, node)?))),
                None => Ok(None),
            }
        })
    }

    /// The node at a path.
    pub fn resolve(&self, path: &TreePath) -> Result<Option<NodeId>> {
        let mut at = NodeId::ROOT;
        for name in path.names() {
            match self.lookup_in(at, name)? {
                Some(child) => at = child,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The child with this name; `None` also if the node is no directory.
    fn lookup_in(&self, dir: NodeId, name: &Name) -> Result<Option<NodeId>> {
        self.worktree.ahead().and_look(dir, |state| match &state.nodes.get(dir)?.body {
            Body::Dir(_) => state.nodes.find(dir, name, self.worktree.repo()),
            Body::File(_) | Body::Symlink(_) => Ok(None),
        })
    }

    /// Where a node is.
    ///
    /// # Errors
    /// [`Error::Stale`] if it was removed.
    pub fn path_of(&self, node: NodeId) -> Result<TreePath> {
        self.worktree.read(|state| state.nodes.path_of(node))
    }

    /// What `stat` tells of a node.
    pub fn attributes(&self, node: NodeId) -> Result<NodeAttributes> {
        self.worktree.read(|state| self.attributes_of(state, node))
    }

    /// The same as far as this process knows, for one who just changed it and needs no news of others.
    pub fn attributes_here(&self, node: NodeId) -> Result<NodeAttributes> {
        let mut state = self.worktree.state();
        self.attributes_of(&mut state, node)
    }

    /// Bytes that a file takes on the disk whose bytes are not in the store yet.
    pub fn allocated(&self, node: NodeId) -> Result<Option<u64>> {
        let staging = self.worktree.read(|state| match &state.nodes.get(node)?.body {
            Body::File(file) => Ok(file.current.staging()),
            Body::Dir(_) | Body::Symlink(_) => Ok(None),
        })?;
        let Some(staging) = staging else { return Ok(None) };
        let found = self.worktree.repo().disk().stat(&self.worktree.staging().path(staging))?;
        Ok(found.map(|found| found.allocated))
    }

    /// The directory that a node is in; the root's is itself.
    pub fn parent(&self, node: NodeId) -> Result<NodeId> {
        self.worktree.read(|state| {
            Ok(state.nodes.get(node)?.place.as_ref().map_or(NodeId::ROOT, |(parent, _)| *parent))
        })
    }

    /// What is in a directory, sorted by name.
    pub fn entries(&self, dir: NodeId) -> Result<Vec<(Name, NodeId, NodeAttributes)>> {
        self.worktree.ahead().and_look(dir, |state| {
            let children: Vec<(Name, NodeId)> = state
                .nodes
                .children(dir, self.worktree.repo())?
                .iter()
                .map(|(name, &id)| (name.clone(), id))
                .collect();
            children.into_iter().map(|(name, id)| Ok((name, id, self.attributes_of(state, id)?))).collect()
        })
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, node: NodeId) -> Result<Vec<u8>> {
        self.worktree.read(|state| match &state.nodes.get(node)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            Body::File(_) | Body::Dir(_) => Err(Error::Stale),
        })
    }

    fn attributes_of(&self, state: &mut State, node: NodeId) -> Result<NodeAttributes> {
        let Attributes { mode, modified } = state.lent_attributes(node)?;
        let found = state.nodes.get(node)?;
        let (kind, len, recipe) = match &found.body {
            Body::Dir(_) => (Kind::Dir, 0, None),
            Body::Symlink(target) => (Kind::Symlink, target.len() as u64, None),
            Body::File(file) => match file.current {
                Content::Stored { recipe, len } => (Kind::File, len, Some(recipe)),
                Content::Staged { .. } => (Kind::File, self.worktree.staging().len(state, node, file)?, None),
            },
        };
        Ok(NodeAttributes { kind, mode, modified, len, recipe, linked: state.nodes.is_linked(node) })
    }

    /// Makes a directory.
    pub fn make_dir(&self, dir: NodeId, name: &Name, mode: u32, now: Timestamp) -> Result<NodeId> {
        self.make(dir, name, mode, now, Node::Dir(Tree::empty_id()))
    }

    /// Makes a symbolic link.
    pub fn make_symlink(&self, dir: NodeId, name: &Name, target: &[u8], now: Timestamp) -> Result<NodeId> {
        self.make(dir, name, 0o777, now, Node::Symlink(target.to_vec()))
    }

    fn make(&self, dir: NodeId, name: &Name, mode: u32, now: Timestamp, node: Node) -> Result<NodeId> {
        self.worktree.ahead().directory(dir)?;
        self.worktree.change(|state| {
            let path = self.vacant(state, dir, name)?;
            let attributes = Attributes { mode: recorded_mode(mode), modified: now };
            state.append(self.worktree.repo(), Record::Put { path, attributes, node, at: now })?;
            state.nodes.find(dir, name, self.worktree.repo())?.ok_or(Error::Stale)
        })
    }

    /// The path of a name that nothing has yet.
    pub(super) fn vacant(&self, state: &mut State, dir: NodeId, name: &Name) -> Result<TreePath> {
        let path = state.nodes.path_of(dir)?.child(name.clone())?;
        match state.nodes.find(dir, name, self.worktree.repo())? {
            Some(_) => Err(Error::Exists(path)),
            None => Ok(path),
        }
    }

    /// Removes a name that is not a directory. Who has the file open keeps it.
    pub fn unlink(&self, dir: NodeId, name: &Name, now: Timestamp) -> Result<()> {
        self.worktree.ahead().directory(dir)?;
        self.change_making_room(|state| {
            let (node, path) = self.occupied(state, dir, name)?;
            match state.nodes.get(node)?.body {
                Body::Dir(_) => Err(Error::IsADirectory(path)),
                Body::File(_) | Body::Symlink(_) => {
                    state.append(self.worktree.repo(), Record::Remove { path, at: now })
                }
            }
        })
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, dir: NodeId, name: &Name, now: Timestamp) -> Result<()> {
        self.worktree.ahead().what_changes(dir, name)?;
        self.change_making_room(|state| {
            let (node, path) = self.occupied(state, dir, name)?;
            if !state.nodes.children(node, self.worktree.repo())?.is_empty() {
                return Err(Error::NotEmpty(path));
            }
            state.append(self.worktree.repo(), Record::Remove { path, at: now })
        })
    }

    /// Makes a change that makes room. Where the disk is so full that even that finds none, what was removed before is let
    /// go first.
    fn change_making_room(&self, act: impl Fn(&mut State) -> Result<()>) -> Result<()> {
        match self.worktree.change(&act) {
            Err(error) if error.is_full() => {
                self.worktree.sync_records()?;
                self.worktree.change(act)
            }
            changed => changed,
        }
    }

    fn occupied(&self, state: &mut State, dir: NodeId, name: &Name) -> Result<(NodeId, TreePath)> {
        let path = state.nodes.path_of(dir)?.join(name.clone());
        match state.nodes.find(dir, name, self.worktree.repo())? {
            Some(node) => Ok((node, path)),
            None => Err(unknown(self.worktree, path)),
        }
    }

    /// Moves a name, by the rules of rename(2).
    ///
    /// # Errors
    /// Among those of rename(2), [`Path`](history::Error::Path) if something below would come to lie beyond the limits of a path.
    pub fn rename(
        &self,
        from: (NodeId, &Name),
        to: (NodeId, &Name),
        mode: RenameMode,
        now: Timestamp,
    ) -> Result<()> {
        self.worktree.ahead().directory(from.0)?;
        self.worktree.ahead().what_changes(to.0, to.1)?;
        let exchange = mode == RenameMode::Exchange;
        self.worktree.change_unlocked(|| {
            let (moved, from, target, to) = {
                let mut state = self.worktree.state();
                let (moved, from) = self.occupied(&mut state, from.0, from.1)?;
                let target = state.nodes.find(to.0, to.1, self.worktree.repo())?;
                let to = state.nodes.path_of(to.0)?.child(to.1.clone())?;
                if from == to {
                    return if mode == RenameMode::NoReplace { Err(Error::Exists(to)) } else { Ok(()) };
                }
                self.check_rename(&mut state, (moved, &from), (target, &to), mode)?;
                (moved, from, target, to)
            };
            check_reach(self.worktree, moved, &from, &to)?;
            if let Some(target) = target.filter(|_| exchange) {
                check_reach(self.worktree, target, &to, &from)?;
            }
            self.worktree.state().append(self.worktree.repo(), Record::Rename { from, to, exchange, at: now })
        })
    }

    fn check_rename(
        &self,
        state: &mut State,
        (moved, from): (NodeId, &TreePath),
        (target, to): (Option<NodeId>, &TreePath),
        mode: RenameMode,
    ) -> Result<()> {
        let moves_dir = matches!(state.nodes.get(moved)?.body, Body::Dir(_));
        let into_itself = (moves_dir && to.starts_with(from)).then_some(from);
        let below_target = (mode == RenameMode::Exchange && from.starts_with(to)).then_some(to);
        if let Some(path) = into_itself.or(below_target) {
            return Err(Error::IntoItself(path.clone()));
        }
        let Some(target) = target else {
            return match mode {
                RenameMode::Exchange => Err(unknown(self.worktree, to.clone())),
                RenameMode::Replace | RenameMode::NoReplace => Ok(()),
            };
        };
        let replaces_dir = matches!(state.nodes.get(target)?.body, Body::Dir(_));
        match mode {
            RenameMode::NoReplace => Err(Error::Exists(to.clone())),
            RenameMode::Exchange => Ok(()),
            RenameMode::Replace if moves_dir && !replaces_dir => Err(Error::NotADirectory(to.clone())),
            RenameMode::Replace if !moves_dir && replaces_dir => Err(Error::IsADirectory(to.clone())),
            RenameMode::Replace
                if replaces_dir && !state.nodes.children(target, self.worktree.repo())?.is_empty() =>
            {
                Err(Error::NotEmpty(to.clone()))
            }
            RenameMode::Replace => Ok(()),
        }
    }

    /// Sets mode and modification time; what is `None` stays.
    pub fn set_attributes(
        &self,
        node: NodeId,
        mode: Option<u32>,
        modified: Option<Timestamp>,
    ) -> Result<NodeAttributes> {
        self.worktree.change(|state| {
            let old = state.lent_attributes(node)?;
            let attributes = Attributes {
                mode: mode.map_or(old.mode, recorded_mode),
                modified: modified.unwrap_or(old.modified),
            };
            match state.nodes.path_of(node) {
                Ok(path) if !path.is_root() => {
                    state.append(self.worktree.repo(), Record::Attributes { path, attributes })?
                }
                Ok(_) | Err(Error::Stale) => state.nodes.set_modified(node, attributes)?,
                Err(error) => return Err(error),
            }
            state.say_modified(node);
            self.attributes_of(state, node)
        })
    }

    /// Names whose meaning changed since the last call, by whatever process: a kernel that caches must forget them.
    pub fn take_invalidations(&self) -> Result<Vec<Invalidation>> {
        self.worktree.read(|state| Ok(std::mem::take(&mut state.nodes.invalidations)))
    }

    /// Keeps a node although it may be removed, because somebody refers to it by number.
    pub fn pin(&self, node: NodeId) -> Result<()> {
        let mut state = self.worktree.state();
        state.nodes.get(node)?;
        state.pins.insert(node);
        Ok(())
    }

    /// Undoes [`Names::pin`]: a node that was removed and is not open is gone now.
    pub fn unpin(&self, node: NodeId) -> Result<()> {
        let mut state = self.worktree.state();
        state.pins.remove(&node);
        state.let_go(node);
        Ok(())
    }
}

/// The error of a path at which nothing is.
pub(super) fn unknown(worktree: &Worktree, path: TreePath) -> Error {
    let place = format!("the worktree of `{}`", worktree.branch());
    history::Error::UnknownPath { path, place, nearest: None }.into()
}
