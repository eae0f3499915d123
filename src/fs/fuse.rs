//! The FUSE protocol's side of the file system: decode a request, call the core, reply. Decides nothing.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::repo::RenameMode;
use crate::units::Timestamp;

use super::attr::{Attr, Kind, Lifetime};
use super::attributes::{Changes, SetTime};
use super::core::FileSystem;
use super::errno::{Error, Result};
use super::io::{Cache, OpenMode, Opened, Seek};
use super::lookup::Lookup;
use super::workers::Workers;

/// Largest read and write request, in bytes. Measured: larger ones gain nothing, 128 KiB costs twice the CPU.
const REQUEST_MAX: u32 = 1 << 20;
/// Requests that the kernel may have under way on its own account, such as read-ahead.
const BACKGROUND_MAX: u16 = 64;
/// What the kernel counts blocks in, in bytes.
const BLOCK: u64 = 512;
/// What statfs counts in, in bytes.
const STATFS_BLOCK: u32 = 4096;
/// Inode numbers are never reused, so that one generation is enough.
const GENERATION: Generation = Generation(0);

/// What makes a mount fast or correct beyond the protocol's defaults; each is asked for alone, because a kernel that
/// does not know one refuses all that are asked for with it.
const CAPABILITIES: [InitFlags; 6] = [
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_MAX_PAGES,
];

thread_local! {
    /// Bytes on their way from the core to the kernel.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The adapter that the session calls.
#[derive(Debug)]
pub(super) struct Adapter {
    core: Arc<FileSystem>,
    workers: Workers,
    owner: Owner,
}

/// Whom files belong to: the user whose daemon it is.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Adapter {
    pub fn new(core: Arc<FileSystem>, workers: Workers) -> Self {
        // SAFETY: geteuid and getegid have no preconditions and cannot fail.
        let owner = unsafe { Owner { uid: libc::geteuid(), gid: libc::getegid() } };
        Self { core, workers, owner }
    }

    fn attr(&self, attr: &Attr) -> FileAttr {
        file_attr(attr, self.owner)
    }

    fn reply_entry(&self, found: Result<Attr>, reply: ReplyEntry) {
        match found {
            Ok(attr) => reply.entry(&attr.lifetime.duration(), &self.attr(&attr), GENERATION),
            Err(error) => reply.error(errno(&error)),
        }
    }
}

fn file_attr(attr: &Attr, owner: Owner) -> FileAttr {
    let modified = attr.modified.to_system_time();
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.len,
        blocks: attr.stored.div_ceil(BLOCK),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: file_type(attr.kind),
        perm: (attr.mode & 0o7777) as u16,
        // A file of many snapshots has many names; nobody counts them. One is what tools take for "no hard links".
        nlink: attr.linked.into(),
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: STATFS_BLOCK,
        flags: 0,
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
    }
}

fn errno(error: &Error) -> Errno {
    Errno::from_i32(error.errno())
}

fn reply_empty(result: Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

fn reply_attr(result: Result<Attr>, owner: Owner, reply: ReplyAttr) {
    match result {
        Ok(attr) => reply.attr(&attr.lifetime.duration(), &file_attr(&attr, owner)),
        Err(error) => reply.error(errno(&error)),
    }
}

fn reply_xattr(result: Result<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match result {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() <= size as usize => reply.data(&value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(error) => reply.error(errno(&error)),
    }
}

fn open_mode(flags: OpenFlags) -> OpenMode {
    OpenMode {
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
        truncate: flags.0 & libc::O_TRUNC != 0,
        exclusive: flags.0 & libc::O_EXCL != 0,
    }
}

fn open_flags(opened: &Opened) -> FopenFlags {
    match opened.cache {
        Cache::Keep => FopenFlags::FOPEN_KEEP_CACHE,
        Cache::Renew => FopenFlags::empty(),
        Cache::Bypass => FopenFlags::FOPEN_DIRECT_IO,
    }
}

fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(Timestamp::from(time)),
    }
}

impl fuser::Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for capability in CAPABILITIES {
            // What this kernel lacks is done without.
            let _ = config.add_capabilities(capability);
        }
        // Each answers with the nearest number that it takes.
        let _ = config.set_max_write(REQUEST_MAX).or_else(|nearest| config.set_max_write(nearest));
        let _ = config.set_max_readahead(REQUEST_MAX).or_else(|nearest| config.set_max_readahead(nearest));
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.core.lookup(parent.0, name.as_bytes()) {
            Ok(Lookup::Found(attr, entry)) => {
                let lifetime = attr.lifetime.duration();
                reply.entry_with_ttls(&lifetime, &entry.duration(), &self.attr(&attr), GENERATION);
            }
            Ok(Lookup::Missing(Lifetime::Immutable)) => {
                // Inode 0 says "no such name", and may be remembered.
                let nothing = Attr {
                    ino: 0,
                    kind: Kind::File,
                    mode: 0,
                    len: 0,
                    stored: 0,
                    modified: Timestamp::EPOCH,
                    linked: false,
                    lifetime: Lifetime::Immutable,
                };
                reply.entry(&nothing.lifetime.duration(), &self.attr(&nothing), GENERATION);
            }
            Ok(Lookup::Missing(Lifetime::Shared | Lifetime::Followed | Lifetime::Moving)) => {
                reply.error(Errno::ENOENT)
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.core.forget(ino.0, lookups);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply_attr(self.core.getattr(ino.0), self.owner, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        // All files belong to the daemon's user: changing the owner does nothing.
        _: Option<u32>,
        _: Option<u32>,
        len: Option<u64>,
        // Access times are not recorded.
        _: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = Changes { mode, len, modified: modified.map(set_time) };
        let (core, owner) = (Arc::clone(&self.core), self.owner);
        // Cutting a stored file copies what is left of it.
        self.workers.run(move || reply_attr(core.setattr(ino.0, changes), owner, reply));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.core.readlink(ino.0) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let kind = mode & libc::S_IFMT;
        if kind != libc::S_IFREG && kind != 0 {
            return reply.error(Errno::EPERM);
        }
        let exclusive = OpenMode { write: true, truncate: false, exclusive: true };
        let created = self.core.create(parent.0, name.as_bytes(), mode & 0o7777, exclusive);
        self.reply_entry(
            created.map(|(attr, opened)| {
                self.core.release(opened.handle);
                attr
            }),
            reply,
        );
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        self.reply_entry(self.core.mkdir(parent.0, name.as_bytes(), mode & 0o7777), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.core.unlink(parent.0, name.as_bytes()), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.core.rmdir(parent.0, name.as_bytes()), reply);
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &std::path::Path,
        reply: ReplyEntry,
    ) {
        let target = target.as_os_str().as_bytes();
        self.reply_entry(self.core.symlink(parent.0, name.as_bytes(), target), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mode = match flags.bits() {
            0 => RenameMode::Replace,
            libc::RENAME_NOREPLACE => RenameMode::NoReplace,
            libc::RENAME_EXCHANGE => RenameMode::Exchange,
            _ => return reply.error(Errno::EINVAL),
        };
        let (from, to) = ((parent.0, name.as_bytes()), (new_parent.0, new_name.as_bytes()));
        reply_empty(self.core.rename(from, to, mode), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.core.open(ino.0, open_mode(flags)) {
            Ok(opened) => reply.opened(FileHandle(opened.handle), open_flags(&opened)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        match self.core.create(parent.0, name.as_bytes(), mode & 0o7777, open_mode(OpenFlags(flags))) {
            Ok((attr, opened)) => reply.created(
                &attr.lifetime.duration(),
                &self.attr(&attr),
                GENERATION,
                FileHandle(opened.handle),
                open_flags(&opened),
            ),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let core = Arc::clone(&self.core);
        self.workers.run(move || {
            BUFFER.with_borrow_mut(|buffer| {
                let wanted = size as usize;
                if buffer.len() < wanted {
                    buffer.resize(wanted, 0);
                }
                match core.read(handle.0, offset, &mut buffer[..wanted]) {
                    Ok(len) => reply.data(&buffer[..len]),
                    Err(error) => reply.error(errno(&error)),
                }
            });
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.core.write(handle.0, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply_empty(self.core.flush(handle.0), reply);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.core.release(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let core = Arc::clone(&self.core);
        self.workers.run(move || reply_empty(core.fsync(handle.0), reply));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let core = Arc::clone(&self.core);
        self.workers.run(move || reply_empty(core.fsync_dir(ino.0), reply));
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.core.open_dir(ino.0) {
            Ok((handle, true)) => {
                let flags = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
                reply.opened(FileHandle(handle), flags);
            }
            Ok((handle, false)) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        for position in offset.. {
            let listed = match self.core.listed(handle.0, position) {
                Ok(Some(listed)) => listed,
                Ok(None) => break,
                Err(error) => return reply.error(errno(&error)),
            };
            // The number is a hint that look-ups do not depend on; not to be zero is all that matters.
            if reply.add(ino, position + 1, file_type(listed.1), OsStr::from_bytes(&listed.0)) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        for position in offset.. {
            let name = match self.core.listed(handle.0, position) {
                Ok(Some((name, _))) => name,
                Ok(None) => break,
                Err(error) => return reply.error(errno(&error)),
            };
            let (attr, entry) = match self.core.lookup_listed(ino.0, handle.0, position) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => return reply.error(errno(&error)),
            };
            let lifetime = entry.duration().min(attr.lifetime.duration());
            let name = OsStr::from_bytes(&name);
            if reply.add(INodeNo(attr.ino), position + 1, name, &lifetime, &self.attr(&attr), GENERATION) {
                // It did not fit, so the kernel does not learn of it.
                self.core.forget(attr.ino, 1);
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.core.release(handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let block = u64::from(STATFS_BLOCK);
        match self.core.space() {
            Ok(space) => {
                let free = space.available / block;
                reply.statfs(space.total / block, free, free, 0, 0, STATFS_BLOCK, 255, STATFS_BLOCK);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        reply_xattr(self.core.getxattr(ino.0, name.as_bytes()), size, reply);
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        reply_xattr(self.core.listxattr(ino.0), size, reply);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        // What programs that ask "are you a terminal?" expect of a file.
        reply.error(Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        match mode {
            0 | libc::FALLOC_FL_KEEP_SIZE => {
                let keep_len = mode == libc::FALLOC_FL_KEEP_SIZE;
                reply_empty(self.core.allocate(handle.0, offset, len, keep_len), reply);
            }
            _ => reply.error(Errno::EOPNOTSUPP),
        }
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let to = match whence {
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        match self.core.seek(ino.0, offset, to) {
            Ok(found) => reply.offset(found as i64),
            Err(error) => reply.error(errno(&error)),
        }
    }
}
