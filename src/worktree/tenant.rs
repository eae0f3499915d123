//! Writing into the files of a worktree: who may, and what is recorded of it.
//!
//! A file that is written gets a staging file: empty when it is created or truncated, a copy of its bytes otherwise.
//! When the last writer lets go of it, it is complete, and its staging file never changes again: whoever writes on writes
//! to a copy, so that a commit never sees half a write. A writer that was killed leaves the file as *interrupted*: it has
//! what arrived, and a commit takes the last complete version.
//!
//! As long as a file is being written its staging file is marked by the process that does it, so that no other one
//! writes to it, and anybody can tell a writer that works from one that is gone.

use super::error::{Error, Result};
use super::nodes::{Body, Content, NodeId};
use super::open_files::{OpenFile, Release, Staged};
use super::record::{Record, recorded_mode};
use super::state::State;
use super::worktree::Worktree;
use crate::disk::DiskFile;
use crate::history::{Attributes, Name};
use crate::id::StagingId;
use crate::units::Timestamp;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// So many complete files may wait to be made durable, with a descriptor each, before whoever completes one more does it.
const UNSYNCED_MAX: usize = 1024;

/// A process's right to write into the files of a worktree: as long as it lives, nobody takes what it writes for
/// leftovers.
pub struct Tenant {
    worktree: Worktree,
    /// Held by the one who makes complete files durable because there are too many.
    completing: Mutex<()>,
    _tenancy: Box<dyn Send + Sync>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenant").field(&self.worktree).finish()
    }
}

impl Deref for Tenant {
    type Target = Worktree;

    fn deref(&self) -> &Worktree {
        &self.worktree
    }
}

/// What a write finds.
enum Target {
    /// The file is being written here.
    Ready(Arc<dyn DiskFile>),
    /// Somebody began to write this staging file, and is at work or gone.
    Begun(StagingId),
    /// It is complete: whoever writes makes a new version.
    Complete(Content),
}

impl Tenant {
    pub(super) fn new(worktree: Worktree, tenancy: Box<dyn Send + Sync>) -> Self {
        Self { worktree, completing: Mutex::default(), _tenancy: tenancy }
    }

    /// Creates an empty file and opens it for writing.
    pub fn create(&self, dir: NodeId, name: &Name, mode: u32, now: Timestamp) -> Result<NodeId> {
        self.ahead().directory(dir)?;
        let staged = self.fresh_staging_file()?;
        let created = self.change(|state| {
            let path = self.names().vacant(state, dir, name)?;
            let attributes = Attributes { mode: recorded_mode(mode), modified: now };
            state.append(self.repo(), Record::Open { path, attributes, staging: staged.0, at: now })?;
            let node = state.nodes.find(dir, name, self.repo())?.ok_or(Error::Stale)?;
            state.open.insert(node, OpenFile::created(staged.clone()));
            Ok(node)
        });
        created.inspect_err(|_| self.drop_fresh(&staged))
    }

    /// Opens a file; each call is undone by [`Tenant::release`]. The bytes stay readable until then, whatever happens
    /// to the name.
    ///
    /// # Errors
    /// [`Error::BeingWritten`] if another process is writing to it, and `write`.
    pub fn open_file(&self, node: NodeId, write: bool) -> Result<()> {
        loop {
            let (staging, others) = self.read(|state| {
                let Body::File(file) = &state.nodes.get(node)?.body else {
                    return Err(Error::IsADirectory(state.nodes.path_of(node).unwrap_or_default()));
                };
                if write && state.nodes.passed_by.contains(&node) {
                    // Whoever meant the name is to look it up again: what he would write here nobody would ever find.
                    return Err(Error::Stale);
                }
                let open = state.open.get(&node);
                let number = |staged: &Staged| staged.0;
                let (held, writing) =
                    (open.and_then(OpenFile::held).map(number), open.and_then(OpenFile::writing).map(number));
                let current = file.current.staging();
                let others = current.filter(|staging| !file.is_complete() && Some(*staging) != writing);
                Ok((current.filter(|staging| Some(*staging) != held), others))
            })?;
            // Somebody began it: whether they are at work, the disk tells, whoever reads it here.
            if let Some(begun) = others.filter(|_| write)
                && self.staging().is_in_use(begun)?
            {
                return Err(Error::BeingWritten(self.names().path_of(node).unwrap_or_default()));
            }
            let staged = match staging {
                Some(staging) => match self.staging().open(staging) {
                    // It was stored and let go since it was looked at.
                    Err(error) if error.is_absence() && self.staging().is_other_now(node, staging)? => {
                        continue;
                    }
                    file => Some((staging, file?)),
                },
                None => None,
            };
            let count = |state: &mut State| {
                let Body::File(file) = &state.nodes.get(node)?.body else { return Err(Error::Stale) };
                let held = state.open.get(&node).and_then(OpenFile::held).map(|(staging, _)| *staging);
                let needed = file.current.staging().filter(|staging| Some(*staging) != held);
                if needed.is_some() && needed != staging {
                    // It changed in between.
                    return Ok(false);
                }
                if needed.is_some() {
                    state.readers.opened += 1;
                }
                let now = state.readers.tick();
                let open = state.open.entry(node).or_default();
                open.open(write, needed.and(staged));
                open.use_at(now, None);
                Ok(true)
            };
            let is_apart = write && self.lending().is_apart(&self.state(), node);
            let opened = match is_apart {
                true => self.change(|state| {
                    self.lending().write_apart(state, node)?;
                    count(state)
                })?,
                // It may be apart by now.
                false => self.read(|state| match write && self.lending().is_apart(state, node) {
                    true => Ok(false),
                    false => count(state),
                })?,
            };
            if opened {
                self.staging().spare_descriptors();
                return Ok(());
            }
        }
    }

    /// Undoes [`Tenant::open_file`] or [`Tenant::create`]. When the last writer goes, the file is complete, or
    /// interrupted.
    pub fn release(&self, node: NodeId, write: bool, how: Release) -> Result<()> {
        let complete = {
            let mut state = self.state();
            // What cannot be told of its time does not keep it from being closed.
            let _ = state.keep_lent_time(node);
            let Some(open) = state.open.get_mut(&node) else { return Ok(()) };
            open.close(write, how)
        };
        let voided = match write && how == Release::Interrupted {
            true => self.change(|state| state.void_closed(self.repo(), node)),
            false => Ok(()),
        };
        let settled = complete.as_ref().map_or(Ok(()), |staged| self.end(node, staged));
        match complete {
            Some(_) => self.ended(node),
            None => self.forget_closed(node, &mut self.state()),
        }
        let mut state = self.state();
        let (waiting, hold) = (state.unsynced.len(), state.needless_hold());
        drop(state);
        drop(hold);
        let turn = match waiting {
            _ if waiting > 4 * UNSYNCED_MAX => {
                Some(self.completing.lock().unwrap_or_else(PoisonError::into_inner))
            }
            _ if waiting > UNSYNCED_MAX => self.completing.try_lock().ok(),
            _ => None,
        };
        if turn.is_some() {
            // What the disk lost is noted for good, and told to whoever asks for the file.
            let _ = self.staging().sync();
        }
        settled.and(voided)
    }

    /// The end of a last writer is over: what nobody has open any more is let go.
    pub(super) fn ended(&self, node: NodeId) {
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(&node) {
            open.closed();
        }
        self.forget_closed(node, &mut state);
    }

    fn forget_closed(&self, node: NodeId, state: &mut State) {
        if state.open.get(&node).is_some_and(OpenFile::is_closed) {
            state.open.remove(&node);
            state.let_go(node);
        }
    }

    /// The last writer is gone, and of a lent file perhaps everybody: what it left is complete, unless somebody writes to it
    /// still.
    pub(super) fn end(&self, node: NodeId, staged: &Staged) -> Result<()> {
        if self.lending().end_apart(node)? {
            return Ok(());
        }
        // Whoever begins from here on has an end of his own: that nobody writes is asked after this.
        let (is_lent, was_synced, stays_lent, begun) = match self.state().open.get(&node) {
            Some(open) => (open.is_lent(), open.is_synced(), open.is_lent_to_readers(), open.begun_writers),
            None => return Ok(()),
        };
        if is_lent {
            let is_mapped = self.lending().is_written_to(&*staged.1);
            if let Some((lent, _)) = self.state().open.get_mut(&node).and_then(OpenFile::lent) {
                lent.is_mapped = is_mapped;
            }
            if is_mapped {
                return Ok(());
            }
        }
        if stays_lent {
            let settled = self.lending().settle_apart(node, staged, was_synced, begun);
            if settled.is_err()
                && let Some((lent, _)) = self.state().open.get_mut(&node).and_then(OpenFile::lent)
            {
                // It is tried again when somebody looks, or asks for what is complete.
                lent.is_mapped = true;
            }
            return settled;
        }
        // Nobody said whether it was written to since it was synced: if not, this costs nothing. The disk tells once of what
        // it lost.
        if is_lent && was_synced && staged.1.sync().is_err() {
            return Err(self.staging().lose(staged.0));
        }
        let is_durable = was_synced;
        self.settle(node, staged, is_durable, is_lent.then_some(begun))
    }

    /// Declares the bytes of a file complete, unless a writer began again; of a lent one, whoever began after so many had.
    /// `is_durable` if all of them were synced.
    fn settle(
        &self,
        node: NodeId,
        (staging, file): &Staged,
        is_durable: bool,
        begun: Option<u64>,
    ) -> Result<()> {
        self.change(|state| {
            let Some(open) = state.open.get_mut(&node) else { return Ok(()) };
            let is_untouched = begun.is_none_or(|begun| begun == open.begun_writers);
            if !open.is_written(*staging) || open.is_lent_to_readers() || !is_untouched {
                return Ok(());
            }
            // Others may have written on since the writer closed whose end this is: only now nobody can.
            let len = open.written_len(*staging).unwrap_or_else(|| file.len())?;
            let is_durable = is_durable && open.is_synced();
            let modified = state.lent_attributes(node)?.modified;
            match state.nodes.is_linked(node) {
                true => {
                    state.append(self.repo(), Record::Settle { staging: *staging, len, modified })?;
                    state.unsynced.insert(*staging, Arc::clone(file));
                }
                false => state.nodes.change_file(node, |file| file.settle(*staging, len))?,
            }
            if let Some(open) = state.open.get_mut(&node) {
                open.settle(*staging);
            }
            // Who syncs a file and closes it without another write has a complete version that is durable.
            let version = state.nodes.file_of(*staging).filter(|(file, _)| state.nodes.is_linked(*file));
            if is_durable && version.is_some_and(|(_, file)| file.is_synced(*staging, len)) {
                state.append(self.repo(), Record::Synced { staging: *staging, len, complete: true })?;
                state.unsynced.remove(staging);
            }
            Ok(())
        })
    }

    /// Makes the bytes, the name and the attributes of a file durable; of a directory, the names in it: each leads to the
    /// bytes of its file that were synced before, whether or not whoever wrote them is known to be gone.
    ///
    /// # Errors
    /// [`Error::LostBytes`] if the disk did not take them, now or before; [`Error::Replaced`] if the worktree was
    /// deleted. Then nothing may be assumed of them.
    pub fn sync(&self, node: NodeId) -> Result<()> {
        let unsure = self.read(|state| match &state.nodes.get(node)?.body {
            Body::File(file) if file.is_current_lost() => {
                Err(Error::LostBytes(state.nodes.path_of(node).unwrap_or_default()))
            }
            Body::File(file) if file.is_complete() && file.is_sure() => Ok(Vec::new()),
            Body::File(file) => {
                Ok(file.current.staging().map(|staging| (node, staging)).into_iter().collect())
            }
            Body::Dir(_) => Ok(state.nodes.unsure_names(node)),
            Body::Symlink(_) => Ok(Vec::new()),
        })?;
        for (file, staging) in unsure {
            self.sync_version_of(file, staging)?;
        }
        self.sync_records()
    }

    fn sync_version_of(&self, node: NodeId, staging: StagingId) -> Result<()> {
        match self.staging().of_node(node, staging) {
            // It was stored and let go since it was looked at.
            Err(error)
                if error.is_absence()
                    && self.read(|state| Ok(state.nodes.by_staging(staging).is_none()))? =>
            {
                Ok(())
            }
            file => self.staging().sync_bytes(staging, &file?),
        }
    }

    /// Writes at an offset. The file must be open for writing.
    ///
    /// # Errors
    /// [`Error::BeingWritten`] if another process is writing to it.
    pub fn write_at(&self, node: NodeId, offset: u64, bytes: &[u8], now: Timestamp) -> Result<()> {
        let file = self.writable(node, true, now)?;
        let done = file.write_all_at(bytes, offset);
        self.note_written(node, done.is_ok().then_some(offset + bytes.len() as u64));
        Ok(done?)
    }

    /// Notes that bytes were written, and up to where if that is known: a sync that began before does not cover them.
    fn note_written(&self, node: NodeId, end: Option<u64>) {
        if let Some(open) = self.state().open.get_mut(&node) {
            open.note_written(end);
        }
    }

    /// Cuts a file or extends it with zeros. It need not be open; if nobody has it open for writing, it is complete then.
    pub fn set_len(&self, node: NodeId, len: u64, now: Timestamp) -> Result<()> {
        self.open_file(node, true)?;
        let result = self.writable(node, len > 0, now).and_then(|file| Ok(file.set_len(len)?));
        self.note_written(node, None);
        let released = self.release(node, true, Release::Complete);
        result.and(released)
    }

    /// The staging file to write to. If the file is complete it is a new one, with the bytes so far if they are to be
    /// kept.
    fn writable(&self, node: NodeId, keep: bool, now: Timestamp) -> Result<Arc<dyn DiskFile>> {
        // Who is writing already needs no news of others.
        let written = self.state().written_on(node, now)?;
        if let Some(file) = written {
            return if self.lending().is_lent(node) { Ok(Arc::from(file.to_write()?)) } else { Ok(file) };
        }
        loop {
            let (target, is_lent) = self.read(|state| {
                let target = state.target(node)?;
                if matches!(target, Target::Ready(_)) {
                    state.touch(node, now)?;
                }
                Ok((target, state.open.get(&node).is_some_and(OpenFile::is_lent)))
            })?;
            let begun = match target {
                Target::Ready(file) if is_lent => return Ok(Arc::from(file.to_write()?)),
                Target::Ready(file) => return Ok(file),
                // Its bytes are lost, and whoever has it open goes on in it: no other can be begun before they are gone.
                Target::Begun(staging) | Target::Complete(Content::Staged { staging, .. }) if is_lent => {
                    return Err(self.state().lost_bytes(staging));
                }
                Target::Begun(staging) => self.resume(node, staging, now)?,
                Target::Complete(content) => self.begin(node, content, keep, now)?,
            };
            if let Some(file) = begun {
                return Ok(file);
            }
        }
    }

    /// Goes on where a writer that is gone left off; `None` if the file changed meanwhile.
    fn resume(&self, node: NodeId, staging: StagingId, now: Timestamp) -> Result<Option<Arc<dyn DiskFile>>> {
        let file = self.staging().open_to_write(staging)?;
        let free = file.try_lock()?;
        if free && file.names()? > 1 {
            return self.resume_apart(node, (staging, file), now);
        }
        self.change(|state| match state.target(node)? {
            Target::Begun(begun) if begun == staging && free => {
                let open = state.open.get_mut(&node).ok_or(Error::Stale)?;
                open.begin((staging, Arc::clone(&file)), None);
                state.touch(node, now)?;
                Ok(Some(file))
            }
            Target::Begun(begun) if begun == staging => {
                Err(Error::BeingWritten(state.nodes.path_of(node).unwrap_or_default()))
            }
            _ => Ok(None),
        })
    }

    /// Goes on in a copy: the staging file is that of another file as well, which gave it its bytes. `None` if the file changed
    /// meanwhile.
    fn resume_apart(&self, node: NodeId, begun: Staged, now: Timestamp) -> Result<Option<Arc<dyn DiskFile>>> {
        let staged = self.fresh_staging_file()?;
        let copied = begun.1.len().map_err(Error::from);
        let copied = copied.and_then(|len| self.giving().copy_staged(&*begun.1, len, &*staged.1));
        let resumed = copied.and_then(|()| {
            self.change(|state| match state.target(node)? {
                Target::Begun(still) if still == begun.0 => {
                    self.begin_in(state, node, &staged, true, now)?;
                    Ok(true)
                }
                _ => Ok(false),
            })
        });
        if !matches!(resumed, Ok(true)) {
            self.drop_fresh(&staged);
        }
        Ok(resumed?.then_some(staged.1))
    }

    /// Begins a new version of a complete file; `None` if the file changed meanwhile.
    fn begin(
        &self,
        node: NodeId,
        content: Content,
        keep: bool,
        now: Timestamp,
    ) -> Result<Option<Arc<dyn DiskFile>>> {
        let staged = self.fresh_staging_file()?;
        // The copy is made without a lock; it only counts if nothing changed meanwhile.
        let copied = if keep { self.giving().copy(node, content, &*staged.1) } else { Ok(()) };
        let begun = copied.and_then(|()| {
            self.change(|state| match state.target(node)? {
                Target::Complete(current) if current == content => {
                    self.begin_in(state, node, &staged, keep, now)?;
                    Ok(true)
                }
                _ => Ok(false),
            })
        });
        match begun {
            Ok(true) => Ok(Some(staged.1)),
            Ok(false) => {
                self.drop_fresh(&staged);
                Ok(None)
            }
            Err(error) => {
                self.drop_fresh(&staged);
                Err(error)
            }
        }
    }

    fn begin_in(
        &self,
        state: &mut State,
        node: NodeId,
        staged: &Staged,
        keep: bool,
        now: Timestamp,
    ) -> Result<()> {
        let attributes = Attributes { modified: now, ..state.nodes.get(node)?.attributes };
        let staging = staged.0;
        if state.nodes.is_linked(node) {
            let path = state.nodes.path_of(node)?;
            let record = Record::Open { path, attributes, staging, at: now };
            match keep {
                true => state.append(self.repo(), record)?,
                // Emptying a file gives its room back.
                false => state.append_making_room(self.repo(), record)?,
            }
        } else {
            state.touch(node, now)?;
            state.nodes.change_file(node, |file| file.open(Content::Staged { staging, len: 0 }))?;
        }
        let open = state.open.get_mut(&node).ok_or(Error::Stale)?;
        open.begin(staged.clone(), (!keep).then_some(0));
        Ok(())
    }

    /// A new, empty staging file, marked as being written. That its name is taken keeps other processes from using it.
    pub(super) fn fresh_staging_file(&self) -> Result<Staged> {
        loop {
            let staging = self.state().nodes.fresh_staging();
            match self.repo().disk().create_new(&self.staging().path(staging)) {
                Ok(file) => {
                    let staged: Staged = (staging, Arc::from(file));
                    // Nobody else knows of it yet.
                    return match staged.1.try_lock() {
                        Ok(_) => Ok(staged),
                        Err(error) => {
                            self.drop_fresh(&staged);
                            Err(error.into())
                        }
                    };
                }
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) if error.is_absence() => {
                    return Err(Error::Replaced(self.dir.clone()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes back a staging file that no record names, with the room that it took.
    pub(super) fn drop_fresh(&self, (staging, _): &Staged) {
        if self.state().nodes.by_staging(*staging).is_none() {
            // What cannot be removed now is swept by the next process that finds nobody at work.
            let _ = self.repo().disk().remove_file(&self.staging().path(*staging));
        }
    }
}

impl State {
    /// What a write to a file finds.
    fn target(&self, node: NodeId) -> Result<Target> {
        let Body::File(file) = &self.nodes.get(node)?.body else { return Err(Error::Stale) };
        let written = self.open.get(&node).and_then(OpenFile::writing);
        Ok(match (file.current.staging(), written) {
            (Some(staging), Some((written, held))) if staging == *written => Target::Ready(Arc::clone(held)),
            // What is lost is not written on: whoever saves it again begins with nothing.
            (Some(staging), _) if !file.is_complete() && !file.is_current_lost() => Target::Begun(staging),
            _ => Target::Complete(file.current),
        })
    }

    /// The staging file of a file that is being written here; its time is that of this write.
    fn written_on(&mut self, node: NodeId, now: Timestamp) -> Result<Option<Arc<dyn DiskFile>>> {
        match self.target(node)? {
            Target::Ready(file) => self.touch(node, now).map(|()| Some(file)),
            Target::Begun(_) | Target::Complete(_) => Ok(None),
        }
    }

    fn touch(&mut self, node: NodeId, now: Timestamp) -> Result<()> {
        let attributes = Attributes { modified: now, ..self.nodes.get(node)?.attributes };
        self.nodes.set_modified(node, attributes)
    }
}
