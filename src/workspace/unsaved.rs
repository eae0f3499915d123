//! What is about to be dropped that no commit has. What is changed by somebody else between looking and dropping goes
//! untold.

use super::error::{Error, Result};
use super::stale::BeingWritten;
use crate::history::{self, BranchName, ChangeKind, DraftEntry, DraftNode, Node, Repo, TreePath, Walk};
use crate::worktree::{self, Snapshot, Worktree, has_worktree};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a file is whose content is in no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Another one than the last commit has, or one that it does not have.
    Changed(ChangeKind),
    /// Somebody writes it.
    BeingWritten,
    /// Whoever wrote it was killed.
    Interrupted,
}

/// Commits that are looked through for what was changed, at most: it is a note, and must not take long.
const LOOKED_AT: usize = 1000;

/// Changed files of which a commit of any branch or tag has the content at the same path: they came from there.
fn in_history(
    repo: &Repo,
    snapshot: &Snapshot,
    files: &BTreeMap<TreePath, Loss>,
) -> Result<HashSet<TreePath>> {
    let mut wanted = Vec::new();
    for (path, loss) in files {
        // What was saved here is staged, or was stored from here.
        if let (Loss::Changed(_), Some(entry)) = (loss, snapshot.tree.find(path, repo)?)
            && let DraftNode::Known(node) = entry.node
        {
            wanted.push((path, node));
        }
    }
    let mut known = HashSet::new();
    if wanted.is_empty() {
        return Ok(known);
    }
    let mut tips: Vec<_> = repo.refs().branches()?.into_iter().map(|(_, tip)| tip).collect();
    let tags = repo.refs().tags()?.into_iter().filter(|(tag, _)| !tag.is_kept());
    tips.extend(tags.map(|(_, tag)| tag.commit));
    for step in Walk::new(repo, tips)?.take(LOOKED_AT) {
        let tree = step?.1.tree;
        let mut left = Vec::new();
        for (path, node) in wanted {
            match repo.find_in_tree(tree, path)?.is_some_and(|entry| entry.node == node) {
                true => drop(known.insert(path.clone())),
                false => left.push((path, node)),
            }
        }
        wanted = left;
        if wanted.is_empty() {
            break;
        }
    }
    Ok(known)
}

/// What a file is that the history has.
fn known_file(entry: DraftEntry) -> Option<Node> {
    match entry.node {
        DraftNode::Known(node @ Node::File { .. }) => Some(node),
        _ => None,
    }
}

/// Whether a path is one of some, or below one of them.
fn is_at_or_below(path: &TreePath, some: &HashSet<&TreePath>) -> bool {
    let mut above = path.clone();
    loop {
        if some.contains(&above) {
            return true;
        }
        if above.is_root() {
            return false;
        }
        above.pop();
    }
}

/// Files of a worktree whose content is in no commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// The files, and what each is.
    pub files: BTreeMap<TreePath, Loss>,
    /// Whether the last commit has an older version of some of them.
    pub has_older: bool,
    /// Those of them that were kept, so that taking the operation back brings them back.
    pub kept: BTreeSet<TreePath>,
}

impl Unsaved {
    /// Those at or below one of these paths.
    ///
    /// # Errors
    /// If it cannot be told, because the worktree or its history is damaged.
    pub fn below(worktree: &Worktree, paths: &[TreePath]) -> Result<Self> {
        Self::seen(worktree, (&worktree.snapshot(false)?, BeingWritten::PassedOver), paths)
    }

    /// The same with the worktree as it was then.
    ///
    /// # Errors
    /// As [`Unsaved::below`].
    pub(super) fn look(
        worktree: &Worktree,
        written: BeingWritten,
        paths: &[TreePath],
    ) -> Result<(Snapshot, Self)> {
        let snapshot = worktree.snapshot(written == BeingWritten::Taken)?;
        let unsaved = Self::seen(worktree, (&snapshot, written), paths)?;
        Ok((snapshot, unsaved))
    }

    /// The same as it was at one instant.
    ///
    /// # Errors
    /// As [`Unsaved::below`]; [`Stale`](worktree::Error::Stale) if files are among them that somebody writes and those are refused.
    pub(super) fn seen(
        worktree: &Worktree,
        (snapshot, written): (&Snapshot, BeingWritten),
        paths: &[TreePath],
    ) -> Result<Self> {
        let repo = worktree.repo();
        let base = repo.tree_of(snapshot.base)?;
        let mut files = BTreeMap::new();
        let (mut new, mut old) = (HashMap::new(), HashSet::new());
        for change in snapshot.diff_from(base, worktree)? {
            old.extend(change.old.and_then(known_file));
            // What is only in the commit is dropped by nobody.
            if change.kind != ChangeKind::Deleted {
                new.extend(change.new.and_then(known_file).map(|node| (change.path.clone(), node)));
                files.insert(change.path, Loss::Changed(change.kind));
            }
        }
        // What was renamed is in the commit under another name.
        files.retain(|path, _| new.get(path).is_none_or(|node| !old.contains(node)));
        let unfinished =
            [(&snapshot.still_open, Loss::BeingWritten), (&snapshot.interrupted, Loss::Interrupted)];
        for (paths, loss) in unfinished {
            files.extend(paths.iter().map(|path| (path.clone(), loss)));
        }
        let named: HashSet<&TreePath> = paths.iter().collect();
        files.retain(|path, _| is_at_or_below(path, &named));
        if written == BeingWritten::Refused && files.values().any(|loss| *loss == Loss::BeingWritten) {
            return Err(worktree::Error::Stale.into());
        }
        // Of what cannot be looked up it is not known that it is elsewhere.
        let known = match in_history(repo, snapshot, &files) {
            Err(error @ Error::Repo(history::Error::Stopped(_))) => return Err(error),
            known => known.unwrap_or_default(),
        };
        files.retain(|path, _| !known.contains(path));
        let mut has_older = false;
        for path in files.keys() {
            has_older = has_older || repo.find_in_tree(base, path)?.is_some();
        }
        Ok(Self { files, has_older, kept: BTreeSet::new() })
    }

    /// Notes that all files that are complete were kept.
    pub(super) fn keep_whole(&mut self) {
        let whole = self.files.iter().filter(|(_, loss)| matches!(loss, Loss::Changed(_)));
        self.kept = whole.map(|(path, _)| path.clone()).collect();
    }

    /// All of a worktree.
    ///
    /// # Errors
    /// As [`Unsaved::below`].
    pub fn all(worktree: &Worktree) -> Result<Self> {
        Self::below(worktree, &[TreePath::ROOT])
    }

    /// All of the worktree that a branch has, if it has one.
    ///
    /// # Errors
    /// As [`Unsaved::below`].
    pub fn of_branch(repo: &Repo, branch: &BranchName) -> Result<Self> {
        match has_worktree(repo, branch)? {
            true => Self::all(&repo.worktree(branch)?),
            false => Ok(Self::default()),
        }
    }
}
