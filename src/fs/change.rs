//! Changing the names in a worktree: creating, removing, moving. Making a directory in `worktree/` makes a branch.

use std::sync::Arc;

use crate::history::{BranchName, Name};
use crate::worktree::{self, Branches, NodeId, RenameMode};

use super::attr::Attr;
use super::errno::{Error, Result};
use super::file_system::FileSystem;
use super::handle::Handle;
use super::namespace::ref_name;
use super::numbers::remember;
use super::opening::{Cache, OpenMode, Opened};
use super::place::Place;
use super::superblock::Superblock;
use super::worktrees::{OpenWorktree, WorktreeNode, with_room};

/// A directory's bit that makes new directories in it like it.
const SET_GROUP_ID: u32 = libc::S_ISGID;

impl FileSystem {
    /// Makes a directory. In `worktree/`, makes a branch of that name from HEAD with its worktree.
    pub fn mkdir(&self, parent: u64, name: &[u8], mode: u32) -> Result<Attr> {
        let shared = &self.shared;
        if let Place::Worktrees(folder) = &*shared.place(parent)? {
            let text = std::str::from_utf8(name).map_err(|_| Error::Invalid)?;
            let place = make_branch(shared, BranchName::new(ref_name(&folder.0, text))?)?;
            return remember(shared, parent, name, Arc::new(place), None);
        }
        make(shared, parent, name, |worktree, dir, name| {
            let inherited = worktree.names().attributes(dir)?.mode & SET_GROUP_ID;
            Ok(worktree.names().make_dir(dir, name, mode | inherited, shared.now())?)
        })
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, parent: u64, name: &[u8], target: &[u8]) -> Result<Attr> {
        make(&self.shared, parent, name, |worktree, dir, name| {
            Ok(worktree.names().make_symlink(dir, name, target, self.shared.now())?)
        })
    }

    /// Creates a file in a worktree and opens it for writing; without [`OpenMode::exclusive`] an existing one is
    /// opened.
    pub fn create(&self, parent: u64, name: &[u8], mode: u32, how: OpenMode) -> Result<(Attr, Opened)> {
        let shared = &self.shared;
        let valid = Name::new(name);
        writable(shared, parent, |worktree, dir| {
            let valid = valid.as_ref().map_err(Clone::clone)?;
            let node = match with_room(worktree, || worktree.create(dir, valid, mode, shared.now())) {
                Err(Error::Worktree(worktree::Error::Exists(_))) if !how.exclusive => {
                    let (node, known) = worktree.names().lookup(dir, valid)?.ok_or(Error::NoEntry)?;
                    let place = Place::Worktree(WorktreeNode::new(worktree, node));
                    let attr = remember(shared, parent, name, Arc::new(place), Some(known))?;
                    let opened = self.open(attr.ino, how).inspect_err(|_| self.forget(attr.ino, 1))?;
                    return Ok((attr, opened));
                }
                created => created?,
            };
            let open = shared.opened(worktree, node, OpenMode { write: true, ..how }, true);
            shared.note_changes(worktree, [dir, node]);
            let place = Place::Worktree(WorktreeNode::new(worktree, node));
            let known = worktree.names().attributes_here(node)?;
            let attr = remember(shared, parent, name, Arc::new(place), Some(known))?;
            let handle = shared.handles.insert(Handle::Worktree(open));
            Ok((attr, Opened { handle, cache: Cache::Renew, is_writer: true }))
        })
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, parent: u64, name: &[u8]) -> Result<()> {
        let shared = &self.shared;
        let name = removable(shared, parent, name)?;
        writable(shared, parent, |worktree, dir| {
            worktree.names().unlink(dir, &name, shared.now())?;
            shared.auto_events.removed(worktree, dir, &name);
            shared.note_changes(worktree, [dir]);
            shared.ingest.freed(Arc::clone(worktree));
            Ok(())
        })
    }

    /// Removes an empty directory. Branches are not removed so.
    pub fn rmdir(&self, parent: u64, name: &[u8]) -> Result<()> {
        let shared = &self.shared;
        if let Place::Worktrees(_) = &*shared.place(parent)? {
            return Err(Error::NotPermitted);
        }
        let name = removable(shared, parent, name)?;
        writable(shared, parent, |worktree, dir| {
            worktree.names().remove_dir(dir, &name, shared.now())?;
            shared.auto_events.removed(worktree, dir, &name);
            shared.note_changes(worktree, [dir]);
            Ok(())
        })
    }

    /// Moves a name inside one worktree.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Result<()> {
        let shared = &self.shared;
        let (source, target) = (shared.place(from.0)?, shared.place(to.0)?);
        match (&*source, &*target) {
            (Place::Worktree(source), Place::Worktree(target)) if source.branch() == target.branch() => {
                let (from, to) = (Name::new(from.1)?, Name::new(to.1)?);
                let at = if source.is_root() { target } else { source };
                shared.worktrees.within(at, |worktree| {
                    if !(source.is_in(worktree) && target.is_in(worktree)) {
                        return Err(worktree::Error::Stale.into());
                    }
                    let (dir, into) = (source.node(), target.node());
                    worktree.names().rename((dir, &from), (into, &to), mode, shared.now())?;
                    shared.auto_events.moved(worktree, (dir, &from), (into, &to));
                    shared.note_changes(worktree, [dir, into]);
                    // What was moved has changed too; of an exchange, both have.
                    for (dir, name) in [(into, &to), (dir, &from)] {
                        if let Ok(Some((moved, _))) = worktree.names().lookup(dir, name) {
                            shared.note_changes(worktree, [moved]);
                        }
                    }
                    shared.ingest.freed(Arc::clone(worktree));
                    Ok(())
                })
            }
            // `mv` copies then.
            (Place::Worktree(_), _) | (_, Place::Worktree(_)) => Err(Error::CrossTree),
            _ => Err(Error::ReadOnly),
        }
    }
}

/// Changes the node behind an inode, if it may be changed.
pub(super) fn writable<T>(
    shared: &Superblock,
    ino: u64,
    change: impl Fn(&Arc<OpenWorktree>, NodeId) -> Result<T>,
) -> Result<T> {
    match &*shared.place(ino)? {
        Place::Worktree(at) => shared.worktrees.within(at, |worktree| change(worktree, at.node())),
        _ => Err(Error::ReadOnly),
    }
}

fn make_branch(shared: &Superblock, branch: BranchName) -> Result<Place> {
    let head = shared.repo.resolve("HEAD", shared.now())?;
    let message = "branch: created by mkdir".to_owned();
    // Nobody reads warnings here: the branch is made, and `coral fsck` lists what was set aside.
    Branches::of(&shared.repo).create_at(&branch, head, message, &shared.signature())?;
    shared.worktrees.open(&branch)?;
    Ok(Place::Worktree(WorktreeNode::root(branch)))
}

/// Gives a name in a directory to a node that `make` makes there.
fn make(
    shared: &Superblock,
    parent: u64,
    name: &[u8],
    make: impl Fn(&Arc<OpenWorktree>, NodeId, &Name) -> Result<NodeId>,
) -> Result<Attr> {
    let valid = Name::new(name);
    writable(shared, parent, |worktree, dir| {
        let node = make(worktree, dir, valid.as_ref().map_err(Clone::clone)?)?;
        shared.note_changes(worktree, [dir, node]);
        let place = Place::Worktree(WorktreeNode::new(worktree, node));
        remember(shared, parent, name, Arc::new(place), None)
    })
}

/// A name in a directory that may be changed: that it may not be comes before what is wrong with the name.
fn removable(shared: &Superblock, parent: u64, name: &[u8]) -> Result<Name> {
    match &*shared.place(parent)? {
        Place::Worktree(_) => Ok(Name::new(name)?),
        _ => Err(Error::ReadOnly),
    }
}
