//! Branches, tags and HEAD: small plain files that name commits, and the log of where they pointed.
//!
//! Every change is a compare-and-swap under one lock that ends with its holder; the new value replaces the old file
//! by a rename, durable before the call returns. A reader needs no lock and sees the old or the new value, whole.

use super::error::{Error, Result};
pub use super::ref_name::{BranchName, RefNameError, TagName};
use super::reflog::{self, LogEntry};
use super::suggest::nearest;
use crate::disk::{Disk, DiskError, FileType, Patience};
use crate::id::CommitId;
use crate::store::Durable;
use std::collections::BTreeMap;
use std::io::ErrorKind;
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

/// A tag: a commit with a name for good, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The commit.
    pub commit: CommitId,
    /// Free text; may be empty.
    pub description: String,
    /// Measured facts, by name.
    pub metrics: BTreeMap<String, String>,
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
        for folder in ["refs/heads", "refs/tags", "logs/heads"] {
            self.disk.create_dir_all(&self.root.join(folder))?;
        }
        self.write_head(&Head::Branch(branch.clone()))
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
    pub fn set_head(&self, head: &Head) -> Result<()> {
        let _lock = self.lock()?;
        self.write_head(head)
    }

    fn write_head(&self, head: &Head) -> Result<()> {
        let text = match head {
            Head::Branch(name) => format!("ref: refs/heads/{name}\n"),
            Head::Detached(commit) => format!("{commit}\n"),
        };
        Ok(self.disk.replace(&self.root.join("HEAD"), text.as_bytes())?)
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
    pub fn branches(&self) -> Result<Vec<(BranchName, CommitId)>> {
        let mut branches = Vec::new();
        for name in self.names(BranchName::FOLDER)? {
            let Ok(name) = BranchName::new(name) else { continue };
            if let Some(commit) = self.branch(&name)? {
                branches.push((name, commit));
            }
        }
        Ok(branches)
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
    pub fn tags(&self) -> Result<Vec<(TagName, Tag)>> {
        let mut tags = Vec::new();
        for name in self.names(TagName::FOLDER)? {
            let Ok(name) = TagName::new(name) else { continue };
            if let Some(tag) = self.tag(&name)? {
                tags.push((name, tag));
            }
        }
        Ok(tags)
    }

    /// Moves a branch from `old` (`None`: it must not exist) to a commit that is durable, and logs it. When this
    /// returns, the move is durable: it is the one point at which a commit becomes part of a branch.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if the branch is no longer at `old`; then nothing was changed.
    pub fn update_branch(
        &self,
        name: &BranchName,
        old: Option<CommitId>,
        new: Durable<CommitId>,
        entry: &LogEntry,
    ) -> Result<()> {
        let _lock = self.lock()?;
        let found = self.branch(name)?;
        if found != old {
            return Err(Error::RefMoved { name: name.to_string(), expected: old, found });
        }
        if old.is_none() {
            self.check_room(BranchName::KIND, BranchName::FOLDER, name.as_str())?;
        }
        self.write(BranchName::FOLDER, name.as_str(), &format!("{}\n", new.get()))?;
        reflog::append(&*self.disk, &self.log_path(name), old, Some(new.get()), entry)
    }

    /// Removes a branch that is still at `old`, durably. Its log stays.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if it moved; [`Error::CurrentBranch`] if HEAD names it.
    pub fn delete_branch(&self, name: &BranchName, old: CommitId, entry: &LogEntry) -> Result<()> {
        let _lock = self.lock()?;
        if self.head()? == Head::Branch(name.clone()) {
            return Err(Error::CurrentBranch(name.to_string()));
        }
        let found = self.branch(name)?;
        if found != Some(old) {
            return Err(Error::RefMoved { name: name.to_string(), expected: Some(old), found });
        }
        self.remove(BranchName::FOLDER, name.as_str())?;
        reflog::append(&*self.disk, &self.log_path(name), Some(old), None, entry)
    }

    /// Creates a tag, or with `replace` moves it, durably.
    ///
    /// # Errors
    /// [`Error::RefExists`] if it exists and `replace` is false.
    pub fn set_tag(&self, name: &TagName, tag: &Tag, target: Durable<CommitId>, replace: bool) -> Result<()> {
        let _lock = self.lock()?;
        match self.tag(name)? {
            Some(_) if !replace => {
                return Err(Error::RefExists { kind: TagName::KIND, name: name.to_string() });
            }
            Some(_) => {}
            None => self.check_room(TagName::KIND, TagName::FOLDER, name.as_str())?,
        }
        let tag = Tag { commit: target.get(), ..tag.clone() };
        self.write(TagName::FOLDER, name.as_str(), &tag.to_text())
    }

    /// Removes a tag, durably.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name if there is none.
    pub fn delete_tag(&self, name: &TagName) -> Result<Tag> {
        let _lock = self.lock()?;
        let Some(tag) = self.tag(name)? else {
            return Err(self.unknown(TagName::KIND, name.as_str(), self.names(TagName::FOLDER)?));
        };
        self.remove(TagName::FOLDER, name.as_str())?;
        Ok(tag)
    }

    /// Where a branch pointed, oldest first.
    pub fn log(&self, name: &BranchName) -> Result<Vec<reflog::LogLine>> {
        reflog::read(&*self.disk, &self.log_path(name))
    }

    /// An unknown-ref error with the nearest of the names that exist.
    fn unknown(&self, kind: &'static str, name: &str, known: Vec<String>) -> Error {
        Error::UnknownRef { kind, name: name.to_owned(), nearest: nearest(name, known) }
    }

    fn lock(&self) -> Result<impl Sized> {
        let lock = self.disk.lock(&self.root.join("refs/lock"), true, Patience::BRIEF)?;
        Ok(lock.expect("a lock that is waited for is held"))
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.root.join("refs").join(folder).join(name)
    }

    fn log_path(&self, name: &BranchName) -> PathBuf {
        self.root.join("logs/heads").join(name.escaped())
    }

    fn read_text(&self, path: &Path) -> Result<Option<String>> {
        match self.disk.read(path) {
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| damaged(path, "it is not text")),
            Err(error) if is_absent(&error) => Ok(None),
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

    fn write(&self, folder: &str, name: &str, text: &str) -> Result<()> {
        let path = self.path(folder, name);
        let parent = path.parent().expect("a ref lies in a folder");
        if self.disk.stat(parent)?.is_none() {
            self.disk.create_dir_all(parent)?;
            self.sync_folders(folder, parent)?;
        }
        Ok(self.disk.replace(&path, text.as_bytes())?)
    }

    /// Makes new folders durable, from `parent` up to the one that all refs of the kind lie in.
    fn sync_folders(&self, folder: &str, parent: &Path) -> Result<()> {
        let top = self.root.join("refs").join(folder);
        for inner in parent.ancestors().take_while(|inner| **inner != top) {
            self.disk.sync_dir(inner)?;
        }
        Ok(self.disk.sync_dir(&top)?)
    }

    /// Removes a ref's file and the folders that are empty then.
    fn remove(&self, folder: &str, name: &str) -> Result<()> {
        let path = self.path(folder, name);
        let top = self.root.join("refs").join(folder);
        self.disk.remove_file(&path)?;
        let mut parent = path.parent().expect("a ref lies in a folder");
        while parent != top && self.disk.list(parent)?.is_empty() {
            self.disk.remove_dir(parent)?;
            parent = parent.parent().expect("the folder of all refs of a kind is above");
        }
        Ok(self.disk.sync_dir(parent)?)
    }

    /// The names of all refs of a kind, sorted.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(prefix) = folders.pop() {
            let path = self.root.join("refs").join(folder).join(&prefix);
            let inside = match self.disk.list(&path) {
                Err(error) if is_absent(&error) => continue,
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
    pub(super) fn all_names(&self) -> Result<Vec<String>> {
        let mut names = self.names(BranchName::FOLDER)?;
        names.extend(self.names(TagName::FOLDER)?);
        Ok(names)
    }
}

impl Tag {
    /// The file's text: the commit, then `description` and `metric` lines with backslash escapes.
    fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.commit);
        if !self.description.is_empty() {
            text += &format!("description {}\n", escape(&self.description));
        }
        for (name, value) in &self.metrics {
            text += &format!("metric {}={}\n", escape(name), escape(value));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let commit = lines.next()?.parse().ok()?;
        let mut tag = Tag { commit, description: String::new(), metrics: BTreeMap::new() };
        for line in lines {
            match line.split_once(' ')? {
                ("description", text) => tag.description = unescape(text),
                ("metric", text) => {
                    let (name, value) = text.split_once('=')?;
                    tag.metrics.insert(unescape(name), unescape(value));
                }
                _ => return None,
            }
        }
        Some(tag)
    }
}

/// A text on one line, without `=`.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('=', "\\e")
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => plain.push(match chars.next() {
                Some('n') => '\n',
                Some('e') => '=',
                Some(other) => other,
                None => '\\',
            }),
            (c, false) => plain.push(c),
        }
    }
    plain
}

/// Whether a path, or a folder above it, does not exist.
fn is_absent(error: &DiskError) -> bool {
    matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::DamagedFile { path: path.to_owned(), what: what.to_owned() }
}
