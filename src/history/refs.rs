//! Branches, tags and HEAD: small plain files that name commits, and the logs of where they pointed.
//!
//! Every change is a compare-and-swap under one lock that ends with its holder, in this order: the new value is on the
//! disk beside the ref; the log tells of the move, durably; the ref is swapped (`ref_move.rs`). That swap is the one
//! point at which the change happens: an error means that the ref is as it was, and what goes wrong afterwards is a
//! warning. A reader needs no lock and sees the old or the new value, whole.

use super::error::{Error, Result};
use super::ref_move::{self, Prepared, is_no_ref};
pub use super::ref_name::{BranchName, REF_NAME_MAX, RefNameError, TagName};
use super::reflog::{self, LogEntry, LogLine};
use super::suggest::nearest;
use super::tag::Tag;
use super::warning::Warning;
use crate::disk::{Disk, FileType, Patience};
use crate::id::CommitId;
use crate::store::Durable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What HEAD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The current branch, which may have no commit yet.
    Branch(BranchName),
    /// A commit without a branch.
    Detached(CommitId),
}

/// A ref that moved. The move stands, whatever the warnings say.
#[derive(Debug, Default)]
pub struct Moved {
    /// The commit that it named before; `None` if there was no such ref, or it named a branch.
    pub was: Option<CommitId>,
    /// What went wrong when it had moved already.
    pub warnings: Vec<Warning>,
}

/// One move of a branch or a tag, under way.
struct Move<'a> {
    /// The folder of its kind, below `refs/` and below `logs/`.
    folder: &'static str,
    name: &'a str,
    /// The name as one file name.
    escaped: String,
    from: Option<CommitId>,
    to: Option<CommitId>,
    entry: &'a LogEntry,
}

/// The refs of one repository.
#[derive(Debug, Clone)]
pub struct Refs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Refs {
    /// The refs below the repository's own folder.
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned() }
    }

    /// Lays the folders and lets HEAD name a branch that has no commit yet.
    pub(super) fn create(&self, branch: &BranchName) -> Result<()> {
        for folder in ["refs/heads", "refs/tags", "logs/heads", "logs/tags"] {
            self.disk.create_dir_all(&self.root.join(folder))?;
        }
        let head = Head::Branch(branch.clone());
        Ok(self.disk.replace(&self.root.join("HEAD"), head.to_text().as_bytes())?)
    }

    /// What HEAD says.
    pub fn head(&self) -> Result<Head> {
        let path = self.root.join("HEAD");
        let text = self.read_text(&path)?.ok_or_else(|| damaged(&path, "it is missing"))?;
        let text = text.trim_end();
        match text.strip_prefix("ref: refs/heads/") {
            Some(name) => {
                BranchName::new(name).map(Head::Branch).map_err(|error| damaged(&path, &error.to_string()))
            }
            None => text
                .parse()
                .map(Head::Detached)
                .map_err(|_| damaged(&path, "it names neither branch nor commit")),
        }
    }

    /// The current branch.
    ///
    /// # Errors
    /// [`Error::DetachedHead`] if there is none.
    pub fn current_branch(&self) -> Result<BranchName> {
        match self.head()? {
            Head::Branch(name) => Ok(name),
            Head::Detached(commit) => Err(Error::DetachedHead(commit)),
        }
    }

    /// Points HEAD elsewhere, durably.
    pub fn set_head(&self, head: &Head) -> Result<Moved> {
        let _lock = self.lock()?;
        let was = match self.head() {
            Ok(Head::Detached(commit)) => Some(commit),
            // A damaged HEAD is cured by setting it.
            Ok(Head::Branch(_)) | Err(Error::DamagedFile { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Moved { was, warnings: self.prepare_head(head)?.swap()? })
    }

    fn prepare_head(&self, head: &Head) -> Result<Prepared<'_>> {
        let next = self.root.join("refs/next-head");
        ref_move::prepare(&*self.disk, next, &self.root, self.root.join("HEAD"), &head.to_text())
    }

    /// The commit that a branch names; `None` if there is no such branch or it has no commit yet.
    pub fn branch(&self, name: &BranchName) -> Result<Option<CommitId>> {
        let path = self.path(BranchName::FOLDER, name.as_str());
        match self.read_text(&path)? {
            None => Ok(None),
            Some(text) => match text.trim_end().parse() {
                Ok(commit) => Ok(Some(commit)),
                Err(_) => Err(damaged(&path, "it names no commit")),
            },
        }
    }

    /// The commit that an existing branch names.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name that exists.
    pub fn existing_branch(&self, name: &BranchName) -> Result<CommitId> {
        match self.branch(name)? {
            Some(commit) => Ok(commit),
            None if self.head()? == Head::Branch(name.clone()) => Err(Error::Unborn(name.to_string())),
            None => Err(self.unknown(BranchName::KIND, name.as_str(), self.names(BranchName::FOLDER)?)),
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
        let names = self.names(BranchName::FOLDER)?.into_iter().filter_map(|name| BranchName::new(name).ok());
        let each = names.filter_map(|name| {
            let commit = self.branch(&name).transpose()?;
            Some((name, commit))
        });
        Ok(each.collect())
    }

    /// The tag with this name.
    pub fn tag(&self, name: &TagName) -> Result<Option<Tag>> {
        let path = self.path(TagName::FOLDER, name.as_str());
        match self.read_text(&path)? {
            None => Ok(None),
            Some(text) => Tag::parse(&text).map(Some).ok_or_else(|| damaged(&path, "it is not a tag")),
        }
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
        let names = self.names(TagName::FOLDER)?.into_iter().filter_map(|name| TagName::new(name).ok());
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
        let _lock = self.lock()?;
        self.check_branch(name, old)?;
        let to = Some(new.get());
        self.swap(&Move::of_branch(name, old, to, entry), &format!("{}\n", new.get()))
    }

    /// Makes a branch and lets HEAD name it, in one: after an error neither has happened.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if the branch exists.
    pub fn start_branch(&self, name: &BranchName, at: Durable<CommitId>, entry: &LogEntry) -> Result<Moved> {
        let _lock = self.lock()?;
        self.check_branch(name, None)?;
        let made = Move::of_branch(name, None, Some(at.get()), entry);
        let head = self.prepare_head(&Head::Branch(name.clone()))?;
        let mut moved = match self.swap(&made, &format!("{}\n", at.get())) {
            Ok(moved) => moved,
            Err(error) => {
                head.drop_it();
                return Err(error);
            }
        };
        match head.swap() {
            Ok(warnings) => moved.warnings.extend(warnings),
            Err(error) => {
                // Its line in the log is void without it. If this fails too, repeating the command goes on from here.
                let _ =
                    ref_move::remove(&*self.disk, &self.top(made.folder), &self.path(made.folder, made.name));
                return Err(error);
            }
        }
        Ok(moved)
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
        let _lock = self.lock()?;
        if self.head()? == Head::Branch(name.clone()) {
            return Err(Error::CurrentBranch(name.to_string()));
        }
        self.check_branch(name, Some(old))?;
        check()?;
        self.remove(&Move::of_branch(name, Some(old), None, entry))
    }

    /// Refuses a name that no branch could be made with now.
    pub(crate) fn check_new_branch(&self, name: &BranchName) -> Result<()> {
        match self.branch(name)? {
            Some(_) => Err(Error::RefExists { kind: BranchName::KIND, name: name.to_string() }),
            None => self.check_room(BranchName::KIND, BranchName::FOLDER, name.as_str()),
        }
    }

    /// Refuses a move of a branch that is not at `old`, or that cannot be made because of another.
    fn check_branch(&self, name: &BranchName, old: Option<CommitId>) -> Result<()> {
        let found = self.branch(name)?;
        if found != old {
            return Err(Error::RefMoved { name: name.to_string(), expected: old, found });
        }
        match old {
            Some(_) => Ok(()),
            None => self.check_room(BranchName::KIND, BranchName::FOLDER, name.as_str()),
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
        let _lock = self.lock()?;
        let was = self.tag(name)?.map(|tag| tag.commit);
        match was {
            Some(_) if !replace => {
                return Err(Error::RefExists { kind: TagName::KIND, name: name.to_string() });
            }
            Some(_) => {}
            None => self.check_room(TagName::KIND, TagName::FOLDER, name.as_str())?,
        }
        let tag = Tag { commit: target.get(), ..tag.clone() };
        self.swap(&Move::of_tag(name, was, Some(tag.commit), entry), &tag.to_text())
    }

    /// Removes a tag, durably. Its log stays.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name if there is none. After any error the tag is there.
    pub fn delete_tag(&self, name: &TagName, entry: &LogEntry) -> Result<Moved> {
        let _lock = self.lock()?;
        let Some(tag) = self.tag(name)? else {
            return Err(self.unknown(TagName::KIND, name.as_str(), self.names(TagName::FOLDER)?));
        };
        self.remove(&Move::of_tag(name, Some(tag.commit), None, entry))
    }

    /// Where a branch pointed, oldest first. Branches that were deleted have a log as well.
    pub fn log(&self, name: &BranchName) -> Result<Vec<LogLine>> {
        reflog::read(&*self.disk, &self.log_path(BranchName::FOLDER, &name.escaped()), self.branch(name)?)
    }

    /// Where a tag pointed, oldest first. Tags that were deleted have a log as well.
    pub fn tag_log(&self, name: &TagName) -> Result<Vec<LogLine>> {
        let now = self.tag(name)?.map(|tag| tag.commit);
        reflog::read(&*self.disk, &self.log_path(TagName::FOLDER, &name.escaped()), now)
    }

    /// The branches that have a log, living or deleted, and the names of files beside them that no branch has.
    pub(crate) fn logged_branches(&self) -> Result<(Vec<BranchName>, Vec<String>)> {
        let files = self.log_files(BranchName::FOLDER)?;
        Ok(sort_out(files, BranchName::unescape))
    }

    /// The tags that have a log, living or deleted, and the names of files beside them that no tag has.
    pub(crate) fn logged_tags(&self) -> Result<(Vec<TagName>, Vec<String>)> {
        Ok(sort_out(self.log_files(TagName::FOLDER)?, TagName::unescape))
    }

    fn log_files(&self, folder: &str) -> Result<Vec<String>> {
        match self.disk.list(&self.root.join("logs").join(folder)) {
            Err(error) if is_no_ref(&error) => Ok(Vec::new()),
            files => Ok(files?),
        }
    }

    /// Files below `refs/` that are refs by their place and not by their names, as nobody lists them.
    pub(crate) fn misnamed(&self) -> Result<Vec<String>> {
        let branches = self.names(BranchName::FOLDER)?.into_iter();
        let tags = self.names(TagName::FOLDER)?.into_iter();
        let branches = branches.filter(|name| BranchName::new(name.as_str()).is_err());
        let tags = tags.filter(|name| TagName::new(name.as_str()).is_err());
        let below = |folder: &'static str| move |name: String| format!("refs/{folder}/{name}");
        Ok(branches.map(below(BranchName::FOLDER)).chain(tags.map(below(TagName::FOLDER))).collect())
    }

    /// Lets a ref say something else.
    fn swap(&self, to: &Move<'_>, text: &str) -> Result<Moved> {
        let next = self.root.join("refs/next");
        let path = self.path(to.folder, to.name);
        let prepared = ref_move::prepare(&*self.disk, next, &self.top(to.folder), path, text)?;
        if let Err(error) = self.append_log(to) {
            prepared.drop_it();
            return Err(error);
        }
        Ok(Moved { was: to.from, warnings: prepared.swap()? })
    }

    /// Takes a ref away.
    fn remove(&self, gone: &Move<'_>) -> Result<Moved> {
        self.append_log(gone)?;
        let (top, path) = (self.top(gone.folder), self.path(gone.folder, gone.name));
        Ok(Moved { was: gone.from, warnings: ref_move::remove(&*self.disk, &top, &path)? })
    }

    fn append_log(&self, told: &Move<'_>) -> Result<()> {
        let path = self.log_path(told.folder, &told.escaped);
        let folder = self.root.join("logs").join(told.folder);
        if self.disk.stat(&folder)?.is_none() {
            self.disk.create_dir_all(&folder)?;
            self.disk.sync_dir(&self.root.join("logs"))?;
        }
        reflog::append(&*self.disk, &path, told.from, told.to, told.entry)
    }

    /// An unknown-ref error with the nearest of the names that exist.
    fn unknown(&self, kind: &'static str, name: &str, known: Vec<String>) -> Error {
        Error::UnknownRef { kind, name: name.to_owned(), nearest: nearest(name, known) }
    }

    fn lock(&self) -> Result<impl Sized> {
        let lock = self.disk.lock(&self.root.join("refs/lock"), true, Patience::BRIEF)?;
        Ok(lock.expect("a lock that is waited for is held"))
    }

    /// The folder that all refs of a kind lie in.
    fn top(&self, folder: &str) -> PathBuf {
        self.root.join("refs").join(folder)
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.top(folder).join(name)
    }

    fn log_path(&self, folder: &str, escaped: &str) -> PathBuf {
        self.root.join("logs").join(folder).join(escaped)
    }

    fn read_text(&self, path: &Path) -> Result<Option<String>> {
        match self.disk.read(path) {
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| damaged(path, "it is not text")),
            Err(error) if is_no_ref(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses a new name that is a folder of an existing one, or below one.
    fn check_room(&self, kind: &'static str, folder: &str, name: &str) -> Result<()> {
        let in_the_way = self.names(folder)?.into_iter().find(|other| {
            let below = |inner: &str, outer: &str| {
                inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
            };
            below(other, name) || below(name, other)
        });
        match in_the_way {
            Some(other) => Err(Error::RefConflict { kind, name: name.to_owned(), other }),
            None => Ok(()),
        }
    }

    /// The names of all refs of a kind, sorted.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(prefix) = folders.pop() {
            let path = self.root.join("refs").join(folder).join(&prefix);
            let inside = match self.disk.list(&path) {
                Err(error) if is_no_ref(&error) => continue,
                inside => inside?,
            };
            for name in inside.into_iter().filter(|name| !name.ends_with(".lock")) {
                let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                match self.disk.stat(&self.root.join("refs").join(folder).join(&name))?.map(|stat| stat.kind)
                {
                    Some(FileType::Dir) => folders.push(name),
                    Some(FileType::File) => names.push(name),
                    Some(FileType::Other) | None => {}
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names of all branches and tags, for suggestions.
    pub(crate) fn all_names(&self) -> Result<Vec<String>> {
        let mut names = self.names(BranchName::FOLDER)?;
        names.extend(self.names(TagName::FOLDER)?);
        Ok(names)
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

impl<'a> Move<'a> {
    fn of_branch(
        name: &'a BranchName,
        from: Option<CommitId>,
        to: Option<CommitId>,
        entry: &'a LogEntry,
    ) -> Self {
        Self { folder: BranchName::FOLDER, name: name.as_str(), escaped: name.escaped(), from, to, entry }
    }

    fn of_tag(name: &'a TagName, from: Option<CommitId>, to: Option<CommitId>, entry: &'a LogEntry) -> Self {
        Self { folder: TagName::FOLDER, name: name.as_str(), escaped: name.escaped(), from, to, entry }
    }
}

impl Head {
    fn to_text(&self) -> String {
        match self {
            Head::Branch(name) => format!("ref: refs/heads/{name}\n"),
            Head::Detached(commit) => format!("{commit}\n"),
        }
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::DamagedFile { path: path.to_owned(), what: what.to_owned() }
}
