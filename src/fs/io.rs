//! Opening, reading, writing, making durable and closing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::Space;
use crate::id::RecipeId;
use crate::worktree::{NodeId, Tenant};

use super::attr::{Attr, Kind, Lifetime};
use super::attributes::{Changes, SetTime};
use super::completion::Closer;
use super::core::{FileSystem, names_lifetime};
use super::errno::{Error, Result};
use super::handle::{Handle, Listed, Listing, OpenDir, OpenNode};
use super::namespace::ControlFile;
use super::place::Place;
use super::worktrees::{OpenWorktree, WorktreeNode};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenMode {
    /// For writing, maybe also for reading.
    pub write: bool,
    /// Empty it first.
    pub truncate: bool,
    /// Only if it does not exist yet.
    pub exclusive: bool,
}

/// What the kernel may do with the pages of a file that it read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Keep them: the content cannot have changed.
    Keep,
    /// Forget them and cache anew.
    Renew,
    /// Cache nothing: the content is made up for each reader.
    Bypass,
}

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub handle: u64,
    /// What the kernel may cache of it.
    pub cache: Cache,
}

/// Where to seek to, as in lseek(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The next byte that is not in a hole.
    Data,
    /// The next hole; the end of the file is one.
    Hole,
}

/// The content whose pages the kernel has, by inode: where it is the same at the next opening, they are still good.
#[derive(Debug, Default)]
pub(super) struct CachedContent(Mutex<HashMap<u64, RecipeId>>);

impl CachedContent {
    /// Notes what is being read, and tells whether it is what was read before.
    fn renew(&self, ino: u64, content: Option<RecipeId>) -> Cache {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match content {
            Some(content) if cached.insert(ino, content) == Some(content) => Cache::Keep,
            Some(_) => Cache::Renew,
            None => {
                cached.remove(&ino);
                Cache::Renew
            }
        }
    }

    /// Notes that the content may change now, or that the kernel forgot the inode.
    pub fn forget(&self, ino: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&ino);
    }
}

/// So long a sync of a directory waits for the word that files which were closed are complete. What was synced of them is
/// durable without it; with it, it counts as whole after a power cut.
const CLOSING: Duration = Duration::from_millis(100);

impl FileSystem {
    /// Opens a file.
    pub fn open(&self, ino: u64, mode: OpenMode) -> Result<Opened> {
        let place = self.place(ino)?;
        let (handle, cache) = match &*place {
            Place::Worktree(at) => return self.open_node(ino, at, mode),
            Place::Control(ControlFile::Ctl) => (Handle::Control(Mutex::default()), Cache::Bypass),
            _ if place.kind() == Some(Kind::Dir) => return Err(Error::IsADirectory),
            _ if mode.write || mode.truncate => return Err(Error::ReadOnly),
            Place::File { recipe, .. } => {
                (Handle::Snapshot(self.repo.reader(&self.repo.recipe(*recipe)?)), Cache::Keep)
            }
            Place::Array(array) => (Handle::Array(self.open_array(array.at)?), Cache::Keep),
            Place::ArrayFacts(array) => (Handle::Generated(self.array_facts(array.at)?.into()), Cache::Keep),
            Place::Control(file) => (Handle::Generated(self.control_text(*file)?.into()), Cache::Bypass),
            _ => return Err(Error::Invalid),
        };
        Ok(Opened { handle: self.handles.insert(handle), cache })
    }

    fn open_node(&self, ino: u64, at: &WorktreeNode, mode: OpenMode) -> Result<Opened> {
        let (open, node) = self.within(at, |worktree| {
            worktree.open_file(at.node(), mode.write || mode.truncate)?;
            // From here on, dropping it closes the file.
            Ok((self.opened(worktree, at.node(), mode.write || mode.truncate, mode.truncate), at.node()))
        })?;
        if mode.truncate {
            open.act(|worktree, node| with_room(worktree, || worktree.set_len(node, 0, self.now())))?;
            self.note_changes(&open.worktree, [node]);
        }
        let cache = match open.write {
            true => {
                self.cached_content.forget(ino);
                Cache::Renew
            }
            false => self.cached_content.renew(ino, open.worktree.attributes(node)?.recipe),
        };
        Ok(Opened { handle: self.handles.insert(Handle::Worktree(open)), cache })
    }

    fn opened(&self, worktree: &Arc<OpenWorktree>, node: NodeId, write: bool, begun: bool) -> OpenNode {
        let worktree = Arc::clone(worktree);
        match write {
            true => {
                OpenNode::writer(worktree, node, begun, Arc::clone(&self.closings), Arc::clone(&self.ingest))
            }
            false => OpenNode::reader(worktree, node),
        }
    }

    /// Creates a file in a worktree and opens it for writing; without [`OpenMode::exclusive`] an existing one is
    /// opened.
    pub fn create(&self, parent: u64, name: &[u8], mode: u32, how: OpenMode) -> Result<(Attr, Opened)> {
        let valid = crate::history::Name::new(name);
        self.writable(parent, |worktree, dir| {
            let valid = valid.as_ref().map_err(Clone::clone)?;
            let node = match with_room(worktree, || worktree.create(dir, valid, mode, self.now())) {
                Err(Error::Repo(crate::history::Error::Exists(_))) if !how.exclusive => {
                    let (node, known) = worktree.lookup(dir, valid)?.ok_or(Error::NoEntry)?;
                    let place = Place::Worktree(WorktreeNode::new(worktree, node));
                    let attr = self.remember(parent, name, Arc::new(place), Some(known))?;
                    let opened = self.open(attr.ino, how).inspect_err(|_| self.forget(attr.ino, 1))?;
                    return Ok((attr, opened));
                }
                created => created?,
            };
            let open = self.opened(worktree, node, true, true);
            self.note_changes(worktree, [dir, node]);
            let place = Place::Worktree(WorktreeNode::new(worktree, node));
            let attr = self.remember(parent, name, Arc::new(place), None)?;
            let handle = self.handles.insert(Handle::Worktree(open));
            Ok((attr, Opened { handle, cache: Cache::Renew }))
        })
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end of the file. Returns how many.
    pub fn read(&self, handle: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match &*self.handles.get(handle)? {
            Handle::Snapshot(file) => Ok(file.read_at(offset, buf)?),
            Handle::Array(array) => Ok(array.read_at(offset, buf)?),
            Handle::Generated(bytes) => Ok(copy_from(bytes, offset, buf)),
            Handle::Control(said) => {
                Ok(copy_from(&said.lock().unwrap_or_else(PoisonError::into_inner), offset, buf))
            }
            Handle::Worktree(open) => {
                open.act(|worktree, node| Ok(worktree.read_held(node, &open.reader, offset, buf)?))
            }
            Handle::Listing(_) => Err(Error::IsADirectory),
        }
    }

    /// Writes all of `bytes` at `offset`. For `.coral/ctl`, carries out the commands in them.
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        match &*self.handles.get(handle)? {
            Handle::Worktree(open) if open.write => {
                open.act(|worktree, node| {
                    with_room(worktree, || worktree.write_at(node, offset, bytes, self.now()))
                })?;
                open.wrote();
                self.note_changes(&open.worktree, [open.node]);
                Ok(())
            }
            Handle::Control(said) => {
                let result = self.carry_out(bytes);
                let text = match &result {
                    Ok(text) | Err(text) => text.clone().into_bytes(),
                };
                *said.lock().unwrap_or_else(PoisonError::into_inner) = text;
                result.map(|_| ()).map_err(|_| Error::CommandFailed)
            }
            Handle::Worktree(_)
            | Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Listing(_) => Err(Error::BadHandle),
        }
    }

    /// Somebody closed a descriptor of an open file, maybe the last; `closer` tells how that one is doing.
    pub fn flush(&self, handle: u64, closer: impl FnOnce() -> Closer) -> Result<()> {
        if let Handle::Worktree(open) = &*self.handles.get(handle)? {
            open.closing(closer);
        }
        Ok(())
    }

    /// Makes an open file durable: bytes, name and attributes.
    pub fn fsync(&self, handle: u64) -> Result<()> {
        match &*self.handles.get(handle)? {
            Handle::Worktree(open) => open.act(|worktree, node| Ok(worktree.sync(node)?)),
            // Snapshots are durable since they were committed.
            Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Control(_)
            | Handle::Listing(_) => Ok(()),
        }
    }

    /// Makes the names in a directory durable, and as a rule that files are complete which were closed before.
    pub fn fsync_dir(&self, ino: u64) -> Result<()> {
        match &*self.place(ino)? {
            Place::Worktree(at) => {
                self.closings.wait_at_most(CLOSING);
                self.within(at, |worktree| Ok(worktree.sync(at.node())?))
            }
            _ => Ok(()),
        }
    }

    /// The last descriptor and mapping of a handle are gone: when whoever still reads it is done, what was written is
    /// complete.
    pub fn release(&self, handle: u64) {
        self.handles.remove(handle);
    }

    /// Changes attributes and length. A file that nobody else has open for writing is complete then.
    pub fn setattr(&self, ino: u64, changes: Changes, handle: Option<u64>) -> Result<Attr> {
        // Shells open `.coral/ctl` to truncate it.
        if let Place::Control(ControlFile::Ctl) = &*self.place(ino)? {
            return self.getattr(ino);
        }
        self.writable(ino, |worktree, node| {
            if let Some(len) = changes.len {
                self.cached_content.forget(ino);
                with_room(worktree, || worktree.set_len(node, len, self.now()))?;
            }
            let modified = changes.modified.map(|time| match time {
                SetTime::Now => self.now(),
                SetTime::At(time) => time,
            });
            if changes.mode.is_some() || modified.is_some() {
                worktree.set_attributes(node, changes.mode, modified)?;
            }
            if changes != Changes::default() {
                self.note_changes(worktree, [node]);
            }
            Ok(())
        })?;
        if changes.len.is_some()
            && let Some(Ok(handle)) = handle.map(|handle| self.handles.get(handle))
            && let Handle::Worktree(open) = &*handle
        {
            open.wrote();
        }
        self.getattr(ino)
    }

    /// Makes sure that a file has room up to `offset + len`, extending it with zeros unless `keep_len`.
    pub fn allocate(&self, handle: u64, offset: u64, len: u64, keep_len: bool) -> Result<()> {
        let handle = self.handles.get(handle)?;
        let Handle::Worktree(open) = &*handle else { return Err(Error::BadHandle) };
        let end = offset.checked_add(len).ok_or(Error::Invalid)?;
        let now = open.act(|worktree, node| Ok(worktree.attributes(node)?.len))?;
        if end.saturating_sub(now) > self.space()?.available {
            return Err(Error::NoSpace);
        }
        match end > now && !keep_len {
            true => {
                open.act(|worktree, node| Ok(worktree.set_len(node, end, self.now())?))?;
                open.wrote();
                self.note_changes(&open.worktree, [open.node]);
                Ok(())
            }
            false => Ok(()),
        }
    }

    /// Where the next data or hole is: files are shown without holes.
    pub fn seek(&self, ino: u64, offset: u64, to: Seek) -> Result<u64> {
        let len = self.getattr(ino)?.len;
        match to {
            _ if offset >= len => Err(Error::BeyondEnd),
            Seek::Data => Ok(offset),
            Seek::Hole => Ok(len),
        }
    }

    /// Room on the repository's disk.
    pub fn space(&self) -> Result<Space> {
        Ok(self.repo.disk().space(self.repo.root())?)
    }

    /// Opens a directory. The result tells whether the kernel may cache the names.
    pub fn open_dir(&self, ino: u64) -> Result<(u64, bool)> {
        let place = self.place(ino)?;
        let is_dir = match &*place {
            Place::Worktree(_) => self.getattr(ino)?.kind == Kind::Dir,
            other => other.kind() == Some(Kind::Dir),
        };
        match is_dir {
            true => {
                let is_immutable = place.is_immutable();
                Ok((self.handles.insert(Handle::Listing(OpenDir::new(place))), is_immutable))
            }
            false => Err(Error::NotADirectory),
        }
    }

    /// The names in an open directory from a position on: those that were there when reading began at position 0.
    pub(super) fn listing(&self, handle: u64, position: u64) -> Result<Listing> {
        match &*self.handles.get(handle)? {
            Handle::Listing(dir) => dir.listing(position, || self.list(&dir.place)),
            _ => Err(Error::BadHandle),
        }
    }

    fn list(&self, place: &Place) -> Result<Listing> {
        match place {
            Place::Worktree(at) => {
                let (list, worktree) = self.node_list(at)?;
                Ok(Listing { list: list.into(), _worktree: Some(worktree) })
            }
            other => Ok(Listing { list: self.explain(self.children(other))?.into(), _worktree: None }),
        }
    }

    /// Looks up a name of a listing, as [`FileSystem::lookup`] would; `None` if it is gone. What is damaged has a number
    /// and a kind, and is looked at again, and found damaged, by who wants to know more.
    pub(super) fn lookup_listed(&self, parent: u64, entry: &Listed) -> Result<Option<(Attr, Lifetime)>> {
        match self.remember(parent, &entry.name, Arc::clone(&entry.place), entry.known) {
            Ok(attr) => Ok(Some((attr, listed_lifetime(&*self.place(parent)?)))),
            Err(Error::Repo(crate::history::Error::Stale)) => Ok(None),
            Err(_) => {
                let ino = self.inodes.remember(Arc::clone(&entry.place).found_as(parent, &entry.name));
                Ok(Some((Attr::unknown(ino, entry.kind()), Lifetime::Moving)))
            }
        }
    }
}

/// For how long a name from a listing holds: the list may be older than the last move of a ref.
fn listed_lifetime(parent: &Place) -> Lifetime {
    match names_lifetime(parent) {
        Lifetime::Followed => Lifetime::Moving,
        other => other,
    }
}

/// Does something that needs room on the disk. If there is none, lets staging files go that nothing needs any more,
/// and tries once again.
fn with_room<T>(worktree: &Tenant, act: impl Fn() -> crate::history::Result<T>) -> Result<T> {
    match act().map_err(Error::from) {
        Err(error) if error.errno() == libc::ENOSPC => {
            worktree.sync_records()?;
            Ok(act()?)
        }
        other => other,
    }
}

/// Copies what `bytes` has from `offset`; returns how many that are.
fn copy_from(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let len = rest.len().min(buf.len());
    buf[..len].copy_from_slice(&rest[..len]);
    len
}
