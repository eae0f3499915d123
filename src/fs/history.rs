//! The newest commits of all branches and tags, for `commits/` and `by-date/`.

use std::sync::{Arc, Mutex, PoisonError};

use crate::history::{Repo, Walk};
use crate::id::CommitId;
use crate::units::Timestamp;

use super::errno::Result;

/// How many commits are shown; older ones are found by their id or through the log.
const SHOWN_MAX: usize = 10_000;

/// A commit as directories show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub id: CommitId,
    pub time: Timestamp,
}

/// The tips of a walk and what it found.
type Walked = (Vec<CommitId>, Arc<[Shown]>);

/// The newest commits as of the last time that the refs moved.
#[derive(Debug, Default)]
pub(super) struct History {
    last: Mutex<Option<Walked>>,
}

impl History {
    /// The newest commits, newest first.
    pub fn newest(&self, repo: &Repo) -> Result<Arc<[Shown]>> {
        let tips = tips(repo)?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, shown)) = last.filter(|(of, _)| *of == tips) {
            return Ok(shown);
        }
        let shown: Arc<[Shown]> = walk(repo, &tips)?.into();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((tips, Arc::clone(&shown)));
        Ok(shown)
    }
}

/// The commits that refs name, each once, in order.
fn tips(repo: &Repo) -> Result<Vec<CommitId>> {
    let mut tips: Vec<CommitId> = repo.refs().branches()?.into_iter().map(|(_, commit)| commit).collect();
    let tags = repo.refs().tags()?.into_iter().filter(|(name, _)| !name.is_kept());
    tips.extend(tags.map(|(_, tag)| tag.commit));
    tips.sort();
    tips.dedup();
    Ok(tips)
}

/// The commits that `tips` reach, newest first.
fn walk(repo: &Repo, tips: &[CommitId]) -> Result<Vec<Shown>> {
    let commits = Walk::new(repo, tips.iter().copied())?.take(SHOWN_MAX);
    let shown = commits.map(|step| step.map(|(id, commit)| Shown { id, time: commit.committer.time }));
    Ok(shown.collect::<crate::history::Result<_>>()?)
}
