//! What a worktree has and no commit does, taken into the history before it is dropped, so that it can be brought back.
//!
//! Two commits: of the worktree as it is, and upon it one of how it is left. What differs between them is what comes back.
//! Only complete files are kept: those that somebody writes stand there as they were when last complete.

use super::coding::Coding;
use super::commit_worktree::ingest_tree;
use super::error::{Error, Result};
use super::part::part;
use super::snapshot::Snapshot;
use super::worktree::Worktree;
use crate::history::{self, BranchName, Commit, DraftTree, Entry, Node, Repo, Signature, Tree, TreePath};
use crate::id::{CommitId, TreeId};
use crate::store::{Durable, Ingest, StoreError};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};

/// The fact about a commit of what a worktree had that says whose it was.
const BRANCH: &str = "branch";

/// That a commit is of what the worktree of a branch had: a fact about it.
pub fn worktree_of(branch: &BranchName) -> (String, String) {
    (BRANCH.to_owned(), branch.to_string())
}

/// The branch whose worktree had what is in a commit, if that says so.
pub fn branch_of(commit: &Commit) -> Option<BranchName> {
    commit.metadata.get(BRANCH).and_then(|name| BranchName::new(name.as_str()).ok())
}

/// How a worktree is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// As a tree is.
    All(TreeId),
    /// As a tree is at and below some paths, and as it was elsewhere.
    At(Vec<TreePath>, TreeId),
    /// Without some paths, and the directories that have nothing else.
    Without(Vec<TreePath>),
}

/// A worktree as it was before something was dropped, and as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepsake {
    /// The branch that it belongs to.
    pub branch: BranchName,
    /// What it had.
    pub before: TreeId,
    /// What it was left with.
    pub after: TreeId,
}

impl Keepsake {
    /// Takes what a worktree is about to drop into the history, durably. No ref holds it yet. Large files stay as they were saved.
    ///
    /// # Errors
    /// Those of storing files. Nothing has changed then.
    pub fn make(
        worktree: &Worktree,
        snapshot: &Snapshot,
        left: &Left,
        (message, who): (&str, &Signature),
        task: &Task,
    ) -> Result<Durable<CommitId>> {
        let repo = worktree.repo();
        let commit = |tree, parents| Commit {
            tree,
            parents,
            author: who.clone(),
            committer: who.clone(),
            message: message.to_owned(),
            metadata: BTreeMap::from([worktree_of(worktree.branch())]),
        };
        let before = |coding| -> Result<_> {
            let ingest = repo.store().begin()?;
            let tree = record(worktree, snapshot, left, &ingest, coding, task)?;
            let parents = snapshot.base.into_iter().collect();
            Ok((tree, repo.commit_tree(ingest, &commit(tree, parents))?))
        };
        let (tree, before) = match before(Coding::Later) {
            Err(Error::History(history::Error::Store(StoreError::Unlinkable(_)))) => before(Coding::Now)?,
            made => made?,
        };
        let ingest = repo.store().begin()?;
        let after = match left {
            Left::All(tree) => *tree,
            Left::At(paths, there) => {
                part(repo, tree, &DraftTree::of(*there), paths)?.record(&ingest, task)?
            }
            Left::Without(paths) => {
                let gone = with_emptied(repo, tree, paths)?;
                let nothing = DraftTree::of(Tree::empty_id());
                part(repo, tree, &nothing, &gone)?.record(&ingest, task)?
            }
        };
        Ok(repo.commit_tree(ingest, &commit(after, vec![before.get()]))?)
    }

    /// What a commit holds that was made of a worktree; `None` if it is another one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(repo: &Repo, commit: CommitId) -> Result<Option<Self>> {
        let after = repo.commit(commit)?;
        let (Some(branch), [before]) = (branch_of(&after), after.parents.as_slice()) else { return Ok(None) };
        Ok(Some(Self { branch, before: repo.commit(*before)?.tree, after: after.tree }))
    }
}

/// Records a worktree as it is. What is not meant is as in the commit that it started from.
fn record(
    worktree: &Worktree,
    snapshot: &Snapshot,
    left: &Left,
    ingest: &Ingest,
    coding: Coding,
    task: &Task,
) -> Result<TreeId> {
    let repo = worktree.repo();
    let base = repo.tree_of(snapshot.base)?;
    let now = match (left, snapshot.lost.as_slice()) {
        (Left::All(_), []) => snapshot.tree.clone(),
        (Left::At(paths, _) | Left::Without(paths), []) => part(repo, base, &snapshot.tree, paths)?,
        // What the disk lost cannot be kept.
        (_, lost) => {
            let changes = snapshot.diff_from(base, worktree)?.into_iter().map(|change| change.path);
            let whole: Vec<TreePath> =
                changes.filter(|path| left.means(path) && !lost.contains(path)).collect();
            part(repo, base, &snapshot.tree, &whole)?
        }
    };
    let recipes = ingest_tree(worktree, ingest, (&now, &snapshot.tree), base, coding, task)?;
    let stored = now.with_stored(&|staging| {
        let (recipe, len) = recipes[&staging];
        Node::File { recipe, len }
    });
    Ok(stored.record(ingest, task)?)
}

/// Paths of a tree, and the directories that have nothing but these.
fn with_emptied(repo: &Repo, tree: TreeId, paths: &[TreePath]) -> Result<Vec<TreePath>> {
    let mut gone: BTreeSet<TreePath> = paths.iter().cloned().collect();
    let dirs: BTreeSet<TreePath> = paths.iter().flat_map(TreePath::above).collect();
    // The deepest come first.
    for dir in dirs.into_iter().rev() {
        if let Some(Entry { node: Node::Dir(inside), .. }) = repo.find_in_tree(tree, &dir)?
            && repo.tree(inside)?.entries().iter().all(|entry| gone.contains(&dir.join(entry.name.clone())))
        {
            gone.insert(dir);
        }
    }
    Ok(gone.into_iter().collect())
}

impl Left {
    fn means(&self, path: &TreePath) -> bool {
        match self {
            Left::All(_) => true,
            Left::At(paths, _) | Left::Without(paths) => paths.iter().any(|meant| path.starts_with(meant)),
        }
    }
}
