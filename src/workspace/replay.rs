//! Making the changes of other commits again, undoing them, and going on with what was stopped.

use super::error::{Error, Result};
use super::merge::{Merged, Merges, Outcome, Step, Strategy, check_unchanged, under_way};
use super::stale::unless_stale;
use super::unsaved::Unsaved;
use crate::id::{CommitId, TreeId};
use crate::merge::{Favor, Sides};
use crate::task::Task;
use crate::worktree::{self, Manner, Merging, MergingKind, Snapshot, Worktree};

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

impl ReplayRequest {
    /// What is left of what was begun, in the manner in which it was begun.
    fn going_on(merging: &Merging, commits: impl IntoIterator<Item = CommitId>) -> Self {
        Self {
            kind: merging.kind,
            commits: commits.into_iter().collect(),
            mainline: merging.manner.mainline,
            no_commit: merging.manner.no_commit,
            note_origin: merging.manner.note_origin,
            strategy: match merging.manner.favor {
                Favor::Ours => Strategy::Ours,
                Favor::Theirs => Strategy::Theirs,
                Favor::None | Favor::Base => Strategy::Ask,
            },
        }
    }
}

impl Merges<'_> {
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
                stopped => {
                    let outcome = match stopped {
                        Outcome::Refused(_, conflicts) => {
                            let begun = worktree.under_way().get()?.map(|merging| merging.kind);
                            Outcome::Refused(begun, conflicts)
                        }
                        other => other,
                    };
                    return Ok(Merged { before: committed, ..self.done(outcome, warnings) });
                }
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
        let again = Some(merging.theirs).filter(|_| is_to_be_done);
        let request = ReplayRequest::going_on(&merging, again.into_iter().chain(merging.todo.clone()));
        let mut merged = match request.commits.is_empty() {
            true => self.done(Outcome::Committed(Vec::new()), Vec::new()),
            false => self.replay_rest(worktree, &request, is_to_be_done || no_commit, task)?,
        };
        if let Outcome::UpToDate = merged.outcome {
            merged.outcome = Outcome::Committed(Vec::new());
        }
        if let Some(first) = first {
            match &mut merged.outcome {
                Outcome::Committed(all) => all.insert(0, first),
                _ => merged.before.insert(0, first),
            }
        }
        Ok(merged)
    }

    /// Gives up the commit that a cherry-pick or a revert stopped at, and goes on with those behind it. Tells what is lost by it.
    ///
    /// # Errors
    /// [`NothingUnderWay`](worktree::Error::NothingUnderWay); as [`Merges::replay`] of what comes behind it.
    pub fn skip(&self, worktree: &Worktree, task: &Task) -> Result<(Result<Unsaved>, Merged)> {
        let merging = self.under_way(worktree)?;
        let dropped = Unsaved::all(worktree);
        let taken_back = worktree.under_way().take_back(&merging)?;
        worktree.edits().reset()?;
        worktree.under_way().go_behind(&taken_back, taken_back.ours)?;
        let request = ReplayRequest::going_on(&merging, merging.todo.clone());
        let merged = match request.commits.is_empty() {
            true => self.done(Outcome::Committed(Vec::new()), Vec::new()),
            false => self.replay_rest(worktree, &request, false, task)?,
        };
        Ok((dropped, merged))
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
}
