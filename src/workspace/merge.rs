//! Bringing in what others changed: merging a commit, and each step of what makes the changes of commits again.
//!
//! What comes in is first noted as under way, then put into the worktree, then committed: who is stopped in between finds a
//! merge under way, which goes on or is given up. A branch is merged into only when its worktree has no changes of its own,
//! so that giving up loses nothing but what was done since.

use super::error::{Error, Result};
use super::mounts::Heard;
use super::stale::unless_stale;
use super::workspace::Workspace;
use crate::history::{self, BranchName, CommitGraph, LogEntry, Repo, Signature, TreePath};
use crate::id::CommitId;
use crate::merge::{Conflict, Favor, MergeWord, Mix, Sides, Way, base_tree, merge_trees};
use crate::task::Task;
use crate::worktree::{
    self, Coding, CommitRequest, Committed, Edit, Manner, MergeWords, Merging, MergingKind, Snapshot,
    Warning, Worktree,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is done where both sides changed the same thing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Strategy {
    /// It is left to be decided.
    #[default]
    Ask,
    /// The branch's is kept.
    Ours,
    /// The other one's is taken.
    Theirs,
    /// Nothing is merged at all.
    Fail,
    /// Tensors of numbers are mixed; the rest is left to be decided.
    Mix(Mix),
}

impl Strategy {
    pub(super) fn favor(self) -> Favor {
        match self {
            Self::Ask | Self::Fail | Self::Mix(_) => Favor::None,
            Self::Ours => Favor::Ours,
            Self::Theirs => Favor::Theirs,
        }
    }

    fn way(self) -> Way {
        match self {
            Self::Mix(mix) => Way { mix: Some(mix), ..Way::default() },
            other => other.favor().into(),
        }
    }
}

/// Whether a branch may simply go forward to a commit that follows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forward {
    /// If it can.
    #[default]
    Allowed,
    /// Never: there is a merge in any case.
    Never,
    /// Nothing else.
    Only,
}

/// What is to be merged, and how.
#[derive(Debug, Clone, Default)]
pub struct MergeRequest {
    /// The revision that comes in.
    pub theirs: String,
    /// What the merge says; it is said what was merged if nothing is.
    pub message: Option<String>,
    /// Whether the branch may go forward.
    pub forward: Forward,
    /// The changes alone, to be committed as if they had been made here.
    pub squash: bool,
    /// Stop before the commit.
    pub no_commit: bool,
    /// What is done with conflicts.
    pub strategy: Strategy,
    /// Merge histories that have nothing in common.
    pub allow_unrelated: bool,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The branch has it all already.
    UpToDate,
    /// The branch went forward from a commit to another one.
    Forwarded(CommitId, CommitId),
    /// It is committed: one for each that was asked for.
    Committed(Vec<Committed>),
    /// The worktree has the changes, and nothing is in conflict.
    Prepared(MergingKind),
    /// Something is to be decided: the worktree has the rest.
    Conflicts(MergingKind, Vec<Conflict>),
    /// There are conflicts, and nothing was done of what they are in. The kind is of what is under way still, if it had been
    /// begun before.
    Refused(Option<MergingKind>, Vec<Conflict>),
}

/// What came of it, and what there is to tell.
#[derive(Debug)]
pub struct Merged {
    /// What came of it.
    pub outcome: Outcome,
    /// What was committed before that: the first of several commits, where a later one stopped.
    pub before: Vec<Committed>,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// One step of a merge or a replay: what is merged, what its commit says, and the worktree that it comes into.
pub(super) struct Step {
    pub sides: Sides,
    pub merging: Merging,
    pub snapshot: Snapshot,
}

/// Merging, picking and reverting in one repository: what is under way on its branches, and what is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Merges<'a>(pub(super) &'a Workspace);

impl Workspace {
    /// Merging, picking and reverting in one repository: what is under way on its branches, and what is to be decided.
    pub fn merges(&self) -> Merges<'_> {
        Merges(self)
    }
}

impl Merges<'_> {
    /// Merges a commit into a branch.
    ///
    /// # Errors
    /// [`UnderWay`](worktree::Error::UnderWay), [`UncommittedChanges`](worktree::Error::UncommittedChanges), [`Error::Unrelated`], [`Error::NotForward`]. Nothing has changed
    /// then.
    pub fn merge(&self, worktree: &Worktree, request: &MergeRequest, task: &Task) -> Result<Merged> {
        unless_stale(|| self.try_merge(worktree, request, task))
    }

    fn try_merge(&self, worktree: &Worktree, request: &MergeRequest, task: &Task) -> Result<Merged> {
        let snapshot = check_clean(&self.0.repo, worktree)?;
        let theirs = self.0.repo.resolve(&request.theirs, self.0.now())?;
        let branch = worktree.branch();
        let Some(ours) = self.0.repo.refs().branch(branch)? else {
            return self.forward(worktree, None, theirs, request);
        };
        if snapshot.base != Some(ours) {
            // Somebody moved the branch between the two looks.
            return Err(worktree::Error::Stale.into());
        }
        if CommitGraph::of(&self.0.repo).is_ancestor(theirs, ours)? {
            return Ok(self.done(Outcome::UpToDate, Vec::new()));
        }
        let can_forward = CommitGraph::of(&self.0.repo).is_ancestor(ours, theirs)?;
        match request.forward {
            Forward::Allowed if can_forward && !request.squash && !request.no_commit => {
                return self.forward(worktree, Some(ours), theirs, request);
            }
            Forward::Only if can_forward => return self.forward(worktree, Some(ours), theirs, request),
            Forward::Only => {
                let theirs = request.theirs.clone();
                return Err(Error::NotForward { branch: branch.to_string(), theirs });
            }
            Forward::Allowed | Forward::Never => {}
        }
        let (base, bases) = base_tree(&self.0.repo, (ours, theirs), task)?;
        if bases.is_empty() && !request.allow_unrelated {
            let (ours, theirs) = (branch.to_string(), request.theirs.clone());
            return Err(Error::Unrelated { ours, theirs });
        }
        let tree = |commit| Ok::<_, history::Error>(self.0.repo.commit(commit)?.tree);
        let kind = if request.squash { MergingKind::Squash } else { MergingKind::Merge };
        let message = request.message.clone().unwrap_or_else(|| self.merge_message(request, branch));
        let step = Step {
            sides: Sides { base, ours: tree(ours)?, theirs: tree(theirs)? },
            merging: under_way(kind, (ours, theirs), message, None),
            snapshot,
        };
        self.take_step(worktree, step, request.strategy, request.no_commit || request.squash, task)
    }

    fn merge_message(&self, request: &MergeRequest, into: &BranchName) -> String {
        let name = request.theirs.as_str();
        let is_branch = BranchName::new(name)
            .is_ok_and(|branch| matches!(self.0.repo.refs().branch(&branch), Ok(Some(_))));
        let what = if is_branch { "branch" } else { "commit" };
        let into = if into.as_str() == "main" { String::new() } else { format!(" into {into}") };
        format!("Merge {what} '{name}'{into}")
    }

    /// Lets a branch, and its worktree, go forward to a commit.
    fn forward(
        &self,
        worktree: &Worktree,
        from: Option<CommitId>,
        to: CommitId,
        request: &MergeRequest,
    ) -> Result<Merged> {
        let branch = worktree.branch();
        let message = format!("merge {}: fast-forward", request.theirs);
        let entry = LogEntry { who: self.0.signature(), message };
        let moved =
            self.0.repo.refs().update_branch(branch, from, self.0.repo.store().durable(to)?, &entry)?;
        let mut warnings: Vec<Warning> = moved.warnings.into_iter().map(Warning::from).collect();
        let stayed = |base| worktree::Error::Diverged { branch: branch.to_string(), base };
        let followed = worktree.follow_branch().and_then(|()| match worktree.base()? {
            Some(base) if base == to => Ok(()),
            // Somebody saved meanwhile.
            base => Err(stayed(base)),
        });
        if let Err(error) = followed {
            warnings.push(Warning::Worktree { branch: branch.clone(), source: Box::new(error) });
        }
        Ok(self.done(Outcome::Forwarded(from.unwrap_or(to), to), warnings))
    }

    pub(super) fn done(&self, outcome: Outcome, warnings: Vec<Warning>) -> Merged {
        Merged { outcome, before: Vec::new(), warnings, heard: self.0.mounts().announce() }
    }

    /// Merges, puts what comes in into the worktree, and commits it if nothing is to be decided.
    pub(super) fn take_step(
        &self,
        worktree: &Worktree,
        step: Step,
        strategy: Strategy,
        no_commit: bool,
        task: &Task,
    ) -> Result<Merged> {
        let Step { sides, mut merging, snapshot } = step;
        let ingest = self.0.repo.store().begin()?;
        let words = MergeWords::of(&self.0.repo, sides.ours);
        let way = |path: &TreePath| Ok(words.at(path)?.upon(strategy.way()));
        let merge = merge_trees(&self.0.repo, &ingest, sides, way, task)?;
        let fails =
            |conflict: &Conflict| Ok::<_, history::Error>(words.at(&conflict.path)? == MergeWord::Fail);
        let is_refused = match merge.conflicts.is_empty() {
            true => false,
            false => strategy == Strategy::Fail || any(&merge.conflicts, fails)?,
        };
        if is_refused {
            return Ok(self.done(Outcome::Refused(None, merge.conflicts), Vec::new()));
        }
        merging.conflicts = merge.conflicts;
        // Whatever the worktree names is in the store before.
        ingest.seal()?;
        let edits = merge.edits.into_iter().map(|(path, entry)| Edit::leaving(path, entry)).collect();
        self.put_in(worktree, &snapshot, &mut merging, edits)?;
        drop(snapshot);
        let kind = merging.kind;
        if !merging.conflicts.is_empty() {
            return Ok(self.done(Outcome::Conflicts(kind, merging.conflicts), Vec::new()));
        }
        if no_commit {
            // What was squashed is a change like any other.
            if kind == MergingKind::Squash {
                worktree.under_way().end(&merging)?;
            }
            return Ok(self.done(Outcome::Prepared(kind), Vec::new()));
        }
        let committed = self.commit_step(worktree, &merging, None, task)?;
        Ok(self.done(committed.map_or(Outcome::UpToDate, |one| Outcome::Committed(vec![one])), Vec::new()))
    }

    /// Puts what comes in into a worktree in which nothing happened since a snapshot was taken.
    pub(super) fn put_in(
        &self,
        worktree: &Worktree,
        snapshot: &Snapshot,
        merging: &mut Merging,
        edits: Vec<Edit>,
    ) -> Result<()> {
        worktree.under_way().begin(merging)?;
        if let Err(error) = worktree.edits().make_since(snapshot, edits, self.0.now()) {
            // Nothing of it is there.
            worktree.under_way().end(merging)?;
            return Err(error.into());
        }
        let begun = merging.clone();
        merging.is_in = true;
        Ok(worktree.under_way().change(&begun, merging)?)
    }

    /// Commits what is under way; `None` if that would change nothing.
    pub(super) fn commit_step(
        &self,
        worktree: &Worktree,
        merging: &Merging,
        message: Option<String>,
        task: &Task,
    ) -> Result<Option<Committed>> {
        let committer: Signature = self.0.signature();
        let request = CommitRequest {
            author: merging.author.clone().unwrap_or_else(|| committer.clone()),
            committer,
            message: message.unwrap_or_else(|| merging.message.clone()),
            metadata: BTreeMap::new(),
            include_open: false,
            allow_empty: false,
            level: None,
            tag: None,
            amend: None,
            coding: Coding::Now,
            only: Vec::new(),
        };
        match worktree.commit(&request, task) {
            Err(worktree::Error::NothingToCommit { still_open, .. }) if still_open.is_empty() => {
                worktree.under_way().go_behind(merging, merging.ours)?;
                Ok(None)
            }
            committed => Ok(Some(committed?)),
        }
    }
}

pub(super) fn under_way(
    kind: MergingKind,
    (ours, theirs): (CommitId, CommitId),
    message: String,
    author: Option<Signature>,
) -> Merging {
    let (conflicts, decided, todo) = (Vec::new(), BTreeSet::new(), Vec::new());
    let (manner, is_in) = (Manner::default(), false);
    let metadata = BTreeMap::new();
    Merging { kind, ours, theirs, message, author, metadata, conflicts, decided, todo, manner, is_in }
}

/// Whether one of them is so.
fn any<T, E>(all: &[T], is_so: impl Fn(&T) -> std::result::Result<bool, E>) -> std::result::Result<bool, E> {
    all.iter().try_fold(false, |found, one| Ok(found || is_so(one)?))
}

/// Refuses to begin something where something else is under way, or the worktree has changes. The result is what it is
/// begun on.
pub(super) fn check_clean(repo: &Repo, worktree: &Worktree) -> Result<Snapshot> {
    worktree.under_way().check_nothing()?;
    // Who moved the branch may have been stopped before the worktree went along.
    worktree.follow_branch()?;
    check_unchanged(repo, worktree)
}

/// The worktree as it is, which has no changes.
pub(super) fn check_unchanged(repo: &Repo, worktree: &Worktree) -> Result<Snapshot> {
    let snapshot = worktree.snapshot(false)?;
    let base = repo.tree_of(snapshot.base)?;
    match snapshot.is_at_rest() && snapshot.diff_from(base, worktree)?.is_empty() {
        true => Ok(snapshot),
        false => Err(worktree::Error::UncommittedChanges(worktree.branch().to_string()).into()),
    }
}
