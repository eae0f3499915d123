//! Going through history: which commits, and in which order.

use super::ancestry;
use super::commit::Commit;
use super::commit_graph::CommitGraph;
use super::error::Result;
use super::repository::Repo;
use crate::id::CommitId;
use crate::units::Timestamp;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

/// The order of commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By committer's time, newest first, as far as it is known when a commit is come to: what clocks say, also wrong ones.
    #[default]
    Date,
    /// Each commit before its parents, and those of one line of history together.
    Lines,
}

/// Which commits somebody wants to see.
#[derive(Debug, Clone, Default)]
pub struct WalkRequest {
    /// Those that these reach ...
    pub tips: Vec<CommitId>,
    /// ... and these do not.
    pub hidden: Vec<CommitId>,
    /// Of merges only what the first parents lead to.
    pub first_parent: bool,
    /// Nothing older, nor what only something older leads to.
    pub since: Option<Timestamp>,
    /// In which order.
    pub order: Order,
}

/// Commits, each once, as they are come to.
#[derive(Debug)]
pub struct Walk {
    repo: Repo,
    since: Option<Timestamp>,
    path: Path,
}

#[derive(Debug)]
enum Path {
    /// Found while going.
    Open { queue: BinaryHeap<(Timestamp, CommitId)>, seen: HashSet<CommitId>, first_parent: bool },
    /// Known from the beginning, the first one last.
    Known(Vec<CommitId>),
}

impl Walk {
    /// All that these commits reach, newest first.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn new(repo: &Repo, tips: impl IntoIterator<Item = CommitId>) -> Result<Self> {
        Self::of(repo, WalkRequest { tips: tips.into_iter().collect(), ..WalkRequest::default() })
    }

    /// The commits of a request.
    ///
    /// # Errors
    /// If one of those that it begins with cannot be read; where commits are hidden, or in the order of lines, if any of
    /// their histories cannot.
    pub fn of(repo: &Repo, request: WalkRequest) -> Result<Self> {
        let WalkRequest { tips, hidden, first_parent, since, order } = request;
        let path = match (hidden.is_empty(), order) {
            (true, Order::Date) => {
                Path::Open { queue: BinaryHeap::new(), seen: HashSet::new(), first_parent }
            }
            _ => Path::Known(known(repo, &tips, &hidden, first_parent, since, order)?),
        };
        let mut walk = Self { repo: repo.clone(), since, path };
        tips.into_iter().try_for_each(|tip| walk.push(tip))?;
        Ok(walk)
    }

    /// Comes back to a commit when it is its turn.
    fn push(&mut self, id: CommitId) -> Result<()> {
        let Path::Open { queue, seen, .. } = &mut self.path else { return Ok(()) };
        if seen.insert(id) {
            let time = self.repo.commit(id)?.committer.time;
            if self.since.is_none_or(|since| time >= since) {
                queue.push((time, id));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>> {
        let (next, followed) = match &mut self.path {
            Path::Open { queue, first_parent: false, .. } => (queue.pop().map(|(_, id)| id), usize::MAX),
            Path::Open { queue, first_parent: true, .. } => (queue.pop().map(|(_, id)| id), 1),
            Path::Known(left) => (left.pop(), 0),
        };
        let Some(id) = next else { return Ok(None) };
        let commit = self.repo.commit(id)?;
        commit.parents.iter().take(followed).try_for_each(|&parent| self.push(parent))?;
        Ok(Some((id, commit)))
    }
}

impl Iterator for Walk {
    type Item = Result<(CommitId, Arc<Commit>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// The commits of a request, the first one last.
fn known(
    repo: &Repo,
    tips: &[CommitId],
    hidden: &[CommitId],
    first_parent: bool,
    since: Option<Timestamp>,
    order: Order,
) -> Result<Vec<CommitId>> {
    let (graph, rows) = CommitGraph::of(repo).rows([tips, hidden].concat())?;
    let (tips, hidden) = rows.split_at(tips.len());
    let mut rows = ancestry::reached(&graph, tips, hidden, first_parent, since);
    match order {
        Order::Date => rows.sort_by_key(|&row| std::cmp::Reverse((graph.time(row), graph.id(row)))),
        Order::Lines => rows = ancestry::by_lines(&graph, &rows),
    }
    Ok(rows.into_iter().rev().map(|row| graph.id(row)).collect())
}
