//! A disk that remembers every write and every flush: what a power cut at any moment leaves can be made of it exactly.
//!
//! It is one file of a file system of its own, below a loop device that hands every request through; so what is logged
//! is what the kernel's file system asked of its disk, in its order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, Session, WriteFlags,
};

use crate::seed::Random;
use crate::stage::{Missing, needs_root};

/// Bytes of the disk: enough for a file system with a journal, some models and some packs.
const LEN: u64 = 96 << 20;
const FOREVER: Duration = Duration::from_secs(1000);
const DISK: INodeNo = INodeNo(2);

enum Event {
    Write { offset: u64, bytes: Vec<u8> },
    Flush,
}

struct Log {
    /// The disk before the first event, and as it is.
    start: Vec<u8>,
    now: Vec<u8>,
    events: Vec<Event>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Log>>);

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An ext4 on a logged disk, mounted; everything is taken away when it is dropped.
pub struct LoggedDisk {
    shared: Shared,
    folder: PathBuf,
    mounted: Option<Loop>,
    _session: BackgroundSession,
}

impl LoggedDisk {
    /// A new file system at `folder/fs`.
    pub fn new(folder: &Path) -> Result<Self, Missing> {
        needs_root()?;
        let missing = |what: &str| Missing(format!("{what} are not there"));
        let image = folder.join("start.img");
        fs::File::create(&image).and_then(|file| file.set_len(LEN)).expect("room");
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&image)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return Err(missing("the tools of ext4"));
        }
        let start = fs::read(&image).expect("it was made");
        fs::remove_file(image).expect("it was made");
        let log = Log { now: start.clone(), start, events: Vec::new() };
        let shared = Shared(Arc::new(Mutex::new(log)));
        let served = folder.join("served");
        fs::create_dir(&served).expect("new");
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("logged".to_owned())];
        let session = Session::new(OneFile(shared.clone()), &served, &config).and_then(Session::spawn);
        let session = session.map_err(|error| Missing(format!("no file system can be served: {error}")))?;
        let mounted = Loop::mount(&served.join("disk"), &folder.join("fs"), true)?;
        Ok(Self { shared, folder: folder.to_owned(), mounted: Some(mounted), _session: session })
    }

    /// How many writes and flushes there were: a moment.
    pub fn moment(&self) -> usize {
        self.shared.log().events.len()
    }

    /// Mounts, at `folder/cut`, what a power cut at a moment leaves, without a part by chance of what was written since
    /// the last flush.
    pub fn cut(&self, moment: usize, random: &mut Random) -> Loop {
        let log = self.shared.log();
        let mut image = log.start.clone();
        let events = &log.events[..moment];
        let flushed = events.iter().rposition(|event| matches!(event, Event::Flush)).map_or(0, |at| at + 1);
        let loses = random.below(2) == 0;
        for (at, event) in events.iter().enumerate() {
            let Event::Write { offset, bytes } = event else { continue };
            if at < flushed || !loses || random.below(2) == 0 {
                image[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
        }
        drop(log);
        // A new file each time: the kernel may not be done with the device below the one before.
        let path = self.folder.join("cut.img");
        let _ = fs::remove_file(&path);
        fs::write(&path, image).expect("room");
        Loop::mount(&path, &self.folder.join("cut"), false).expect("the first one was there")
    }
}

impl Drop for LoggedDisk {
    fn drop(&mut self) {
        self.mounted = None;
    }
}

/// A mounted file on a loop device.
pub struct Loop {
    device: String,
    pub folder: PathBuf,
}

impl Loop {
    /// Mounts the ext4 that is in a file.
    pub fn mount(file: &Path, folder: &Path, direct: bool) -> Result<Self, Missing> {
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).arg(format!("--direct-io={}", if direct { "on" } else { "off" }));
        let output = losetup.arg(file).output();
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            return Err(Missing("there are no loop devices".to_owned()));
        };
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        fs::create_dir_all(folder).expect("a scratch folder");
        let mounted = Self { device, folder: folder.to_owned() };
        match mounted.attach() {
            true => Ok(mounted),
            false => Err(Missing("no ext4 can be mounted".to_owned())),
        }
    }

    fn attach(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", "noatime"]).arg(&self.device).arg(&self.folder);
        mount.status().is_ok_and(|status| status.success())
    }

    /// Unmounts it and mounts it again.
    pub fn mount_again(&self) {
        let status = Command::new("umount").arg(&self.folder).status();
        assert!(status.is_ok_and(|status| status.success()), "nobody holds it");
        assert!(self.attach(), "it was mounted before");
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.folder).status();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// The file system of the one file.
struct OneFile(Shared);

fn attr(ino: INodeNo) -> FileAttr {
    let is_disk = ino == DISK;
    FileAttr {
        ino,
        size: if is_disk { LEN } else { 0 },
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
        perm: if is_disk { 0o600 } else { 0o755 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == "disk" {
            true => reply.entry(&FOREVER, &attr(DISK), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = (offset + u64::from(size)).min(LEN);
        reply.data(&self.0.log().now[offset.min(end) as usize..end as usize]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut log = self.0.log();
        log.now[offset as usize..][..data.len()].copy_from_slice(data);
        log.events.push(Event::Write { offset, bytes: data.to_vec() });
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.log().events.push(Event::Flush);
        reply.ok();
    }
}

/// Moments of a run to cut at: some right after something was acknowledged, some anywhere.
pub fn moments(acknowledged: &[usize], end: usize, count: usize, random: &mut Random) -> Vec<usize> {
    let first = acknowledged[0];
    let mut moments = HashSet::from([first, end]);
    while moments.len() < count {
        moments.insert(match random.below(2) {
            0 => *random.choose(acknowledged),
            _ => first + random.below(end - first),
        });
    }
    let mut moments: Vec<usize> = moments.into_iter().collect();
    moments.sort_unstable();
    moments
}
