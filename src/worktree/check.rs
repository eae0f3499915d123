//! Checking a whole repository: its history, and what its worktrees need of it and of their own folders.

use super::error::{Error, Result};
use super::open::has_worktree;
use crate::history::{BranchName, Check, DraftNode, FsckReport, Head, Node, Repo, TreePath};
use crate::task::Task;

/// A check that goes on from the history.
struct WholeCheck<'a> {
    found: Check<'a>,
}

/// Checks everything that branches, tags, HEAD, logs and worktrees reach. With `full`, reads every byte of it.
///
/// # Errors
/// Only if the disk fails, or the task is stopped; damage is a finding.
pub fn fsck(repo: &Repo, full: bool, task: &Task) -> Result<FsckReport> {
    let mut check = WholeCheck { found: Check::new(repo, task) };
    check.found.refs();
    check.worktrees();
    check.found.packs(full);
    check.set_aside();
    if full {
        check.found.bytes();
        check.found.graph();
    }
    // Whoever met a stop went no further, and it is asked for still.
    task.check()?;
    Ok(check.found.finish())
}

impl WholeCheck<'_> {
    fn worktrees(&mut self) {
        let refs = self.found.repo.refs();
        let mut branches: Vec<BranchName> =
            refs.branches().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        branches.extend(refs.current_branch().ok());
        branches.sort();
        branches.dedup();
        for branch in branches {
            let place = format!("worktree {branch}");
            match has_worktree(self.found.repo, &branch) {
                Ok(false) => {}
                Ok(true) => {
                    let checked = self.worktree(&branch, &place);
                    self.found.note_error(&place, checked);
                }
                Err(error) => self.found.note(place, error),
            }
        }
    }

    fn worktree(&mut self, branch: &BranchName, place: &str) -> Result<()> {
        let worktree = self.found.repo.worktree(branch)?;
        let snapshot = worktree.snapshot(false)?;
        let mut dirs = vec![(TreePath::ROOT, snapshot.tree.root)];
        while let Some((path, dir)) = dirs.pop() {
            for entry in snapshot.tree.entries(dir, self.found.repo)? {
                let path = path.join(entry.name);
                match entry.node {
                    DraftNode::Dir(below) => dirs.push((path, below)),
                    DraftNode::Known(Node::File { recipe, len }) => {
                        self.found.file(format!("{path} in {place}"), recipe, len);
                    }
                    DraftNode::Known(_) => {}
                    DraftNode::Staged { staging, .. } => {
                        let opened = worktree.staging().open(staging).map(drop);
                        self.found.note_error(&format!("{path} in {place}"), opened);
                    }
                }
            }
        }
        Ok(())
    }

    fn set_aside(&mut self) {
        let root = self.found.repo.root();
        let list = |folder: &str| match self.found.repo.disk().stat(&root.join(folder)) {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(_)) => self.found.repo.disk().list(&root.join(folder)).map_err(Error::from),
            Err(error) => Err(error.into()),
        };
        let (quarantine, worktrees) = (list("quarantine"), list("worktrees"));
        let mut found = Vec::new();
        for name in self.found.note_error("quarantine", quarantine).unwrap_or_default() {
            found.push(root.join("quarantine").join(name));
        }
        for name in self.found.note_error("worktrees", worktrees).unwrap_or_default() {
            let branch = BranchName::unescape(&name);
            if branch.is_some_and(|branch| self.is_gone(&branch)) {
                found.push(root.join("worktrees").join(name));
            }
        }
        self.found.report.set_aside = found;
    }

    /// Whether there is no such branch, also none without a commit.
    fn is_gone(&self, branch: &BranchName) -> bool {
        let refs = self.found.repo.refs();
        matches!(refs.branch(branch), Ok(None))
            && refs.head().is_ok_and(|head| head != Head::Branch(branch.clone()))
    }
}
