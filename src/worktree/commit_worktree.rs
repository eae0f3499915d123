//! Making a commit: a snapshot of the worktree becomes objects, the objects become durable, and the branch is swapped
//! to the new commit. That swap is the only commit point.

use super::attributes::PathAttributes;
use super::coding::Coding;
use super::error::{Error, Result};
use super::merging::{Merging, MergingKind};
use super::part::part;
use super::record::Record;
use super::snapshot::{Snapshot, look, settle_interrupted};
use super::staging::StagedFile;
use super::sync::let_go_of_garbage;
use super::warning::Warning;
use super::worktree::Worktree;
use crate::codec::Level;
use crate::history::{
    self, Commit, CommitGraph, DraftTree, Intake, LogEntry, Node, Signature, Tag, TagName, Tree, TreePath,
};
use crate::id::{CommitId, RecipeId, StagingId, TreeId};
use crate::plain::LEN_MIN;
use crate::store::{Ingest, StoreError};
use crate::task::Task;
use std::collections::{BTreeMap, HashMap};

/// How often a commit starts over because files were replaced, or the branch was moved, under its hands.
const ATTEMPTS: u32 = 8;

/// What a commit says.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// Who made the change, and when.
    pub author: Signature,
    /// Who records it, and when.
    pub committer: Signature,
    /// Why.
    pub message: String,
    /// Facts about the snapshot.
    pub metadata: BTreeMap<String, String>,
    /// Take files that are being written with the bytes that they have now.
    pub include_open: bool,
    /// Commit although nothing changed.
    pub allow_empty: bool,
    /// How much time to spend for a smaller store on what is stored by this commit; as the repository is set up if
    /// nothing is said.
    pub level: Option<Level>,
    /// What the commit is to be called as well: both happen, or neither.
    pub tag: Option<TagName>,
    /// Take the place of the last commit, with its parents, if it is this one still.
    pub amend: Option<CommitId>,
    /// When large files become small.
    pub coding: Coding,
    /// Only what is at and below these paths; everything if there are none. What else differs stays as it is, a change upon the
    /// new commit.
    pub only: Vec<TreePath>,
}

/// A commit that was made.
#[derive(Debug)]
pub struct Committed {
    /// The commit.
    pub id: CommitId,
    /// Whether it is the first of its branch.
    pub is_root: bool,
    /// How many paths it changes.
    pub changed: usize,
    /// Files that were being written and stand in the commit as they were before, or not at all.
    pub still_open: Vec<TreePath>,
    /// Files whose writer ended in the middle, and that stand in the commit in the same way.
    pub interrupted: Vec<TreePath>,
    /// What went wrong when it was made already.
    pub warnings: Vec<Warning>,
}

/// Recipes of staged files.
pub(super) type Recipes = HashMap<StagingId, (RecipeId, u64)>;

/// A journal that is this long when a commit was made starts over, in bytes: reading a shorter one takes a millisecond,
/// and a new one is two syncs.
const STARTS_OVER_AT: u64 = 64 << 10;

impl Worktree {
    /// Records the worktree as it is now as the next commit of its branch. When this returns, the commit is durable.
    ///
    /// # Errors
    /// [`Error::NothingToCommit`]; [`UnknownPath`](history::Error::UnknownPath) of a path that is meant; [`Stopped`](history::Error::Stopped); [`Error::Diverged`] if the branch moved away from the worktree's base;
    /// [`Error::NotTheLast`] if somebody committed since the commit that is to be amended; [`RefExists`](history::Error::RefExists) if the tag does. After any error the branch is as it was.
    pub fn commit(&self, request: &CommitRequest, task: &Task) -> Result<Committed> {
        // Who writes on a file while a commit takes it writes to that very file.
        let coding = if request.include_open { Coding::Now } else { request.coding };
        let mut work = Attempt { worktree: self, request, coding, task };
        let mut attempt = 1;
        loop {
            match work.run() {
                Err(Error::History(history::Error::Store(StoreError::Unlinkable(_))))
                    if work.coding == Coding::Later =>
                {
                    work.coding = Coding::Now;
                }
                Err(error) if attempt < ATTEMPTS && is_passing(&error) => attempt += 1,
                Err(error) if attempt < ATTEMPTS && error.is_full() && self.repo().plain().give_way() => {
                    attempt += 1;
                }
                other => {
                    // The snapshot held them until now; what cannot be let go is swept by who comes when nobody is at work.
                    let _ = let_go_of_garbage(self);
                    return other;
                }
            }
        }
    }

    /// Lets a worktree without changes go along with a branch that was moved by somebody else.
    pub fn follow_branch(&self) -> Result<()> {
        let base = self.base()?;
        let tip = self.repo().refs().branch(self.branch())?;
        if base == tip {
            return Ok(());
        }
        let base_tree = self.repo().tree_of(base)?;
        let snapshot = look(self, false)?;
        if !snapshot.is_at_rest() || !snapshot.diff_from(base_tree, self)?.is_empty() {
            return Ok(());
        }
        match self.edits().reset_since(&snapshot) {
            // Something was saved in between: now it has changes.
            Err(Error::Stale) => Ok(()),
            other => other,
        }
    }
}

/// One go at a commit.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    worktree: &'a Worktree,
    request: &'a CommitRequest,
    coding: Coding,
    task: &'a Task,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Committed> {
        let Self { worktree, request, coding, task } = *self;
        task.check()?;
        worktree.check_held()?;
        let repo = worktree.repo();
        if let Some(tag) = &request.tag {
            repo.refs().check_new_tag(tag)?;
        }
        worktree.follow_branch()?;
        if request.include_open {
            settle_interrupted(worktree)?;
        }
        let before = (repo.refs().branch(worktree.branch())?, worktree.under_way().get()?);
        let snapshot = worktree.snapshot(request.include_open)?;
        if let Some(path) = snapshot.lost.first() {
            return Err(Error::LostBytes(path.clone()));
        }
        let (tip, merging) = (repo.refs().branch(worktree.branch())?, worktree.under_way().get()?);
        if before != (tip, merging.clone()) {
            // Somebody committed, or began or ended a merge: the snapshot may be of before or of afterwards.
            return Err(Error::Stale);
        }
        if tip != snapshot.base {
            return Err(Error::Diverged { branch: worktree.branch().to_string(), base: snapshot.base });
        }
        if let (Some(merging), false) = (&merging, request.only.is_empty()) {
            return Err(merging.under_way(worktree.branch()));
        }
        if let Some(merging) = &merging {
            merging.check_decided(repo, &snapshot)?;
        }
        let parents = self.parents(tip, merging.as_ref())?;
        let parent_tree = match tip {
            Some(tip) => repo.commit(tip)?.tree,
            None => Tree::empty_id(),
        };
        let ingest = match request.level {
            Some(level) => repo.store().begin_at(level)?,
            None => repo.store().begin()?,
        };
        let meant = match request.only.as_slice() {
            [] => snapshot.tree.clone(),
            only => {
                snapshot.check_known(worktree, only)?;
                part(repo, parent_tree, &snapshot.tree, only)?
            }
        };
        let recipes = ingest_tree(worktree, &ingest, (&meant, &snapshot.tree), parent_tree, coding, task)?;
        let tree = meant.with_stored(&|staging| {
            let (recipe, len) = recipes[&staging];
            Node::File { recipe, len }
        });
        let changed = repo.diff(parent_tree, &tree, &|_, _| Ok(false))?.len();
        if changed == 0 && !(request.allow_empty || request.amend.is_some() || parents.len() > 1) {
            return Err(Error::NothingToCommit {
                branch: worktree.branch().to_string(),
                is_part: !request.only.is_empty(),
                still_open: [snapshot.still_open, snapshot.interrupted].concat(),
            });
        }
        let commit = Commit {
            tree: tree.record(&ingest, task)?,
            parents,
            author: request.author.clone(),
            committer: request.committer.clone(),
            message: request.message.clone(),
            metadata: match &merging {
                Some(merging) => {
                    merging.metadata.clone().into_iter().chain(request.metadata.clone()).collect()
                }
                None => request.metadata.clone(),
            },
        };
        // From here on it is made.
        task.check()?;
        let (id, mut warnings) = self.land(ingest, &commit, &snapshot, &recipes)?;
        if let Some(merging) = &merging
            && let Err(error) = worktree.under_way().go_behind(merging, id)
        {
            warnings.push(Warning::Worktree { branch: worktree.branch().clone(), source: Box::new(error) });
        }
        if coding == Coding::Later {
            self.keep_copies(&recipes);
        }
        let Snapshot { still_open, interrupted, .. } = snapshot;
        Ok(Committed { id, is_root: tip.is_none(), changed, still_open, interrupted, warnings })
    }

    /// What the commit follows: the last one; of a merge the other side as well; what the one did whose place it takes.
    fn parents(&self, tip: Option<CommitId>, merging: Option<&Merging>) -> Result<Vec<CommitId>> {
        let branch = self.worktree.branch();
        match (self.request.amend, tip, merging) {
            (Some(_), _, Some(merging)) => Err(merging.under_way(branch)),
            (Some(amended), tip, None) if tip != Some(amended) => {
                Err(Error::NotTheLast { branch: branch.to_string(), commit: amended })
            }
            (Some(amended), _, None) => Ok(self.worktree.repo().commit(amended)?.parents.clone()),
            (None, tip, merging) => {
                let merged = merging.filter(|merging| merging.kind == MergingKind::Merge);
                Ok(tip.into_iter().chain(merged.map(|merging| merging.theirs)).collect())
            }
        }
    }

    /// Seals the objects, swaps the branch, and lets the worktree go on from the commit. Nothing fails after the swap:
    /// a worktree that did not go on finds the commit announced in its journal.
    fn land(
        &self,
        ingest: Ingest,
        commit: &Commit,
        snapshot: &Snapshot,
        recipes: &Recipes,
    ) -> Result<(CommitId, Vec<Warning>)> {
        let repo = self.worktree.repo();
        let tip = snapshot.base;
        let durable = repo.commit_tree(ingest, commit)?;
        let id = durable.get();
        let stored: Vec<_> =
            recipes.iter().map(|(&staging, &(recipe, len))| (staging, recipe, len)).collect();
        self.announce(id, &stored)?;
        let initial = match (tip, commit.parents.len()) {
            (None, _) => " (initial)",
            (Some(_), _) if self.request.amend.is_some() => " (amend)",
            (Some(_), 2..) => " (merge)",
            (Some(_), _) => "",
        };
        let entry = LogEntry {
            who: commit.committer.clone(),
            message: format!("commit{initial}: {}", commit.subject()),
        };
        let mut transaction = repo.refs().transaction()?;
        transaction.update_branch(self.worktree.branch(), tip, durable, &entry)?;
        if let Some(name) = &self.request.tag {
            let tag = Tag { commit: id, description: String::new(), metrics: BTreeMap::new() };
            let entry = LogEntry { message: "commit: tagged".into(), ..entry };
            transaction.set_tag(name, &tag, durable, false, &entry)?;
        }
        let mut warnings: Vec<Warning> = transaction.commit()?.into_iter().map(Warning::from).collect();
        if let Err(error) = self.land_on(id, commit.tree, snapshot) {
            warnings
                .push(Warning::Worktree { branch: self.worktree.branch().clone(), source: Box::new(error) });
        }
        CommitGraph::of(repo).write_in_turn(id);
        Ok((id, warnings))
    }

    /// Lets large files that were made durable as they are be copies of themselves. The snapshot holds them still.
    fn keep_copies(&self, recipes: &Recipes) {
        let repo = self.worktree.repo();
        for (&staging, &(recipe, len)) in recipes.iter().filter(|(_, (_, len))| *len >= LEN_MIN) {
            // For want of one, reading fills it.
            if let Ok(recipe) = repo.recipe(recipe) {
                repo.plain().adopt(&self.worktree.staging().path(staging), recipe.blake3(), len);
            }
        }
    }

    /// Makes a commit of a snapshot the base. The branch must name it. A long journal starts over from it; in a short one
    /// a record says so, which nobody waits for: as long as it is not durable, the announcement is.
    fn land_on(&self, commit: CommitId, tree: TreeId, snapshot: &Snapshot) -> Result<()> {
        self.worktree.change_unlocked(|| {
            // Nobody appends meanwhile; whoever looks does not wait for the disk.
            let next = {
                let mut state = self.worktree.state();
                // Somebody else may know better by now.
                if !state.nodes.announced.contains(&commit) {
                    return Ok(());
                }
                let (generation, since) = snapshot.position;
                let (is_now, end) = state.journal.position();
                // What this commit has no part of would go with the old journal.
                let is_whole = self.request.only.is_empty();
                if is_now != generation || end < STARTS_OVER_AT || !is_whole {
                    return state.append(self.worktree.repo(), Record::Committed { commit });
                }
                state.journal.next_generation(since)?
            };
            let mut head = vec![Record::Reset { base: Some(commit), tree }];
            head.extend(snapshot.resume.iter().cloned());
            next.write(&head)?;
            let mut state = self.worktree.state();
            state.journal.start(&next)?;
            state.nodes.base = Some(commit);
            state.nodes.announced.clear();
            Ok(())
        })
    }

    /// Notes, durably, that the branch is about to name a commit made of this worktree, and that what the commit took of
    /// staged bytes is in the store.
    fn announce(&self, commit: CommitId, stored: &[(StagingId, RecipeId, u64)]) -> Result<()> {
        self.worktree.change(|state| {
            // Said twice, it would mean that the branch names it.
            let announced =
                (!state.nodes.announced.contains(&commit)).then_some(Record::Committed { commit });
            state.append_stored(self.worktree.repo(), stored, announced)
        })?;
        self.worktree.sync_records()
    }
}

/// Takes the staged files of a snapshot into the store.
pub(super) fn ingest_snapshot(
    worktree: &Worktree,
    ingest: &Ingest,
    snapshot: &Snapshot,
    parent: TreeId,
    coding: Coding,
    task: &Task,
) -> Result<Recipes> {
    ingest_tree(worktree, ingest, (&snapshot.tree, &snapshot.tree), parent, coding, task)
}

/// Takes the staged files of a tree into the store, which a snapshot holds, as the attributes of the whole one say.
pub(super) fn ingest_tree(
    worktree: &Worktree,
    ingest: &Ingest,
    (tree, whole): (&DraftTree, &DraftTree),
    parent: TreeId,
    coding: Coding,
    task: &Task,
) -> Result<Recipes> {
    let staged = tree.staged();
    let (repo, all) = (worktree.repo(), staged.iter().map(|(_, _, len)| len).sum());
    let intake = Intake::begin(task, all);
    let waiting = repo.store().attached_len().saturating_add(all);
    let later = coding == Coding::Later && waiting <= repo.plain().budget();
    let attributes = PathAttributes::of(worktree, whole);
    let take_in = |(staging, path, len)| -> Result<_> {
        let file = StagedFile { staging, path, len };
        let coding = if later && len >= LEN_MIN { Coding::Later } else { Coding::Now };
        let put = worktree.staging().ingest_as(ingest, &file, parent, coding, &intake, &attributes)?;
        Ok((staging, put))
    };
    Ok(repo.store().threads().try_map(staged.into_iter(), take_in)?.into_iter().collect())
}

/// Whether starting over from a fresh snapshot may help: somebody replaced a file or committed in between.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Stale => true,
        Error::History(history::Error::KeepsChanging(_) | history::Error::RefMoved { .. }) => true,
        error => error.is_absence(),
    }
}
