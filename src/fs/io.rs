//! Opening, reading, writing, making durable and closing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Space;
use crate::id::RecipeId;
use crate::repo::{BranchName, NodeId, Tenant};

use super::attr::{Attr, Kind, Lifetime};
use super::attributes::{Changes, SetTime};
use super::core::{FileSystem, names_lifetime};
use super::errno::{Error, Result};
use super::handle::{Handle, Listed, OpenArray, OpenNode};
use super::namespace::ControlFile;
use super::place::Place;

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

impl FileSystem {
    /// Opens a file.
    pub fn open(&self, ino: u64, mode: OpenMode) -> Result<Opened> {
        let place = self.place(ino)?;
        let (handle, cache) = match &*place {
            Place::Worktree { branch, node } => return self.open_node(ino, branch, *node, mode),
            Place::Control(ControlFile::Ctl) => (Handle::Control(Mutex::default()), Cache::Bypass),
            _ if place.kind() == Some(Kind::Dir) => return Err(Error::IsADirectory),
            _ if mode.write || mode.truncate => return Err(Error::ReadOnly),
            Place::File { recipe, .. } => (Handle::Snapshot(self.repo.recipe(*recipe)?), Cache::Keep),
            Place::Array(array) => (Handle::Array(self.open_array(array)?), Cache::Keep),
            Place::ArrayFacts(array) => (Handle::Generated(self.array_facts(array)?.into()), Cache::Keep),
            Place::Control(file) => (Handle::Generated(self.control_text(*file)?.into()), Cache::Bypass),
            _ => return Err(Error::Invalid),
        };
        Ok(Opened { handle: self.handles.insert(handle), cache })
    }

    fn open_node(&self, ino: u64, branch: &BranchName, node: NodeId, mode: OpenMode) -> Result<Opened> {
        let worktree = self.worktree(branch)?;
        let write = mode.write || mode.truncate;
        worktree.open_file(node, write)?;
        // From here on, dropping it closes the file.
        let open = OpenNode { worktree: Arc::clone(&worktree), node, write };
        if mode.truncate {
            with_room(&worktree, || worktree.set_len(node, 0, self.now()))?;
        }
        let cache = match write {
            true => {
                self.cached_content.forget(ino);
                Cache::Renew
            }
            false => self.cached_content.renew(ino, worktree.attributes(node)?.recipe),
        };
        Ok(Opened { handle: self.handles.insert(Handle::Worktree(open)), cache })
    }

    /// Creates a file in a worktree and opens it for writing; without [`OpenMode::exclusive`] an existing one is
    /// opened.
    pub fn create(&self, parent: u64, name: &[u8], mode: u32, how: OpenMode) -> Result<(Attr, Opened)> {
        let (worktree, dir) = self.writable(parent)?;
        let name = crate::repo::Name::new(name)?;
        let node = match with_room(&worktree, || worktree.create(dir, &name, mode, self.now())) {
            Err(Error::Repo(crate::repo::Error::Exists(_))) if !how.exclusive => {
                let (node, known) = worktree.lookup(dir, &name)?.ok_or(Error::NoEntry)?;
                let place = Place::Worktree { branch: worktree.branch().clone(), node };
                let attr = self.remember(parent, name.as_bytes(), Arc::new(place), Some(known))?;
                let opened = self.open(attr.ino, how).inspect_err(|_| self.forget(attr.ino, 1))?;
                return Ok((attr, opened));
            }
            created => created?,
        };
        let open = OpenNode { worktree: Arc::clone(&worktree), node, write: true };
        let place = Place::Worktree { branch: worktree.branch().clone(), node };
        let attr = self.remember(parent, name.as_bytes(), Arc::new(place), None)?;
        let handle = self.handles.insert(Handle::Worktree(open));
        Ok((attr, Opened { handle, cache: Cache::Renew }))
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end of the file. Returns how many.
    pub fn read(&self, handle: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match &*self.handles.get(handle)? {
            Handle::Snapshot(recipe) => Ok(self.repo.read_file(recipe, offset, buf)?),
            Handle::Array(array) => self.read_array(array, offset, buf),
            Handle::Generated(bytes) => Ok(copy_from(bytes, offset, buf)),
            Handle::Control(said) => {
                Ok(copy_from(&said.lock().unwrap_or_else(PoisonError::into_inner), offset, buf))
            }
            Handle::Worktree(open) => Ok(open.worktree.read_at(open.node, offset, buf)?),
            Handle::Listing(_) => Err(Error::IsADirectory),
        }
    }

    fn read_array(&self, array: &OpenArray, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let header = copy_from(&array.header, offset, buf);
        let from = (offset + header as u64).saturating_sub(array.header.len() as u64);
        let wanted = array.len.saturating_sub(from).min((buf.len() - header) as u64) as usize;
        let payload = &mut buf[header..header + wanted];
        Ok(header + self.repo.read_file(&array.recipe, array.start + from, payload)?)
    }

    /// Writes all of `bytes` at `offset`. For `.coral/ctl`, carries out the commands in them.
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        match &*self.handles.get(handle)? {
            Handle::Worktree(open) if open.write => {
                with_room(&open.worktree, || open.worktree.write_at(open.node, offset, bytes, self.now()))
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

    /// Somebody closed a descriptor. Others may have it still: the file is complete when it is released.
    pub fn flush(&self, handle: u64) -> Result<()> {
        self.handles.get(handle).map(drop)
    }

    /// Makes an open file durable: bytes, name and attributes.
    pub fn fsync(&self, handle: u64) -> Result<()> {
        match &*self.handles.get(handle)? {
            Handle::Worktree(open) => Ok(open.worktree.sync(open.node)?),
            // Snapshots are durable since they were committed.
            Handle::Snapshot(_)
            | Handle::Array(_)
            | Handle::Generated(_)
            | Handle::Control(_)
            | Handle::Listing(_) => Ok(()),
        }
    }

    /// Makes the names in a directory durable.
    pub fn fsync_dir(&self, ino: u64) -> Result<()> {
        match &*self.place(ino)? {
            Place::Worktree { branch, node } => Ok(self.worktree(branch)?.sync(*node)?),
            _ => Ok(()),
        }
    }

    /// The last descriptor and mapping of a handle are gone.
    pub fn release(&self, handle: u64) {
        let written = match self.handles.get(handle).as_deref() {
            Ok(Handle::Worktree(open)) if open.write => Some(Arc::clone(&open.worktree)),
            _ => None,
        };
        self.handles.remove(handle);
        if let Some(worktree) = written {
            self.settled(&worktree);
        }
    }

    /// Changes attributes and length. A file that is open for writing is complete when it is closed, another one at once.
    pub fn setattr(&self, ino: u64, changes: Changes) -> Result<Attr> {
        // Shells open `.coral/ctl` to truncate it.
        if let Place::Control(ControlFile::Ctl) = &*self.place(ino)? {
            return self.getattr(ino);
        }
        let (worktree, node) = self.writable(ino)?;
        if let Some(len) = changes.len {
            self.cached_content.forget(ino);
            with_room(&worktree, || worktree.set_len(node, len, self.now()))?;
        }
        let modified = changes.modified.map(|time| match time {
            SetTime::Now => self.now(),
            SetTime::At(time) => time,
        });
        if changes.mode.is_some() || modified.is_some() {
            worktree.set_attributes(node, changes.mode, modified)?;
        }
        self.getattr(ino)
    }

    /// Makes sure that a file has room up to `offset + len`, extending it with zeros unless `keep_len`.
    pub fn allocate(&self, handle: u64, offset: u64, len: u64, keep_len: bool) -> Result<()> {
        let handle = self.handles.get(handle)?;
        let Handle::Worktree(open) = &*handle else { return Err(Error::BadHandle) };
        let end = offset.checked_add(len).ok_or(Error::Invalid)?;
        let now = open.worktree.attributes(open.node)?.len;
        if end.saturating_sub(now) > self.space()?.available {
            return Err(Error::NoSpace);
        }
        match end > now && !keep_len {
            true => Ok(open.worktree.set_len(open.node, end, self.now())?),
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

    /// Opens a directory: what is in it now is what reading it shows. The result tells whether the kernel may cache the
    /// names.
    pub fn open_dir(&self, ino: u64) -> Result<(u64, bool)> {
        let place = self.place(ino)?;
        let list: Arc<[Listed]> = self.children(&place)?.into();
        Ok((self.handles.insert(Handle::Listing(list)), place.is_immutable()))
    }

    /// The name at a position of an open directory with its kind; `None` after the last.
    pub fn listed(&self, handle: u64, position: u64) -> Result<Option<(Vec<u8>, Kind)>> {
        let handle = self.handles.get(handle)?;
        let Handle::Listing(list) = &*handle else { return Err(Error::BadHandle) };
        let Some(entry) = usize::try_from(position).ok().and_then(|at| list.get(at)) else { return Ok(None) };
        let kind = match (entry.place.kind(), entry.known) {
            (Some(kind), _) => kind,
            (None, Some(known)) => super::attributes::kind(known.kind),
            // The only node of a worktree that is listed unseen is its top.
            (None, None) => Kind::Dir,
        };
        Ok(Some((entry.name.clone(), kind)))
    }

    /// Looks up the name at a position of an open directory, as [`FileSystem::lookup`] would; `None` if it is gone.
    pub fn lookup_listed(&self, parent: u64, handle: u64, position: u64) -> Result<Option<(Attr, Lifetime)>> {
        let handle = self.handles.get(handle)?;
        let Handle::Listing(list) = &*handle else { return Err(Error::BadHandle) };
        let Some(entry) = usize::try_from(position).ok().and_then(|at| list.get(at)) else { return Ok(None) };
        match self.remember(parent, &entry.name, Arc::clone(&entry.place), entry.known) {
            Ok(attr) => Ok(Some((attr, listed_lifetime(&*self.place(parent)?)))),
            Err(Error::Repo(crate::repo::Error::Stale)) => Ok(None),
            Err(error) => Err(error),
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
fn with_room<T>(worktree: &Tenant, act: impl Fn() -> crate::repo::Result<T>) -> Result<T> {
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
