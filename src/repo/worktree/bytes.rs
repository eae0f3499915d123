//! The bytes of files in a worktree: reading, writing, truncating, and when they are complete and durable.
//!
//! A file that is written gets a staging file: empty when it is created or truncated, a copy of its bytes otherwise.
//! It is complete when a writer closes it; from then on its staging file never changes, unless a writer that still has
//! it open goes on.

use super::super::error::{Error, Result};
use super::super::path::{Name, TreePath};
use super::super::tree::Attributes;
use super::nodes::{Body, Content, File, NodeId};
use super::record::{Record, StagingId, recorded_mode};
use super::state::{OpenFile, State, Worktree};
use crate::disk::DiskFile;
use crate::id::RecipeId;
use crate::units::Timestamp;
use std::collections::hash_map::Entry;
use std::io::ErrorKind;
use std::sync::Arc;

/// Bytes copied at once when a stored file is opened for writing.
const COPY_LEN: usize = 4 << 20;

/// Complete bytes that are in a staging file and not yet in the store.
#[derive(Debug, Clone)]
pub struct StagedFile {
    /// The staging file.
    pub staging: StagingId,
    /// Where the file is in the worktree.
    pub path: TreePath,
    /// Its length in bytes.
    pub len: u64,
}

/// Where a read finds its bytes.
enum Readable {
    Stored(RecipeId),
    Staged(Arc<dyn DiskFile>),
}

impl Worktree {
    /// Creates an empty file and opens it for writing.
    pub fn create(&self, dir: NodeId, name: &Name, mode: u32, now: Timestamp) -> Result<NodeId> {
        self.change(|state| {
            let path = self.vacant(state, dir, name)?;
            let (staging, file) = self.fresh_staging_file(state)?;
            let attributes = Attributes { mode: recorded_mode(mode), modified: now };
            state.append(self, Record::Open { path, attributes, staging, at: now })?;
            let node = state.nodes.find(dir, name, &self.repo)?.ok_or(Error::Stale)?;
            let open = OpenFile { readers: 0, writers: 1, staged: Some((staging, file)), began: true };
            state.open.insert(node, open);
            Ok(node)
        })
    }

    /// Opens a file; each call is undone by [`Worktree::release`]. The bytes stay readable until then, whatever
    /// happens to the name.
    pub fn open_file(&self, node: NodeId, write: bool) -> Result<()> {
        self.read(|state| {
            let Body::File(file) = &state.nodes.get(node)?.body else {
                return Err(Error::IsADirectory(state.nodes.path_of(node).unwrap_or_default()));
            };
            let staged = match file.current {
                Content::Staged { staging, .. } => Some(staging),
                Content::Stored { .. } => None,
            };
            let open = match state.open.entry(node) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(vacant) => {
                    let staged = match staged {
                        Some(staging) => Some((staging, self.open_staging(staging)?)),
                        None => None,
                    };
                    vacant.insert(OpenFile { staged, ..OpenFile::default() })
                }
            };
            if write {
                open.writers += 1;
            } else {
                open.readers += 1;
            }
            Ok(())
        })
    }

    /// Undoes [`Worktree::open_file`] or [`Worktree::create`]. When the last writer goes, the file is complete.
    pub fn release(&self, node: NodeId, write: bool) -> Result<()> {
        let last_writer = self.read(|state| {
            let Some(open) = state.open.get_mut(&node) else { return Ok(false) };
            let count = if write { &mut open.writers } else { &mut open.readers };
            *count = count.saturating_sub(1);
            Ok(write && open.writers == 0)
        })?;
        let settled = if last_writer { self.flush(node) } else { Ok(()) };
        self.read(|state| {
            if let Some(open) = state.open.get_mut(&node) {
                open.began &= open.writers > 0;
                if open.readers == 0 && open.writers == 0 {
                    state.open.remove(&node);
                    state.let_go(node);
                }
            }
            Ok(())
        })?;
        settled
    }

    /// Declares the bytes of a file complete as they are now: somebody closed it.
    pub fn flush(&self, node: NodeId) -> Result<()> {
        if self.read(|state| Ok(state.being_written(node)?.is_none()))? {
            return Ok(());
        }
        self.change(|state| {
            let Some((staging, file)) = state.being_written(node)? else { return Ok(()) };
            let len = file.len()?;
            let modified = state.nodes.get(node)?.attributes.modified;
            match state.nodes.is_linked(node) {
                true => state.append(self, Record::Settle { staging, len, modified }),
                false => state.nodes.settle_content(node, staging, len),
            }
        })
    }

    /// Makes the bytes, the name and the attributes of a file durable; of a directory, the names in it.
    pub fn sync(&self, node: NodeId) -> Result<()> {
        let staged = self.read(|state| match &state.nodes.get(node)?.body {
            Body::File(File { current: Content::Staged { staging, .. }, .. }) => {
                state.staged_file(self, node, *staging).map(Some)
            }
            Body::File(_) | Body::Dir(_) | Body::Symlink(_) => Ok(None),
        })?;
        if let Some(file) = staged {
            file.sync()?;
            self.disk().sync_dir(&self.staging_dir())?;
        }
        self.change(|state| state.sync(self))
    }

    /// Fills `buf` with the bytes from `offset`; fewer at the end of the file. Returns how many.
    pub fn read_at(&self, node: NodeId, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let found = self.read(|state| match &state.nodes.get(node)?.body {
            Body::File(File { current: Content::Stored { recipe, .. }, .. }) => Ok(Readable::Stored(*recipe)),
            Body::File(File { current: Content::Staged { staging, .. }, .. }) => {
                state.staged_file(self, node, *staging).map(Readable::Staged)
            }
            Body::Dir(_) | Body::Symlink(_) => Err(Error::Stale),
        })?;
        match found {
            Readable::Stored(recipe) => {
                let recipe = self.repo.recipe(recipe)?;
                self.repo.read_file(&recipe, offset, buf)
            }
            Readable::Staged(file) => read_up_to(&*file, offset, buf),
        }
    }

    /// Writes at an offset. The file must be open for writing.
    pub fn write_at(&self, node: NodeId, offset: u64, bytes: &[u8], now: Timestamp) -> Result<()> {
        let file = self.writable(node, true, now)?;
        Ok(file.write_all_at(bytes, offset)?)
    }

    /// Cuts a file or extends it with zeros. It need not be open.
    pub fn set_len(&self, node: NodeId, len: u64, now: Timestamp) -> Result<()> {
        self.open_file(node, true)?;
        let result = self.writable(node, len > 0, now).and_then(|file| Ok(file.set_len(len)?));
        let released = self.release(node, true);
        result.and(released)
    }

    /// The staging file to write to, made if there is none that this process may go on in.
    fn writable(&self, node: NodeId, keep: bool, now: Timestamp) -> Result<Arc<dyn DiskFile>> {
        let ready = self.read(|state| {
            let ready = state.being_written(node)?;
            if ready.is_some() {
                let attributes = Attributes { modified: now, ..state.nodes.get(node)?.attributes };
                state.nodes.set_modified(node, attributes)?;
            }
            Ok(ready)
        })?;
        if let Some((_, file)) = ready {
            return Ok(file);
        }
        loop {
            let (before, source) = self.read(|state| {
                let Body::File(file) = &state.nodes.get(node)?.body else { return Err(Error::Stale) };
                Ok((file.current, state.goes_on_in_place(node)))
            })?;
            // The copy is made without a lock; it only counts if nothing changed meanwhile.
            let copy = match (&source, keep) {
                (Some(_), _) | (None, false) => None,
                (None, true) => Some(self.copy_to_staging(node)?),
            };
            let begun = self.change(|state| {
                let Body::File(file) = &state.nodes.get(node)?.body else { return Err(Error::Stale) };
                if file.current != before {
                    if let Some((staging, _)) = &copy {
                        state.nodes.garbage.push(*staging);
                    }
                    return Ok(None);
                }
                if let Some(written) = state.being_written(node)? {
                    if let Some((staging, _)) = &copy {
                        state.nodes.garbage.push(*staging);
                    }
                    return Ok(Some(written.1));
                }
                let (staging, file) = match (source, copy) {
                    (Some(in_place), _) => in_place,
                    (None, Some(copy)) => copy,
                    (None, None) => self.fresh_staging_file(state)?,
                };
                self.begin(state, node, staging, &file, now)?;
                Ok(Some(file))
            })?;
            if let Some(file) = begun {
                return Ok(file);
            }
        }
    }

    /// Lets a file be written in a staging file from now on.
    fn begin(
        &self,
        state: &mut State,
        node: NodeId,
        staging: StagingId,
        file: &Arc<dyn DiskFile>,
        now: Timestamp,
    ) -> Result<()> {
        let attributes = Attributes { modified: now, ..state.nodes.get(node)?.attributes };
        if state.nodes.is_linked(node) {
            let path = state.nodes.path_of(node)?;
            state.append(self, Record::Open { path, attributes, staging, at: now })?;
        } else {
            state.nodes.set_modified(node, attributes)?;
            state.nodes.open_content(node, Content::Staged { staging, len: 0 })?;
        }
        if let Some(open) = state.open.get_mut(&node) {
            open.staged = Some((staging, file.clone()));
            open.began = true;
        }
        Ok(())
    }

    /// Copies what a reader sees now into a new staging file.
    fn copy_to_staging(&self, node: NodeId) -> Result<(StagingId, Arc<dyn DiskFile>)> {
        let (staging, file) = self.change(|state| self.fresh_staging_file(state))?;
        let len = self.attributes(node)?.len;
        let mut buf = vec![0; COPY_LEN.min(len as usize)];
        let mut offset = 0;
        while offset < len {
            let want = buf.len().min((len - offset) as usize);
            let got = self.read_at(node, offset, &mut buf[..want])?;
            if got == 0 {
                break;
            }
            file.write_all_at(&buf[..got], offset)?;
            offset += got as u64;
        }
        Ok((staging, file))
    }

    /// A new, empty staging file. That its name is taken keeps other processes from using it.
    fn fresh_staging_file(&self, state: &mut State) -> Result<(StagingId, Arc<dyn DiskFile>)> {
        loop {
            let staging = state.nodes.fresh_staging();
            match self.disk().create_new(&self.staging_path(staging)) {
                Ok(file) => return Ok((staging, Arc::from(file))),
                Err(error) if error.source.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens a staging file to read it.
    pub(in crate::repo) fn open_staging(&self, staging: StagingId) -> Result<Arc<dyn DiskFile>> {
        Ok(Arc::from(self.disk().open(&self.staging_path(staging), true)?))
    }

    /// The length of a file whose bytes are in a staging file.
    pub(super) fn staged_len(&self, state: &State, node: NodeId, file: &File) -> Result<u64> {
        match (file.current, state.open.get(&node).and_then(|open| open.staged.as_ref())) {
            (current, _) if file.complete == Some(current) => match current {
                Content::Staged { len, .. } | Content::Stored { len, .. } => Ok(len),
            },
            (Content::Staged { staging, .. }, Some((held, file))) if *held == staging => Ok(file.len()?),
            (Content::Staged { staging, .. }, _) => {
                Ok(self.disk().stat(&self.staging_path(staging))?.map_or(0, |stat| stat.len))
            }
            (Content::Stored { len, .. }, _) => Ok(len),
        }
    }

    /// Complete files that are not yet in the store and that nobody here is about to write on in place, for
    /// [`Worktree::mark_stored`].
    pub fn staged_files(&self) -> Result<Vec<StagedFile>> {
        self.read(|state| {
            let mut files = Vec::new();
            let stagings: Vec<StagingId> = state.nodes.stagings().collect();
            for staging in stagings {
                let Some(node) = state.nodes.by_staging(staging) else { continue };
                let Body::File(file) = &state.nodes.get(node)?.body else { continue };
                let complete = match file.complete {
                    Some(Content::Staged { staging: complete, len }) if complete == staging => len,
                    _ => continue,
                };
                let may_go_on = state.open.get(&node).is_some_and(|open| open.began);
                if !may_go_on && state.nodes.is_linked(node) {
                    files.push(StagedFile { staging, path: state.nodes.path_of(node)?, len: complete });
                }
            }
            files.sort_by_key(|file| file.staging);
            Ok(files)
        })
    }

    /// Tells that complete bytes are in the store, durably: their staging files are removed once that is on disk.
    pub fn mark_stored(&self, stored: &[(StagingId, RecipeId, u64)]) -> Result<()> {
        if stored.is_empty() {
            return Ok(());
        }
        self.change(|state| {
            for &(staging, recipe, len) in stored {
                state.append(self, Record::Stored { staging, recipe, len })?;
            }
            state.sync(self)
        })
    }
}

impl State {
    /// The staging file of a file that is incomplete now; `None` if it is complete.
    fn being_written(&self, node: NodeId) -> Result<Option<(StagingId, Arc<dyn DiskFile>)>> {
        let Body::File(file) = &self.nodes.get(node)?.body else { return Ok(None) };
        let held = self.open.get(&node).and_then(|open| open.staged.clone());
        match (file.current, held) {
            (current, _) if file.complete == Some(current) => Ok(None),
            (Content::Staged { staging, .. }, Some(held)) if held.0 == staging => Ok(Some(held)),
            _ => Ok(None),
        }
    }

    /// The staging file that a writer which is still at work here began, though somebody closed it meanwhile.
    fn goes_on_in_place(&self, node: NodeId) -> Option<(StagingId, Arc<dyn DiskFile>)> {
        let open = self.open.get(&node).filter(|open| open.began)?;
        let held = open.staged.clone()?;
        match self.nodes.get(node).ok().map(|state| &state.body) {
            Some(Body::File(File { current: Content::Staged { staging, .. }, .. })) if *staging == held.0 => {
                Some(held)
            }
            _ => None,
        }
    }

    /// A staging file to read from.
    fn staged_file(
        &self,
        worktree: &Worktree,
        node: NodeId,
        staging: StagingId,
    ) -> Result<Arc<dyn DiskFile>> {
        match self.open.get(&node).and_then(|open| open.staged.as_ref()) {
            Some((held, file)) if *held == staging => Ok(file.clone()),
            _ => worktree.open_staging(staging),
        }
    }
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
