//! What the bytes of a ref's file mean, and which names can be beside which.

use super::any_ref::AnyRef;
use super::error::{Error, Result};
use super::ref_files::RefFiles;
use super::ref_name::BranchName;
use super::suggest::nearest;
use super::tag::Tag;
use crate::id::CommitId;

/// What HEAD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The current branch, which may have no commit yet.
    Branch(BranchName),
    /// A commit without a branch.
    Detached(CommitId),
}

impl Head {
    /// The branch that it is on.
    ///
    /// # Errors
    /// [`Error::DetachedHead`] if it is on none.
    pub fn into_branch(self) -> Result<BranchName> {
        match self {
            Head::Branch(name) => Ok(name),
            Head::Detached(commit) => Err(Error::DetachedHead(commit)),
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Head::Branch(name) => format!("ref: refs/heads/{name}\n"),
            Head::Detached(commit) => format!("{commit}\n"),
        }
    }
}

/// What the log of HEAD says of a switch.
const SWITCHED: &str = "switch: from ";

/// What the log of HEAD says when it goes from one place to another.
pub(super) fn switch_message(from: &Head, to: &Head) -> String {
    let name = |head: &Head| match head {
        Head::Branch(branch) => branch.to_string(),
        Head::Detached(commit) => commit.to_string(),
    };
    format!("{SWITCHED}{} to {}", name(from), name(to))
}

/// Where HEAD was before the switch that a line of its log tells of; `None` if it tells of something else.
pub(super) fn switched_from(message: &str) -> Option<&str> {
    Some(message.strip_prefix(SWITCHED)?.split_once(" to ")?.0)
}

/// What HEAD says whose file has these bytes.
pub(super) fn head(files: &RefFiles, bytes: Option<Vec<u8>>) -> Result<Head> {
    let damaged = |what: &str| damaged(files, &AnyRef::Head, what);
    let text = text(files, &AnyRef::Head, bytes)?.ok_or_else(|| damaged("it is missing"))?;
    let text = text.trim_end();
    match text.strip_prefix("ref: refs/heads/") {
        Some(name) => BranchName::new(name).map(Head::Branch).map_err(|error| damaged(&error.to_string())),
        None => text.parse().map(Head::Detached).map_err(|_| damaged("it names neither branch nor commit")),
    }
}

/// The commit that a branch names whose file has these bytes.
pub(super) fn branch(files: &RefFiles, which: &AnyRef, bytes: Option<Vec<u8>>) -> Result<Option<CommitId>> {
    let Some(text) = text(files, which, bytes)? else { return Ok(None) };
    text.trim_end().parse().map(Some).map_err(|_| damaged(files, which, "it names no commit"))
}

/// The tag whose file has these bytes.
pub(super) fn tag(files: &RefFiles, which: &AnyRef, bytes: Option<Vec<u8>>) -> Result<Option<Tag>> {
    let Some(text) = text(files, which, bytes)? else { return Ok(None) };
    Tag::parse(&text).map(Some).ok_or_else(|| damaged(files, which, "it is not a tag"))
}

/// The commit that the first line of a ref's text names.
pub(super) fn commit_of_text(text: Option<&[u8]>) -> Option<CommitId> {
    std::str::from_utf8(text?).ok()?.lines().next()?.parse().ok()
}

/// The commit that a ref names directly whose file has these bytes; none for a HEAD on a branch.
pub(super) fn commit_of(
    files: &RefFiles,
    which: &AnyRef,
    bytes: Option<Vec<u8>>,
) -> Result<Option<CommitId>> {
    match which {
        AnyRef::Branch(_) => branch(files, which, bytes),
        AnyRef::Tag(_) => Ok(tag(files, which, bytes)?.map(|tag| tag.commit)),
        AnyRef::Head => match head(files, bytes)? {
            Head::Branch(_) => Ok(None),
            Head::Detached(commit) => Ok(Some(commit)),
        },
    }
}

fn text(files: &RefFiles, which: &AnyRef, bytes: Option<Vec<u8>>) -> Result<Option<String>> {
    bytes.map(String::from_utf8).transpose().map_err(|_| damaged(files, which, "it is not text"))
}

fn damaged(files: &RefFiles, which: &AnyRef, what: &str) -> Error {
    Error::DamagedFile { path: files.path(which), what: what.to_owned() }
}

/// An unknown-ref error with the nearest of the names that exist.
pub(super) fn unknown(kind: &'static str, name: &str, known: Vec<String>) -> Error {
    Error::UnknownRef { kind, name: name.to_owned(), nearest: nearest(name, known) }
}

/// Refuses a new name that is a folder of an existing one, or below one.
pub(super) fn check_room(kind: &'static str, name: &str, existing: Vec<String>) -> Result<()> {
    let below =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    match existing.into_iter().find(|other| below(other, name) || below(name, other)) {
        Some(other) => Err(Error::RefConflict { kind, name: name.to_owned(), other }),
        None => Ok(()),
    }
}
