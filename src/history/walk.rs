//! Going through history, newest first.

use super::commit::Commit;
use super::error::Result;
use super::repository::Repo;
use crate::id::CommitId;
use crate::units::Timestamp;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

/// The commits that some commits reach, each once, by committer's time, newest first.
#[derive(Debug)]
pub struct Walk {
    repo: Repo,
    queue: BinaryHeap<(Timestamp, CommitId)>,
    seen: HashSet<CommitId>,
}

impl Walk {
    /// Starts from these commits.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn new(repo: &Repo, tips: impl IntoIterator<Item = CommitId>) -> Result<Self> {
        let mut walk = Self { repo: repo.clone(), queue: BinaryHeap::new(), seen: HashSet::new() };
        for tip in tips {
            walk.push(tip)?;
        }
        Ok(walk)
    }

    fn push(&mut self, id: CommitId) -> Result<()> {
        if self.seen.insert(id) {
            let time = self.repo.commit(id)?.committer.time;
            self.queue.push((time, id));
        }
        Ok(())
    }

    fn step(&mut self, id: CommitId) -> Result<(CommitId, Arc<Commit>)> {
        let commit = self.repo.commit(id)?;
        for &parent in &commit.parents {
            self.push(parent)?;
        }
        Ok((id, commit))
    }
}

impl Iterator for Walk {
    type Item = Result<(CommitId, Arc<Commit>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, id) = self.queue.pop()?;
        Some(self.step(id))
    }
}

impl Repo {
    /// Whether `ancestor` is `descendant` or one of its ancestors.
    pub fn is_ancestor(&self, ancestor: CommitId, descendant: CommitId) -> Result<bool> {
        self.is_ancestor_of_any(ancestor, [descendant])
    }

    /// Whether `ancestor` is one of `descendants` or an ancestor of one.
    pub fn is_ancestor_of_any(
        &self,
        ancestor: CommitId,
        descendants: impl IntoIterator<Item = CommitId>,
    ) -> Result<bool> {
        for step in Walk::new(self, descendants)? {
            if step?.0 == ancestor {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
