//! What the file system says, in the protocol's words: attributes, flags, times and error numbers.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fuser::{
    BackingId, Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, OpenAccMode,
    OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, TimeOrNow,
};

use crate::disk::Space;
use crate::units::Timestamp;

use super::asked::Asked;
use super::attr::{Attr, Kind, Lifetime};
use super::changes::SetTime;
use super::errno::Result;
use super::file_system::Lookup;
use super::opening::{Cache, OpenMode, Opened};
use super::owner::Owner;

/// What the kernel counts blocks in, in bytes.
const BLOCK: u64 = 512;
/// What statfs counts in, and the size of transfers that suits, in bytes.
const STATFS_BLOCK: u32 = 4096;
/// Inode numbers are never reused, so that one generation is enough.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn file_attr(attr: &Attr, owner: Owner) -> FileAttr {
    let modified = attr.modified.to_system_time();
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.len,
        blocks: attr.stored.div_ceil(BLOCK),
        atime: attr.accessed.to_system_time(),
        mtime: modified,
        ctime: attr.changed.to_system_time(),
        crtime: modified,
        kind: file_type(attr.kind),
        perm: (owner.shown_mode(attr.kind, attr.mode) & 0o7777) as u16,
        // A file of many snapshots has many names; nobody counts them. One is what tools take for "no hard links".
        nlink: attr.linked.into(),
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: STATFS_BLOCK,
        flags: 0,
    }
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
    }
}

pub(super) fn empty(asked: &Asked<'_>, result: Result<()>, reply: ReplyEmpty) {
    match asked.noted(result) {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn attr(asked: &Asked<'_>, result: Result<Attr>, reply: ReplyAttr) {
    match asked.noted(result) {
        Ok(attr) => reply.attr(&attr.lifetime.duration(), &file_attr(&attr, asked.owner)),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn entry(asked: &Asked<'_>, result: Result<Attr>, reply: ReplyEntry) {
    match asked.noted(result) {
        Ok(attr) => reply.entry(&attr.lifetime.duration(), &file_attr(&attr, asked.owner), GENERATION),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn lookup(asked: &Asked<'_>, result: Result<Lookup>, reply: ReplyEntry) {
    match asked.noted(result) {
        Ok(Lookup::Found(attr, entry)) => {
            let lifetime = attr.lifetime.duration();
            reply.entry_with_ttls(&lifetime, &entry.duration(), &file_attr(&attr, asked.owner), GENERATION);
        }
        Ok(Lookup::Missing(lifetime @ Lifetime::Immutable)) => {
            // Inode 0 says "no such name", and may be remembered.
            let nothing = Attr::unknown(0, Kind::File);
            reply.entry(&lifetime.duration(), &file_attr(&nothing, asked.owner), GENERATION);
        }
        Ok(Lookup::Missing(Lifetime::Shared | Lifetime::Followed | Lifetime::Moving)) => {
            reply.error(Errno::ENOENT)
        }
        Err(errno) => reply.error(errno),
    }
}

/// A file that was made, open, and handed to the kernel or not.
pub(super) fn created(
    asked: &Asked<'_>,
    result: Result<(Attr, Opened, Option<Arc<BackingId>>)>,
    reply: ReplyCreate,
) {
    match asked.noted(result) {
        Ok((attr, opened, backing)) => {
            let (lifetime, shown) = (attr.lifetime.duration(), file_attr(&attr, asked.owner));
            let handle = FileHandle(opened.handle);
            match backing {
                Some(backing) => {
                    let flags = close_flags(&opened);
                    reply.created_passthrough(&lifetime, &shown, GENERATION, handle, flags, &backing);
                }
                None => reply.created(&lifetime, &shown, GENERATION, handle, open_flags(&opened)),
            }
        }
        Err(errno) => reply.error(errno),
    }
}

/// An open file, handed to the kernel or not.
pub(super) fn opened(asked: &Asked<'_>, result: Result<(Opened, Option<Arc<BackingId>>)>, reply: ReplyOpen) {
    match asked.noted(result) {
        Ok((opened, Some(backing))) => {
            reply.opened_passthrough(FileHandle(opened.handle), close_flags(&opened), &backing);
        }
        Ok((opened, None)) => reply.opened(FileHandle(opened.handle), open_flags(&opened)),
        Err(errno) => reply.error(errno),
    }
}

/// An open directory, and whether the kernel may cache its names.
pub(super) fn opened_dir(asked: &Asked<'_>, result: Result<(u64, bool)>, reply: ReplyOpen) {
    match asked.noted(result) {
        Ok((handle, true)) => {
            reply.opened(FileHandle(handle), FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE);
        }
        Ok((handle, false)) => reply.opened(FileHandle(handle), FopenFlags::empty()),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn data(asked: &Asked<'_>, result: Result<impl AsRef<[u8]>>, reply: ReplyData) {
    match asked.noted(result) {
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn xattr(asked: &Asked<'_>, result: Result<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match asked.noted(result) {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() <= size as usize => reply.data(&value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn written(asked: &Asked<'_>, result: Result<()>, len: usize, reply: ReplyWrite) {
    match asked.noted(result) {
        Ok(()) => reply.written(len as u32),
        Err(errno) => reply.error(errno),
    }
}

/// Without an answer the kernel reads and writes.
pub(super) fn copied(asked: &Asked<'_>, result: Result<Option<u64>>, reply: ReplyWrite) {
    match asked.noted(result) {
        // The kernel asks for no more than that.
        Ok(Some(len)) => reply.written(u32::try_from(len).unwrap_or(u32::MAX)),
        Ok(None) => reply.error(Errno::EOPNOTSUPP),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn space(asked: &Asked<'_>, result: Result<Space>, reply: ReplyStatfs) {
    let block = u64::from(STATFS_BLOCK);
    match asked.noted(result) {
        Ok(space) => {
            let free = space.available / block;
            reply.statfs(space.total / block, free, free, 0, 0, STATFS_BLOCK, 255, STATFS_BLOCK);
        }
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn offset(asked: &Asked<'_>, result: Result<u64>, reply: ReplyLseek) {
    match asked.noted(result) {
        Ok(found) => reply.offset(found as i64),
        Err(errno) => reply.error(errno),
    }
}

/// How a file is opened with these flags, by somebody who may empty it without taking privileges from it or not.
pub(super) fn open_mode(flags: OpenFlags, keeps_privileges: bool, opener: u32) -> OpenMode {
    OpenMode {
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
        truncate: flags.0 & libc::O_TRUNC != 0,
        exclusive: flags.0 & libc::O_EXCL != 0,
        drops_privileges: !keeps_privileges,
        may_map: flags.acc_mode() == OpenAccMode::O_RDWR,
        opener,
    }
}

fn open_flags(opened: &Opened) -> FopenFlags {
    let cache = match opened.cache {
        Cache::Keep => FopenFlags::FOPEN_KEEP_CACHE,
        Cache::Renew => FopenFlags::empty(),
        Cache::Bypass => FopenFlags::FOPEN_DIRECT_IO,
    };
    cache | close_flags(opened)
}

/// Who only reads has nothing to say when it closes.
fn close_flags(opened: &Opened) -> FopenFlags {
    if opened.is_writer { FopenFlags::empty() } else { FopenFlags::FOPEN_NOFLUSH }
}

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(timestamp(time)),
    }
}

/// The instant that the kernel meant. Where its seconds are negative, the library (fuser 0.18.0) takes its nanoseconds
/// away, which the protocol has to be added.
fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(_) => Timestamp::from(time),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            Timestamp { seconds, nanoseconds: before.subsec_nanos() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_before_1970_are_what_the_kernel_said() {
        // What the library makes of seconds and nanoseconds.
        let library = |seconds: i64, nanoseconds| match u64::try_from(seconds) {
            Ok(seconds) => UNIX_EPOCH + Duration::new(seconds, nanoseconds),
            Err(_) => UNIX_EPOCH - Duration::new(seconds.unsigned_abs(), nanoseconds),
        };
        for (seconds, nanoseconds) in [(-1, 500_000_000), (-1, 0), (-77, 1), (0, 0), (0, 5), (3, 999_999_999)]
        {
            assert_eq!(timestamp(library(seconds, nanoseconds)), Timestamp { seconds, nanoseconds });
        }
    }
}
