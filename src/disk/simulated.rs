//! A disk in memory for tests: counts operations, fails the one it is told to, fills up, and loses power.
//!
//! Clones are the same disk. Every operation but `lock`, `space` and `len` is counted from 0, so that a test can
//! learn how many a sequence takes and then repeat it with each of them failing.

mod file;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::file::SimulatedFile;
use super::error::at;
use super::image::{self, Dir, File, Ino, Inode, ROOT};
use super::{
    BootId, Disk, DiskFile, FileId, FileType, LockFile, Mapped, MountId, Patience, Result, Run, Space, Stat,
};

/// Which operations fail, and how: with an errno such as `libc::EIO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only the operation with this number.
    Once(u64, i32),
    /// The operation with this number and all after it: the machine stopped.
    From(u64, i32),
}

/// A disk in memory. See the module's description.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    unlocked: Condvar,
}

#[derive(Debug)]
struct State {
    inodes: Vec<Inode>,
    operations: u64,
    /// How many of them waited for the disk to take something.
    syncs: u64,
    fault: Option<Fault>,
    capacity: Option<u64>,
    read_only: bool,
    /// For each locked file the number of shared holders, or `EXCLUSIVE`.
    locks: HashMap<Ino, usize>,
    /// How many have each file open for writing.
    writers: HashMap<Ino, usize>,
    /// How often the machine started before.
    boots: u64,
    /// How often the disk was mounted before, if the system tells.
    mounts: Option<u64>,
}

const EXCLUSIVE: usize = usize::MAX;
/// The size that a disk without a capacity claims.
const BOUNDLESS: u64 = 1 << 40;

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// An empty disk of boundless size.
    pub fn new() -> Self {
        Self::with_inodes(vec![Inode::Dir(Dir::default())])
    }

    fn with_inodes(inodes: Vec<Inode>) -> Self {
        let state = State {
            inodes,
            operations: 0,
            syncs: 0,
            fault: None,
            capacity: None,
            read_only: false,
            locks: HashMap::new(),
            writers: HashMap::new(),
            boots: 0,
            mounts: Some(0),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), unlocked: Condvar::new() }) }
    }

    /// How many operations were counted so far: the number that the next one will have.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many syncs there were so far, of files, of folders and of all together.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Sets or clears which operations fail.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Makes the `n`-th operation from now (0 is the next one) fail once with this errno.
    pub fn fail_nth(&self, n: u64, errno: i32) {
        let mut state = self.state();
        state.fault = Some(Fault::Once(state.operations + n, errno));
    }

    /// Makes the `n`-th operation from now and all after it fail, as if the machine had stopped there.
    pub fn stop_at_nth(&self, n: u64) {
        let mut state = self.state();
        state.fault = Some(Fault::From(state.operations + n, libc::EIO));
    }

    /// Loses the bytes below a folder that were written and not synced, as when the kernel could not write them back: the
    /// next sync of each file says so, and no later one.
    pub fn fail_write_back(&self, folder: &Path) {
        let mut state = self.state();
        let inside: Vec<Ino> = match state.find(folder) {
            Ok(Some(ino)) => {
                state.dir(ino).map(|dir| dir.entries.values().copied().collect()).unwrap_or_default()
            }
            Ok(None) | Err(_) => Vec::new(),
        };
        for ino in inside {
            if let Inode::File(file) = &mut state.inodes[ino] {
                file.fail_write_back();
            }
        }
    }

    /// Bounds the bytes of all files that have a name; `None` is boundless. A write that does not fit writes what
    /// fits and fails with `ENOSPC`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The bytes of all files that have a name.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Makes every change fail with `EROFS`, or no longer.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Is from now on a disk of which the system does not tell when it was mounted.
    pub fn hide_mounts(&self) {
        self.state().mounts = None;
    }

    /// The disk that a power cut now would leave: everything synced, and of the rest what chance (by `seed`) spared.
    /// No faults, no locks, same capacity.
    pub fn crash_image(&self, seed: u64) -> SimulatedDisk {
        let image = self.back_image(seed);
        image.state().boots += 1;
        image
    }

    /// The disk as it comes back when it goes away now, pulled or shut down, while the machine runs on: it has lost what a
    /// power cut loses, and no programs but those that come later see it.
    pub fn back_image(&self, seed: u64) -> SimulatedDisk {
        let state = self.state();
        let image = Self::with_inodes(image::after_power_cut(&state.inodes, seed));
        image.set_capacity(state.capacity);
        image.state().boots = state.boots;
        image.state().mounts = state.mounts.map(|before| before + 1);
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a test's other thread leaves the state usable.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn errno<T>(code: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(code))
}

impl State {
    /// Counts one operation and fails it if that is its fate.
    fn count(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        match self.fault {
            Some(Fault::Once(nth, code)) if nth == number => errno(code),
            Some(Fault::From(nth, code)) if nth <= number => errno(code),
            _ => Ok(()),
        }
    }

    fn count_change(&mut self) -> io::Result<()> {
        self.count()?;
        if self.read_only { errno(libc::EROFS) } else { Ok(()) }
    }

    fn dir(&self, ino: Ino) -> io::Result<&Dir> {
        match &self.inodes[ino] {
            Inode::Dir(dir) => Ok(dir),
            Inode::File(_) => errno(libc::ENOTDIR),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> io::Result<&mut Dir> {
        match &mut self.inodes[ino] {
            Inode::Dir(dir) => {
                dir.changed = self.operations;
                Ok(dir)
            }
            Inode::File(_) => errno(libc::ENOTDIR),
        }
    }

    fn file(&self, ino: Ino) -> io::Result<&File> {
        match &self.inodes[ino] {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => errno(libc::EISDIR),
        }
    }

    fn file_mut(&mut self, ino: Ino) -> io::Result<&mut File> {
        match &mut self.inodes[ino] {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => errno(libc::EISDIR),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Option<Ino>> {
        let mut ino = ROOT;
        for name in names(path)? {
            match self.dir(ino)?.entries.get(name) {
                Some(&next) => ino = next,
                None => return Ok(None),
            }
        }
        Ok(Some(ino))
    }

    fn resolve(&self, path: &Path) -> io::Result<Ino> {
        self.find(path)?.map_or_else(|| errno(libc::ENOENT), Ok)
    }

    /// The directory that holds the last name of `path`, and that name.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(Ino, &'p str)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return errno(libc::EINVAL);
        };
        let ino = self.resolve(parent)?;
        self.dir(ino)?;
        Ok((ino, name.to_str().ok_or(io::ErrorKind::InvalidInput)?))
    }

    fn add(&mut self, path: &Path, inode: Inode) -> io::Result<Ino> {
        let (parent, name) = self.parent(path)?;
        let ino = self.inodes.len();
        self.inodes.push(inode);
        self.dir_mut(parent)?.set(name, Some(ino));
        Ok(ino)
    }

    fn add_file(&mut self, path: &Path) -> io::Result<Ino> {
        let mut file = File::default();
        file.modified = self.operations;
        self.add(path, Inode::File(file))
    }

    fn used(&self) -> u64 {
        // A file that has several names takes its room once.
        let (mut seen, mut waiting, mut used) = (HashSet::new(), vec![ROOT], 0);
        while let Some(ino) = waiting.pop() {
            match &self.inodes[ino] {
                Inode::File(file) if seen.insert(ino) => used += (file.bytes.len() as u64).max(file.reserved),
                Inode::File(_) => {}
                Inode::Dir(dir) => waiting.extend(dir.entries.values()),
            }
        }
        used
    }

    fn available(&self) -> u64 {
        self.capacity.map_or(BOUNDLESS, |capacity| capacity.saturating_sub(self.used()))
    }

    /// How many of the `len` bytes at `offset` of a file fit on the disk.
    fn fitting(&self, ino: Ino, offset: u64, len: u64) -> io::Result<u64> {
        if self.capacity.is_none() {
            return Ok(len);
        }
        let file = self.file(ino)?;
        let reachable = (file.bytes.len() as u64).max(file.reserved) + self.available();
        Ok(reachable.saturating_sub(offset).min(len))
    }

    fn try_lock(&mut self, ino: Ino, exclusive: bool) -> bool {
        let holders = self.locks.entry(ino).or_default();
        match (exclusive, *holders) {
            (true, 0) => *holders = EXCLUSIVE,
            (false, held) if held != EXCLUSIVE => *holders += 1,
            _ => return false,
        }
        true
    }

    /// Lets others have a lock too that one alone has.
    fn share_lock(&mut self, ino: Ino) {
        self.locks
            .entry(ino)
            .and_modify(|holders| *holders = if *holders == EXCLUSIVE { 1 } else { *holders });
    }

    fn unlock(&mut self, ino: Ino) {
        match self.locks.get_mut(&ino) {
            Some(holders) if *holders != EXCLUSIVE && *holders > 1 => *holders -= 1,
            _ => drop(self.locks.remove(&ino)),
        }
    }
}

/// The names on the way from the root to `path`, which is absolute and has no `..`.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    if !path.is_absolute() {
        return errno(libc::EINVAL);
    }
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())),
        Component::ParentDir => Some(errno(libc::EINVAL)),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

impl SimulatedDisk {
    fn read_with<T>(
        &self,
        what: &'static str,
        path: &Path,
        f: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let result = state.count().and_then(|()| f(&mut state));
        at(what, path, result)
    }

    fn change<T>(
        &self,
        what: &'static str,
        path: &Path,
        f: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let result = state.count_change().and_then(|()| f(&mut state));
        at(what, path, result)
    }

    fn boxed(&self, path: &Path, ino: Ino, write: bool) -> Box<dyn DiskFile> {
        if write {
            *self.state().writers.entry(ino).or_default() += 1;
        }
        Box::new(SimulatedFile {
            disk: self.clone(),
            ino,
            path: path.to_owned(),
            write,
            lock: Mutex::default(),
            sync_failed: AtomicBool::new(false),
        })
    }

    /// Locks the file that `find` finds, each time that it is tried.
    fn lock_found(
        &self,
        path: &Path,
        exclusive: bool,
        patience: Patience,
        find: impl Fn(&mut State) -> io::Result<Ino>,
    ) -> Result<Option<Box<dyn Send + Sync>>> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            let ino = at("lock", path, find(&mut state))?;
            if state.try_lock(ino, exclusive) {
                return Ok(Some(Box::new(Lock { disk: self.clone(), ino })));
            }
            let left = match patience {
                Patience::Try => return Ok(None),
                Patience::For(longest) => longest.saturating_sub(begun.elapsed()),
            };
            if left.is_zero() {
                return at("lock", path, Err(io::ErrorKind::TimedOut.into()));
            }
            let waited = self.shared.unlocked.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The file to lock, created if it is missing.
    fn lockable(state: &mut State, path: &Path) -> io::Result<Ino> {
        match state.find(path)? {
            Some(ino) => state.file(ino).map(|_| ino),
            None if state.read_only => errno(libc::EROFS),
            None => state.add_file(path),
        }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>> {
        let ino = self.read_with("open", path, |state| {
            let ino = state.resolve(path)?;
            state.file(ino)?;
            if write && state.read_only { errno(libc::EROFS) } else { Ok(ino) }
        })?;
        Ok(self.boxed(path, ino, write))
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let ino = self.change("create", path, |state| match state.find(path)? {
            Some(_) => errno(libc::EEXIST),
            None => state.add_file(path),
        })?;
        Ok(self.boxed(path, ino, true))
    }

    fn map(&self, path: &Path) -> Result<Mapped> {
        let bytes =
            self.read_with("map", path, |state| Ok(state.file(state.resolve(path)?)?.bytes.clone()))?;
        Ok(Arc::new(bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change("rename", from, |state| {
            let moved = state.resolve(from)?;
            let (old, old_name) = state.parent(from)?;
            let (new, new_name) = state.parent(to)?;
            match state.find(to)?.map(|replaced| &state.inodes[replaced]) {
                Some(Inode::Dir(dir)) if !dir.entries.is_empty() => return errno(libc::ENOTEMPTY),
                _ => {}
            }
            state.dir_mut(old)?.set(old_name, None);
            state.dir_mut(new)?.set(new_name, Some(moved));
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.change("link", from, |state| {
            let linked = state.resolve(from)?;
            state.file(linked)?;
            let (folder, name) = state.parent(to)?;
            if state.find(to)?.is_some() {
                return errno(libc::EEXIST);
            }
            state.dir_mut(folder)?.set(name, Some(linked));
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.change("remove", path, |state| {
            state.file(state.resolve(path)?)?;
            let (parent, name) = state.parent(path)?;
            state.dir_mut(parent)?.set(name, None);
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.change("remove", path, |state| {
            if !state.dir(state.resolve(path)?)?.entries.is_empty() {
                return errno(libc::ENOTEMPTY);
            }
            let (parent, name) = state.parent(path)?;
            state.dir_mut(parent)?.set(name, None);
            Ok(())
        })
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.change("create", path, |state| {
            let mut missing = Vec::new();
            for ancestor in path.ancestors() {
                match state.find(ancestor)? {
                    Some(ino) => {
                        state.dir(ino)?;
                        break;
                    }
                    None => missing.push(ancestor),
                }
            }
            for ancestor in missing.into_iter().rev() {
                state.add(ancestor, Inode::Dir(Dir::default()))?;
            }
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        self.read_with("list", path, |state| {
            Ok(state.dir(state.resolve(path)?)?.entries.keys().cloned().collect())
        })
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.read_with("stat", path, |state| match state.find(path) {
            Ok(Some(ino)) => Ok(Some(stat_of(ino, &state.inodes[ino]))),
            Ok(None) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.read_with("sync", path, |state| {
            let ino = state.resolve(path)?;
            state.syncs += 1;
            state.dir_mut(ino)?.sync();
            Ok(())
        })
    }

    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        self.lock_found(path, exclusive, patience, |state| Self::lockable(state, path))
    }

    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>> {
        let mut state = self.state();
        let ino = at("lock", path, Self::lockable(&mut state, path))?;
        Ok(Arc::new(SimulatedLock { disk: self.clone(), ino, path: path.to_owned() }))
    }

    fn sync_below(&self, folder: &Path) -> Result<()> {
        self.read_with("sync", folder, |state| {
            let inside: Vec<Ino> = state.dir(state.resolve(folder)?)?.entries.values().copied().collect();
            state.syncs += 1;
            for ino in inside {
                if let Inode::File(file) = &mut state.inodes[ino] {
                    file.sync();
                }
            }
            Ok(())
        })
    }

    fn run(&self, _path: &Path) -> Run {
        let state = self.state();
        let boot = BootId(u128::from(state.boots + 1).to_be_bytes());
        Run { boot, mount: state.mounts.map(MountId) }
    }

    fn space(&self, _path: &Path) -> Result<Space> {
        let state = self.state();
        Ok(Space { available: state.available(), total: state.capacity.unwrap_or(BOUNDLESS) })
    }
}

fn stat_of(ino: Ino, inode: &Inode) -> Stat {
    let id = id_of(ino);
    match inode {
        Inode::File(file) => {
            let (len, modified) = (file.bytes.len() as u64, time(file.modified));
            Stat { id, kind: FileType::File, len, allocated: len, modified, changed: modified }
        }
        Inode::Dir(dir) => {
            let changed = time(dir.changed);
            Stat { id, kind: FileType::Dir, len: 0, allocated: 0, modified: UNIX_EPOCH, changed }
        }
    }
}

fn id_of(ino: Ino) -> FileId {
    FileId { device: 0, inode: ino as u64 }
}

/// A clock that only operations move.
fn time(operations: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(operations)
}

#[derive(Debug)]
struct Lock {
    disk: SimulatedDisk,
    ino: Ino,
}

/// A file that is held open to be locked.
#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    ino: Ino,
    path: PathBuf,
}

impl LockFile for SimulatedLock {
    fn id(&self) -> Result<FileId> {
        Ok(id_of(self.ino))
    }

    fn lock(self: Arc<Self>, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock_found(&self.path, true, patience, |_| Ok(self.ino))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.state().unlock(self.ino);
        self.disk.shared.unlocked.notify_all();
    }
}

#[cfg(test)]
mod tests;
