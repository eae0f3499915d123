//! What is said about commits afterwards. A note is a tag of its commit under a name of its own, so that it is as safe as other
//! refs, has a log, and can be taken back.

use super::error::Result;
use super::workspace::Workspace;
use crate::history::{Tag, TagName, Warning};
use crate::id::CommitId;
use std::collections::BTreeMap;

const NOTES: &str = "notes/";

fn name_of(commit: CommitId) -> Result<TagName> {
    Ok(TagName::new(format!("{NOTES}{commit}"))?)
}

/// The notes of a repository.
#[derive(Debug, Clone, Copy)]
pub struct Notes<'a>(&'a Workspace);

impl Workspace {
    /// What is said about commits.
    pub fn notes(&self) -> Notes<'_> {
        Notes(self)
    }
}

impl Notes<'_> {
    /// What was said about a commit.
    ///
    /// # Errors
    /// If the tag cannot be read.
    pub fn of(&self, commit: CommitId) -> Result<Option<String>> {
        Ok(self.0.repo.refs().tag(&name_of(commit)?)?.map(|tag| tag.description))
    }

    /// Everything that was said, by commit.
    ///
    /// # Errors
    /// If a tag cannot be read.
    pub fn all(&self) -> Result<Vec<(CommitId, String)>> {
        let tags = self.0.repo.refs().tags()?.into_iter();
        Ok(tags.filter(|(name, _)| is_note(name)).map(|(_, tag)| (tag.commit, tag.description)).collect())
    }

    /// Says something about a commit, in place of what was said before.
    ///
    /// # Errors
    /// If the disk fails: nothing has changed then.
    pub fn set(&self, commit: CommitId, text: &str) -> Result<Vec<Warning>> {
        let tag = Tag { commit, description: text.to_owned(), metrics: BTreeMap::new() };
        let entry = self.0.said("note".into());
        let durable = self.0.repo.store().durable(commit)?;
        Ok(self.0.repo.refs().set_tag(&name_of(commit)?, &tag, durable, true, &entry)?.warnings)
    }

    /// Says nothing about a commit any more.
    ///
    /// # Errors
    /// [`UnknownRef`](crate::history::Error::UnknownRef) if nothing was said.
    pub fn remove(&self, commit: CommitId) -> Result<Vec<Warning>> {
        Ok(self.0.repo.refs().delete_tag(&name_of(commit)?, &self.0.said("note: removed".into()))?.warnings)
    }
}

/// Whether a tag is a note.
pub(super) fn is_note(tag: &TagName) -> bool {
    tag.as_str().strip_prefix(NOTES).is_some_and(|id| id.parse::<CommitId>().is_ok())
}
