//! Branches, tags and HEAD: small plain files that name commits, and the logs of where they pointed.
//!
//! Every change is a compare-and-swap under one lock that ends with its holder: of one ref by itself here, of several
//! together by a [`Transaction`]. The log tells of a move, durably, before it happens; an error means that the ref is as it
//! was, and what goes wrong afterwards is a warning. A reader needs no lock and sees the old or the new value, whole.

use super::any_ref::AnyRef;
use super::commit::Signature;
use super::error::{Error, Result};
use super::operations::Operation;
use super::ref_files::RefFiles;
pub use super::ref_name::{BranchName, REF_NAME_MAX, RefNameError, TagName};
use super::ref_transaction::Transaction;
pub use super::ref_value::Head;
use super::ref_value::{self, check_room, unknown};
use super::reflog::{self, LogEntry, LogLine};
use super::tag::Tag;
use super::warning::Warning;
use crate::disk::Disk;
use crate::id::CommitId;
use crate::store::Durable;
use std::path::Path;
use std::sync::Arc;

/// A ref that moved. The move stands, whatever the warnings say.
#[derive(Debug, Default)]
pub struct Moved {
    /// The commit that it named before; `None` if there was no such ref, or it named a branch.
    pub was: Option<CommitId>,
    /// What went wrong when it had moved already.
    pub warnings: Vec<Warning>,
}

/// The refs of one repository.
#[derive(Debug, Clone)]
pub struct Refs(RefFiles);

impl Refs {
    /// The refs below the repository's own folder.
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self(RefFiles::new(disk, root))
    }

    /// Lays the folders and lets HEAD name a branch that has no commit yet.
    pub(super) fn create(&self, branch: &BranchName) -> Result<()> {
        self.0.create(&Head::Branch(branch.clone()).to_text())
    }

    /// Changes of several refs that are to happen together, or none of them. Nobody else moves a ref until it ends.
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        Transaction::begin(&self.0)
    }

    /// What HEAD says.
    pub fn head(&self) -> Result<Head> {
        ref_value::head(&self.0, self.0.read(&AnyRef::Head)?)
    }

    /// The current branch.
    ///
    /// # Errors
    /// [`Error::DetachedHead`] if there is none.
    pub fn current_branch(&self) -> Result<BranchName> {
        self.head()?.into_branch()
    }

    /// Points HEAD elsewhere, durably, and logs it.
    pub fn set_head(&self, head: &Head, who: &Signature) -> Result<Moved> {
        let mut transaction = self.transaction()?;
        let was = transaction.set_head(head, who)?;
        Ok(Moved { was, warnings: transaction.commit()? })
    }

    /// The commit that a branch names; `None` if there is no such branch or it has no commit yet.
    pub fn branch(&self, name: &BranchName) -> Result<Option<CommitId>> {
        let which = AnyRef::Branch(name.clone());
        ref_value::branch(&self.0, &which, self.0.read(&which)?)
    }

    /// The commit that an existing branch names.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name that exists.
    pub fn existing_branch(&self, name: &BranchName) -> Result<CommitId> {
        match self.branch(name)? {
            Some(commit) => Ok(commit),
            None if self.head()? == Head::Branch(name.clone()) => Err(Error::Unborn(name.to_string())),
            None => Err(unknown(BranchName::KIND, name.as_str(), self.0.names(BranchName::FOLDER)?)),
        }
    }

    /// All branches that have a commit, sorted by name.
    ///
    /// # Errors
    /// If one of them cannot be read: whoever needs all must not go on without it.
    pub fn branches(&self) -> Result<Vec<(BranchName, CommitId)>> {
        self.each_branch()?.into_iter().map(|(name, commit)| Ok((name, commit?))).collect()
    }

    /// The same, each for itself: one that cannot be read hides no other.
    pub fn each_branch(&self) -> Result<Vec<(BranchName, Result<CommitId>)>> {
        let names =
            self.0.names(BranchName::FOLDER)?.into_iter().filter_map(|name| BranchName::new(name).ok());
        let each = names.filter_map(|name| {
            let commit = self.branch(&name).transpose()?;
            Some((name, commit))
        });
        Ok(each.collect())
    }

    /// The tag with this name.
    pub fn tag(&self, name: &TagName) -> Result<Option<Tag>> {
        let which = AnyRef::Tag(name.clone());
        ref_value::tag(&self.0, &which, self.0.read(&which)?)
    }

    /// All tags, sorted by name.
    ///
    /// # Errors
    /// If one of them cannot be read, as [`Refs::branches`].
    pub fn tags(&self) -> Result<Vec<(TagName, Tag)>> {
        self.each_tag()?.into_iter().map(|(name, tag)| Ok((name, tag?))).collect()
    }

    /// The same, each for itself: one that cannot be read hides no other.
    pub fn each_tag(&self) -> Result<Vec<(TagName, Result<Tag>)>> {
        let names = self.0.names(TagName::FOLDER)?.into_iter().filter_map(|name| TagName::new(name).ok());
        let each = names.filter_map(|name| {
            let tag = self.tag(&name).transpose()?;
            Some((name, tag))
        });
        Ok(each.collect())
    }

    /// Moves a branch from `old` (`None`: it must not exist) to a commit that is durable, and logs it. When this
    /// returns, the move is durable: it is the one point at which a commit becomes part of a branch.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if the branch is no longer at `old`. After any error the branch is as it was.
    pub fn update_branch(
        &self,
        name: &BranchName,
        old: Option<CommitId>,
        new: Durable<CommitId>,
        entry: &LogEntry,
    ) -> Result<Moved> {
        let mut transaction = self.transaction()?;
        transaction.update_branch(name, old, new, entry)?;
        Ok(Moved { was: old, warnings: transaction.commit()? })
    }

    /// Removes a branch that is still at `old`, durably. Its log stays. `check` is asked when no ref can move any more.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if it moved; [`Error::CurrentBranch`] if HEAD names it; what `check` says. After any error the
    /// branch is there.
    pub fn delete_branch(
        &self,
        name: &BranchName,
        old: CommitId,
        entry: &LogEntry,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<Moved> {
        let mut transaction = self.transaction()?;
        transaction.delete_branch(name, old, entry)?;
        check()?;
        Ok(Moved { was: Some(old), warnings: transaction.commit()? })
    }

    /// Refuses a name that no branch could be made with now.
    pub(crate) fn check_new_branch(&self, name: &BranchName) -> Result<()> {
        match self.branch(name)? {
            Some(_) => Err(Error::RefExists { kind: BranchName::KIND, name: name.to_string() }),
            None => check_room(BranchName::KIND, name.as_str(), self.0.names(BranchName::FOLDER)?),
        }
    }

    /// Refuses a name that no tag could be made with now.
    pub(crate) fn check_new_tag(&self, name: &TagName) -> Result<()> {
        match self.tag(name)? {
            _ if name.is_reserved() => Err(Error::ReservedName(name.to_string())),
            Some(_) => Err(Error::RefExists { kind: TagName::KIND, name: name.to_string() }),
            None => check_room(TagName::KIND, name.as_str(), self.0.names(TagName::FOLDER)?),
        }
    }

    /// Creates a tag, or with `replace` moves it, durably.
    ///
    /// # Errors
    /// [`Error::RefExists`] if it exists and `replace` is false. After any error the tag is as it was.
    pub fn set_tag(
        &self,
        name: &TagName,
        tag: &Tag,
        target: Durable<CommitId>,
        replace: bool,
        entry: &LogEntry,
    ) -> Result<Moved> {
        let mut transaction = self.transaction()?;
        let was = transaction.set_tag(name, tag, target, replace, entry)?;
        Ok(Moved { was, warnings: transaction.commit()? })
    }

    /// Removes a tag, durably. Its log stays.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name if there is none. After any error the tag is there.
    pub fn delete_tag(&self, name: &TagName, entry: &LogEntry) -> Result<Moved> {
        let mut transaction = self.transaction()?;
        let was = Some(transaction.delete_tag(name, entry)?);
        Ok(Moved { was, warnings: transaction.commit()? })
    }

    /// What refs pointed at, and what was done to them.
    pub fn logs(&self) -> Logs<'_> {
        Logs(self)
    }

    /// Files below `refs/` that are refs by their place and not by their names, as nobody lists them.
    pub(crate) fn misnamed(&self) -> Result<Vec<String>> {
        let branches = self.0.names(BranchName::FOLDER)?.into_iter();
        let tags = self.0.names(TagName::FOLDER)?.into_iter();
        let branches = branches.filter(|name| BranchName::new(name.as_str()).is_err());
        let tags = tags.filter(|name| TagName::new(name.as_str()).is_err());
        let below = |folder: &'static str| move |name: String| format!("refs/{folder}/{name}");
        Ok(branches.map(below(BranchName::FOLDER)).chain(tags.map(below(TagName::FOLDER))).collect())
    }

    /// The names of all branches and tags, for suggestions.
    pub(crate) fn all_names(&self) -> Result<Vec<String>> {
        let mut names = self.0.names(BranchName::FOLDER)?;
        names.extend(self.0.names(TagName::FOLDER)?);
        Ok(names)
    }
}

/// What refs pointed at, and what was done to them.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a>(&'a Refs);

impl Logs<'_> {
    /// Where a branch pointed, oldest first. Branches that were deleted have a log as well.
    pub fn branch(&self, name: &BranchName) -> Result<Vec<LogLine>> {
        reflog::read(self.0.0.disk(), &self.0.0.log_path(&AnyRef::Branch(name.clone())), self.0.branch(name)?)
    }

    /// Where a tag pointed, oldest first. Tags that were deleted have a log as well.
    pub fn tag(&self, name: &TagName) -> Result<Vec<LogLine>> {
        let now = self.0.tag(name)?.map(|tag| tag.commit);
        reflog::read(self.0.0.disk(), &self.0.0.log_path(&AnyRef::Tag(name.clone())), now)
    }

    /// Which commits HEAD named, oldest first: where it was switched, and how its branch moved.
    pub fn head(&self) -> Result<Vec<LogLine>> {
        let now = match self.0.head()? {
            Head::Branch(branch) => self.0.branch(&branch)?,
            Head::Detached(commit) => Some(commit),
        };
        reflog::read(self.0.0.disk(), &self.0.0.log_path(&AnyRef::Head), now)
    }

    /// What was done to refs, the first thing first.
    pub fn operations(&self) -> Result<Vec<Operation>> {
        self.0.0.operations()
    }

    /// The branches that have a log, living or deleted, and the names of files beside them that no branch has.
    pub(crate) fn branches(&self) -> Result<(Vec<BranchName>, Vec<String>)> {
        Ok(sort_out(self.0.0.logs(BranchName::FOLDER)?, BranchName::unescape))
    }

    /// The tags that have a log, living or deleted, and the names of files beside them that no tag has.
    pub(crate) fn tags(&self) -> Result<(Vec<TagName>, Vec<String>)> {
        Ok(sort_out(self.0.0.logs(TagName::FOLDER)?, TagName::unescape))
    }
}

/// What is one of something, and the rest.
fn sort_out<T>(all: Vec<String>, one: impl Fn(&str) -> Option<T>) -> (Vec<T>, Vec<String>) {
    let mut rest = Vec::new();
    let known = all.into_iter().filter_map(|text| {
        let found = one(&text);
        if found.is_none() {
            rest.push(text);
        }
        found
    });
    (known.collect(), rest)
}
