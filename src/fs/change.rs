//! Changing the names in a worktree: creating, removing, moving. Making a directory in `worktree/` makes a branch.

use std::sync::Arc;

use crate::history::{BranchName, Name};
use crate::worktree::{NodeId, RenameMode};

use super::attr::Attr;
use super::core::FileSystem;
use super::errno::{Error, Result};
use super::namespace::ref_name;
use super::place::Place;
use super::worktrees::{OpenWorktree, WorktreeNode};

/// A directory's bit that makes new directories in it like it.
const SET_GROUP_ID: u32 = libc::S_ISGID;

impl FileSystem {
    /// Makes a directory. In `worktree/`, makes a branch of that name from HEAD with its worktree.
    pub fn mkdir(&self, parent: u64, name: &[u8], mode: u32) -> Result<Attr> {
        if let Place::Worktrees(prefix) = &*self.place(parent)? {
            let text = std::str::from_utf8(name).map_err(|_| Error::Invalid)?;
            let place = self.make_branch(BranchName::new(ref_name(prefix, text))?)?;
            return self.remember(parent, name, Arc::new(place), None);
        }
        self.make(parent, name, |worktree, dir, name| {
            let inherited = worktree.attributes(dir)?.mode & SET_GROUP_ID;
            Ok(worktree.make_dir(dir, name, mode | inherited, self.now())?)
        })
    }

    fn make_branch(&self, branch: BranchName) -> Result<Place> {
        let head = self.repo.resolve("HEAD", self.now())?;
        let message = "branch: created by mkdir".to_owned();
        // Nobody reads warnings here: the branch is made, and `coral fsck` lists what was set aside.
        self.repo.create_branch_at(&branch, head, message, &self.signature())?;
        self.worktree(&branch)?;
        Ok(Place::Worktree(WorktreeNode::root(branch)))
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, parent: u64, name: &[u8], target: &[u8]) -> Result<Attr> {
        self.make(parent, name, |worktree, dir, name| {
            Ok(worktree.make_symlink(dir, name, target, self.now())?)
        })
    }

    /// Gives a name in a directory to a node that `make` makes there.
    fn make(
        &self,
        parent: u64,
        name: &[u8],
        make: impl Fn(&Arc<OpenWorktree>, NodeId, &Name) -> Result<NodeId>,
    ) -> Result<Attr> {
        let valid = Name::new(name);
        self.writable(parent, |worktree, dir| {
            let node = make(worktree, dir, valid.as_ref().map_err(|error| error.clone())?)?;
            self.note_changes(worktree, [dir, node]);
            let place = Place::Worktree(WorktreeNode::new(worktree, node));
            self.remember(parent, name, Arc::new(place), None)
        })
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, parent: u64, name: &[u8]) -> Result<()> {
        let name = self.removable(parent, name)?;
        self.writable(parent, |worktree, dir| {
            worktree.unlink(dir, &name, self.now())?;
            self.note_changes(worktree, [dir]);
            self.ingest.freed(Arc::clone(worktree));
            Ok(())
        })
    }

    /// Removes an empty directory. Branches are not removed so.
    pub fn rmdir(&self, parent: u64, name: &[u8]) -> Result<()> {
        if let Place::Worktrees(_) = &*self.place(parent)? {
            return Err(Error::NotPermitted);
        }
        let name = self.removable(parent, name)?;
        self.writable(parent, |worktree, dir| {
            worktree.remove_dir(dir, &name, self.now())?;
            self.note_changes(worktree, [dir]);
            Ok(())
        })
    }

    /// A name in a directory that may be changed: that it may not be comes before what is wrong with the name.
    fn removable(&self, parent: u64, name: &[u8]) -> Result<Name> {
        match &*self.place(parent)? {
            Place::Worktree(_) => Ok(Name::new(name)?),
            _ => Err(Error::ReadOnly),
        }
    }

    /// Moves a name inside one worktree.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Result<()> {
        let (source, target) = (self.place(from.0)?, self.place(to.0)?);
        match (&*source, &*target) {
            (Place::Worktree(source), Place::Worktree(target)) if source.branch() == target.branch() => {
                let (from, to) = (Name::new(from.1)?, Name::new(to.1)?);
                let at = if source.is_root() { target } else { source };
                self.within(at, |worktree| {
                    if !(source.is_in(worktree) && target.is_in(worktree)) {
                        return Err(Error::Repo(crate::history::Error::Stale));
                    }
                    let (dir, into) = (source.node(), target.node());
                    worktree.rename((dir, &from), (into, &to), mode, self.now())?;
                    self.note_changes(worktree, [dir, into]);
                    self.ingest.freed(Arc::clone(worktree));
                    Ok(())
                })
            }
            // `mv` copies then.
            (Place::Worktree(_), _) | (_, Place::Worktree(_)) => Err(Error::CrossTree),
            _ => Err(Error::ReadOnly),
        }
    }

    /// Notes that nodes change now.
    pub(super) fn note_changes<const N: usize>(&self, worktree: &OpenWorktree, nodes: [NodeId; N]) {
        let now = self.now();
        nodes.into_iter().for_each(|node| worktree.note_change(node, now));
    }
}
