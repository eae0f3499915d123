//! Changes of several refs that happen together: all of them, or none.
//!
//! Each is checked when it is asked for, while nobody else moves a ref, and sees those before it. Nothing is seen by
//! anybody until [`Transaction::commit`], which writes the logs first.

use super::any_ref::AnyRef;
use super::commit::Signature;
use super::error::{Error, Result};
use super::operations::SaidOfOperation;
use super::ref_files::{RefFiles, RefLock};
use super::ref_intent::Change;
use super::ref_name::{BranchName, TagName};
use super::ref_value::{self, Head, check_room, unknown};
use super::reflog::{self, LogEntry};
use super::tag::Tag;
use super::warning::Warning;
use crate::id::CommitId;
use crate::store::Durable;

/// Changes of refs under way. Dropped, none of them has happened.
#[must_use = "nothing has changed before it is committed"]
pub struct Transaction<'a> {
    files: &'a RefFiles,
    lock: RefLock,
    changes: Vec<Change>,
    told: Vec<Told>,
    /// What the log of HEAD says of it, if it names another commit afterwards or was switched.
    of_head: Option<LogEntry>,
    /// How it is told of as one operation.
    operation: Telling,
    lost_files: bool,
}

/// Whether changes are told of as one operation.
enum Telling {
    /// If a ref moves, or files are lost, as the first of its logs says it.
    IfAny,
    /// In any case.
    Always(LogEntry),
    Never,
}

/// A line for a log.
struct Told {
    which: AnyRef,
    from: Option<CommitId>,
    to: Option<CommitId>,
    entry: LogEntry,
    /// Whether no other log tells of it.
    is_durable: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(files: &'a RefFiles) -> Result<Self> {
        Ok(Self {
            files,
            lock: files.lock()?,
            changes: Vec::new(),
            told: Vec::new(),
            of_head: None,
            operation: Telling::IfAny,
            lost_files: false,
        })
    }

    /// Notes that files are about to be dropped whose content is nowhere else: it is an operation, whether a ref moves or not.
    pub fn loses_files(&mut self) {
        self.lost_files = true;
    }

    /// Tells of it as an operation, whatever it changes.
    pub(super) fn is_told_as(&mut self, entry: &LogEntry) {
        self.operation = Telling::Always(entry.clone());
    }

    /// Tells nobody of it as something to be taken back.
    pub(super) fn is_no_operation(&mut self) {
        self.operation = Telling::Never;
    }

    /// Moves a branch from `old` (`None`: it must not exist) to a commit.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if it is not at `old`, [`Error::RefConflict`] if another ref is in the way.
    pub fn update_branch(
        &mut self,
        name: &BranchName,
        old: Option<CommitId>,
        new: Durable<CommitId>,
        entry: &LogEntry,
    ) -> Result<()> {
        self.check_branch(name, old)?;
        if old.is_none() {
            self.check_room(BranchName::KIND, BranchName::FOLDER, name.as_str())?;
        }
        if self.of_head.is_none() && self.head().is_ok_and(|head| head == Head::Branch(name.clone())) {
            self.of_head = Some(entry.clone());
        }
        let which = AnyRef::Branch(name.clone());
        self.change(which.clone(), Some(format!("{}\n", new.get())))?;
        self.tell(which, old, Some(new.get()), entry);
        Ok(())
    }

    /// Removes a branch that is at `old`. Its log stays.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if it is not; [`Error::CurrentBranch`] if HEAD names it.
    pub fn delete_branch(&mut self, name: &BranchName, old: CommitId, entry: &LogEntry) -> Result<()> {
        if self.head()? == Head::Branch(name.clone()) {
            return Err(Error::CurrentBranch(name.to_string()));
        }
        self.check_branch(name, Some(old))?;
        let which = AnyRef::Branch(name.clone());
        self.change(which.clone(), None)?;
        self.tell(which, Some(old), None, entry);
        Ok(())
    }

    /// Makes a tag, or with `replace` moves it. Returns the commit that it named before.
    ///
    /// # Errors
    /// [`Error::RefExists`] if it exists and `replace` is false; [`Error::ReservedName`].
    pub fn set_tag(
        &mut self,
        name: &TagName,
        tag: &Tag,
        target: Durable<CommitId>,
        replace: bool,
        entry: &LogEntry,
    ) -> Result<Option<CommitId>> {
        match name.is_reserved() {
            true => Err(Error::ReservedName(name.to_string())),
            false => self.put_tag(name, tag, target, replace, entry),
        }
    }

    /// The same, whatever name it is.
    pub(super) fn put_tag(
        &mut self,
        name: &TagName,
        tag: &Tag,
        target: Durable<CommitId>,
        replace: bool,
        entry: &LogEntry,
    ) -> Result<Option<CommitId>> {
        let was = self.tag(name)?.map(|tag| tag.commit);
        match was {
            Some(_) if !replace => {
                return Err(Error::RefExists { kind: TagName::KIND, name: name.to_string() });
            }
            Some(_) => {}
            None => self.check_room(TagName::KIND, TagName::FOLDER, name.as_str())?,
        }
        let tag = Tag { commit: target.get(), ..tag.clone() };
        let which = AnyRef::Tag(name.clone());
        self.change(which.clone(), Some(tag.to_text()))?;
        self.tell(which, was, Some(tag.commit), entry);
        Ok(was)
    }

    /// Removes a tag. Its log stays. Returns the commit that it named.
    ///
    /// # Errors
    /// [`Error::UnknownRef`] with the nearest name if there is none.
    pub fn delete_tag(&mut self, name: &TagName, entry: &LogEntry) -> Result<CommitId> {
        let Some(tag) = self.tag(name)? else {
            let known = self.names(TagName::FOLDER)?;
            return Err(unknown(TagName::KIND, name.as_str(), known));
        };
        let which = AnyRef::Tag(name.clone());
        self.change(which.clone(), None)?;
        self.tell(which, Some(tag.commit), None, entry);
        Ok(tag.commit)
    }

    /// Points HEAD elsewhere. Returns the commit that it named before, if it was detached. A damaged HEAD is cured by it.
    pub fn set_head(&mut self, head: &Head, who: &Signature) -> Result<Option<CommitId>> {
        let (was, message) = match self.head() {
            Ok(Head::Detached(commit)) => {
                (Some(commit), ref_value::switch_message(&Head::Detached(commit), head))
            }
            Ok(from @ Head::Branch(_)) => (None, ref_value::switch_message(&from, head)),
            Err(Error::DamagedFile { .. }) => (None, "switch: from damage".into()),
            Err(error) => return Err(error),
        };
        self.of_head = Some(LogEntry { who: who.clone(), message });
        self.change(AnyRef::Head, Some(head.to_text()))?;
        Ok(was)
    }

    /// Lets a ref say again what it said before an operation, or after it.
    ///
    /// # Errors
    /// [`Error::RefMoved`] if it does not say what it has to say until then.
    pub(super) fn put_back(&mut self, change: &Change, is_undo: bool, entry: &LogEntry) -> Result<()> {
        let Change { which, from, to } = change;
        let (now, then) = if is_undo { (to, from) } else { (from, to) };
        let found = self.read(which)?;
        if found != *now {
            let name = which.name().to_owned();
            let commit = |text: &Option<Vec<u8>>| ref_value::commit_of(self.files, which, text.clone());
            return Err(Error::RefMoved {
                name,
                expected: commit(now).unwrap_or_default(),
                found: commit(&found).unwrap_or_default(),
            });
        }
        let of = |text: &Option<Vec<u8>>| ref_value::commit_of(self.files, which, text.clone());
        let (old, new) = (of(now)?, of(then)?);
        if *which == AnyRef::Head || self.head().is_ok_and(|head| *which == head_ref(&head)) {
            self.of_head = Some(entry.clone());
        }
        if *which != AnyRef::Head {
            self.tell(which.clone(), old, new, entry);
        }
        match self.changes.iter_mut().find(|known| known.which == *which) {
            Some(known) => known.to = then.clone(),
            None => {
                self.changes.push(Change { which: which.clone(), from: found, to: then.clone() });
            }
        }
        Ok(())
    }

    /// Does it all, durably.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn commit(mut self) -> Result<Vec<Warning>> {
        self.tell_of_head()?;
        let Self { files, lock, mut changes, told, of_head: _, operation, lost_files } = self;
        // What was made and taken away again.
        changes.retain(|change| change.from.is_some() || change.to.is_some());
        let mut moved: Vec<Change> =
            changes.iter().filter(|change| change.from != change.to).cloned().collect();
        if moved.is_empty() && lost_files {
            moved.clone_from(&changes);
        }
        let first = || told.first().filter(|_| !moved.is_empty()).map(|first| &first.entry);
        let entry = match &operation {
            Telling::Always(entry) => Some(entry),
            Telling::IfAny => first(),
            Telling::Never => None,
        };
        let tell = || {
            told.iter().try_for_each(|line| line.append(files))?;
            entry.map_or(Ok(()), |entry| {
                files.tell_of_operation(&SaidOfOperation { changes: &moved, entry, lost_files })
            })
        };
        files.change(&lock, changes, tell)
    }

    /// Logs which commit HEAD names from now on: it may have moved, or its branch.
    fn tell_of_head(&mut self) -> Result<()> {
        let Some(entry) = self.of_head.take() else { return Ok(()) };
        let read = |which: &AnyRef| self.files.read(which);
        // One that is damaged is being cured.
        let from = named_by_head(self.files, &read).unwrap_or_default();
        let to = named_by_head(self.files, &|which| self.read(which))?;
        self.tell(AnyRef::Head, from, to, &entry);
        Ok(())
    }

    /// What a ref says when what was asked for so far has happened.
    fn read(&self, which: &AnyRef) -> Result<Option<Vec<u8>>> {
        match self.changes.iter().find(|change| change.which == *which) {
            Some(change) => Ok(change.to.clone()),
            None => self.files.read(which),
        }
    }

    fn head(&self) -> Result<Head> {
        ref_value::head(self.files, self.read(&AnyRef::Head)?)
    }

    pub(super) fn tag(&self, name: &TagName) -> Result<Option<Tag>> {
        let which = AnyRef::Tag(name.clone());
        ref_value::tag(self.files, &which, self.read(&which)?)
    }

    /// The names of all tags.
    pub(super) fn tag_names(&self) -> Result<Vec<String>> {
        self.names(TagName::FOLDER)
    }

    fn names(&self, folder: &'static str) -> Result<Vec<String>> {
        let mut names = self.files.names(folder)?;
        for change in self.changes.iter().filter(|change| change.which.folder() == Some(folder)) {
            names.retain(|name| name != change.which.name());
            names.extend(change.to.is_some().then(|| change.which.name().to_owned()));
        }
        Ok(names)
    }

    fn check_branch(&self, name: &BranchName, old: Option<CommitId>) -> Result<()> {
        let which = AnyRef::Branch(name.clone());
        match ref_value::branch(self.files, &which, self.read(&which)?)? {
            found if found == old => Ok(()),
            found => Err(Error::RefMoved { name: name.to_string(), expected: old, found }),
        }
    }

    fn check_room(&self, kind: &'static str, folder: &'static str, name: &str) -> Result<()> {
        check_room(kind, name, self.names(folder)?)
    }

    fn change(&mut self, which: AnyRef, to: Option<String>) -> Result<()> {
        let to = to.map(String::into_bytes);
        match self.changes.iter_mut().find(|change| change.which == which) {
            Some(change) => change.to = to,
            None => {
                let from = self.files.read(&which)?;
                self.changes.push(Change { which, from, to });
            }
        }
        Ok(())
    }

    fn tell(&mut self, which: AnyRef, from: Option<CommitId>, to: Option<CommitId>, entry: &LogEntry) {
        let is_durable = which != AnyRef::Head || !self.told.iter().any(|told| told.is_of_branch(to));
        self.told.push(Told { which, from, to, entry: entry.clone(), is_durable });
    }
}

/// The branch that HEAD says, as a ref; HEAD itself if it says none.
fn head_ref(head: &Head) -> AnyRef {
    match head {
        Head::Branch(name) => AnyRef::Branch(name.clone()),
        Head::Detached(_) => AnyRef::Head,
    }
}

/// The commit that HEAD names where refs say what `read` says.
fn named_by_head(
    files: &RefFiles,
    read: &dyn Fn(&AnyRef) -> Result<Option<Vec<u8>>>,
) -> Result<Option<CommitId>> {
    match ref_value::head(files, read(&AnyRef::Head)?)? {
        Head::Detached(commit) => Ok(Some(commit)),
        Head::Branch(name) => {
            let which = AnyRef::Branch(name);
            ref_value::branch(files, &which, read(&which)?)
        }
    }
}

impl Told {
    /// Whether it tells that a branch went to a commit.
    fn is_of_branch(&self, to: Option<CommitId>) -> bool {
        matches!(self.which, AnyRef::Branch(_)) && self.to == to
    }

    fn append(&self, files: &RefFiles) -> Result<()> {
        let path = files.log_to_write(&self.which)?;
        reflog::append(files.disk(), &path, (self.from, self.to), &self.entry, self.is_durable)
    }
}

#[cfg(test)]
mod tests;
