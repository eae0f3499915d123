//! Calls that may wait for a file system whose daemon hangs, made so that they cannot hang the caller.
//!
//! Who waits for an answer that a daemon has begun to work on cannot even be killed. So a child makes the call, and is
//! left behind if it takes too long; it ends with the mount.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

/// How long a call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It succeeded.
    Done,
    /// It failed with this error number.
    Failed(i32),
    /// It has not returned.
    Waits,
}

/// Takes a mount away, as umount2(2).
pub(super) fn umount(mount_point: &CStr, flags: libc::c_int) -> io::Result<Outcome> {
    // SAFETY: the path is NUL-terminated, and a child has its own copy of it for as long as it lives.
    in_child(|| unsafe { libc::umount2(mount_point.as_ptr(), flags) })
}

/// Opens a directory, which no kernel answers from its own memory.
pub(super) fn open_dir(path: &CStr) -> io::Result<Outcome> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: as above. The descriptor ends with the child.
    in_child(|| unsafe { libc::open(path.as_ptr(), flags) })
}

/// Runs a program to its end; `None` if it takes too long.
pub(super) fn output(mut command: Command) -> io::Result<Option<Output>> {
    let (sender, ended) = bounded(1);
    thread::Builder::new().name("command".into()).spawn(move || {
        // Who asked may have gone.
        let _ = sender.send(command.output());
    })?;
    ended.recv_timeout(PATIENCE).ok().transpose()
}

/// Makes a call in a child and waits for its end, but no longer than [`PATIENCE`]. `call` returns below 0 and sets errno
/// if it fails; it must do nothing that is not async-signal-safe, and must not allocate.
fn in_child(call: impl FnOnce() -> libc::c_int) -> io::Result<Outcome> {
    let (reader, writer) = pipe()?;
    // SAFETY: the child only makes async-signal-safe calls until it ends: `call` by its contract, then write and _exit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: errno may be read at any time, the buffer is as long as is said, and _exit runs no destructor.
            unsafe {
                let code = if call() < 0 { *libc::__errno_location() } else { 0 };
                libc::write(writer.as_raw_fd(), (&raw const code).cast(), size_of_val(&code));
                libc::_exit(0)
            }
        }
        child => {
            drop(writer);
            answer_of(child, reader)
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors, which are nobody else's.
    match unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } {
        // SAFETY: as above.
        0 => Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn answer_of(child: libc::pid_t, reader: OwnedFd) -> io::Result<Outcome> {
    let mut readable = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let patience = libc::c_int::try_from(PATIENCE.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one structure, which outlives the call.
    match unsafe { libc::poll(&mut readable, 1, patience) } {
        0 => {
            // SAFETY: it is our child and not waited for, so the number is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
            return Ok(Outcome::Waits);
        }
        1 => {}
        _ => return Err(io::Error::last_os_error()),
    }
    let mut code = [0; 4];
    let read = File::from(reader).read_exact(&mut code);
    // SAFETY: no status is asked for. It has written, or died: it ends without waiting for anybody.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    read?;
    Ok(match i32::from_ne_bytes(code) {
        0 => Outcome::Done,
        code => Outcome::Failed(code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_return_are_reported_as_they_ended() {
        assert_eq!(open_dir(c"/").unwrap(), Outcome::Done);
        assert_eq!(open_dir(c"/proc/version").unwrap(), Outcome::Failed(libc::ENOTDIR));
        assert_eq!(open_dir(c"/nothing/here").unwrap(), Outcome::Failed(libc::ENOENT));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind() {
        // SAFETY: pause has no preconditions.
        assert_eq!(in_child(|| unsafe { libc::pause() }).unwrap(), Outcome::Waits);
    }
}
