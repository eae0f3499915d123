//! The operating system's files, as a [`Disk`].
//!
//! Owns the system calls and the rule that a file whose sync failed stays unusable for syncing. Knows no layout.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use memmap2::Mmap;

use super::error::{at, is_absence};
use super::mount_id::mount_id;
use super::{BootId, Disk, DiskFile, FileId, FileType, LockFile, Mapped, Patience, Result, Run, Space, Stat};
use crate::task::{Stop, Stopped};

/// How long a waiter for a lock sleeps at first and at most: flock(2) knows no deadline.
/// The longest is short, because a lock that others take again and again is free for moments only.
const LOCK_POLL: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(1));
/// How long a file that somebody has a lease of is waited for.
const LEASED: Duration = Duration::from_secs(1);
/// An offset that no file has bytes at: the last page that one could have.
const BEHIND_ALL: i64 = i64::MAX - 4095;

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>> {
        RealFile::boxed(
            path,
            at("open", path, open_regular(OpenOptions::new().read(true).write(write), path)),
        )
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let options = OpenOptions::new().read(true).write(true).create_new(true).to_owned();
        RealFile::boxed(path, at("create", path, options.open(path)))
    }

    fn map(&self, path: &Path) -> Result<Mapped> {
        let file = at("open", path, open_regular(OpenOptions::new().read(true), path))?;
        if at("stat", path, file.metadata())?.len() == 0 {
            return Ok(Arc::new(Vec::new()));
        }
        // SAFETY: the caller promises that nobody changes or truncates the file while it is mapped; Coral itself
        // only ever unlinks sealed files, which leaves a mapping intact.
        let map = at("map", path, unsafe { Mmap::map(&file) })?;
        Ok(Arc::new(map))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        at("rename", from, fs::rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        at("link", from, fs::hard_link(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        at("remove", path, fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        at("remove", path, fs::remove_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        at("create", path, fs::create_dir_all(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in at("list", path, fs::read_dir(path))? {
            names.extend(at("list", path, entry)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(stat_of(&metadata, at("stat", path, metadata.modified())?))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => at("stat", path, Err(error)),
        }
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        at("sync", path, File::open(path).and_then(|dir| dir.sync_all()))
    }

    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        wait_for_lock(path, exclusive, patience, None)
    }

    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>> {
        held_to_lock(path, None)
    }

    fn sync_below(&self, folder: &Path) -> Result<()> {
        let dir = at("sync", folder, File::open(folder))?;
        // SAFETY: syncfs takes no pointers, and the descriptor is open. It syncs the whole file system: whatever else is
        // on it would be written in the next half minute anyway.
        match unsafe { libc::syncfs(dir.as_raw_fd()) } {
            0 => Ok(()),
            _ => at("sync", folder, Err(io::Error::last_os_error())),
        }
    }

    fn run(&self, path: &Path) -> Run {
        static BOOT: OnceLock<BootId> = OnceLock::new();
        let boot = *BOOT.get_or_init(|| {
            let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            // Where nobody tells, the run began long ago for all that was written before: nothing unsynced is trusted.
            BootId(u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes())
        });
        Run { boot, mount: mount_id(path) }
    }

    fn space(&self, path: &Path) -> Result<Space> {
        at("measure", path, space_of(path))
    }

    fn is_native(&self) -> bool {
        true
    }
}

/// The unit of `st_blocks`, whatever the file system's own blocks are.
const BLOCK_LEN: u64 = 512;

fn stat_of(metadata: &fs::Metadata, modified: std::time::SystemTime) -> Stat {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => FileType::File,
        kind if kind.is_dir() => FileType::Dir,
        _ => FileType::Other,
    };
    let (len, allocated) = (metadata.len(), metadata.blocks().saturating_mul(BLOCK_LEN));
    Stat { id: id_of(metadata), kind, len, allocated, modified, changed: changed_of(metadata) }
}

fn changed_of(metadata: &fs::Metadata) -> SystemTime {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(metadata.ctime_nsec()).unwrap_or(0))
}

/// Opens a regular file, and nothing else: a pipe that has its name would be waited for, a device may do anything.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let begun = Instant::now();
    let file = loop {
        match options.custom_flags(libc::O_NONBLOCK).open(path) {
            // Somebody who asks whether anybody writes to it holds a lease for a moment.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < LEASED => {
                thread::sleep(LOCK_POLL.0);
            }
            opened => break opened?,
        }
    };
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// On a disk that cannot be written, an existing file can still be locked.
fn open_for_lock(path: &Path) -> io::Result<File> {
    let writable = open_regular(OpenOptions::new().read(true).write(true).create(true).truncate(false), path);
    match writable {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            // A lock that is not there and cannot be made is refused for the reason that it cannot be made.
            let readable = open_regular(OpenOptions::new().read(true), path);
            readable.map_err(|found| if is_absence(&found) { error } else { found })
        }
        other => other,
    }
}

/// Waiting for a lock that somebody else holds.
struct Wait<'a> {
    patience: Patience,
    stop: Option<&'a dyn Stop>,
    begun: Instant,
    pause: Duration,
}

impl<'a> Wait<'a> {
    fn begin(patience: Patience, stop: Option<&'a dyn Stop>) -> Self {
        Self { patience, stop, begun: Instant::now(), pause: LOCK_POLL.0 }
    }

    /// Waits for a moment; `false` if there is no time for that, an error if there was.
    fn goes_on(&mut self, file: &File) -> io::Result<bool> {
        match self.patience {
            Patience::Try => return Ok(false),
            Patience::For(_) if self.stop.is_some_and(Stop::is_asked) => {
                return Err(io::Error::new(io::ErrorKind::Interrupted, Stopped));
            }
            Patience::For(longest) if self.begun.elapsed() >= longest => {
                return Err(timed_out(file, longest));
            }
            Patience::For(_) => {}
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(LOCK_POLL.1);
        Ok(true)
    }
}

struct RealLock {
    file: File,
    path: PathBuf,
    stop: Option<Arc<dyn Stop>>,
}

impl fmt::Debug for RealLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RealLock").field(&self.path).finish()
    }
}

/// Lets go when it is dropped.
struct Locked(Arc<RealLock>);

impl LockFile for RealLock {
    fn id(&self) -> Result<FileId> {
        Ok(id_of(&at("stat", &self.path, self.file.metadata())?))
    }

    fn lock(self: Arc<Self>, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>> {
        let mut wait = Wait::begin(patience, self.stop.as_deref());
        while !at("lock", &self.path, try_flock(&self.file, true))? {
            if !at("lock", &self.path, wait.goes_on(&self.file))? {
                return Ok(None);
            }
        }
        Ok(Some(Box::new(Locked(self))))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: flock takes no pointers, and the descriptor is open as long as it is held here. Giving a lock back that
        // is held cannot fail.
        unsafe { libc::flock(self.0.file.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// False if somebody else holds the lock.
fn try_flock(file: &File, exclusive: bool) -> io::Result<bool> {
    let kind = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    loop {
        // SAFETY: flock takes no pointers, and the descriptor is open as long as `file` is borrowed.
        if unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(false),
            _ => return Err(error),
        }
    }
}

/// An exclusive lock of all of a file, for [`ofd_lock`].
fn whole_file() -> libc::flock {
    // SAFETY: flock is plain integers, for which zero bytes are a value: from the start to the end, of no process.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock
}

/// Takes a lock, or asks for one, that belongs to whoever opened the file, as flock(2), and that can be asked for without
/// being taken, as that one cannot.
fn ofd_lock(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the call reads and writes one lock, which outlives it, and the descriptor is open as long as `file` is
    // borrowed.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether anybody has a file open for writing: nobody gets a lease to read it then (fcntl(2), "Leases").
fn has_writers(file: &File) -> io::Result<bool> {
    /// `F_SETSIG` of Linux's `fcntl.h`, which the library does not name.
    const SET_SIGNAL: libc::c_int = 10;
    /// File systems of other machines, and of programs, by the numbers of statfs(2): NFS, SMB, CIFS, SMB 2, Ceph, AFS, 9P
    /// and FUSE. A lease is theirs to give, and that they give none says nothing of writers.
    const ELSEWHERE: [i64; 8] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x5346_414f, 0x0102_1997, 0x6573_5546];
    // SAFETY: statfs is plain integers, for which zero bytes are a value.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open as long as `file` is borrowed, and `facts` outlives the call.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &mut facts) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if ELSEWHERE.contains(&(facts.f_type as i64 & 0xffff_ffff)) {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    let ask = |command, argument: libc::c_int| {
        // SAFETY: these commands take a number, and the descriptor is open as long as `file` is borrowed.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // Who comes to write while the lease is held makes the kernel send a signal: one that nobody hears.
    ask(SET_SIGNAL, libc::SIGURG)?;
    match ask(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => ask(libc::F_SETLEASE, libc::F_UNLCK).map(|()| false),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Takes a lock as [`Disk::lock`] says, but no longer than until `stop` is asked.
pub(super) fn wait_for_lock(
    path: &Path,
    exclusive: bool,
    patience: Patience,
    stop: Option<&dyn Stop>,
) -> Result<Option<Box<dyn Send + Sync>>> {
    let mut wait = Wait::begin(patience, stop);
    loop {
        let file = at("lock", path, open_for_lock(path))?;
        if at("lock", path, try_flock(&file, exclusive))? {
            // Between opening and locking somebody may have unlinked the file: a lock on it would guard nothing.
            if at("lock", path, is_still_at(&file, path))? {
                return Ok(Some(Box::new(file)));
            }
            continue;
        }
        if !at("lock", path, wait.goes_on(&file))? {
            return Ok(None);
        }
    }
}

/// Opens a file to be locked again and again; waits end when `stop` is asked.
pub(super) fn held_to_lock(path: &Path, stop: Option<Arc<dyn Stop>>) -> Result<Arc<dyn LockFile>> {
    let file = at("lock", path, open_for_lock(path))?;
    Ok(Arc::new(RealLock { file, path: path.to_owned(), stop }))
}

/// Says who holds the lock, as far as /proc/locks tells (proc_locks(5)).
fn timed_out(file: &File, waited: Duration) -> io::Error {
    let holder = match file.metadata().ok().and_then(|metadata| lock_holder(id_of(&metadata))) {
        Some((process, command)) => format!("process {process} ({command}) holds it"),
        None => "another process holds it".to_owned(),
    };
    io::Error::new(io::ErrorKind::TimedOut, format!("{holder} and did not let go for {} s", waited.as_secs()))
}

fn lock_holder(id: FileId) -> Option<(u32, String)> {
    let (major, minor) = (libc::major(id.device), libc::minor(id.device));
    let place = format!("{major:02x}:{minor:02x}:{}", id.inode);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, process, at, ..] if at == place => process.parse().ok(),
            _ => None,
        }
    })?;
    let command = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Some((process, command.trim_end().to_owned()))
}

fn id_of(metadata: &fs::Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok(id_of(&held) == id_of(&named)),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn space_of(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is plain integers, for which zero bytes are a value.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and `facts` is a writable statvfs; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut facts) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    Ok(Space { available: bytes(facts.f_bavail), total: bytes(facts.f_blocks) })
}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
    /// After a failed fsync Linux marks the lost pages clean, so that the next fsync would succeed without them.
    sync_failed: AtomicBool,
}

impl RealFile {
    fn boxed(path: &Path, file: Result<File>) -> Result<Box<dyn DiskFile>> {
        Ok(Box::new(Self { file: file?, path: path.to_owned(), sync_failed: AtomicBool::new(false) }))
    }

    fn try_ofd_lock(&self, kind: libc::c_int) -> Result<bool> {
        let mut lock = whole_file();
        lock.l_type = kind as _;
        match ofd_lock(&self.file, libc::F_OFD_SETLK, &mut lock) {
            Ok(()) => Ok(true),
            // fcntl(2): either, when somebody else has it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => at("lock", &self.path, Err(error)),
        }
    }
}

impl DiskFile for RealFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        at("read", &self.path, self.file.read_exact_at(buf, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        at("write", &self.path, self.file.write_all_at(bytes, offset))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        at("truncate", &self.path, self.file.set_len(len))
    }

    fn len(&self) -> Result<u64> {
        Ok(at("stat", &self.path, self.file.metadata())?.len())
    }

    #[cfg(target_os = "linux")]
    fn begin_sync(&self, offset: u64, len: u64) {
        let (Ok(offset), Ok(len)) = (offset.try_into(), len.try_into()) else { return };
        // SAFETY: the call takes no pointers, and the descriptor is open as long as the file is borrowed. Without its
        // waiting flags it neither reports nor clears an error of the disk: the sync that follows still sees it.
        unsafe { libc::sync_file_range(self.file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, end: u64) -> Result<()> {
        let Ok(end) = libc::off_t::try_from(end) else { return Ok(()) };
        // SAFETY: fallocate takes no pointers, and the descriptor is open as long as the file is borrowed.
        if unsafe { libc::fallocate(self.file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, end) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINTR) => Ok(()),
            _ => at("reserve room in", &self.path, Err(error)),
        }
    }

    fn note_use(&self) {
        let now = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
        // SAFETY: two times, as futimens wants them, and an open descriptor. Who may not set the time goes without.
        unsafe { libc::futimens(self.file.as_raw_fd(), [now, now].as_ptr()) };
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn id(&self) -> Result<FileId> {
        Ok(id_of(&at("stat", &self.path, self.file.metadata())?))
    }

    fn names(&self) -> Result<u64> {
        Ok(at("stat", &self.path, self.file.metadata())?.nlink())
    }

    fn changed(&self) -> Result<SystemTime> {
        Ok(changed_of(&at("stat", &self.path, self.file.metadata())?))
    }

    fn modified(&self) -> Result<SystemTime> {
        at("stat", &self.path, self.file.metadata().and_then(|metadata| metadata.modified()))
    }

    fn try_lock(&self) -> Result<bool> {
        self.try_ofd_lock(libc::F_WRLCK)
    }

    fn try_lock_shared(&self) -> Result<bool> {
        self.try_ofd_lock(libc::F_RDLCK)
    }

    fn to_write(&self) -> Result<Box<dyn DiskFile>> {
        // What a descriptor stands for is there also when its name is gone.
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let opened = open_regular(OpenOptions::new().read(true).write(true), Path::new(&path));
        RealFile::boxed(&self.path, at("open", &self.path, opened))
    }

    fn is_locked(&self) -> Result<bool> {
        let mut lock = whole_file();
        let asked = at("ask for locks of", &self.path, ofd_lock(&self.file, libc::F_OFD_GETLK, &mut lock));
        asked.map(|()| i32::from(lock.l_type) != libc::F_UNLCK)
    }

    fn has_writers(&self) -> Result<bool> {
        at("ask for writers of", &self.path, has_writers(&self.file))
    }

    fn check_kept(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return at(
                "keep bytes of",
                &self.path,
                Err(io::Error::other("an earlier sync of this file failed")),
            );
        }
        // SAFETY: the call takes no pointers, and the descriptor is open as long as the file is borrowed. Waiting for the
        // pages of a range tells of errors of the whole file since they were last told through this descriptor; in a range
        // that no file reaches there is nothing to wait for (file_fdatawait_range in Linux's mm/filemap.c).
        let told = unsafe {
            libc::sync_file_range(self.file.as_raw_fd(), BEHIND_ALL, 1, libc::SYNC_FILE_RANGE_WAIT_BEFORE)
        };
        if told == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EIO | libc::ENOSPC | libc::EDQUOT) => {
                self.sync_failed.store(true, Ordering::Release);
                at("keep bytes of", &self.path, Err(error))
            }
            // Where that cannot be told, a sync tells.
            Some(_) | None => self.sync(),
        }
    }

    fn sync(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return at("sync", &self.path, Err(io::Error::other("an earlier sync of this file failed")));
        }
        let result = self.file.sync_data();
        self.sync_failed.fetch_or(result.is_err(), Ordering::AcqRel);
        at("sync", &self.path, result)
    }
}
