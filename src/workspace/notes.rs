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

impl Workspace {
    /// What was said about a commit.
    ///
    /// # Errors
    /// If the tag cannot be read.
    pub fn note(&self, commit: CommitId) -> Result<Option<String>> {
        Ok(self.repo.refs().tag(&name_of(commit)?)?.map(|tag| tag.description))
    }

    /// Everything that was said, by commit.
    ///
    /// # Errors
    /// If a tag cannot be read.
    pub fn notes(&self) -> Result<Vec<(CommitId, String)>> {
        let tags = self.repo.refs().tags()?.into_iter();
        Ok(tags.filter(|(name, _)| is_note(name)).map(|(_, tag)| (tag.commit, tag.description)).collect())
    }

    /// Says something about a commit, in place of what was said before.
    ///
    /// # Errors
    /// If the disk fails: nothing has changed then.
    pub fn set_note(&self, commit: CommitId, text: &str) -> Result<Vec<Warning>> {
        let tag = Tag { commit, description: text.to_owned(), metrics: BTreeMap::new() };
        let entry = self.said("note".into());
        let durable = self.repo.store().durable(commit)?;
        Ok(self.repo.refs().set_tag(&name_of(commit)?, &tag, durable, true, &entry)?.warnings)
    }

    /// Says nothing about a commit any more.
    ///
    /// # Errors
    /// [`UnknownRef`](crate::history::Error::UnknownRef) if nothing was said.
    pub fn remove_note(&self, commit: CommitId) -> Result<Vec<Warning>> {
        Ok(self.repo.refs().delete_tag(&name_of(commit)?, &self.said("note: removed".into()))?.warnings)
    }
}

/// Whether a tag is a note.
pub(super) fn is_note(tag: &TagName) -> bool {
    tag.as_str().strip_prefix(NOTES).is_some_and(|id| id.parse::<CommitId>().is_ok())
}
