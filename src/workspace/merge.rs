//! Bringing in what others changed: merging, making the change of another commit again, undoing one.
//!
//! What comes in is first noted as under way, then put into the worktree, then committed: who is stopped in between finds a
//! merge under way, which goes on or is given up. A branch is merged into only when its worktree has no changes of its own,
//! so that giving up loses nothing but what was done since.

use super::error::{Error, Result};
use super::mounts::Heard;
use super::stale::unless_stale;
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{self, BranchName, CommitGraph, LogEntry, Repo, Signature, TreePath};
use crate::id::{CommitId, TreeId};
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
    fn favor(self) -> Favor {
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

/// Changes of commits that are to be made again, or undone.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// [`MergingKind::CherryPick`] or [`MergingKind::Revert`].
    pub kind: MergingKind,
    /// The commits, the first one first.
    pub commits: Vec<CommitId>,
    /// Of a merge, the number of the parent that its changes are counted from.
    pub mainline: Option<u32>,
    /// Stop before the commit, with the changes of all.
    pub no_commit: bool,
    /// Say in the message where it comes from.
    pub note_origin: bool,
    /// What is done with conflicts.
    pub strategy: Strategy,
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
    /// There are conflicts, and nothing was done.
    Refused(Vec<Conflict>),
}

/// What came of it, and what there is to tell.
#[derive(Debug)]
pub struct Merged {
    /// What came of it.
    pub outcome: Outcome,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// One step of a merge or a replay: what is merged, what its commit says, and the worktree that it comes into.
struct Step {
    sides: Sides,
    merging: Merging,
    snapshot: Snapshot,
}

/// Merging, picking and reverting in one repository: what is under way on its branches, and what is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Merges<'a>(&'a Workspace);

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

    /// Makes the changes of commits again, or undoes them, one after the other.
    ///
    /// # Errors
    /// [`UnderWay`](worktree::Error::UnderWay), [`UncommittedChanges`](worktree::Error::UncommittedChanges); [`Error::Mainline`] of a merge without a number, or a
    /// number that it has no parent of.
    pub fn replay(&self, worktree: &Worktree, request: &ReplayRequest, task: &Task) -> Result<Merged> {
        worktree.under_way().check_nothing()?;
        self.replay_rest(worktree, request, false, task)
    }

    /// The same of what is left of it. `upon_changes` says that the first one comes upon what the worktree has.
    fn replay_rest(
        &self,
        worktree: &Worktree,
        request: &ReplayRequest,
        upon_changes: bool,
        task: &Task,
    ) -> Result<Merged> {
        let mut committed = Vec::new();
        let mut warnings = Vec::new();
        for (number, &commit) in request.commits.iter().enumerate() {
            let todo = &request.commits[number + 1..];
            let is_last = todo.is_empty();
            let merged = unless_stale(|| {
                worktree.follow_branch()?;
                // What was saved between two would be a part of the next one's commit.
                let (snapshot, ours) =
                    match (number == 0 && upon_changes) || (number > 0 && request.no_commit) {
                        true => worktree.moving().record(task)?,
                        false => {
                            let snapshot = check_unchanged(&self.0.repo, worktree)?;
                            let ours = self.0.repo.tree_of(snapshot.base)?;
                            (snapshot, ours)
                        }
                    };
                let step = self.replay_step(worktree, request, (commit, todo), (snapshot, ours))?;
                self.take_step(worktree, step, request.strategy, request.no_commit, task)
            })?;
            warnings.extend(merged.warnings);
            match merged.outcome {
                Outcome::Committed(more) => committed.extend(more),
                Outcome::UpToDate => {}
                // The next one comes on top.
                Outcome::Prepared(_) if !is_last => {
                    if let Some(merging) = worktree.under_way().get()? {
                        worktree.under_way().go_behind(&merging, merging.ours)?;
                    }
                }
                other => return Ok(self.done(other, warnings)),
            }
        }
        let outcome = if committed.is_empty() { Outcome::UpToDate } else { Outcome::Committed(committed) };
        Ok(self.done(outcome, warnings))
    }

    fn replay_step(
        &self,
        worktree: &Worktree,
        request: &ReplayRequest,
        (id, todo): (CommitId, &[CommitId]),
        (snapshot, ours): (Snapshot, TreeId),
    ) -> Result<Step> {
        let commit = self.0.repo.commit(id)?;
        let short = &id.to_string()[..10];
        let mainline = request.mainline.and_then(|number| usize::try_from(number).ok());
        let parent = match (commit.parents.as_slice(), mainline) {
            ([], None) => None,
            ([only], None | Some(1)) => Some(*only),
            (parents, Some(number)) if number > 0 && number <= parents.len() => Some(parents[number - 1]),
            (parents, _) => {
                return Err(Error::Mainline { commit: short.to_owned(), parents: parents.len() });
            }
        };
        let before = self.0.repo.tree_of(parent)?;
        let tip = self.0.repo.refs().existing_branch(worktree.branch())?;
        if snapshot.base != Some(tip) {
            // Somebody moved the branch between the two looks.
            return Err(worktree::Error::Stale.into());
        }
        let (sides, message, author) = match request.kind {
            MergingKind::Revert => {
                let sides = Sides { base: commit.tree, ours, theirs: before };
                let message = format!("Revert \"{}\"\n\nThis reverts commit {id}.", commit.subject());
                (sides, message, None)
            }
            MergingKind::Merge | MergingKind::Squash | MergingKind::CherryPick | MergingKind::Soup => {
                let sides = Sides { base: before, ours, theirs: commit.tree };
                let origin = if request.note_origin {
                    format!("\n\n(cherry picked from commit {id})")
                } else {
                    String::new()
                };
                (sides, format!("{}{origin}", commit.message), Some(commit.author.clone()))
            }
        };
        let favor = request.strategy.favor();
        let manner = Manner {
            favor,
            mainline: request.mainline,
            note_origin: request.note_origin,
            no_commit: request.no_commit,
        };
        let merging = under_way(request.kind, (tip, id), message, author);
        Ok(Step { sides, merging: Merging { todo: todo.to_vec(), manner, ..merging }, snapshot })
    }

    /// Goes on with what is under way: commits it, and does what comes behind it. What a cherry-pick or a revert was stopped at
    /// before it was there is done now.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay); [`Unmerged`](worktree::Error::Unmerged) if something is to be decided still;
    /// [`CutShort`](worktree::Error::CutShort) of a merge that was stopped before it was there.
    pub fn go_on(&self, worktree: &Worktree, message: Option<String>, task: &Task) -> Result<Merged> {
        let merging = self.under_way(worktree)?;
        let no_commit = merging.manner.no_commit && !merging.todo.is_empty();
        let is_replay = matches!(merging.kind, MergingKind::CherryPick | MergingKind::Revert);
        let is_to_be_done = is_replay && !merging.is_in;
        let first = match is_to_be_done {
            true => {
                worktree.under_way().put_off(&merging)?;
                None
            }
            false if no_commit => {
                self.pass_by(worktree, &merging)?;
                None
            }
            false => self.commit_step(worktree, &merging, message, task)?,
        };
        let again = merging.theirs;
        let request = ReplayRequest {
            kind: merging.kind,
            commits: Some(again).filter(|_| is_to_be_done).into_iter().chain(merging.todo.clone()).collect(),
            mainline: merging.manner.mainline,
            no_commit: merging.manner.no_commit,
            note_origin: merging.manner.note_origin,
            strategy: match merging.manner.favor {
                Favor::Ours => Strategy::Ours,
                Favor::Theirs => Strategy::Theirs,
                Favor::None | Favor::Base => Strategy::Ask,
            },
        };
        let mut merged = match request.commits.is_empty() {
            true => self.done(Outcome::Committed(Vec::new()), Vec::new()),
            false => self.replay_rest(worktree, &request, is_to_be_done || no_commit, task)?,
        };
        if let Outcome::UpToDate = merged.outcome {
            merged.outcome = Outcome::Committed(Vec::new());
        }
        if let (Outcome::Committed(all), Some(first)) = (&mut merged.outcome, first) {
            all.insert(0, first);
        }
        Ok(merged)
    }

    /// Leaves the changes of what is under way in the worktree, for what comes behind it.
    fn pass_by(&self, worktree: &Worktree, merging: &Merging) -> Result<()> {
        let undecided = merging.undecided(&self.0.repo, &worktree.snapshot(false)?)?;
        if !undecided.is_empty() {
            let paths = undecided.into_iter().map(|conflict| conflict.path.clone()).collect();
            return Err(worktree::Error::Unmerged(paths).into());
        }
        Ok(worktree.under_way().go_behind(merging, merging.ours)?)
    }

    /// Gives up what is under way: the worktree is as in the last commit. Tells what is lost by it.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay).
    pub fn give_up(&self, worktree: &Worktree) -> Result<(MergingKind, Result<Unsaved>, Heard)> {
        let merging = self.under_way(worktree)?;
        let dropped = Unsaved::all(worktree);
        // Whatever happens in between: a commit of what is half taken back would drop what came in, and is refused.
        let taken_back = worktree.under_way().take_back(&merging)?;
        worktree.edits().reset()?;
        worktree.under_way().end(&taken_back)?;
        Ok((merging.kind, dropped, self.0.mounts().announce()))
    }

    /// Ends what is under way, and leaves the worktree as it is.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay).
    pub fn quit(&self, worktree: &Worktree) -> Result<MergingKind> {
        let merging = self.under_way(worktree)?;
        worktree.under_way().end(&merging)?;
        Ok(merging.kind)
    }

    /// Decides conflicts: the paths have what one side has, or stay as they are.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay); [`Error::NoConflict`]. Nothing has changed then.
    pub fn decide(
        &self,
        worktree: &Worktree,
        paths: &super::Pathspec,
        side: Option<Favor>,
    ) -> Result<Vec<Conflict>> {
        let before = self.under_way(worktree)?;
        let mut merging = before.clone();
        let decided: Vec<Conflict> =
            merging.conflicts.iter().filter(|conflict| paths.means(&conflict.path)).cloned().collect();
        if decided.is_empty() {
            return Err(Error::NoConflict);
        }
        let mut edits = Vec::new();
        for conflict in &decided {
            let entry = match side {
                Some(Favor::Ours) => &conflict.ours,
                Some(Favor::Theirs) => &conflict.theirs,
                Some(Favor::Base) => &conflict.base,
                Some(Favor::None) | None => continue,
            };
            let path = conflict.path.clone();
            match entry {
                Some(entry) => edits.push(Edit::Put {
                    path,
                    attributes: entry.attributes,
                    node: entry.node.clone(),
                    replaces_dirs: true,
                }),
                None if worktree.names().resolve(&path)?.is_some() => edits.push(Edit::Remove { path }),
                None => {}
            }
        }
        // Names are free before they are taken.
        edits.sort_by_key(|edit| matches!(edit, Edit::Put { .. }));
        worktree.edits().make(edits, self.0.now())?;
        merging.decided.extend(decided.iter().map(|conflict| conflict.path.clone()));
        worktree.under_way().change(&before, &merging)?;
        Ok(decided)
    }

    /// Decides conflicts at or below paths by what is there, if something is under way.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn decide_as_they_are(
        &self,
        worktree: &Worktree,
        paths: impl IntoIterator<Item = TreePath>,
    ) -> Result<()> {
        if worktree.under_way().get()?.is_none() {
            return Ok(());
        }
        match self.decide(worktree, &super::Pathspec::below(paths), None) {
            Ok(_) | Err(Error::NoConflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn under_way(&self, worktree: &Worktree) -> Result<Merging> {
        let branch = || worktree.branch().to_string();
        Ok(worktree.under_way().get()?.ok_or_else(|| worktree::Error::NothingUnderWay(branch()))?)
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

    fn done(&self, outcome: Outcome, warnings: Vec<Warning>) -> Merged {
        Merged { outcome, warnings, heard: self.0.mounts().announce() }
    }

    /// Merges, puts what comes in into the worktree, and commits it if nothing is to be decided.
    fn take_step(
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
            return Ok(self.done(Outcome::Refused(merge.conflicts), Vec::new()));
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
            amend: false,
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
fn check_unchanged(repo: &Repo, worktree: &Worktree) -> Result<Snapshot> {
    let snapshot = worktree.snapshot(false)?;
    let base = repo.tree_of(snapshot.base)?;
    match snapshot.is_at_rest() && snapshot.diff_from(base, worktree)?.is_empty() {
        true => Ok(snapshot),
        false => Err(worktree::Error::UncommittedChanges(worktree.branch().to_string()).into()),
    }
}
