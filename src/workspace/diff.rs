//! What differs between two trees that somebody looks at, path by path, and in each file tensor by tensor or line by line.

use super::error::{Error, Result};
use super::pathspec::Pathspec;
use super::view::{View, Views};
use crate::compare::{FileChange, FileDifference, LineDiff, Wanted, compare_files, line_diff, with_renames};
use crate::history::{ChangeKind, Commit, DraftEntry, FileContent, TreePath};
use crate::id::CommitId;
use crate::task::Task;

/// Texts that are compared line by line are at most so long, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// What differs in one file.
#[derive(Debug, Default)]
pub struct FileDiff {
    /// Its tensors.
    pub tensors: FileDifference,
    /// Its lines, if both sides are texts.
    pub lines: Option<LineDiff>,
}

impl Views<'_> {
    /// The paths that differ from one tree to the other, sorted.
    ///
    /// # Errors
    /// [`Error::TwoWorktrees`]; if a directory cannot be read.
    pub fn changes(
        &self,
        old: &View,
        new: &View,
        paths: &Pathspec,
        renames: bool,
    ) -> Result<Vec<FileChange>> {
        let mut changes = old.changes_to(new)?;
        changes.retain(|change| paths.means(&change.path));
        let mut files: Vec<FileChange> = match renames {
            true => with_renames(&self.0.repo, changes)?,
            false => changes.into_iter().map(|change| FileChange { change, from: None }).collect(),
        };
        files.retain(|file| paths.kinds.takes(file));
        Ok(files)
    }

    /// What a file was called in a parent of a commit, where the commit renamed it.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn renamed_from(
        &self,
        commit: &Commit,
        parent: CommitId,
        path: &TreePath,
    ) -> Result<Option<TreePath>> {
        let before = self.0.repo.commit(parent)?.tree;
        let is_new = self.0.repo.find_in_tree(before, path)?.is_none()
            && self.0.repo.find_in_tree(commit.tree, path)?.is_some();
        if !is_new {
            return Ok(None);
        }
        let (old, new) = (self.view_of(parent, "parent")?, self.view_tree(commit.tree, "commit"));
        let changes = self.changes(&old, &new, &Pathspec::default(), true)?.into_iter();
        let renamed = changes.filter(|file| file.change.path == *path).find_map(|file| file.from);
        Ok(renamed.map(|(from, _)| from))
    }

    /// Of files that differ those in which some of these tensors do.
    ///
    /// # Errors
    /// As [`Views::diff_file`].
    pub fn with_tensors(
        &self,
        (old, new): (&View, &View),
        files: Vec<FileChange>,
        names: &[String],
        task: &Task,
    ) -> Result<Vec<FileChange>> {
        let wanted = Wanted { names, numbers: false, same: false };
        let mut found = Vec::new();
        for file in files {
            let is_file = |entry: &&DraftEntry| entry.node.is_file();
            let (before, after) =
                (file.change.old.as_ref().filter(is_file), file.change.new.as_ref().filter(is_file));
            if !self.diff_file((old, before), (new, after), wanted, task)?.tensors.tensors.is_empty() {
                found.push(file);
            }
        }
        Ok(found)
    }

    /// What differs in a file.
    ///
    /// # Errors
    /// If it cannot be read, or the task is stopped.
    pub fn diff_file(
        &self,
        (old, before): (&View, Option<&DraftEntry>),
        (new, after): (&View, Option<&DraftEntry>),
        wanted: Wanted<'_>,
        task: &Task,
    ) -> Result<FileDiff> {
        let content = |view: &View, entry: Option<&DraftEntry>| match entry {
            Some(entry) => view.content(&entry.node),
            None => Ok(None),
        };
        let (before, after) = (content(old, before)?, content(new, after)?);
        let threads = self.0.repo.store().threads();
        let tensors = compare_files(threads, before.as_ref(), after.as_ref(), wanted, task)?;
        let has_tensors = [&before, &after].into_iter().flatten().any(|file| file.tensors().next().is_some());
        let lines = match wanted.numbers && !has_tensors {
            true => lines(before.as_ref(), after.as_ref())?,
            false => None,
        };
        Ok(FileDiff { tensors, lines })
    }
}

fn lines(old: Option<&FileContent>, new: Option<&FileContent>) -> Result<Option<LineDiff>> {
    let read = |file: Option<&FileContent>| match file {
        Some(file) => file.read_short(TEXT_MAX),
        None => Ok(Some(Vec::new())),
    };
    match (read(old)?, read(new)?) {
        (Some(old), Some(new)) => Ok(line_diff(&old, &new)),
        _ => Ok(None),
    }
}

impl View {
    fn changes_to(&self, new: &View) -> Result<Vec<crate::history::Change>> {
        if let Some(changes) = self.changes_between(new)? {
            return Ok(changes);
        }
        let mut back = new.changes_between(self)?.ok_or(Error::TwoWorktrees)?;
        for change in &mut back {
            std::mem::swap(&mut change.old, &mut change.new);
            change.kind = match change.kind {
                ChangeKind::Added => ChangeKind::Deleted,
                ChangeKind::Deleted => ChangeKind::Added,
                other @ (ChangeKind::Modified | ChangeKind::TypeChanged) => other,
            };
        }
        Ok(back)
    }
}
