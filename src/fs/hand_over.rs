//! Handing files to the kernel as they are opened, so that it reads them from the disk by itself, and writes to those that are
//! begun anew.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use fuser::{BackingId, ReplyCreate, ReplyOpen};

use super::asked::Asked;
use super::opening::Opened;
use super::passthrough::Passthrough;

/// A reply that can register a file of the disk with the kernel.
pub(super) trait Register {
    /// Registers an open file; the result takes it back when it is dropped.
    fn register(&self, file: BorrowedFd<'_>) -> io::Result<BackingId>;
}

impl Register for ReplyOpen {
    fn register(&self, file: BorrowedFd<'_>) -> io::Result<BackingId> {
        self.open_backing(file)
    }
}

impl Register for ReplyCreate {
    fn register(&self, file: BorrowedFd<'_>) -> io::Result<BackingId> {
        self.open_backing(file)
    }
}

/// Notes that a thread has opened a file, and hands it to the kernel if that can be. `None` if it is read and written
/// through us.
pub(super) fn hand_over(
    asked: &Asked<'_>,
    passthrough: &Passthrough<BackingId>,
    (ino, opened, thread): (u64, &Opened, u32),
    reply: &impl Register,
) -> Option<Arc<BackingId>> {
    let file = asked.core.opened(opened.handle).ok()?;
    if !file.is_on_disk() {
        return None;
    }
    let lending = &asked.core.shared.lending;
    if !opened.is_writer {
        lending.opened(thread, opened.handle);
    }
    // Asked of the first that opens an inode alone, and only where the kernel can.
    let register = || {
        let backing = file.backing(|| lending.lends_to(thread));
        let backing = backing.ok_or_else(|| io::Error::other("it is read and written through us"))?;
        let fd = backing.as_fd().ok_or_else(|| io::Error::other("the system has no descriptor of it"))?;
        backing.lend()?;
        reply.register(fd)
    };
    passthrough.enter(ino, opened.handle, Some(register))
}
