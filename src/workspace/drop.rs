//! Verbs that drop something: each tells what was lost that no commit has, and lets mounts show it at once.
//!
//! That it cannot be told what is lost is no reason to keep it, which may be damaged: then the result says why not.

use super::error::Result;
use super::mounts::Heard;
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{BranchName, DraftTree, TreePath};
use crate::id::CommitId;
use crate::worktree::{Branches, Warning, Worktree};

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// The whole worktree, as in its last commit.
    All,
    /// Some paths of it.
    Paths {
        /// Which.
        paths: Vec<TreePath>,
        /// The revision that they are taken from; the branch's last commit if it is not said.
        source: Option<String>,
    },
}

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What mounts say.
    pub heard: Heard,
}

/// What was removed from a worktree.
#[derive(Debug)]
pub struct Removed {
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What mounts say.
    pub heard: Heard,
}

/// A branch that was deleted.
#[derive(Debug)]
pub struct DeletedBranch {
    /// The commit that it named.
    pub commit: CommitId,
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// Verbs that drop something.
#[derive(Debug, Clone, Copy)]
pub struct Drops<'a>(&'a Workspace);

impl Workspace {
    /// Verbs that drop something.
    pub fn drops(&self) -> Drops<'_> {
        Drops(self)
    }
}

impl Drops<'_> {
    /// Brings paths of a worktree back from a commit, durably, all or none.
    ///
    /// # Errors
    /// [`UnderWay`](crate::worktree::Error::UnderWay) if all of it is meant and a merge is under way; as [`Edits::restore`](crate::worktree::Edits::restore) and [`Edits::reset`](crate::worktree::Edits::reset).
    pub fn restore(&self, worktree: &Worktree, what: &Restore) -> Result<Restored> {
        let dropped = match what {
            Restore::All => self.restore_all(worktree)?,
            Restore::Paths { paths, source } => {
                let name = source.as_deref().unwrap_or(worktree.branch().as_str());
                let commit = self.0.repo.resolve(name, self.0.now())?;
                match (paths.iter().any(TreePath::is_root), source) {
                    (true, None) => self.restore_all(worktree)?,
                    (true, Some(_)) => {
                        worktree.under_way().check_nothing()?;
                        let all = self.at_the_top(worktree, commit)?;
                        self.restore_paths(worktree, &all, commit, name)?
                    }
                    (false, _) => self.restore_paths(worktree, paths, commit, name)?,
                }
            }
        };
        Ok(Restored { dropped, heard: self.0.mounts().announce() })
    }

    fn restore_all(&self, worktree: &Worktree) -> Result<Result<Unsaved>> {
        // The commit that ends a merge would drop what the other side has.
        worktree.under_way().check_nothing()?;
        let dropped = Unsaved::all(worktree);
        worktree.edits().reset()?;
        Ok(dropped)
    }

    fn restore_paths(
        &self,
        worktree: &Worktree,
        paths: &[TreePath],
        commit: CommitId,
        shown_as: &str,
    ) -> Result<Result<Unsaved>> {
        let dropped = Unsaved::below(worktree, paths);
        worktree.edits().restore(paths, commit, shown_as, self.0.now())?;
        Ok(dropped)
    }

    /// What the top of a worktree or of a commit has.
    fn at_the_top(&self, worktree: &Worktree, commit: CommitId) -> Result<Vec<TreePath>> {
        let repo = &self.0.repo;
        let commit = DraftTree::of(repo.commit(commit)?.tree);
        let mut paths = Vec::new();
        for tree in [&worktree.snapshot(false)?.tree, &commit] {
            let entries = tree.entries(tree.root, repo)?.into_iter();
            paths.extend(entries.map(|entry| TreePath::ROOT.join(entry.name)));
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// Removes paths from a worktree, durably, all or none; directories only if `recursive`. Directories that are left without
    /// anything go as well.
    ///
    /// # Errors
    /// As [`Edits::remove`](crate::worktree::Edits::remove).
    pub fn remove(&self, worktree: &Worktree, paths: &[TreePath], recursive: bool) -> Result<Removed> {
        let dropped = Unsaved::below(worktree, paths);
        // The folder of a mounted worktree that somebody stands in must not go from under him.
        let standing_in = self.0.inside.as_ref().map(|(_, at)| at.clone()).unwrap_or_default();
        worktree.edits().remove_with_emptied(paths, recursive, &standing_in, self.0.now())?;
        Ok(Removed { dropped, heard: self.0.mounts().announce() })
    }

    /// Deletes a branch with its worktree. Without `force` nothing is lost by it.
    ///
    /// # Errors
    /// As [`Branches::delete`].
    pub fn delete_branch(&self, branch: &BranchName, force: bool) -> Result<DeletedBranch> {
        let dropped = if force { Unsaved::of_branch(&self.0.repo, branch) } else { Ok(Unsaved::default()) };
        let deleted = Branches::of(&self.0.repo).delete(branch, force, &self.0.signature())?;
        let (commit, warnings) = (deleted.commit, deleted.warnings);
        Ok(DeletedBranch { commit, dropped, warnings, heard: self.0.mounts().announce() })
    }
}
