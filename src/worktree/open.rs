//! From a branch to its worktree, and what becomes of the folder of one.

use super::copy::Worktree;
use super::error::Result;
use super::nodes::Trees;
use crate::history::{BranchName, Repo, Tree};
use crate::id::TreeId;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Trees for Repo {
    fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        Ok(Repo::tree(self, id)?)
    }
}

impl Repo {
    /// The worktree of a branch, created from the branch's tip if it has none.
    pub fn worktree(&self, branch: &BranchName) -> Result<Worktree> {
        Worktree::open(self, branch)
    }

    /// Whether a branch has a worktree on disk already.
    pub fn has_worktree(&self, branch: &BranchName) -> Result<bool> {
        Worktree::exists(self, branch)
    }

    /// Removes the worktree of a branch with everything that was not committed.
    pub fn delete_worktree(&self, branch: &BranchName) -> Result<()> {
        Worktree::hold_still(self, branch)?.map_or(Ok(()), |still| still.delete())
    }

    /// Moves the worktree that an earlier branch of this name left behind into `quarantine/`, durably, and tells where it
    /// is now; `None` if there is none.
    pub fn set_aside_worktree(&self, branch: &BranchName) -> Result<Option<PathBuf>> {
        let from = self.worktree_folder(branch);
        let Some(_still) = Worktree::hold_still(self, branch)? else { return Ok(None) };
        let quarantine = self.root().join("quarantine");
        self.disk().create_dir_all(&quarantine)?;
        self.disk().sync_dir(self.root())?;
        let taken = self.disk().list(&quarantine)?;
        let name = |n: u32| format!("worktree-{}.{n}", branch.escaped());
        let free = (1..).map(name).find(|name| !taken.contains(name)).expect("numbers do not end");
        let to = quarantine.join(free);
        self.move_worktree(&from, &to)?;
        Ok(Some(to))
    }

    /// Gives the worktree of a branch without a commit to another one, durably.
    pub(super) fn rename_worktree(&self, from: &BranchName, to: &BranchName) -> Result<()> {
        let _still = Worktree::hold_still(self, from)?;
        self.move_worktree(&self.worktree_folder(from), &self.worktree_folder(to))
    }

    fn worktree_folder(&self, branch: &BranchName) -> PathBuf {
        self.root().join("worktrees").join(branch.escaped())
    }

    fn move_worktree(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk().rename(from, to)?;
        let mut folders = [to, from].into_iter().filter_map(Path::parent);
        let synced = folders.try_for_each(|folder| self.disk().sync_dir(folder));
        if synced.is_err() {
            // An error means that nothing has changed. If this fails too, the disk is not to be helped.
            let _ = self.disk().rename(to, from);
        }
        Ok(synced?)
    }
}
