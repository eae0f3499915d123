//! Calls that may wait for a file system whose daemon hangs, made so that they cannot hang the caller.
//!
//! Who waits for an answer that a daemon has begun to work on cannot even be killed. So a child makes the call, and is
//! left behind if it takes too long; it ends with the mount.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

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
/// if it fails; it must do nothing that is not async-signal-safe, must not allocate, and has no descriptors.
fn in_child(call: impl FnOnce() -> libc::c_int) -> io::Result<Outcome> {
    Child::start(call)?.outcome()
}

/// A child that makes a call. It is waited for, sooner or later, so that nothing is left of it when it has ended.
struct Child {
    process: libc::pid_t,
    reader: File,
}

impl Child {
    fn start(call: impl FnOnce() -> libc::c_int) -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        // SAFETY: the child only makes async-signal-safe calls until it ends: `call` by its contract, then write and _exit.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // Nothing of ours, such as the lock of a file, may live as long as a call that does not end.
                close_all_but(writer.as_raw_fd());
                // SAFETY: errno may be read at any time, the buffer is as long as is said, and _exit runs no destructor.
                unsafe {
                    let code = if call() < 0 { *libc::__errno_location() } else { 0 };
                    libc::write(writer.as_raw_fd(), (&raw const code).cast(), size_of_val(&code));
                    libc::_exit(0)
                }
            }
            process => Ok(Self { process, reader: File::from(reader) }),
        }
    }

    fn outcome(self) -> io::Result<Outcome> {
        match self.is_done() {
            Ok(true) => {}
            other => {
                self.leave_behind();
                return other.map(|_| Outcome::Waits);
            }
        }
        let mut code = [0; 4];
        let read = (&self.reader).read_exact(&mut code);
        // It has written, or died: it ends without waiting for anybody.
        wait_for(self.process);
        read?;
        Ok(match i32::from_ne_bytes(code) {
            0 => Outcome::Done,
            code => Outcome::Failed(code),
        })
    }

    /// Waits until it has said something, or ended; false if that takes too long.
    fn is_done(&self) -> io::Result<bool> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut readable = libc::pollfd { fd: self.reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let left = libc::c_int::try_from(left).unwrap_or(libc::c_int::MAX);
            // SAFETY: one structure, which outlives the call.
            match unsafe { libc::poll(&mut readable, 1, left) } {
                0 => return Ok(false),
                1 => return Ok(true),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Ends it as soon as its call lets it, which may be never.
    fn leave_behind(&self) {
        let process = self.process;
        // SAFETY: it is our child and not waited for, so the number is still its own.
        unsafe { libc::kill(process, libc::SIGKILL) };
        // Without a thread it stays until this process ends.
        let _ = thread::Builder::new().name("reap".into()).spawn(move || wait_for(process));
    }
}

/// Waits for the end of a child of ours.
fn wait_for(process: libc::pid_t) {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(process, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Closes what a child has of its parent's descriptors. Async-signal-safe.
fn close_all_but(kept: RawFd) {
    let kept = kept as libc::c_uint;
    // SAFETY: the child is a single thread that uses none of them any more.
    unsafe {
        let below = kept == 0 || libc::syscall(libc::SYS_close_range, 0, kept - 1, 0) == 0;
        let above = libc::syscall(libc::SYS_close_range, kept + 1, libc::c_uint::MAX, 0) == 0;
        if below && above {
            return;
        }
        // Linux before 5.9.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        for descriptor in (0..limit.rlim_cur.min(1 << 16) as libc::c_uint).filter(|fd| *fd != kept) {
            libc::close(descriptor as RawFd);
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

    #[test]
    fn a_child_that_is_left_behind_holds_nothing_and_is_reaped_when_it_ends() {
        let held = tempfile::tempfile().unwrap();
        let descriptor = held.as_raw_fd();
        // SAFETY: fcntl takes any number.
        let outcome = in_child(|| unsafe { libc::fcntl(descriptor, libc::F_GETFD) });
        assert_eq!(outcome.unwrap(), Outcome::Failed(libc::EBADF));
        // SAFETY: pause has no preconditions.
        let child = Child::start(|| unsafe { libc::pause() }).unwrap();
        let process = child.process;
        child.leave_behind();
        // SAFETY: no signal is sent. Until it is reaped the number is its own.
        while unsafe { libc::kill(process, 0) } == 0 {
            thread::yield_now();
        }
    }
}
