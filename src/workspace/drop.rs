//! Verbs that drop something: each tells what was lost that no commit has, and lets mounts show it at once.
//!
//! Where nothing is kept, that it cannot be told what is lost is no reason to leave it, which may be damaged: then the result says
//! why not.

use super::error::{Error, Result};
use super::keep::Keeping;
use super::mounts::Heard;
use super::stale::{BeingWritten, in_the_end_still};
use super::unsaved::Unsaved;
use super::workspace::Workspace;
use crate::history::{BranchName, Node, Repo, TreePath};
use crate::id::{CommitId, TreeId};
use crate::task::Task;
use crate::worktree::{
    Branches, Kind, Left, Losing, Snapshot, Warning, Worktree, has_worktree, say_all_closes,
};

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// The whole worktree, as in its last commit.
    All,
    /// Some paths of it. What lies in a directory and is in neither commit stays.
    Paths {
        /// Which.
        paths: Vec<TreePath>,
        /// The revision that they are taken from; the branch's last commit if it is not said.
        source: Option<String>,
    },
}

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What stays although it is in a directory that is brought back, because no commit has it.
    pub kept: Vec<TreePath>,
    /// What mounts say.
    pub heard: Heard,
}

/// What was removed from a worktree.
#[derive(Debug)]
pub struct Removed {
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What mounts say.
    pub heard: Heard,
}

/// A branch that was deleted.
#[derive(Debug)]
pub struct DeletedBranch {
    /// The commit that it named.
    pub commit: CommitId,
    /// What is lost.
    pub dropped: Result<Unsaved>,
    /// What went wrong when it was done.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// What is brought back, and what is not.
struct Meant {
    paths: Vec<TreePath>,
    kept: Vec<TreePath>,
}

impl Meant {
    /// Keeps what is a directory with something new in it and would be none any more. Both lists are sorted.
    fn keep_above(&mut self, is_dir: impl Fn(&TreePath) -> Result<bool>) -> Result<()> {
        let Self { paths, kept } = self;
        let mut above = Vec::new();
        for path in &*paths {
            // What is below a path comes right behind it.
            let next = kept.get(kept.partition_point(|kept| kept <= path));
            if next.is_some_and(|kept| kept.starts_with(path)) && !is_dir(path)? {
                above.push(path.clone());
            }
        }
        paths.retain(|path| above.binary_search(path).is_err());
        kept.extend(above);
        kept.sort();
        Ok(())
    }
}

/// Verbs that drop something.
#[derive(Debug, Clone, Copy)]
pub struct Drops<'a>(&'a Workspace);

impl Workspace {
    /// Verbs that drop something.
    pub fn drops(&self) -> Drops<'_> {
        Drops(self)
    }
}

impl Drops<'_> {
    /// Brings paths of a worktree back from a commit, durably, all or none. What is dropped is kept with `keep`.
    ///
    /// # Errors
    /// [`UnderWay`](crate::worktree::Error::UnderWay) if all of it is meant and a merge is under way; [`NotKept`](crate::worktree::Error::NotKept);
    /// as [`Edits::restore`](crate::worktree::Edits::restore) and [`Edits::reset`](crate::worktree::Edits::reset).
    pub fn restore(&self, worktree: &Worktree, what: &Restore, keep: Option<&Task>) -> Result<Restored> {
        let (dropped, kept) = match what {
            Restore::All => (
                in_the_end_still(worktree, keep.is_some(), |written| {
                    self.restore_all(worktree, written, keep)
                })?,
                Vec::new(),
            ),
            Restore::Paths { paths, source } => in_the_end_still(worktree, keep.is_some(), |written| {
                self.restore_named(worktree, written, (paths, source.as_deref()), keep)
            })?,
        };
        Ok(Restored { dropped, kept, heard: self.0.mounts().announce() })
    }

    fn restore_all(
        &self,
        worktree: &Worktree,
        written: BeingWritten,
        keep: Option<&Task>,
    ) -> Result<Result<Unsaved>> {
        // The commit that ends a merge would drop what the other side has.
        worktree.under_way().check_nothing()?;
        let seen = Unsaved::look(worktree, written, &[TreePath::ROOT]);
        let keeping = Keeping::of(self.0, keep);
        let (snapshot, mut dropped) = match Keeping::known(keeping, seen)? {
            Ok(seen) => seen,
            Err(error) => {
                worktree.edits().reset()?;
                return Ok(Err(error));
            }
        };
        let reset = || worktree.edits().reset_since(&snapshot);
        match keeping {
            Some(keeping) => {
                let tip = self.0.repo.refs().branch(worktree.branch())?;
                let left = Left::All(self.0.repo.tree_of(tip)?);
                keeping.around(worktree, &snapshot, &left, &mut dropped, "restore", reset)?;
            }
            // Whoever keeps nothing does not wait until nobody saves.
            None => worktree.edits().reset()?,
        }
        Ok(Ok(dropped))
    }

    /// Brings named paths back; tells what is lost, and what stays. What is saved meanwhile beside what differed stays too.
    fn restore_named(
        &self,
        worktree: &Worktree,
        written: BeingWritten,
        (named, source): (&[TreePath], Option<&str>),
        keep: Option<&Task>,
    ) -> Result<(Result<Unsaved>, Vec<TreePath>)> {
        let name = source.unwrap_or(worktree.branch().as_str());
        let commit = self.0.repo.resolve(name, self.0.now())?;
        let is_all = named.iter().any(TreePath::is_root);
        if is_all {
            worktree.under_way().check_nothing()?;
        }
        let snapshot = worktree.snapshot(written == BeingWritten::Taken)?;
        let Meant { paths, kept } = self.meant(worktree, &snapshot, named, (commit, source.is_none()))?;
        let keeping = Keeping::of(self.0, keep);
        let dropped = Unsaved::seen(worktree, (&snapshot, written), named).map(|mut dropped| {
            dropped.files.retain(|path, _| !kept.contains(path));
            dropped
        });
        let mut dropped = Keeping::known(keeping, dropped)?;
        // Refused before anything is kept.
        let edits = worktree.edits().restoring(&paths, commit, name)?;
        let restore = || match is_all && source.is_none() && kept.is_empty() {
            true => worktree.edits().reset_since(&snapshot),
            false if keeping.is_none() => worktree.edits().make(edits, self.0.now()),
            false => worktree.edits().make_since(&snapshot, edits, self.0.now()),
        };
        match (keeping, &mut dropped) {
            (Some(keeping), Ok(dropped)) => {
                let left = Left::At(paths, self.0.repo.commit(commit)?.tree);
                keeping.around(worktree, &snapshot, &left, dropped, "restore", restore)?;
            }
            _ => restore()?,
        }
        Ok((dropped, kept))
    }

    /// What is to be brought back from a commit, its own or another one, where some paths are named: of a directory that it has, what differs.
    fn meant(
        &self,
        worktree: &Worktree,
        snapshot: &Snapshot,
        named: &[TreePath],
        (commit, is_own): (CommitId, bool),
    ) -> Result<Meant> {
        let repo = &self.0.repo;
        let (tree, base) = (repo.commit(commit)?.tree, repo.tree_of(snapshot.base)?);
        let changes = snapshot.diff_from(tree, worktree)?;
        // Who writes to a file, or did when it was killed, has more there than the snapshot shows.
        let unfinished = [&snapshot.still_open, &snapshot.interrupted, &snapshot.lost].into_iter().flatten();
        let differing: Vec<&TreePath> = changes.iter().map(|change| &change.path).chain(unfinished).collect();
        let is_folder = |path: &TreePath| -> Result<bool> {
            let is_there = match worktree.names().resolve(path)? {
                Some(node) => worktree.names().attributes(node)?.kind == Kind::Dir,
                None => false,
            };
            let is_in_commit = || Ok::<_, Error>(matches!(entry(repo, tree, path)?, Some(Node::Dir(_))));
            Ok(is_there && (path.is_root() || is_in_commit()?))
        };
        let mut meant = Meant { paths: Vec::new(), kept: Vec::new() };
        for path in named {
            if !is_folder(path)? {
                meant.paths.push(path.clone());
                continue;
            }
            if is_own {
                // What the other side brought differs from the last commit as well: the commit that ends a merge would drop it.
                worktree.under_way().check_nothing()?;
            }
            for path in differing.iter().copied().filter(|below| below.starts_with(path)) {
                let is_new = entry(repo, tree, path)?.is_none() && entry(repo, base, path)?.is_none();
                if is_new { &mut meant.kept } else { &mut meant.paths }.push(path.clone());
            }
        }
        for paths in [&mut meant.paths, &mut meant.kept] {
            paths.sort();
            paths.dedup();
        }
        meant.keep_above(|path| Ok(matches!(entry(repo, tree, path)?, Some(Node::Dir(_)))))?;
        Ok(meant)
    }

    /// Removes paths from a worktree, durably, all or none; directories only if `recursive`. Directories that are left without
    /// anything go as well. What is dropped is kept with `keep`; `verb` is what its operation is called.
    ///
    /// # Errors
    /// [`NotKept`](crate::worktree::Error::NotKept); as [`Edits::remove`](crate::worktree::Edits::remove).
    pub fn remove(
        &self,
        worktree: &Worktree,
        (verb, paths): (&str, &[TreePath]),
        recursive: bool,
        keep: Option<&Task>,
    ) -> Result<Removed> {
        let dropped = in_the_end_still(worktree, keep.is_some(), |written| {
            self.try_remove(worktree, written, (verb, paths), recursive, keep)
        })?;
        Ok(Removed { dropped, heard: self.0.mounts().announce() })
    }

    fn try_remove(
        &self,
        worktree: &Worktree,
        written: BeingWritten,
        (verb, paths): (&str, &[TreePath]),
        recursive: bool,
        keep: Option<&Task>,
    ) -> Result<Result<Unsaved>> {
        let keeping = Keeping::of(self.0, keep);
        let (snapshot, seen) = match Unsaved::look(worktree, written, paths) {
            Ok((snapshot, dropped)) => (Some(snapshot), Ok(dropped)),
            Err(error) => (None, Err(error)),
        };
        let seen = Keeping::known(keeping, seen)?;
        // The folder of a mounted worktree that somebody stands in must not go from under him.
        let standing_in = self.0.inside.as_ref().map(|(_, at)| at.clone()).unwrap_or_default();
        let edits = worktree.edits().removing_with_emptied(paths, recursive, &standing_in)?;
        Ok(match (keeping, snapshot, seen) {
            (Some(keeping), Some(snapshot), Ok(mut dropped)) => {
                let left = Left::Without(paths.to_vec());
                let remove = || worktree.edits().make_since(&snapshot, edits, self.0.now());
                keeping.around(worktree, &snapshot, &left, &mut dropped, verb, remove)?;
                Ok(dropped)
            }
            (_, _, seen) => {
                worktree.edits().make(edits, self.0.now())?;
                seen
            }
        })
    }

    /// Deletes a branch with its worktree. Without `force` nothing is lost by it; with it, what its worktree has is kept with
    /// `keep`.
    ///
    /// # Errors
    /// As [`Branches::delete`].
    pub fn delete_branch(
        &self,
        branch: &BranchName,
        force: bool,
        keep: Option<&Task>,
    ) -> Result<DeletedBranch> {
        let keeping = Keeping::of(self.0, keep);
        let seen = || -> Result<_> {
            if !force || !has_worktree(&self.0.repo, branch)? {
                return Ok(Unsaved::default());
            }
            // When it is held still, nobody can say any more that a file was closed.
            if self.0.repo.refs().branch(branch)?.is_some() {
                say_all_closes(&self.0.worktree(branch)?.worktree);
            }
            Unsaved::of_branch(&self.0.repo, branch)
        };
        let mut dropped = Keeping::known(keeping, seen())?;
        let losing = match (force, keeping) {
            (false, _) => Losing::Nothing,
            (true, Some(keeping)) => Losing::Kept(keeping.task),
            (true, None) => Losing::All,
        };
        let deleted = Branches::of(&self.0.repo).delete(branch, losing, &self.0.signature())?;
        if let (true, Ok(dropped), Some(keeping)) = (deleted.is_kept, &mut dropped, keeping) {
            dropped.keep_whole();
            keeping.let_go_of_old();
        }
        let (commit, warnings) = (deleted.commit, deleted.warnings);
        Ok(DeletedBranch { commit, dropped, warnings, heard: self.0.mounts().announce() })
    }
}

fn entry(repo: &Repo, tree: TreeId, path: &TreePath) -> Result<Option<Node>> {
    Ok(repo.find_in_tree(tree, path)?.map(|entry| entry.node))
}
