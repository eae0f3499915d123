//! Making a commit: a snapshot of the worktree becomes objects, the objects become durable, and the branch is swapped
//! to the new commit. That swap is the only commit point.

use super::error::{Error, Result};
use super::warning::Warning;
use super::{Snapshot, StagedFile, Worktree};
use crate::codec::Level;
use crate::history::{
    self, Commit, Entry, IngestFile, Intake, LogEntry, Node, Signature, Tag, TagName, Tree, TreePath,
};
use crate::id::{CommitId, RecipeId, StagingId, TreeId};
use crate::store::{FileSource, Ingest};
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
type Recipes = HashMap<StagingId, (RecipeId, u64)>;

impl Worktree {
    /// Records the worktree as it is now as the next commit of its branch. When this returns, the commit is durable.
    ///
    /// # Errors
    /// [`Error::NothingToCommit`]; [`Stopped`](history::Error::Stopped); [`Error::Diverged`] if the branch moved away from the worktree's base;
    /// [`RefExists`](history::Error::RefExists) if the tag does. After any error the branch is as it was.
    pub fn commit(&self, request: &CommitRequest, task: &Task) -> Result<Committed> {
        let mut attempt = 1;
        loop {
            match self.try_commit(request, task) {
                Err(error) if attempt < ATTEMPTS && is_passing(&error) => attempt += 1,
                Err(error) if attempt < ATTEMPTS && error.is_full() && self.repo().plain().give_way() => {
                    attempt += 1;
                }
                other => {
                    // The snapshot held them until now; what cannot be let go is swept by who comes when nobody is at work.
                    let _ = self.let_go_of_garbage();
                    return other;
                }
            }
        }
    }

    fn try_commit(&self, request: &CommitRequest, task: &Task) -> Result<Committed> {
        task.check()?;
        self.check_held()?;
        let repo = self.repo();
        if let Some(tag) = &request.tag {
            repo.refs().check_new_tag(tag)?;
        }
        self.follow_branch()?;
        if request.include_open {
            self.settle_interrupted()?;
        }
        let snapshot = self.snapshot(request.include_open)?;
        if let Some(path) = snapshot.lost.first() {
            return Err(Error::LostBytes(path.clone()));
        }
        let tip = repo.refs().branch(self.branch())?;
        if tip != snapshot.base {
            return Err(Error::Diverged { branch: self.branch().to_string(), base: snapshot.base });
        }
        let parent_tree = match tip {
            Some(tip) => repo.commit(tip)?.tree,
            None => Tree::empty_id(),
        };
        let ingest = match request.level {
            Some(level) => repo.store().begin_at(level)?,
            None => repo.store().begin()?,
        };
        let recipes = self.ingest_snapshot(&ingest, &snapshot, parent_tree, task)?;
        let tree = snapshot.tree.with_stored(&|staging| {
            let (recipe, len) = recipes[&staging];
            Node::File { recipe, len }
        });
        let changed = repo.diff(parent_tree, &tree, &|_, _| Ok(false))?.len();
        if changed == 0 && !request.allow_empty {
            return Err(Error::NothingToCommit {
                branch: self.branch().to_string(),
                still_open: [snapshot.still_open, snapshot.interrupted].concat(),
            });
        }
        let commit = Commit {
            tree: repo.record_tree(&ingest, tree, task)?,
            parents: tip.into_iter().collect(),
            author: request.author.clone(),
            committer: request.committer.clone(),
            message: request.message.clone(),
            metadata: request.metadata.clone(),
        };
        // From here on it is made.
        task.check()?;
        let (id, warnings) = self.land(ingest, &commit, &snapshot, &recipes, request.tag.as_ref())?;
        let Snapshot { still_open, interrupted, .. } = snapshot;
        Ok(Committed { id, is_root: tip.is_none(), changed, still_open, interrupted, warnings })
    }

    /// Seals the objects, swaps the branch, and lets the worktree go on from the commit. Nothing fails after the swap:
    /// a worktree that did not go on finds the commit announced in its journal.
    fn land(
        &self,
        ingest: Ingest,
        commit: &Commit,
        snapshot: &Snapshot,
        recipes: &Recipes,
        tag: Option<&TagName>,
    ) -> Result<(CommitId, Vec<Warning>)> {
        let repo = self.repo();
        let tip = snapshot.base;
        let durable = repo.commit_tree(ingest, commit)?;
        let id = durable.get();
        let stored: Vec<_> =
            recipes.iter().map(|(&staging, &(recipe, len))| (staging, recipe, len)).collect();
        self.announce_commit(id, &stored)?;
        let initial = if tip.is_none() { " (initial)" } else { "" };
        let entry = LogEntry {
            who: commit.committer.clone(),
            message: format!("commit{initial}: {}", commit.subject()),
        };
        let mut transaction = repo.refs().transaction()?;
        transaction.update_branch(self.branch(), tip, durable, &entry)?;
        if let Some(name) = tag {
            let tag = Tag { commit: id, description: String::new(), metrics: BTreeMap::new() };
            let entry = LogEntry { message: "commit: tagged".into(), ..entry };
            transaction.set_tag(name, &tag, durable, false, &entry)?;
        }
        let mut warnings: Vec<Warning> = transaction.commit()?.into_iter().map(Warning::from).collect();
        if let Err(error) = self.land_on(id, commit.tree, snapshot) {
            warnings.push(Warning::Worktree { branch: self.branch().clone(), source: Box::new(error) });
        }
        repo.write_graph_in_turn(id);
        Ok((id, warnings))
    }

    /// Takes the staged files of a snapshot into the store.
    fn ingest_snapshot(
        &self,
        ingest: &Ingest,
        snapshot: &Snapshot,
        parent: TreeId,
        task: &Task,
    ) -> Result<Recipes> {
        let staged = snapshot.tree.staged();
        let intake = Intake::begin(task, staged.iter().map(|(_, _, len)| len).sum());
        let take_in = |(staging, path, len)| {
            let file = StagedFile { staging, path, len };
            self.ingest_staged(ingest, &file, parent, &intake).map(|put| (staging, put))
        };
        Ok(self.repo().store().threads().try_map(staged.into_iter(), take_in)?.into_iter().collect())
    }

    /// Takes a staged file into the store; `parent` is the tree that it probably derives from.
    ///
    /// # Errors
    /// [`KeepsChanging`](history::Error::KeepsChanging) if somebody wrote on meanwhile; [`Error::LostBytes`] if the disk did not take the bytes.
    pub fn ingest_staged(
        &self,
        ingest: &Ingest,
        file: &StagedFile,
        parent: TreeId,
        intake: &Intake<'_>,
    ) -> Result<(RecipeId, u64)> {
        let repo = self.repo();
        let parent = match repo.find_in_tree(parent, &file.path)? {
            Some(Entry { node: Node::File { recipe, .. }, .. }) => Some(recipe),
            _ => None,
        };
        self.with_complete_bytes(file, |bytes| {
            let source = FileSource::up_to(bytes, file.len);
            let named = IngestFile { shown_as: file.path.to_string(), parent };
            Ok(repo.ingest(ingest, &source, &named, intake)?)
        })
    }

    /// Lets a worktree without changes go along with a branch that was moved by somebody else.
    pub fn follow_branch(&self) -> Result<()> {
        let base = self.base()?;
        let tip = self.repo().refs().branch(self.branch())?;
        if base == tip {
            return Ok(());
        }
        let base_tree = self.repo().tree_of(base)?;
        let snapshot = self.snapshot(false)?;
        if !snapshot.is_at_rest() || !self.diff_from(base_tree, &snapshot)?.is_empty() {
            return Ok(());
        }
        match self.reset_since(&snapshot) {
            // Something was saved in between: now it has changes.
            Err(Error::Stale) => Ok(()),
            other => other,
        }
    }
}

/// Whether starting over from a fresh snapshot may help: somebody replaced a file or committed in between.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Stale => true,
        Error::History(history::Error::KeepsChanging(_) | history::Error::RefMoved { .. }) => true,
        error => error.is_absence(),
    }
}
