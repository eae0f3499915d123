//! Files that a verb dropped from a worktree and that no other commit has: how they are kept, so that it can be taken back.
//!
//! They are a commit of the worktree as it was, and one upon it of the worktree as it was left. A tag of a name of its own
//! holds both, and the operation that dropped them tells of that tag. It stays when the operation is taken back, so that it
//! can be done again, and taken back again.

use super::error::Result;
use super::operations::Operation;
use super::ref_name::TagName;
use super::ref_transaction::Transaction;
use super::ref_value::commit_of_text;
use super::reflog::LogEntry;
use super::refs::Refs;
use super::tag::Tag;
use crate::id::CommitId;
use crate::store::Durable;
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// What the names of the tags begin with that hold such files.
const KEPT: &str = "kept/";

impl TagName {
    /// Whether it holds files that were dropped, so that no history is to be looked for behind it.
    pub fn is_kept(&self) -> bool {
        self.kept_number().is_some()
    }

    fn kept_number(&self) -> Option<u64> {
        self.as_str().strip_prefix(KEPT)?.parse().ok()
    }
}

impl Transaction<'_> {
    /// Holds a commit of what is about to be dropped, and tells of it together with what else happens.
    ///
    /// # Errors
    /// If the tags cannot be read.
    pub fn keep(&mut self, commit: Durable<CommitId>, entry: &LogEntry) -> Result<TagName> {
        let names = self.tag_names()?.into_iter().filter_map(|name| TagName::new(name).ok());
        let newest = names.filter_map(|name| name.kept_number()).max().unwrap_or(0);
        let name = TagName::new(format!("{KEPT}{}", newest.saturating_add(1))).expect("a valid name");
        let tag = Tag { commit: commit.get(), description: entry.message.clone(), metrics: BTreeMap::new() };
        self.set_tag(&name, &tag, commit, false, entry)?;
        Ok(name)
    }
}

impl Operation {
    /// The tag that holds the files that it dropped, and the commit that this named then.
    pub fn kept(&self) -> Option<(TagName, CommitId)> {
        let (name, text) = self.tags_made().find(|(name, _)| name.is_kept())?;
        Some((name.clone(), commit_of_text(text)?))
    }
}

impl Refs {
    /// Lets go of files that were dropped before an instant: then that cannot be taken back any more. Says how many times.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn let_go_of_kept(&self, before: Timestamp, entry: &LogEntry) -> Result<usize> {
        let mut old = Vec::new();
        for (name, _) in self.each_tag()?.into_iter().filter(|(name, _)| name.is_kept()) {
            if self.logs().tag(&name)?.last().is_some_and(|line| line.who.time < before) {
                old.push(name);
            }
        }
        if !old.is_empty() {
            self.give_up_kept(&old, entry)?;
        }
        Ok(old.len())
    }

    /// Lets go of dropped files. An operation that did nothing but to drop them never happened from then on.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn give_up_kept(&self, names: &[TagName], entry: &LogEntry) -> Result<()> {
        let mut transaction = self.transaction()?;
        transaction.is_no_operation();
        for name in names.iter().filter(|name| name.is_kept()) {
            // Somebody else may have been faster.
            if transaction.has_tag(name)? {
                transaction.delete_tag(name, entry)?;
            }
        }
        transaction.commit().map(drop)
    }
}
