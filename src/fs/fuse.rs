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
    BackingId, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::worktree::RenameMode;

use super::asked::Asked;
use super::changes::Changes;
use super::completion::Closer;
use super::errno::Result;
use super::file_system::FileSystem;
use super::hand_over::hand_over;
use super::lanes::Lanes;
use super::meter::{Operation, Question};
use super::opening::{OpenMode, Seek};
use super::owner::Owner;
use super::passthrough::Passthrough;
use super::reply::{self, GENERATION, file_attr, file_type, open_mode};
use super::workers::{Lane, Workers, shielded};

/// Largest read and write request, in bytes. Measured: larger ones gain nothing, 128 KiB costs twice the CPU.
const REQUEST_MAX: u32 = 1 << 20;
/// Requests that the kernel may have under way on its own account, such as read-ahead.
const BACKGROUND_MAX: u16 = 64;

/// What makes a mount fast or correct beyond the protocol's defaults; each is asked for alone, because a kernel that
/// does not know one refuses all that are asked for with it.
const CAPABILITIES: [InitFlags; 9] = [
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    // Whoever lists names alone gets names alone.
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_MAX_PAGES,
    // Else the kernel asks before each write whether the file has capabilities.
    InitFlags::FUSE_HANDLE_KILLPRIV_V2,
    // Plain copies are read by the kernel itself, and files that are begun anew are written by it.
    InitFlags::FUSE_PASSTHROUGH,
];

/// File systems that may lie between us and a disk below: another one may be mounted on top of us.
const STACK_DEPTH: u32 = 1;

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
    passthrough: Arc<Passthrough<BackingId>>,
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
    pub fn new(
        core: Arc<FileSystem>,
        workers: Workers,
        owner: Owner,
        passthrough: Passthrough<BackingId>,
        at_end: AtEnd,
    ) -> Self {
        Self { core, workers, owner, passthrough: Arc::new(passthrough), at_end }
    }

    /// Answers a request in a lane: on this thread if it is short and others listen.
    fn answer(&self, question: Question, lane: Lane, answer: impl FnOnce(&Asked<'_>) + Send + 'static) {
        let (began, owner) = (Instant::now(), self.owner);
        match self.workers.here(lane) {
            Some(_turn) => {
                let asked = Asked { core: &self.core, owner, question: &question, began };
                shielded(|| answer(&asked));
            }
            None => {
                let core = Arc::clone(&self.core);
                self.workers.send(lane, move || {
                    answer(&Asked { core: &core, owner, question: &question, began });
                });
            }
        }
    }
}

/// Reads into this thread's buffer.
fn read(asked: &Asked<'_>, handle: u64, offset: u64, wanted: usize, reply: ReplyData) {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let file = match asked.core.opened(handle) {
            Ok(file) => file,
            Err(error) => return reply::data(asked, Err::<&[u8], _>(error), reply),
        };
        let read = file.read(offset, &mut buffer[..wanted]);
        let len = read.as_ref().map_or(0, |len| *len);
        reply::data(asked, read.map(|len| &buffer[..len]), reply);
        file.note_read(offset, len);
    });
}

/// Whether whoever asks may write to a file without taking from it what lets it run as somebody else.
fn keeps_privileges(request: &Request) -> bool {
    request.uid() == 0
}

fn list(asked: &Asked<'_>, handle: u64, offset: u64, mut reply: ReplyDirectory) {
    let listing = match asked.noted(asked.core.listing(handle, offset)) {
        Ok(listing) => listing,
        Err(errno) => return reply.error(errno),
    };
    for (next, entry) in listing.from(offset) {
        // The number is a hint that look-ups do not depend on; not to be zero is all that matters.
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(INodeNo(asked.question.ino), next, file_type(entry.kind()), name) {
            break;
        }
    }
    reply.ok();
}

fn list_with_attributes(asked: &Asked<'_>, handle: u64, offset: u64, mut reply: ReplyDirectoryPlus) {
    match asked.noted(fill(asked, handle, offset, &mut reply)) {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

/// Puts as many names into an answer as there is room for, each looked up.
fn fill(asked: &Asked<'_>, handle: u64, offset: u64, reply: &mut ReplyDirectoryPlus) -> Result<()> {
    let listing = asked.core.listing(handle, offset)?;
    for (next, entry) in listing.from(offset) {
        let Some((attr, lifetime)) = asked.core.lookup_listed(asked.question.ino, &entry)? else { continue };
        let lifetime = lifetime.duration().min(attr.lifetime.duration());
        let name = OsStr::from_bytes(&entry.name);
        let shown = file_attr(&attr, asked.owner);
        if reply.add(INodeNo(attr.ino), next, name, &lifetime, &shown, GENERATION) {
            // It did not fit, so the kernel does not learn of it.
            asked.core.forget(attr.ino, 1);
            break;
        }
    }
    Ok(())
}

/// A file that is made and not opened.
fn make_node(core: &FileSystem, parent: u64, name: &[u8], mode: u32) -> Result<super::attr::Attr> {
    let exclusive = OpenMode { write: true, exclusive: true, ..OpenMode::default() };
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
        let _ = config.set_max_stack_depth(STACK_DEPTH);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let lane = Lanes::of(&self.core.shared).names(parent.0);
        let question = Question::of_name(Operation::Lookup, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::lookup(asked, asked.core.lookup(parent.0, asked.name()), reply)
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.answer(Question::of_node(Operation::Forget, ino.0), Lane::Look, move |asked| {
            asked.core.forget(ino.0, lookups);
            let _ = asked.noted(Ok(()));
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(Question::of_node(Operation::GetAttr, ino.0), Lane::Look, move |asked| {
            reply::attr(asked, asked.core.getattr(ino.0), reply)
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        // All files belong to the daemon's user: changing the owner does nothing.
        owner: Option<u32>,
        group: Option<u32>,
        len: Option<u64>,
        accessed: Option<TimeOrNow>,
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
        let is_given_away = owner.or(group).is_some();
        let says_nothing = mode.is_none() && len.is_none() && accessed.is_none() && modified.is_none();
        // The flag that asks for it is not handed on. It comes alone, or with another length from whoever may not keep it.
        let is_strangers = says_nothing || len.is_some() && !keeps_privileges(request);
        let drops_privileges = is_given_away || is_strangers;
        let modified = modified.map(reply::set_time);
        let accessed = accessed.map(reply::set_time);
        let changes = Changes { mode, len, modified, accessed, drops_privileges };
        let lane = Lanes::of(&self.core.shared).setattr(changes, handle);
        self.answer(Question::of_node(Operation::SetAttr, ino.0), lane, move |asked| {
            reply::attr(asked, asked.core.setattr(ino.0, changes, handle), reply)
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.answer(Question::of_node(Operation::ReadLink, ino.0), Lane::Look, move |asked| {
            reply::data(asked, asked.core.readlink(ino.0), reply)
        });
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
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::MakeNode, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::entry(asked, make_node(asked.core, parent.0, asked.name(), mode), reply)
        });
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::MakeDir, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::entry(asked, asked.core.mkdir(parent.0, asked.name(), mode & 0o7777), reply)
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::Unlink, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::empty(asked, asked.core.unlink(parent.0, asked.name()), reply)
        });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::RemoveDir, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::empty(asked, asked.core.rmdir(parent.0, asked.name()), reply)
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
        let target = target.as_os_str().as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::SymLink, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            reply::entry(asked, asked.core.symlink(parent.0, asked.name(), &target), reply)
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
        let to = new_name.as_bytes().to_vec();
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::Rename, parent.0, name.as_bytes());
        self.answer(question, lane, move |asked| {
            let renamed = asked.core.rename((parent.0, asked.name()), (new_parent.0, &to), mode);
            reply::empty(asked, renamed, reply)
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mode = open_mode(flags, keeps_privileges(request), request.pid());
        let lane = Lanes::of(&self.core.shared).open(ino.0);
        let (passthrough, thread) = (Arc::clone(&self.passthrough), request.pid());
        self.answer(Question::of_node(Operation::Open, ino.0), lane, move |asked| {
            let opened = asked.core.open(ino.0, mode).map(|opened| {
                let backing = hand_over(asked, &passthrough, (ino.0, &opened, thread), &reply);
                (opened, backing)
            });
            reply::opened(asked, opened, reply);
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let how = open_mode(OpenFlags(flags), keeps_privileges(request), request.pid());
        let lane = Lanes::of(&self.core.shared).naming(parent.0);
        let question = Question::of_name(Operation::Create, parent.0, name.as_bytes());
        let (passthrough, thread) = (Arc::clone(&self.passthrough), request.pid());
        self.answer(question, lane, move |asked| {
            let created = asked.core.create(parent.0, asked.name(), mode & 0o7777, how);
            let created = created.map(|(attr, opened)| {
                let backing = hand_over(asked, &passthrough, (attr.ino, &opened, thread), &reply);
                (attr, opened, backing)
            });
            reply::created(asked, created, reply)
        });
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let lane = Lanes::of(&self.core.shared).read(handle.0);
        self.answer(Question::of_node(Operation::Read, ino.0), lane, move |asked| {
            read(asked, handle.0, offset, size as usize, reply)
        });
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let lane = Lanes::of(&self.core.shared).write(handle.0);
        let question = Question::of_node(Operation::Write, ino.0);
        let is_strangers = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let (began, owner, asker) = (Instant::now(), self.owner, request.pid());
        let write = move |asked: &Asked<'_>, data: &[u8]| {
            let written = asked.core.opened(handle.0).and_then(|file| {
                let file = file.asked_by(asker);
                file.write(offset, data)?;
                if is_strangers { file.drop_privileges() } else { Ok(()) }
            });
            reply::written(asked, written, data.len(), reply);
        };
        match self.workers.here(lane) {
            // The bytes are the session's: written from here, they need not be copied.
            Some(_turn) => {
                let asked = Asked { core: &self.core, owner, question: &question, began };
                shielded(|| write(&asked, data));
            }
            None => {
                let (core, data) = (Arc::clone(&self.core), data.to_vec());
                self.workers.send(lane, move || {
                    write(&Asked { core: &core, owner, question: &question, began }, &data);
                });
            }
        }
    }

    fn flush(&self, request: &Request, ino: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let (thread, lane) = (request.pid(), Lanes::of(&self.core.shared).close(handle.0));
        self.answer(Question::of_node(Operation::Flush, ino.0), lane, move |asked| {
            let file = asked.core.opened(handle.0);
            let noted = file.map(|file| file.flush(|opener| Closer::of_thread(thread, opener)));
            reply::empty(asked, noted, reply)
        });
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let lane = Lanes::of(&self.core.shared).release(handle.0);
        let passthrough = Arc::clone(&self.passthrough);
        self.answer(Question::of_node(Operation::Release, ino.0), lane, move |asked| {
            // In this order: whoever joins an inode that the kernel has meets a handle that is counted still.
            passthrough.leave(handle.0);
            asked.core.release(handle.0);
            reply::empty(asked, Ok(()), reply);
        });
    }

    fn fsync(&self, _: &Request, ino: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let lane = Lanes::of(&self.core.shared).sync(handle.0);
        self.answer(Question::of_node(Operation::Sync, ino.0), lane, move |asked| {
            reply::empty(asked, asked.core.opened(handle.0).and_then(|file| file.fsync()), reply)
        });
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer(Question::of_node(Operation::SyncDir, ino.0), Lane::Long, move |asked| {
            reply::empty(asked, asked.core.fsync_dir(ino.0), reply)
        });
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.answer(Question::of_node(Operation::OpenDir, ino.0), Lane::Look, move |asked| {
            reply::opened_dir(asked, asked.core.open_dir(ino.0), reply)
        });
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
        let lane = Lanes::of(&self.core.shared).names(ino.0);
        self.answer(Question::of_node(Operation::ReadDir, ino.0), lane, move |asked| {
            list(asked, handle.0, offset, reply)
        });
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
        self.answer(Question::of_node(Operation::ReadDirPlus, ino.0), lane, move |asked| {
            list_with_attributes(asked, handle.0, offset, reply)
        });
    }

    fn releasedir(&self, _: &Request, ino: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.answer(Question::of_node(Operation::ReleaseDir, ino.0), Lane::Look, move |asked| {
            asked.core.release(handle.0);
            reply::empty(asked, Ok(()), reply);
        });
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        self.answer(Question::of_node(Operation::StatFs, ino.0), Lane::Look, move |asked| {
            reply::space(asked, asked.core.shared.space(), reply)
        });
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let question = Question::of_name(Operation::GetXattr, ino.0, name.as_bytes());
        self.answer(question, Lane::Look, move |asked| {
            reply::xattr(asked, asked.core.getxattr(ino.0, asked.name()), size, reply)
        });
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.answer(Question::of_node(Operation::ListXattr, ino.0), Lane::Look, move |asked| {
            reply::xattr(asked, asked.core.listxattr(ino.0), size, reply)
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
        ino: INodeNo,
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
        self.answer(Question::of_node(Operation::Allocate, ino.0), lane, move |asked| {
            let allocated = asked.core.opened(handle.0).and_then(|file| file.allocate(offset, len, keep_len));
            reply::empty(asked, allocated, reply)
        });
    }

    fn copy_file_range(
        &self,
        _: &Request,
        from: INodeNo,
        _: FileHandle,
        from_offset: u64,
        to: INodeNo,
        handle: FileHandle,
        offset: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        if from_offset != offset {
            return reply.error(Errno::EOPNOTSUPP);
        }
        self.answer(Question::of_node(Operation::Copy, to.0), Lane::Change, move |asked| {
            reply::copied(asked, asked.core.copy(from.0, handle.0, offset, len), reply)
        });
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let to = match whence {
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        self.answer(Question::of_node(Operation::Seek, ino.0), Lane::Look, move |asked| {
            reply::offset(asked, asked.core.seek(ino.0, offset, to), reply)
        });
    }
}
