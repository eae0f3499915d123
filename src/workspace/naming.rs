//! Verbs that give commits names: branches that are made, tags, and where HEAD is. Each lets mounts show it at once.

use super::error::Result;
use super::mounts::Heard;
use super::workspace::Workspace;
use crate::history::{self, BranchName, Head, LogEntry, Tag, TagName};
use crate::id::CommitId;
use crate::worktree::{Branched, Branches, Switched, Warning};
use std::collections::BTreeMap;

/// Where HEAD is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// To a branch, or detached to any other revision.
    To(String),
    /// To a branch that is made for it.
    New {
        /// Its name.
        branch: BranchName,
        /// The revision that it starts at; HEAD if it is not said.
        start: Option<String>,
    },
}

/// A tag that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRequest {
    /// Its name.
    pub name: TagName,
    /// The revision that it names.
    pub revision: String,
    /// What is said about it; may be empty.
    pub description: String,
    /// What was measured on it.
    pub metrics: BTreeMap<String, String>,
    /// Move it if it exists.
    pub replace: bool,
}

/// A tag that was made or moved.
#[derive(Debug)]
pub struct Tagged {
    /// What it says now.
    pub tag: Tag,
    /// The commit that it named before.
    pub was: Option<CommitId>,
    /// What went wrong when it was done.
    pub warnings: Vec<history::Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// A tag that was deleted.
#[derive(Debug)]
pub struct DeletedTag {
    /// The commit that it named.
    pub was: Option<CommitId>,
    /// What went wrong when it was done.
    pub warnings: Vec<history::Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// A branch that was made.
#[derive(Debug)]
pub struct MadeBranch {
    /// The commit that it starts at.
    pub commit: CommitId,
    /// What went wrong when it was done, or was done on the way.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// HEAD, moved.
#[derive(Debug)]
pub struct MovedHead {
    /// What it says now.
    pub head: Head,
    /// What went wrong when it was done, or was done on the way.
    pub warnings: Vec<Warning>,
    /// What mounts say.
    pub heard: Heard,
}

/// Making and moving branches, tags and HEAD.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a>(&'a Workspace);

impl Workspace {
    /// Making and moving branches, tags and HEAD.
    pub fn naming(&self) -> Naming<'_> {
        Naming(self)
    }
}

impl Naming<'_> {
    /// Makes a branch that starts at a revision.
    ///
    /// # Errors
    /// As [`Branches::create`].
    pub fn create_branch(&self, branch: &BranchName, start: &str) -> Result<MadeBranch> {
        let Branched { commit, warnings, is_kept: _ } =
            Branches::of(&self.0.repo).create(branch, start, &self.0.signature())?;
        Ok(MadeBranch { commit, warnings, heard: self.0.mounts().announce() })
    }

    /// Lets HEAD go to a branch, one that is made for it, or any revision.
    ///
    /// # Errors
    /// As [`Branches::switch_to`] and [`Branches::switch_to_new`].
    pub fn switch(&self, to: &Switch) -> Result<MovedHead> {
        let who = self.0.signature();
        let Switched { head, warnings } = match to {
            Switch::To(target) => Branches::of(&self.0.repo).switch_to(target, &who)?,
            Switch::New { branch, start } => {
                Branches::of(&self.0.repo).switch_to_new(branch, start.as_deref(), &who)?
            }
        };
        Ok(MovedHead { head, warnings, heard: self.0.mounts().announce() })
    }

    /// Makes a tag, or moves it if that is asked for.
    ///
    /// # Errors
    /// [`RefExists`](crate::history::Error::RefExists), or that there is no such revision.
    pub fn tag(&self, request: &TagRequest) -> Result<Tagged> {
        let TagRequest { name, revision, description, metrics, replace } = request;
        let commit = self.0.repo.resolve(revision, self.0.now())?;
        let tag = Tag { commit, description: description.clone(), metrics: metrics.clone() };
        let entry = LogEntry { who: self.0.signature(), message: format!("tag: {revision}") };
        let target = self.0.repo.store().durable(commit)?;
        let moved = self.0.repo.refs().set_tag(name, &tag, target, *replace, &entry)?;
        Ok(Tagged { tag, was: moved.was, warnings: moved.warnings, heard: self.0.mounts().announce() })
    }

    /// Deletes a tag.
    ///
    /// # Errors
    /// [`UnknownRef`](crate::history::Error::UnknownRef).
    pub fn delete_tag(&self, name: &TagName) -> Result<DeletedTag> {
        let entry = LogEntry { who: self.0.signature(), message: "tag: deleted".into() };
        let moved = self.0.repo.refs().delete_tag(name, &entry)?;
        Ok(DeletedTag { was: moved.was, warnings: moved.warnings, heard: self.0.mounts().announce() })
    }
}
