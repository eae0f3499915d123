//! From a branch to its worktree, which is made if there is none.

use super::error::{Error, Result};
use super::generation::Place;
use super::journal::Journal;
use super::nodes::Trees;
use super::record::Record;
use super::worktree::{Worktree, place};
use crate::disk::Patience;
use crate::history::{BranchName, Repo, Tree};
use crate::id::TreeId;
use std::sync::Arc;

impl Trees for Repo {
    fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        Ok(Repo::tree(self, id)?)
    }
}

impl Repo {
    /// The worktree of a branch, created from the branch's tip if it has none.
    pub fn worktree(&self, branch: &BranchName) -> Result<Worktree> {
        let journal = open_or_create(self, branch, &place(self, branch))?;
        Worktree::of(self, branch, journal)
    }
}

/// Whether a branch has a worktree on disk already.
pub fn has_worktree(repo: &Repo, branch: &BranchName) -> Result<bool> {
    Ok(Journal::open(&place(repo, branch))?.is_some())
}

/// How often a worktree is made anew because somebody deleted it while it was made.
const ATTEMPTS: u32 = 8;

fn open_or_create(repo: &Repo, branch: &BranchName, place: &Place) -> Result<Journal> {
    for _ in 0..ATTEMPTS {
        if let Some(journal) = Journal::open(place)? {
            return Ok(journal);
        }
        match create(repo, branch, place) {
            // Its folder went.
            Err(error) if error.is_absence() => {}
            created => return created,
        }
    }
    Err(Error::Replaced(place.dir.clone()))
}

/// Lays the folders and the first generation of a worktree.
fn create(repo: &Repo, branch: &BranchName, place: &Place) -> Result<Journal> {
    let Place { disk, dir, .. } = place;
    // Whoever finds a journal finds the folder for staged bytes.
    disk.create_dir_all(&dir.join("staged"))?;
    disk.sync_dir(dir)?;
    disk.sync_dir(&repo.root().join("worktrees"))?;
    let _lock = disk.lock(&dir.join("lock"), true, Patience::BRIEF)?;
    if let Some(journal) = Journal::open(place)? {
        return Ok(journal);
    }
    // On a full disk nothing can be created, and looking needs it.
    drop(disk.lock(&dir.join("holds"), false, Patience::BRIEF)?);
    let base = repo.refs().branch(branch)?;
    let tree: TreeId = match base {
        Some(commit) => repo.commit(commit)?.tree,
        None => Tree::empty_id(),
    };
    Journal::create(place, &[Record::Reset { base, tree }, Record::Run { run: disk.run(dir) }])
}
