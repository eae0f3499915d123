//! Files that a verb dropped from a worktree and that no other commit has: how they are kept, so that it can be taken back.
//!
//! They are a commit of the worktree as it was, and one upon it of the worktree as it was left. A tag of a name of its own
//! holds both, and the operation that dropped them tells of that tag. It stays when the operation is taken back, so that it
//! can be done again, and taken back again.

use super::any_ref::AnyRef;
use super::error::Result;
use super::operations::Operation;
use super::ref_intent::Change;
use super::ref_name::TagName;
use super::ref_transaction::Transaction;
use super::ref_value::commit_of_text;
use super::reflog::LogEntry;
use super::refs::Refs;
use super::tag::Tag;
use crate::id::CommitId;
use crate::store::Durable;
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the names of the tags begin with that hold such files.
const KEPT: &str = "kept/";

impl TagName {
    /// Whether it holds files that were dropped, so that no history is to be looked for behind it.
    pub fn is_kept(&self) -> bool {
        self.kept_number().is_some()
    }

    fn kept_number(&self) -> Option<u64> {
        let digits = self.as_str().strip_prefix(KEPT)?;
        digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
    }

    /// Whether only such files can have the name.
    pub(super) fn is_reserved(&self) -> bool {
        format!("{self}/").starts_with(KEPT)
    }
}

impl Transaction<'_> {
    /// Holds a commit of what is about to be dropped, and tells of it together with what else happens.
    ///
    /// # Errors
    /// If the tags cannot be read.
    pub fn keep(&mut self, commit: Durable<CommitId>, entry: &LogEntry) -> Result<TagName> {
        let names = self.tag_names()?.into_iter().filter_map(|name| TagName::new(name).ok());
        let taken: BTreeSet<u64> = names.filter_map(|name| name.kept_number()).collect();
        let next = taken.last().map_or(Some(1), |newest| newest.checked_add(1));
        let number = next.or_else(|| (1..).find(|number| !taken.contains(number))).expect("one is free");
        let name = TagName::new(format!("{KEPT}{number}")).expect("a valid name");
        let tag = Tag { commit: commit.get(), description: entry.message.clone(), metrics: BTreeMap::new() };
        self.put_tag(&name, &tag, commit, false, entry)?;
        Ok(name)
    }
}

impl Change {
    /// Whether it is that files are held that were dropped.
    pub(super) fn keeps_files(&self) -> bool {
        matches!(&self.which, AnyRef::Tag(name) if name.is_kept()) && self.from.is_none()
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
    /// `is_ours` tells whether a commit holds such files: earlier versions let people make tags of these names.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn let_go_of_kept(
        &self,
        before: Timestamp,
        is_ours: impl Fn(CommitId) -> bool,
        entry: &LogEntry,
    ) -> Result<usize> {
        let mut old = Vec::new();
        for (name, tag) in self.each_tag()?.into_iter().filter(|(name, _)| name.is_kept()) {
            let Ok(Tag { commit, .. }) = tag else { continue };
            let is_old = self.logs().tag(&name)?.last().is_some_and(|line| line.who.time < before);
            if is_old && is_ours(commit) {
                old.push((name, commit));
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
    pub fn give_up_kept(&self, kept: &[(TagName, CommitId)], entry: &LogEntry) -> Result<()> {
        let mut transaction = self.transaction()?;
        transaction.is_no_operation();
        for (name, commit) in kept.iter().filter(|(name, _)| name.is_kept()) {
            // Somebody else may have been faster, and others may have come to use the name.
            if transaction.tag(name)?.is_some_and(|tag| tag.commit == *commit) {
                transaction.delete_tag(name, entry)?;
            }
        }
        transaction.commit().map(drop)
    }
}
