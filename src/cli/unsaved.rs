//! What a command is about to drop that no commit has: found before, told after, with what can be got back.
//!
//! Owns the words for it. What is changed between the two moments by somebody else goes untold.

use super::error::Result;
use super::output::note;
use super::quote;
use super::status;
use crate::history::{BranchName, ChangeKind, Repo, Tree, TreePath};
use crate::worktree::Worktree;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Files named one by one; of the others it is said how many there are.
const NAMED: usize = 10;

/// Files of a worktree whose content is in no commit, and what they are.
#[derive(Debug, Default)]
pub struct Unsaved {
    files: BTreeMap<TreePath, &'static str>,
    has_older: bool,
}

impl Unsaved {
    /// Those at or below one of these paths. That it cannot be told is no reason to keep them, which may be damaged: then
    /// that is said.
    pub fn below(worktree: &Worktree, paths: &[TreePath]) -> Self {
        Self::find(worktree, paths).unwrap_or_else(|error| {
            note(format!(
                "cannot tell what `{}` has that no commit has: {}",
                worktree.branch(),
                error.told()
            ));
            Self::default()
        })
    }

    /// All of a worktree.
    pub fn all(worktree: &Worktree) -> Self {
        Self::below(worktree, &[TreePath::ROOT])
    }

    /// All of the worktree that a branch has, if it has one.
    pub fn of_branch(repo: &Repo, branch: &BranchName) -> Self {
        match repo.has_worktree(branch).is_ok_and(|has| has) {
            true => repo.worktree(branch).map_or_else(|_| Self::default(), |worktree| Self::all(&worktree)),
            false => Self::default(),
        }
    }

    fn find(worktree: &Worktree, paths: &[TreePath]) -> Result<Self> {
        let repo = worktree.repo();
        let snapshot = worktree.snapshot(false)?;
        let base = match snapshot.base {
            Some(base) => repo.commit(base)?.tree,
            None => Tree::empty_id(),
        };
        let mut files = BTreeMap::new();
        for change in worktree.diff_from(base, &snapshot)? {
            match change.kind {
                // What is only in the commit is dropped by nobody.
                ChangeKind::Deleted => {}
                ChangeKind::Added | ChangeKind::Modified | ChangeKind::TypeChanged => {
                    files.insert(change.path, status::words(change.kind).1);
                }
            }
        }
        let unfinished =
            [(&snapshot.still_open, status::WRITTEN), (&snapshot.interrupted, status::INTERRUPTED)];
        for (paths, word) in unfinished {
            files.extend(paths.iter().map(|path| (path.clone(), word)));
        }
        files.retain(|path, _| paths.iter().any(|above| path.starts_with(above)));
        let mut has_older = false;
        for path in files.keys() {
            has_older = has_older || repo.find_in_tree(base, path)?.is_some();
        }
        Ok(Self { files, has_older })
    }

    /// Whether the last commit has an older version of some of it.
    pub fn has_older(&self) -> bool {
        self.has_older
    }

    /// Says what was dropped, and what can be got back; nothing if it is nothing.
    pub fn say(&self, way_back: &str) {
        let count = self.files.len();
        if count == 0 {
            return;
        }
        let files = if count == 1 { "file" } else { "files" };
        note(format!("{count} {files} dropped that no commit has:"));
        for (path, word) in self.files.iter().take(NAMED) {
            note(format!("  {word:<14}{}", quote::path(path)));
        }
        if count > NAMED {
            note(format!("  ... and {} more", count - NAMED));
        }
        note(way_back);
    }

    /// All of it as JSON.
    pub fn json(&self) -> Value {
        let row = |(path, word): (&TreePath, &&str)| {
            let mut row = json!({ "path": null, "was": word });
            quote::put_path(&mut row, path);
            row
        };
        self.files.iter().map(row).collect()
    }
}
