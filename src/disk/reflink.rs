//! Copies of files that share their blocks until one of them is written to: XFS, Btrfs and others have them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lets the empty file `to` have all the bytes of `from` without copying one. Whether it did: two file systems, one that
/// has no such copies, or a file that nobody may write to share nothing.
///
/// # Errors
/// Where there is no room to note what is shared. What `to` has then is to be cut off.
pub fn reflink(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: FICLONE takes the number of a descriptor, and both are open as long as they are borrowed.
    if unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE as _, from.as_raw_fd()) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EIO) => Err(error),
        Some(_) | None => Ok(false),
    }
}
