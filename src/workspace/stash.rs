//! Putting the changes of a worktree aside, and bringing them back. A stash is a tag, so that it is as safe as other refs and
//! has a log.

use super::error::Result;
use super::notes::is_note;
use super::stale::unless_stale;
use super::workspace::Workspace;
use crate::history::{self, BranchName, Commit, Signature, Tag, TagName, TreePath};
use crate::id::CommitId;
use crate::merge::{Sides, Way, merge_trees};
use crate::task::Task;
use crate::worktree::{Edit, MergeWords, Worktree, branch_of, worktree_of};
use std::collections::BTreeMap;

/// What the names of stashes begin with: they are tags, so that they are as safe as other refs and have logs.
const STASHES: &str = "stash/";

/// Changes that were put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stash {
    /// Its number: the newest has the highest.
    pub number: u32,
    /// The tag that holds it.
    pub tag: TagName,
    /// The commit that has the files; its parent is the one that they differ from.
    pub commit: CommitId,
    /// What is said about it.
    pub message: String,
}

/// What was put aside in a repository.
#[derive(Debug, Clone, Copy)]
pub struct Stashes<'a>(&'a Workspace);

impl Workspace {
    /// What was put aside.
    pub fn stashes(&self) -> Stashes<'_> {
        Stashes(self)
    }
}

impl Stashes<'_> {
    /// Puts the changes of a worktree aside, durably: it equals its last commit then. Where paths are named, only what is at
    /// and below these.
    ///
    /// # Errors
    /// [`UnderWay`](crate::worktree::Error::UnderWay); [`NothingToStash`](super::Error::NothingToStash) if there are none; as [`Moving::record`](crate::worktree::Moving::record). Nothing has changed then.
    pub fn push(
        &self,
        worktree: &Worktree,
        only: &[TreePath],
        message: Option<String>,
        task: &Task,
    ) -> Result<(Stash, Vec<history::Warning>)> {
        let only = if only.iter().any(TreePath::is_root) { &[] } else { only };
        unless_stale(|| self.try_push(worktree, only, message.clone(), task))
    }

    fn try_push(
        &self,
        worktree: &Worktree,
        only: &[TreePath],
        message: Option<String>,
        task: &Task,
    ) -> Result<(Stash, Vec<history::Warning>)> {
        let branch = worktree.branch();
        let tip = self.0.repo.refs().existing_branch(branch)?;
        let (snapshot, tree) = worktree.moving().record_part(only, task)?;
        // Without its changes, the merge that goes on would drop what the other side has. What begins from here on makes
        // the snapshot stale.
        worktree.under_way().check_nothing()?;
        // What was changed was changed there, wherever the branch is now.
        let base = snapshot.base.unwrap_or(tip);
        let under = self.0.repo.commit(base)?;
        if self.0.repo.diff_trees(under.tree, tree)?.is_empty() {
            return Err(super::Error::NothingToStash(branch.to_string()));
        }
        let message = message.unwrap_or_else(|| format!("on {branch}: {}", under.subject()));
        let who: Signature = self.0.signature();
        let commit = Commit {
            tree,
            parents: vec![base],
            author: who.clone(),
            committer: who,
            message: message.clone(),
            metadata: BTreeMap::from([worktree_of(branch)]),
        };
        let durable = self.0.repo.commit_tree(self.0.repo.store().begin()?, &commit)?;
        let number = self.all()?.first().map_or(1, |newest| newest.number.saturating_add(1));
        let tag = TagName::new(format!("{STASHES}{number}"))?;
        let value = Tag { commit: durable.get(), description: message.clone(), metrics: BTreeMap::new() };
        let entry = self.0.said(format!("stash: {message}"));
        let moved = self.0.repo.refs().set_tag(&tag, &value, durable, false, &entry)?;
        let is_back = match only {
            [] => worktree.edits().reset_since(&snapshot),
            only => worktree.edits().restore_since(&snapshot, only, self.0.now()),
        };
        if let Err(error) = is_back {
            // Somebody saved meanwhile: that would be in no stash, and not in the worktree.
            self.0.repo.refs().delete_tag(&tag, &self.0.said("stash: given up".into()))?;
            return Err(error.into());
        }
        self.0.mounts().announce();
        Ok((Stash { number, tag, commit: durable.get(), message }, moved.warnings))
    }

    /// What was put aside, the newest first.
    ///
    /// # Errors
    /// If a tag cannot be read.
    pub fn all(&self) -> Result<Vec<Stash>> {
        let tags = self.0.repo.refs().tags()?.into_iter();
        let stash = |(tag, value): (TagName, Tag)| {
            let number = tag.as_str().strip_prefix(STASHES)?.parse().ok()?;
            Some(Stash { number, tag, commit: value.commit, message: value.description })
        };
        let mut stashes: Vec<Stash> = tags.filter_map(stash).collect();
        stashes.sort_by_key(|stash| std::cmp::Reverse(stash.number));
        Ok(stashes)
    }

    /// The branch that a stash was made on; `None` if it does not say so, as earlier ones do not.
    ///
    /// # Errors
    /// If its commit cannot be read.
    pub(super) fn branch_of(&self, stash: &Stash) -> Result<Option<BranchName>> {
        let commit = self.0.repo.commit(stash.commit)?;
        Ok(branch_of(&commit))
    }

    /// The stash of a number, or the newest.
    ///
    /// # Errors
    /// [`super::Error::NoStash`].
    pub fn find(&self, number: Option<u32>) -> Result<Stash> {
        let mut stashes = self.all()?.into_iter();
        let found = stashes.find(|stash| number.is_none_or(|number| stash.number == number));
        found.ok_or(super::Error::NoStash(number))
    }

    /// Brings back what was put aside, as changes of a worktree.
    ///
    /// # Errors
    /// [`StashConflicts`](super::Error::StashConflicts) if the worktree, or the branch, changed the same since. Nothing has changed then.
    pub fn pop(&self, worktree: &Worktree, stash: &Stash, task: &Task) -> Result<()> {
        unless_stale(|| self.try_pop(worktree, stash, task))
    }

    fn try_pop(&self, worktree: &Worktree, stash: &Stash, task: &Task) -> Result<()> {
        let commit = self.0.repo.commit(stash.commit)?;
        let (snapshot, ours) = worktree.moving().record(task)?;
        worktree.under_way().check_nothing()?;
        let base = self.0.repo.tree_of(commit.parents.first().copied())?;
        let sides = Sides { base, ours, theirs: commit.tree };
        let ingest = self.0.repo.store().begin()?;
        let words = MergeWords::of(&self.0.repo, ours);
        let way = |path: &TreePath| Ok(words.at(path)?.upon(Way::default()));
        let merge = merge_trees(&self.0.repo, &ingest, sides, way, task)?;
        if !merge.conflicts.is_empty() {
            let paths = merge.conflicts.into_iter().map(|conflict| conflict.path).collect();
            return Err(super::Error::StashConflicts { number: stash.number, paths });
        }
        ingest.seal()?;
        let edits = merge.edits.into_iter().map(|(path, entry)| Edit::leaving(path, entry)).collect();
        worktree.edits().make_since(&snapshot, edits, self.0.now())?;
        self.0.mounts().announce();
        Ok(())
    }

    /// The stash that git calls `stash@{back}`: so many before the newest.
    ///
    /// # Errors
    /// [`super::Error::NoStashBack`].
    pub fn back(&self, back: usize) -> Result<Stash> {
        let stashes = self.all()?;
        let count = stashes.len();
        stashes.into_iter().nth(back).ok_or(super::Error::NoStashBack { back, count })
    }

    /// Lets a stash go. Its tag's log keeps its commit.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn drop(&self, stash: &Stash) -> Result<Vec<history::Warning>> {
        let entry = self.0.said("stash: dropped".into());
        Ok(self.0.repo.refs().delete_tag(&stash.tag, &entry)?.warnings)
    }
}

/// Whether a tag is a stash, a note, or holds dropped files: none of these is listed among the tags.
pub fn is_of_its_own(tag: &TagName) -> bool {
    tag.as_str().strip_prefix(STASHES).is_some_and(|number| number.parse::<u32>().is_ok())
        || is_note(tag)
        || tag.is_kept()
}
