//! What Coral asks of a disk: the traits [`Disk`] and [`DiskFile`], and the facts they speak of.
//!
//! Knows no implementation. Nothing is durable until the file, or for names the directory, was synced.

use std::fmt::{self, Debug};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Result;
use crate::random::unpredictable;

/// What stands behind a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// Anything else: never written by Coral.
    Other,
}

/// Which file it is, whatever it is called: no two that exist at one time have the same, and an open file keeps its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// One run of the machine, from its start to its end: what was written and not synced in an earlier one may be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// Whether the system tells its runs apart; if not, this one may be another than the last.
    pub fn is_known(&self) -> bool {
        self.0 != [0; 16]
    }
}

impl Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// One mount of a file system, from when it is mounted to when it is unmounted, the same to everybody who sees it in one
/// run of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountId(pub u64);

/// As long as what was written and not synced is sure to be there: one run of the machine and one mount of the file
/// system. When either ends it may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The run of the machine.
    pub boot: BootId,
    /// The mount, if the system tells.
    pub mount: Option<MountId>,
}

impl Run {
    /// Whether it is the same as another one, as far as the system tells: a mount that is not known is not taken for
    /// another.
    pub fn is_same(&self, other: &Run) -> bool {
        let is_same_mount = self.mount.zip(other.mount).is_none_or(|(one, other)| one == other);
        self.boot == other.boot && is_same_mount
    }

    /// Whether what was written in an earlier one is there, synced or not.
    pub fn keeps_what_was_written_in(&self, earlier: &Run) -> bool {
        self.boot.is_known() && self.is_same(earlier)
    }
}

/// How long to wait for a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: the answer is that it is held.
    Try,
    /// So long; then it is an error that names the holder.
    For(Duration),
}

impl Patience {
    /// For locks that are held while something small is written and synced. Slow disks take seconds for a sync, and
    /// some writers may be waiting already.
    pub const BRIEF: Patience = Patience::For(Duration::from_secs(30));
    /// For locks that are held while whole models are stored or rewritten.
    pub const LONG: Patience = Patience::For(Duration::from_secs(600));
}

/// The facts about one file that Coral uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Which file it is.
    pub id: FileId,
    /// What it is.
    pub kind: FileType,
    /// Its length in bytes.
    pub len: u64,
    /// Bytes that it takes on the disk.
    pub allocated: u64,
    /// When its bytes last changed, or what somebody said when that was.
    pub modified: SystemTime,
    /// When anything about it last changed, of a directory also a name in it. Nobody can set this.
    pub changed: SystemTime,
}

/// The bytes of a sealed file, mapped or copied; they never change.
pub type Mapped = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A place that keeps files. Paths are absolute. Nothing is durable until the file, or for names the directory, was
/// synced.
pub trait Disk: Send + Sync + Debug {
    /// Opens an existing file for reading and, if `write`, for writing.
    fn open(&self, path: &Path, write: bool) -> Result<Box<dyn DiskFile>>;
    /// Creates a file that must not exist yet, for reading and writing.
    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    /// Maps a file that no one will ever change or truncate.
    fn map(&self, path: &Path) -> Result<Mapped>;
    /// Moves a file or directory, replacing a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Gives a file a second name, in any folder of the same disk: removing one of them leaves the other.
    ///
    /// # Errors
    /// `EEXIST` if something is at `to`; `EPERM`, `EOPNOTSUPP`, `EMLINK` or `EXDEV` where the file system cannot.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;
    /// Creates a directory with its missing parents; an existing one is fine.
    fn create_dir_all(&self, path: &Path) -> Result<()>;
    /// The names in a directory, sorted, without `.` and `..`, and without names that are not UTF-8: Coral writes
    /// none.
    fn list(&self, path: &Path) -> Result<Vec<String>>;
    /// What is at a path, symbolic links followed; `None` if nothing is.
    fn stat(&self, path: &Path) -> Result<Option<Stat>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;
    /// Has the disk take everything that was written to files below `folder`, for many of them at once. Whether it kept
    /// all is for each to tell by [`DiskFile::check_kept`]: only then are they durable.
    fn sync_below(&self, folder: &Path) -> Result<()>;
    /// Takes an advisory lock on the file at `path` (created if missing); with [`Patience::Try`], `None` if somebody
    /// else holds it. It is let go when the result is dropped or its process ends.
    ///
    /// # Errors
    /// `TimedOut` when patience ends, with the holder's name.
    fn lock(&self, path: &Path, exclusive: bool, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>>;
    /// Opens the file at `path` (created if missing) to lock it again and again.
    fn open_lock(&self, path: &Path) -> Result<Arc<dyn LockFile>>;
    /// The run of the machine and of the file system at `path` that this is.
    fn run(&self, path: &Path) -> Run;
    /// Bytes that can still be written below `path` by this user, and the size of the disk.
    fn space(&self, path: &Path) -> Result<Space>;

    /// Whether these are the operating system's files and paths, so that a library that opens paths by itself can
    /// work on them.
    fn is_native(&self) -> bool {
        false
    }

    /// The whole file.
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.open(path, false)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Replaces the file at `path` by `bytes` so that after a crash there is the old file or the new one, whole;
    /// durable when it returns. After an error of the last step, the sync of the folder, it may be either.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = temporary_beside(path);
        let file = self.create_new(&temporary)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| file.sync());
        if let Err(error) = written.and_then(|()| self.rename(&temporary, path)) {
            // What went wrong is told; that a piece was left behind costs room only.
            let _ = self.remove_file(&temporary);
            return Err(error);
        }
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

/// The ending of temporary files; refs cannot have it.
pub const TEMPORARY_SUFFIX: &str = ".lock";

/// A name in the same folder that nobody else uses: two writers of one file must not meet in a temporary one.
fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}{TEMPORARY_SUFFIX}", unpredictable() as u64));
    path.with_file_name(name)
}

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What can still be written.
    pub available: u64,
    /// The whole disk.
    pub total: u64,
}

/// A file that is held open to be locked: what [`Disk::lock`] locks, without opening it each time. Whether it is still the
/// one at its path is for the holder to ask.
pub trait LockFile: Send + Sync + Debug {
    /// Which file it is.
    fn id(&self) -> Result<FileId>;
    /// Takes the lock for one alone, as [`Disk::lock`] does. A second time through the same open file it may be given
    /// twice.
    ///
    /// # Errors
    /// `TimedOut` when patience ends, with the holder's name.
    fn lock(self: Arc<Self>, patience: Patience) -> Result<Option<Box<dyn Send + Sync>>>;
}

/// One open file. All methods take `&self`: positions are explicit, so threads share it.
pub trait DiskFile: Send + Sync + Debug {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
    /// Writes all of `bytes` at `offset`; a gap before it reads as zeros.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    /// Cuts the file or extends it with zeros.
    fn set_len(&self, len: u64) -> Result<()>;
    /// The length now.
    fn len(&self) -> Result<u64>;
    /// Whether the length is now zero.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Asks the disk to begin taking what was written in a range, so that a later [`DiskFile::sync`] has less to wait
    /// for. A wish, not a promise: nothing is durable by it, and what goes wrong is for the sync to say.
    fn begin_sync(&self, _offset: u64, _len: u64) {}
    /// Takes room on the disk for bytes up to `end` without changing the length, so that writing them cannot fail for
    /// want of it. A disk that cannot do this does nothing.
    ///
    /// # Errors
    /// `ENOSPC` if there is too little room.
    fn reserve(&self, _end: u64) -> Result<()> {
        Ok(())
    }
    /// Notes that the file is being used, as the time of its last change: of files that never change, the ones that can
    /// be missed most are told by it. A wish, not a promise.
    fn note_use(&self) {}
    /// The file's descriptor, for whoever lets the system itself read or write it; `None` where no system has it.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Which file it is.
    fn id(&self) -> Result<FileId>;
    /// How many names lead to it.
    fn names(&self) -> Result<u64>;
    /// When anything about it last changed, by the disk's clock: nobody can set it.
    fn changed(&self) -> Result<SystemTime>;
    /// When its bytes last changed, by the disk's clock, or what somebody said when that was.
    fn modified(&self) -> Result<SystemTime>;
    /// Marks the file as in use by whoever has this open, until it is closed or the process ends; `false` if somebody
    /// else marked it.
    fn try_lock(&self) -> Result<bool>;
    /// Marks the file as in use together with others who mark it so, or lets others do so who are to follow whoever has this
    /// open; `false` if somebody marked it for himself alone.
    fn try_lock_shared(&self) -> Result<bool>;
    /// The same file, opened for writing as well, whatever its names are now.
    fn to_write(&self) -> Result<Box<dyn DiskFile>>;
    /// Whether somebody else marked the file. Asking is seen by nobody.
    fn is_locked(&self) -> Result<bool>;
    /// Whether anybody, this process included, has the file open for writing, mapped so or handed to the kernel for it. To be
    /// asked of a file that is open to be read alone.
    ///
    /// # Errors
    /// If the disk cannot tell.
    fn has_writers(&self) -> Result<bool>;
    /// Fails if the disk is known to have lost bytes that were written to the file, now and ever after; makes nothing
    /// durable, and waits for nothing where that can be told without waiting. What was read before a call that succeeds is
    /// what was written.
    fn check_kept(&self) -> Result<()>;
    /// Makes bytes and length durable.
    ///
    /// # Errors
    /// After an error nothing may be assumed of what was written since the last success: never retry as if nothing
    /// had happened.
    fn sync(&self) -> Result<()>;
}
