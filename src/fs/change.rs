//! Changing the names in a worktree: creating, removing, moving. Making a directory in `worktree/` makes a branch.

use std::sync::Arc;

use crate::repo::{BranchName, Name, RenameMode};

use super::attr::Attr;
use super::core::FileSystem;
use super::errno::{Error, Result};
use super::namespace::ref_name;
use super::place::Place;

impl FileSystem {
    /// Makes a directory. In `worktree/`, makes a branch of that name from HEAD with its worktree.
    pub fn mkdir(&self, parent: u64, name: &[u8], mode: u32) -> Result<Attr> {
        let place = match &*self.place(parent)? {
            Place::Worktrees(prefix) => {
                let text = std::str::from_utf8(name).map_err(|_| Error::Invalid)?;
                self.make_branch(BranchName::new(ref_name(prefix, text))?)?
            }
            Place::Worktree { branch, node } => {
                let made = self.worktree(branch)?.make_dir(*node, &Name::new(name)?, mode, self.now())?;
                Place::Worktree { branch: branch.clone(), node: made }
            }
            _ => return Err(Error::ReadOnly),
        };
        self.remember(parent, name, Arc::new(place), None)
    }

    fn make_branch(&self, branch: BranchName) -> Result<Place> {
        let head = self.repo.resolve("HEAD", self.now())?;
        let message = "branch: created by mkdir".to_owned();
        // Nobody reads warnings here: the branch is made, and `coral fsck` lists what was set aside.
        self.repo.create_branch_at(&branch, head, message, &self.signature())?;
        self.worktree(&branch)?;
        Ok(Place::Worktree { branch, node: crate::repo::NodeId::ROOT })
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, parent: u64, name: &[u8], target: &[u8]) -> Result<Attr> {
        let (worktree, dir) = self.writable(parent)?;
        let node = worktree.make_symlink(dir, &Name::new(name)?, target, self.now())?;
        let place = Place::Worktree { branch: worktree.branch().clone(), node };
        self.remember(parent, name, Arc::new(place), None)
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, parent: u64, name: &[u8]) -> Result<()> {
        let (worktree, dir) = self.writable(parent)?;
        worktree.unlink(dir, &Name::new(name)?, self.now())?;
        self.ingest.freed(worktree);
        Ok(())
    }

    /// Removes an empty directory. Branches are not removed so.
    pub fn rmdir(&self, parent: u64, name: &[u8]) -> Result<()> {
        if let Place::Worktrees(_) = &*self.place(parent)? {
            return Err(Error::NotPermitted);
        }
        let (worktree, dir) = self.writable(parent)?;
        Ok(worktree.remove_dir(dir, &Name::new(name)?, self.now())?)
    }

    /// Moves a name inside one worktree.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Result<()> {
        let (source, target) = (self.place(from.0)?, self.place(to.0)?);
        match (&*source, &*target) {
            (Place::Worktree { branch, node }, Place::Worktree { branch: other, node: into })
                if branch == other =>
            {
                let (from, to) = (Name::new(from.1)?, Name::new(to.1)?);
                let worktree = self.worktree(branch)?;
                worktree.rename((*node, &from), (*into, &to), mode, self.now())?;
                self.ingest.freed(worktree);
                Ok(())
            }
            // `mv` copies then.
            (Place::Worktree { .. }, _) | (_, Place::Worktree { .. }) => Err(Error::CrossTree),
            _ => Err(Error::ReadOnly),
        }
    }
}
