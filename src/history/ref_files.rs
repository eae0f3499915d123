//! The files of refs and of their logs: what they say, and how one of them, or several together, come to say something
//! else.
//!
//! Knows no commits: texts only. Every change is made under one lock that ends with its holder. Of one ref, a rename or a
//! removal is the change (`ref_move.rs`). Of several, the rename of a record of them all is (`ref_intent.rs`): who reads a
//! ref looks into that record first, and who takes the lock finishes what it says before anything else. Either way an
//! error means that no ref has changed, and what goes wrong afterwards is a warning.

use super::any_ref::AnyRef;
use super::error::{Error, Result};
use super::operations::{self, Operation, SaidOfOperation};
use super::ref_intent::{Change, Intent};
use super::ref_move::{self, is_no_ref};
use super::warning::Warning;
use crate::disk::{Disk, FileType, Patience};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of the refs of one repository.
#[derive(Debug, Clone)]
pub(super) struct RefFiles {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

/// That nobody else changes a ref.
pub(super) struct RefLock(#[expect(dead_code, reason = "held, not used")] Box<dyn Send + Sync>);

/// The longest record of several changes that is read. Each ref takes two texts of at most a few KiB.
const INTENT_MAX: u64 = 64 << 20;

impl RefFiles {
    /// The files below the repository's own folder.
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned() }
    }

    /// The disk that they lie on.
    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The file of a ref.
    pub(super) fn path(&self, which: &AnyRef) -> PathBuf {
        which.path(&self.root)
    }

    /// Lays the folders, and HEAD with a text.
    pub(super) fn create(&self, head: &str) -> Result<()> {
        for folder in ["refs/heads", "refs/tags", "logs/heads", "logs/tags"] {
            self.disk.create_dir_all(&self.root.join(folder))?;
        }
        Ok(self.disk.replace(&self.path(&AnyRef::Head), head.as_bytes())?)
    }

    /// What a ref says; `None` if there is no such ref.
    pub(super) fn read(&self, which: &AnyRef) -> Result<Option<Vec<u8>>> {
        // The record comes first: who finds none finds a file that is in line with all before.
        match self.intent()? {
            Some(intent) => Ok(intent.read(which, self.read_file(which)?)),
            None => self.read_file(which),
        }
    }

    fn read_file(&self, which: &AnyRef) -> Result<Option<Vec<u8>>> {
        match self.disk.read(&self.path(which)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_no_ref(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of all refs in a folder below `refs/`, sorted, whatever they say.
    pub(super) fn names(&self, folder: &'static str) -> Result<Vec<String>> {
        let intent = self.intent()?.unwrap_or_default();
        let mut names = self.listed(folder)?;
        for change in intent.changes.iter().filter(|change| change.which.folder() == Some(folder)) {
            let name = change.which.name();
            names.retain(|listed| listed != name);
            if intent.read(&change.which, self.read_file(&change.which)?).is_some() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn listed(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        let top = self.root.join("refs").join(folder);
        while let Some(prefix) = folders.pop() {
            let inside = match self.disk.list(&top.join(&prefix)) {
                Err(error) if is_no_ref(&error) => continue,
                inside => inside?,
            };
            for name in inside.into_iter().filter(|name| !name.ends_with(".lock")) {
                let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                match self.disk.stat(&top.join(&name))?.map(|stat| stat.kind) {
                    Some(FileType::Dir) => folders.push(name),
                    Some(FileType::File) => names.push(name),
                    Some(FileType::Other) | None => {}
                }
            }
        }
        Ok(names)
    }

    /// The files in a folder below `logs/`.
    pub(super) fn logs(&self, folder: &str) -> Result<Vec<String>> {
        match self.disk.list(&self.root.join("logs").join(folder)) {
            Err(error) if is_no_ref(&error) => Ok(Vec::new()),
            files => Ok(files?),
        }
    }

    /// The log of a ref.
    pub(super) fn log_path(&self, which: &AnyRef) -> PathBuf {
        which.log(&self.root)
    }

    /// The same, when it is about to be written to: its folder is there.
    pub(super) fn log_to_write(&self, which: &AnyRef) -> Result<PathBuf> {
        let path = self.log_path(which);
        if let Some(folder) = path.parent()
            && self.disk.stat(folder)?.is_none()
        {
            self.disk.create_dir_all(folder)?;
            self.disk.sync_dir(&self.root.join("logs"))?;
        }
        Ok(path)
    }

    /// Tells of a change in the log of all of them.
    pub(super) fn tell_of_operation(&self, said: &SaidOfOperation<'_>) -> Result<()> {
        operations::append(self.disk(), &self.operations_path(), said)
    }

    /// All changes that were told of and happened.
    pub(super) fn operations(&self) -> Result<Vec<Operation>> {
        let told = operations::read(self.disk(), &self.operations_path())?;
        operations::that_happened(told, |which| self.read(which))
    }

    fn operations_path(&self) -> PathBuf {
        self.root.join("logs/operations")
    }

    /// Waits until nobody else changes refs, and finishes what somebody left who was killed, or whose disk failed.
    pub(super) fn lock(&self) -> Result<RefLock> {
        let lock = self.disk.lock(&self.root.join("refs/lock"), true, Patience::BRIEF)?;
        let lock = RefLock(lock.expect("a lock that is waited for is held"));
        if self.disk.stat(&self.done_path())?.is_some() {
            self.forget_done()?;
        }
        if let Some(intent) = self.intent()? {
            self.finish(&intent)?;
        }
        Ok(lock)
    }

    /// Lets refs say something else, all or none of them. `tell` writes their logs, between all that can be prepared and
    /// the change itself.
    ///
    /// # Errors
    /// Nothing has changed then, but that `tell` may have told of it.
    pub(super) fn change(
        &self,
        _lock: &RefLock,
        changes: Vec<Change>,
        tell: impl FnOnce() -> Result<()>,
    ) -> Result<Vec<Warning>> {
        match changes.as_slice() {
            [] => tell().map(|()| Vec::new()),
            [Change { which, to: Some(text), .. }] => {
                let prepared = self.prepare(which, text)?;
                if let Err(error) = tell() {
                    prepared.drop_it();
                    return Err(error);
                }
                prepared.swap()
            }
            [Change { which, to: None, .. }] => {
                tell()?;
                ref_move::remove(self.disk(), &which.top(&self.root), &self.path(which))
            }
            _ => self.change_together(&Intent { changes }, tell),
        }
    }

    fn prepare(&self, which: &AnyRef, text: &[u8]) -> Result<ref_move::Prepared<'_>> {
        let (next, top) = (self.root.join("refs/next"), which.top(&self.root));
        ref_move::prepare(self.disk(), next, &top, self.path(which), text)
    }

    fn change_together(&self, intent: &Intent, tell: impl FnOnce() -> Result<()>) -> Result<Vec<Warning>> {
        let (next, top) = (self.root.join("refs/next"), self.root.join("refs"));
        let prepared = ref_move::prepare(self.disk(), next, &top, self.intent_path(), &intent.encode())?;
        if let Err(error) = tell() {
            prepared.drop_it();
            return Err(error);
        }
        let warnings = prepared.swap()?;
        if !warnings.is_empty() {
            // Nobody may act upon a record that a power cut would take away: who comes next syncs it first.
            return Ok(warnings);
        }
        Ok(self.finish(intent).err().map(|error| Warning::Unfinished(Box::new(error))).into_iter().collect())
    }

    fn intent_path(&self) -> PathBuf {
        self.root.join("refs/intent")
    }

    /// The name of a record that is finished, until it is durable that nobody believes it any more.
    fn done_path(&self) -> PathBuf {
        self.root.join("refs/intent.done")
    }

    fn intent(&self) -> Result<Option<Intent>> {
        let path = self.intent_path();
        let file = match self.disk.open(&path, false) {
            Err(error) if error.is_absence() => return Ok(None),
            file => file?,
        };
        let damaged = |what: String| Error::DamagedFile { path: path.clone(), what };
        let len = file.len()?;
        if len > INTENT_MAX {
            return Err(damaged(format!("it has {len} bytes")));
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Intent::decode(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Brings the files in line with a record, and takes its name away: each step is durable before the next.
    fn finish(&self, intent: &Intent) -> Result<()> {
        let refs = self.root.join("refs");
        self.disk.sync_dir(&refs)?;
        // Those that go first: a folder may come to be where a file was.
        let (gone, here): (Vec<_>, Vec<_>) = intent.changes.iter().partition(|change| change.to.is_none());
        gone.into_iter().chain(here).try_for_each(|change| self.bring_in_line(change))?;
        self.disk.rename(&self.intent_path(), &self.done_path())?;
        self.forget_done()
    }

    /// Makes it durable that a record has lost its name. Before that no ref may move: refs that came to say again what
    /// the record began with would be moved once more by a record that a power cut brings back.
    fn forget_done(&self) -> Result<()> {
        self.disk.sync_dir(&self.root.join("refs"))?;
        // One that stays, or comes back, costs the next who takes the lock this sync, and nothing else.
        let _ = self.disk.remove_file(&self.done_path());
        Ok(())
    }

    fn bring_in_line(&self, change: &Change) -> Result<()> {
        let (path, top) = (self.path(&change.which), change.which.top(&self.root));
        if self.read_file(&change.which)? != change.from {
            // Done by somebody who may have been stopped before it was durable.
            return self.sync_folder_of(&path);
        }
        let warnings = match &change.to {
            Some(text) => self.prepare(&change.which, text)?.swap()?,
            None if change.from.is_none() => Vec::new(),
            None => ref_move::remove(self.disk(), &top, &path)?,
        };
        // The record stays until all that it says is durable.
        match warnings.into_iter().find_map(Warning::not_durable) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Syncs the folder that a ref's file is in, or was.
    fn sync_folder_of(&self, path: &Path) -> Result<()> {
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)) {
            match self.disk.sync_dir(folder) {
                Err(error) if error.is_absence() => {}
                done => return Ok(done?),
            }
        }
        Ok(())
    }
}
