//! A branch that is let go elsewhere by its owner, and what its worktree has afterwards: what it had, as changes upon the
//! other commit, or what that commit has.

use super::coding::Coding;
use super::commit_worktree::ingest_snapshot;
use super::error::{Error, Result};
use super::merging::Merging;
use super::part::part;
use super::record::Record;
use super::snapshot::Snapshot;
use super::still::change_alone;
use super::warning::Warning;
use super::worktree::Worktree;
use crate::history::{LogEntry, Node, TreePath};
use crate::id::{CommitId, TreeId};
use crate::store::Durable;
use crate::task::Task;

/// What a worktree has when its branch has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// What it had: that differs from the commit now.
    Files,
    /// What the commit has.
    Nothing,
    /// What the commit has, if it has no changes: else nothing moves.
    Unchanged,
}

/// A worktree as it was before its branch moved.
#[derive(Debug)]
pub struct Kept {
    snapshot: Snapshot,
    tree: TreeId,
}

/// What a worktree that keeps nothing is about to lose.
#[derive(Debug, Default)]
pub struct Losses {
    /// How it was when that was looked at: nothing moves if somebody saved since. `None`: whatever it has goes.
    pub seen: Option<Snapshot>,
    /// A commit that holds what no other one has, for a tag.
    pub kept: Option<Durable<CommitId>>,
    /// Whether files go that are nowhere else.
    pub loses_files: bool,
}

/// Where a branch goes.
struct Goes {
    tip: CommitId,
    to: Durable<CommitId>,
    /// The worktree must be as it was then.
    snapshot: Option<Snapshot>,
    /// What the worktree has then.
    tree: TreeId,
}

/// Letting the branch of a worktree go elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'a>(&'a Worktree);

impl Worktree {
    /// Lets its branch go elsewhere.
    pub fn moving(&self) -> Moving<'_> {
        Moving(self)
    }
}

impl Moving<'_> {
    /// Takes the worktree as it is into the history, to go on with it when its branch has moved.
    ///
    /// # Errors
    /// As [`Moving::record`].
    pub fn keep(&self, task: &Task) -> Result<Kept> {
        let (snapshot, tree) = self.record(task)?;
        Ok(Kept { snapshot, tree })
    }

    /// Goes on from where the branch is now with the files that were kept.
    ///
    /// # Errors
    /// [`Error::Stale`] if somebody saved meanwhile: what is there stays.
    pub fn go_on_with(&self, kept: &Kept) -> Result<()> {
        let base = self.0.repo().refs().branch(self.0.branch())?;
        self.0.append_durably(|state| match state.journal.position() == kept.snapshot.position {
            true => Ok(vec![Record::Reset { base, tree: kept.tree }]),
            false => Err(Error::Stale),
        })
    }

    /// Takes the worktree as it is into the history, as a tree that no commit has yet. Staged files are stored; nothing else
    /// changes.
    ///
    /// # Errors
    /// [`Error::BeingWritten`] if a file is not complete, [`Error::LostBytes`].
    pub fn record(&self, task: &Task) -> Result<(Snapshot, TreeId)> {
        self.record_part(&[], task)
    }

    /// The same of what is at and below some paths, upon what the worktree is based on; of everything if there are none.
    ///
    /// # Errors
    /// As [`Moving::record`], of what is meant.
    pub fn record_part(&self, only: &[TreePath], task: &Task) -> Result<(Snapshot, TreeId)> {
        let mut snapshot = self.0.snapshot(false)?;
        let is_meant = |path: &&TreePath| only.is_empty() || only.iter().any(|meant| path.starts_with(meant));
        if let Some(path) = snapshot.lost.iter().find(is_meant) {
            return Err(Error::LostBytes(path.clone()));
        }
        let unfinished = snapshot.still_open.iter().chain(&snapshot.interrupted);
        if let Some(path) = unfinished.into_iter().find(is_meant) {
            return Err(Error::BeingWritten(path.clone()));
        }
        let repo = self.0.repo();
        if !only.is_empty() {
            snapshot.tree = part(repo, repo.tree_of(snapshot.base)?, &snapshot.tree, only)?;
        }
        let ingest = repo.store().begin()?;
        let recipes =
            ingest_snapshot(self.0, &ingest, &snapshot, repo.tree_of(snapshot.base)?, Coding::Now, task)?;
        let tree = snapshot.tree.with_stored(&|staging| {
            let (recipe, len) = recipes[&staging];
            Node::File { recipe, len }
        });
        let tree = tree.record(&ingest, task)?;
        ingest.seal()?;
        Ok((snapshot, tree))
    }

    /// The worktree as it is, which has no changes.
    fn unchanged(&self) -> Result<Snapshot> {
        let snapshot = self.0.snapshot(false)?;
        let base = self.0.repo().tree_of(snapshot.base)?;
        match snapshot.is_at_rest() && snapshot.diff_from(base, self.0)?.is_empty() {
            true => Ok(snapshot),
            false => Err(Error::UncommittedChanges(self.0.branch().to_string())),
        }
    }

    /// Lets the branch name another commit, and the worktree go on from it. Ends what is under way.
    ///
    /// # Errors
    /// [`Unborn`](crate::history::Error::Unborn); [`RefMoved`](crate::history::Error::RefMoved) if somebody else moves it; [`Error::Stale`] if somebody
    /// saved since `losses` were looked at; as [`Moving::record`] if files are kept. Nothing has changed then.
    pub fn branch(
        &self,
        to: CommitId,
        keeps: Keeps,
        mut losses: Losses,
        entry: &LogEntry,
        task: &Task,
    ) -> Result<Vec<Warning>> {
        let repo = self.0.repo();
        let tip = repo.refs().existing_branch(self.0.branch())?;
        let target = repo.commit(to)?.tree;
        let kept = match keeps {
            Keeps::Files => Some(self.record(task)?),
            Keeps::Nothing => losses.seen.take().map(|seen| (seen, target)),
            Keeps::Unchanged => Some((self.unchanged()?, target)),
        };
        let durable = repo.store().durable(to)?;
        let (snapshot, tree) = kept.map_or((None, target), |(snapshot, tree)| (Some(snapshot), tree));
        let goes = Goes { tip, to: durable, snapshot, tree };
        // Whoever saves meanwhile waits: what the refs say then, the worktree says as well.
        change_alone(self.0, || self.go(goes, losses, entry))
    }

    /// Lets the branch go, and the worktree go on, while nobody else saves.
    fn go(self, goes: Goes, losses: Losses, entry: &LogEntry) -> Result<Vec<Warning>> {
        let repo = self.0.repo();
        let Goes { tip, to, snapshot, tree } = goes;
        if let Some(snapshot) = &snapshot {
            self.0.edits().check_unchanged_since(snapshot)?;
        }
        let is_kept = losses.kept.is_some();
        // Whatever happens in between: a commit of what is half taken back would drop what came in, and is refused.
        let taken_back =
            |merging: Merging| Ok::<_, Error>((self.0.under_way().take_back(&merging)?, merging));
        self.0.under_way().forget_ended()?;
        let merging = self.0.under_way().get()?.map(taken_back).transpose()?;
        let moved = (|| {
            let mut transaction = repo.refs().transaction()?;
            transaction.update_branch(self.0.branch(), Some(tip), to, entry)?;
            if let Some(kept) = losses.kept {
                transaction.keep(kept, entry)?;
            }
            if losses.loses_files {
                transaction.loses_files();
            }
            transaction.commit()
        })();
        let moved = moved.inspect_err(|_| {
            // It can be given up at any rate.
            let _ =
                merging.as_ref().map(|(taken_back, merging)| self.0.under_way().change(taken_back, merging));
        })?;
        let stays = |error| Warning::Worktree { branch: self.0.branch().clone(), source: Box::new(error) };
        let mut warnings: Vec<Warning> = moved.into_iter().map(Warning::from).collect();
        if let Some(at) = warnings.iter().position(Warning::is_not_durable).filter(|_| is_kept) {
            // What holds its files may not be there after a power cut: they stay, as changes upon another commit.
            let doubt = warnings.remove(at).not_durable().map(|error| stays(Error::from(error).not_kept()));
            warnings.extend(doubt);
            return Ok(warnings);
        }
        let base = Some(to.get());
        let gone_on = self.0.append_durably(|_| Ok(vec![Record::Reset { base, tree }]));
        // What the worktree still has of it is given up by whoever is told.
        let ended = || merging.map_or(Ok(()), |(taken_back, _)| self.0.under_way().end(&taken_back));
        if let Err(error) = gone_on.and_then(|()| ended()) {
            warnings.push(stays(error));
        }
        Ok(warnings)
    }
}
