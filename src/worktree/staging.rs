//! Reading the bytes of a worktree's files, and handing complete ones to the store.

use super::attributes::PathAttributes;
use super::coding::Coding;
use super::error::{Error, Result};
use super::nodes::{Body, Content, File, NodeId};
use super::open_files::OpenFile;
use super::record::Record;
use super::state::State;
use super::worktree::Worktree;
use crate::disk::DiskFile;
use crate::history::{self, DraftTree, Entry, InPlace, IngestFile, Intake, Node, ReaderSlot, Repo, TreePath};
use crate::id::{RecipeId, StagingId, TreeId};
use crate::store::{FileSource, Ingest};
use crate::threads::while_waiting;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// Complete bytes that are in a staging file and not yet in the store. They never change.
#[derive(Debug, Clone)]
pub struct StagedFile {
    /// The staging file.
    pub staging: StagingId,
    /// Where the file is in the worktree.
    pub path: TreePath,
    /// Its length in bytes.
    pub len: u64,
}

/// The staging files of a worktree: the bytes of what was written and is not in the store yet.
#[derive(Debug, Clone, Copy)]
pub struct Staging<'a> {
    pub(super) worktree: &'a Worktree,
}

impl Worktree {
    /// Its staging files, and reading from them.
    pub fn staging(&self) -> Staging<'_> {
        Staging { worktree: self }
    }
}

impl Staging<'_> {
    /// The folder that they are in.
    pub(super) fn dir(&self) -> PathBuf {
        self.worktree.dir.join("staged")
    }

    /// Where one is.
    pub(super) fn path(&self, staging: StagingId) -> PathBuf {
        self.dir().join(staging.to_string())
    }

    /// Fills `buf` with the bytes from `offset`; fewer at the end of the file. Returns how many.
    ///
    /// # Errors
    /// [`Error::LostBytes`] if the disk lost bytes of this version.
    pub fn read_at(&self, node: NodeId, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.read_held(node, &ReaderSlot::default(), offset, buf)
    }

    /// Like [`Staging::read_at`], for one who goes on reading: what is looked up of content that is stored is kept in
    /// `slot`, which belongs to this node.
    ///
    /// # Errors
    /// As [`Staging::read_at`].
    pub fn read_held(&self, node: NodeId, slot: &ReaderSlot, offset: u64, buf: &mut [u8]) -> Result<usize> {
        loop {
            let content = self.worktree.read(|state| match &state.nodes.get(node)?.body {
                Body::File(file) if file.is_current_lost() => {
                    Err(Error::LostBytes(state.nodes.path_of(node).unwrap_or_default()))
                }
                Body::File(file) => Ok(file.current),
                Body::Dir(_) | Body::Symlink(_) => Err(Error::Stale),
            })?;
            let staging = match content {
                Content::Stored { recipe, .. } => {
                    return Ok(slot.of(self.worktree.repo(), recipe)?.read_at(offset, buf)?);
                }
                Content::Staged { staging, .. } => staging,
            };
            match self.of_node(node, staging) {
                // It was stored and let go since it was looked at.
                Err(error) if error.is_absence() && self.is_other_now(node, staging)? => {}
                file => return read_up_to(&*file?, offset, buf),
            }
        }
    }

    /// Whether a node's bytes are no longer in a staging file.
    pub(super) fn is_other_now(&self, node: NodeId, staging: StagingId) -> Result<bool> {
        self.worktree.read(|state| match &state.nodes.get(node)?.body {
            Body::File(file) if file.current.staging() != Some(staging) => Ok(true),
            // What was removed has no bytes for those who come later.
            Body::File(_) if !state.nodes.is_linked(node) => Err(Error::Stale),
            Body::File(_) => Ok(false),
            Body::Dir(_) | Body::Symlink(_) => Err(Error::Stale),
        })
    }

    /// A staging file of a node, to read from.
    pub(super) fn of_node(&self, node: NodeId, staging: StagingId) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.worktree.state().descriptor(node, staging) {
            return Ok(file);
        }
        let file = self.open(staging)?;
        let mut state = self.worktree.state();
        let now = state.readers.tick();
        if let Some(open) = state.open.get_mut(&node) {
            open.use_at(now, Some((staging, Arc::clone(&file))));
            state.readers.opened += 1;
        }
        drop(state);
        self.spare_descriptors();
        Ok(file)
    }

    /// Opens a staging file to read it, or to sync it. Whoever has it so is nobody who might write to it.
    ///
    /// # Errors
    /// [`Replaced`](history::Error::Replaced) if another repository is where this one was, or its disk went away and came back: that has
    /// files of the same names with other bytes.
    pub(crate) fn open(&self, staging: StagingId) -> history::Result<Arc<dyn DiskFile>> {
        self.open_as(staging, false)
    }

    /// Opens a staging file to write to it.
    pub(super) fn open_to_write(&self, staging: StagingId) -> Result<Arc<dyn DiskFile>> {
        Ok(self.open_as(staging, true)?)
    }

    fn open_as(&self, staging: StagingId, write: bool) -> history::Result<Arc<dyn DiskFile>> {
        let file = self.worktree.repo().disk().open(&self.path(staging), write)?;
        self.worktree.repo().check_held()?;
        Ok(Arc::from(file))
    }

    /// Whether some process, this one included, is writing to a staging file, or the kernel is for one, though whoever lent
    /// it the file may be gone.
    pub(super) fn is_in_use(&self, staging: StagingId) -> Result<bool> {
        match self.open(staging) {
            Ok(file) => Ok(file.is_locked()? || is_written_to(&*file)),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The length of a file whose bytes are in a staging file.
    pub(super) fn len(&self, state: &State, node: NodeId, file: &File) -> Result<u64> {
        match (file.current, state.open.get(&node).and_then(OpenFile::held)) {
            (Content::Staged { len, .. } | Content::Stored { len, .. }, _) if file.is_complete() => Ok(len),
            (Content::Staged { staging, .. }, Some((held, file))) if *held == staging => {
                let known = state.open.get(&node).and_then(|open| open.written_len(staging));
                Ok(known.unwrap_or_else(|| file.len())?)
            }
            (Content::Staged { staging, .. }, _) => {
                Ok(self.worktree.repo().disk().stat(&self.path(staging))?.map_or(0, |stat| stat.len))
            }
            (Content::Stored { len, .. }, _) => Ok(len),
        }
    }

    /// Complete files that are not yet in the store, for [`Staging::mark_stored`].
    pub fn complete(&self) -> Result<Vec<StagedFile>> {
        self.worktree.read(|state| {
            let mut files = Vec::new();
            let stagings: Vec<StagingId> = state.nodes.stagings().collect();
            for staging in stagings {
                let Some((node, file)) = state.nodes.file_of(staging) else { continue };
                let len = match file.complete {
                    Some(Content::Staged { staging: complete, len }) if complete == staging => len,
                    _ => continue,
                };
                if !file.is_lost() && state.nodes.is_linked(node) {
                    files.push(StagedFile { staging, path: state.nodes.path_of(node)?, len });
                }
            }
            files.sort_by_key(|file| file.staging);
            Ok(files)
        })
    }

    /// Lets `read` have the bytes of a complete file, through the descriptor that wrote them if this process has it. What
    /// it gives counts only if the disk lost nothing before or meanwhile.
    ///
    /// # Errors
    /// [`Error::LostBytes`] if it did. The file is named from now on, and no commit takes it.
    pub(crate) fn with_complete_bytes<T>(
        &self,
        staged: &StagedFile,
        read: impl FnOnce(&Arc<dyn DiskFile>) -> Result<T>,
    ) -> Result<T> {
        let held = self.worktree.state().unsynced.get(&staged.staging).cloned();
        let file = match held {
            Some(file) => file,
            None => self.open(staged.staging)?,
        };
        let result = read(&file);
        // A descriptor tells once of each loss, so it is asked when the last byte was read. What was read of bytes that are
        // lost, and what went wrong with that, says nothing.
        if file.check_kept().is_err() {
            return Err(self.lose(staged.staging));
        }
        match file.len().is_ok_and(|len| len >= staged.len) {
            true => result,
            // Of what is being written somebody may cut off a piece meanwhile.
            false if self.is_complete(staged)? => Err(self.lose(staged.staging)),
            false => Err(history::Error::KeepsChanging(staged.path.to_string().into()).into()),
        }
    }

    /// Whether what was staged is a complete version, which nobody changes.
    fn is_complete(&self, staged: &StagedFile) -> Result<bool> {
        self.worktree.read(|state| {
            let file = state.nodes.file_of(staged.staging);
            Ok(file.and_then(|(_, file)| file.complete_len_in(staged.staging)).is_some())
        })
    }

    /// Takes a staged file into the store; `parent` is the tree that it probably derives from.
    ///
    /// # Errors
    /// [`KeepsChanging`](history::Error::KeepsChanging) if somebody wrote on meanwhile; [`Error::LostBytes`] if the disk did not take the bytes.
    pub fn ingest(
        &self,
        ingest: &Ingest,
        file: &StagedFile,
        parent: TreeId,
        coding: Coding,
        intake: &Intake<'_>,
    ) -> Result<(RecipeId, u64)> {
        let tree = DraftTree::of(parent);
        self.ingest_as(ingest, file, parent, coding, intake, &PathAttributes::of(self.worktree, &tree))
    }

    /// The same as attributes of another tree than the parent's say it.
    ///
    /// # Errors
    /// As [`Staging::ingest`].
    pub fn ingest_as(
        &self,
        ingest: &Ingest,
        file: &StagedFile,
        parent: TreeId,
        coding: Coding,
        intake: &Intake<'_>,
        attributes: &PathAttributes<'_>,
    ) -> Result<(RecipeId, u64)> {
        let repo = self.worktree.repo();
        let said = attributes.at(&file.path)?;
        let parent = match (attributes.base_of(&said, &file.path)?, repo.find_in_tree(parent, &file.path)?) {
            (Some(base), _) => Some(base),
            (None, Some(Entry { node: Node::File { recipe, .. }, .. })) => Some(recipe),
            (None, _) => None,
        };
        // What is left as it was saved is coded as everything else is.
        let treatment = said.treatment();
        let coding = if treatment.is_usual() { coding } else { Coding::Now };
        self.with_complete_bytes(file, |bytes| {
            let source = FileSource::up_to(&**bytes, file.len);
            let in_place = (coding == Coding::Later)
                .then(|| InPlace { path: self.path(file.staging), file: Arc::clone(bytes) });
            let named =
                IngestFile { shown_as: file.path.to_string(), parent, treatment, in_place, made: Vec::new() };
            if named.in_place.is_none() {
                return Ok(repo.ingest(ingest, &source, &named, intake)?);
            }
            // The disk takes the bytes while they are hashed.
            let (synced, taken) =
                while_waiting(|| bytes.sync(), || repo.ingest(ingest, &source, &named, intake));
            synced?;
            Ok(taken?)
        })
    }

    /// Tells that complete bytes are in the store, durably: their staging files are removed once that is on disk.
    pub fn mark_stored(&self, stored: &[(StagingId, RecipeId, u64)]) -> Result<()> {
        if stored.is_empty() {
            return Ok(());
        }
        self.worktree.change(|state| state.append_stored(self.worktree.repo(), stored, None))?;
        self.worktree.sync_records()
    }
}

impl State {
    /// The descriptor of a node's staging file that this process has open.
    fn descriptor(&mut self, node: NodeId, staging: StagingId) -> Option<Arc<dyn DiskFile>> {
        let now = self.readers.tick();
        let open = self.open.get_mut(&node);
        let held = open.and_then(|open| {
            open.use_at(now, None);
            open.held().filter(|(held, _)| *held == staging).map(|(_, file)| Arc::clone(file))
        });
        held.or_else(|| self.unsynced.get(&staging).cloned())
    }

    /// Appends that complete bytes are in the store, and perhaps something else, by one write.
    pub(super) fn append_stored(
        &mut self,
        repo: &Repo,
        stored: &[(StagingId, RecipeId, u64)],
        and: Option<Record>,
    ) -> Result<()> {
        let stored_in = |&(staging, recipe, len)| Record::Stored { staging, recipe, len };
        let records: Vec<Record> = stored.iter().map(stored_in).chain(and).collect();
        self.append_all(repo, &records)?;
        stored.iter().for_each(|(staging, ..)| drop(self.unsynced.remove(staging)));
        Ok(())
    }
}

/// Whether anybody has a file open for writing. Where no disk can tell nothing is lent; where this user may not ask, somebody
/// else may have lent it.
fn is_written_to(file: &dyn DiskFile) -> bool {
    file.has_writers().unwrap_or_else(|error| {
        !matches!(error.source.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS))
    })
}

/// Reads until `buf` is full or the file ends.
fn read_up_to(file: &dyn DiskFile, offset: u64, buf: &mut [u8]) -> Result<usize> {
    loop {
        let available = file.len()?.saturating_sub(offset);
        let want = buf.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        match file.read_exact_at(&mut buf[..want], offset) {
            Ok(()) => return Ok(want),
            // Somebody cut it in between: look again.
            Err(error) if error.source.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error.into()),
        }
    }
}
