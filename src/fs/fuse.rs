//! The FUSE protocol's side of the file system: decode a request, let the core answer it in the lane that it belongs
//! to, reply. Decides nothing.
//!
//! Threads of the session never wait all at once: what may wait is done by workers (`workers.rs`). The kernel orders what
//! depends on each other by waiting for the answer before it asks on, so it does not matter who answers.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};

use crate::worktree::RenameMode;

use super::changes::Changes;
use super::completion::Closer;
use super::errno::Result;
use super::file_system::FileSystem;
use super::lanes::Lanes;
use super::meter::Operation;
use super::opening::{OpenMode, Seek};
use super::reply::{self, GENERATION, Owner, STATFS_BLOCK, Told, file_attr, file_type, open_mode, refuse};
use super::upkeep::Upkeep;
use super::workers::{Lane, Workers, shielded};

/// Largest read and write request, in bytes. Measured: larger ones gain nothing, 128 KiB costs twice the CPU.
const REQUEST_MAX: u32 = 1 << 20;
/// Requests that the kernel may have under way on its own account, such as read-ahead.
const BACKGROUND_MAX: u16 = 64;

/// What makes a mount fast or correct beyond the protocol's defaults; each is asked for alone, because a kernel that
/// does not know one refuses all that are asked for with it.
const CAPABILITIES: [InitFlags; 7] = [
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    // Whoever lists names alone gets names alone.
    InitFlags::FUSE_READDIRPLUS_AUTO,
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
    at_end: AtEnd,
}

/// What is done when the kernel says goodbye, before the session is taken down.
pub(super) struct AtEnd(pub Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for AtEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtEnd")
    }
}

impl Adapter {
    pub fn new(core: Arc<FileSystem>, workers: Workers, at_end: AtEnd) -> Self {
        Self { core, workers, owner: Owner::of_process(), at_end }
    }

    /// Answers a request in a lane: on this thread if it is short and others listen.
    fn answer(
        &self,
        operation: Operation,
        lane: Lane,
        answer: impl FnOnce(&FileSystem, Owner) -> Told + Send + 'static,
    ) {
        let asked = Instant::now();
        match self.workers.here(lane) {
            Some(_turn) => shielded(|| note(&self.core, operation, asked, answer(&self.core, self.owner))),
            None => {
                let (core, owner) = (Arc::clone(&self.core), self.owner);
                self.workers.send(lane, move || note(&core, operation, asked, answer(&core, owner)));
            }
        }
    }
}

/// Notes how long an answer took, and what was told.
fn note(core: &FileSystem, operation: Operation, asked: Instant, told: Told) {
    Upkeep::of(&core.shared).note_answer(operation, asked.elapsed(), told.as_ref());
}

/// Reads into this thread's buffer.
fn read(core: &FileSystem, handle: u64, offset: u64, wanted: usize, reply: ReplyData) -> Told {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let read = core.read(handle, offset, &mut buffer[..wanted]);
        reply::data(read.map(|len| &buffer[..len]), reply)
    })
}

fn write(core: &FileSystem, handle: u64, offset: u64, bytes: &[u8], reply: ReplyWrite) -> Told {
    match core.write(handle, offset, bytes) {
        Ok(()) => reply.written(bytes.len() as u32),
        Err(error) => return refuse!(reply, error),
    }
    None
}

fn list(core: &FileSystem, ino: INodeNo, handle: u64, offset: u64, mut reply: ReplyDirectory) -> Told {
    let listing = match core.listing(handle, offset) {
        Ok(listing) => listing,
        Err(error) => return refuse!(reply, error),
    };
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    for (position, entry) in (offset..).zip(listing.list.get(from..).unwrap_or_default()) {
        // The number is a hint that look-ups do not depend on; not to be zero is all that matters.
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(ino, position + 1, file_type(entry.kind()), name) {
            break;
        }
    }
    reply.ok();
    None
}

fn list_with_attributes(
    core: &FileSystem,
    owner: Owner,
    ino: u64,
    handle: u64,
    offset: u64,
    mut reply: ReplyDirectoryPlus,
) -> Told {
    let listing = match core.listing(handle, offset) {
        Ok(listing) => listing,
        Err(error) => return refuse!(reply, error),
    };
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    for (position, entry) in (offset..).zip(listing.list.get(from..).unwrap_or_default()) {
        let (attr, lifetime) = match core.lookup_listed(ino, entry) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => return refuse!(reply, error),
        };
        let lifetime = lifetime.duration().min(attr.lifetime.duration());
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(INodeNo(attr.ino), position + 1, name, &lifetime, &file_attr(&attr, owner), GENERATION) {
            // It did not fit, so the kernel does not learn of it.
            core.forget(attr.ino, 1);
            break;
        }
    }
    reply.ok();
    None
}

fn statfs(core: &FileSystem, reply: ReplyStatfs) -> Told {
    let block = u64::from(STATFS_BLOCK);
    match core.shared.space() {
        Ok(space) => {
            let free = space.available / block;
            reply.statfs(space.total / block, free, free, 0, 0, STATFS_BLOCK, 255, STATFS_BLOCK);
            None
        }
        Err(error) => refuse!(reply, error),
    }
}

/// A file that is made and not opened.
fn make_node(core: &FileSystem, parent: u64, name: &[u8], mode: u32) -> Result<super::attr::Attr> {
    let exclusive = OpenMode { write: true, truncate: false, exclusive: true };
    let (attr, opened) = core.create(parent, name, mode & 0o7777, exclusive)?;
    core.release(opened.handle);
    Ok(attr)
}

impl fuser::Filesystem for Adapter {
    fn destroy(&mut self) {
        (self.at_end.0)();
    }

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
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).names(parent.0);
        self.answer(Operation::Lookup, lane, move |core, owner| {
            reply::lookup(core.lookup(parent.0, &name), owner, reply)
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.answer(Operation::Forget, Lane::Look, move |core, _| {
            core.forget(ino.0, lookups);
            None
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(Operation::GetAttr, Lane::Look, move |core, owner| {
            reply::attr(core.getattr(ino.0), owner, reply)
        });
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
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let handle = handle.map(|handle| handle.0);
        let changes = Changes { mode, len, modified: modified.map(reply::set_time) };
        let lane = Lanes::of(&self.core.shared).setattr(changes, handle);
        self.answer(Operation::SetAttr, lane, move |core, owner| {
            reply::attr(core.setattr(ino.0, changes, handle), owner, reply)
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.answer(Operation::ReadLink, Lane::Look, move |core, _| reply::data(core.readlink(ino.0), reply));
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
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::MakeNode, lane, move |core, owner| {
            reply::entry(make_node(core, parent.0, &name, mode), owner, reply)
        });
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::MakeDir, lane, move |core, owner| {
            reply::entry(core.mkdir(parent.0, &name, mode & 0o7777), owner, reply)
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::Unlink, lane, move |core, _| {
            reply::empty(core.unlink(parent.0, &name), reply)
        });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::RemoveDir, lane, move |core, _| {
            reply::empty(core.rmdir(parent.0, &name), reply)
        });
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &std::path::Path,
        reply: ReplyEntry,
    ) {
        let (name, target) = (name.as_bytes().to_vec(), target.as_os_str().as_bytes().to_vec());
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::SymLink, lane, move |core, owner| {
            reply::entry(core.symlink(parent.0, &name, &target), owner, reply)
        });
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
        let (from, to) = (name.as_bytes().to_vec(), new_name.as_bytes().to_vec());
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::Rename, lane, move |core, _| {
            reply::empty(core.rename((parent.0, &from), (new_parent.0, &to), mode), reply)
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let lane = Lanes::of(&self.core.shared).open(ino.0);
        self.answer(Operation::Open, lane, move |core, _| {
            reply::opened(core.open(ino.0, open_mode(flags)), reply)
        });
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
        let name = name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        self.answer(Operation::Create, lane, move |core, owner| {
            let created = core.create(parent.0, &name, mode & 0o7777, open_mode(OpenFlags(flags)));
            reply::created(created, owner, reply)
        });
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
        let lane = Lanes::of(&self.core.shared).read(handle.0);
        self.answer(Operation::Read, lane, move |core, _| read(core, handle.0, offset, size as usize, reply));
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
        let (asked, lane) = (Instant::now(), Lanes::of(&self.core.shared).write(handle.0));
        match self.workers.here(lane) {
            // The bytes are the session's: written from here, they need not be copied.
            Some(_turn) => shielded(|| {
                let told = write(&self.core, handle.0, offset, data, reply);
                note(&self.core, Operation::Write, asked, told);
            }),
            None => {
                let (core, data) = (Arc::clone(&self.core), data.to_vec());
                self.workers.send(lane, move || {
                    let told = write(&core, handle.0, offset, &data, reply);
                    note(&core, Operation::Write, asked, told);
                });
            }
        }
    }

    fn flush(&self, request: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let thread = request.pid();
        self.answer(Operation::Flush, Lane::Look, move |core, _| {
            reply::empty(core.flush(handle.0, || Closer::of_thread(thread)), reply)
        });
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
        let lane = Lanes::of(&self.core.shared).release(handle.0);
        self.answer(Operation::Release, lane, move |core, _| {
            core.release(handle.0);
            reply.ok();
            None
        });
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let lane = Lanes::of(&self.core.shared).sync(handle.0);
        self.answer(Operation::Sync, lane, move |core, _| reply::empty(core.fsync(handle.0), reply));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer(Operation::SyncDir, Lane::Long, move |core, _| {
            reply::empty(core.fsync_dir(ino.0), reply)
        });
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.answer(Operation::OpenDir, Lane::Look, move |core, _| {
            reply::opened_dir(core.open_dir(ino.0), reply)
        });
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
        let lane = Lanes::of(&self.core.shared).names(ino.0);
        self.answer(Operation::ReadDir, lane, move |core, _| list(core, ino, handle.0, offset, reply));
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let lane = Lanes::of(&self.core.shared).names(ino.0);
        self.answer(Operation::ReadDirPlus, lane, move |core, owner| {
            list_with_attributes(core, owner, ino.0, handle.0, offset, reply)
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.answer(Operation::ReleaseDir, Lane::Look, move |core, _| {
            core.release(handle.0);
            reply.ok();
            None
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.answer(Operation::StatFs, Lane::Look, move |core, _| statfs(core, reply));
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.as_bytes().to_vec();
        self.answer(Operation::GetXattr, Lane::Look, move |core, _| {
            reply::xattr(core.getxattr(ino.0, &name), size, reply)
        });
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.answer(Operation::ListXattr, Lane::Look, move |core, _| {
            reply::xattr(core.listxattr(ino.0), size, reply)
        });
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
        let keep_len = match mode {
            0 => false,
            libc::FALLOC_FL_KEEP_SIZE => true,
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        let lane = Lanes::of(&self.core.shared).write(handle.0);
        self.answer(Operation::Allocate, lane, move |core, _| {
            reply::empty(core.allocate(handle.0, offset, len, keep_len), reply)
        });
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let to = match whence {
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        self.answer(Operation::Seek, Lane::Look, move |core, _| {
            reply::offset(core.seek(ino.0, offset, to), reply)
        });
    }
}
