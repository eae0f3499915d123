//! Waiting for the end of a process that is not ours to wait for.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::task::{Stopped, Task};

/// How often it is asked whether the waiting is to stop.
const SLICE: Duration = Duration::from_millis(100);

/// A process that is known by more than its number, which another one may have when it has ended (pidfd_open(2)).
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process with this number.
    ///
    /// # Errors
    /// If there is none, or the kernel has no such thing (Linux before 5.3).
    pub fn find(number: u32) -> io::Result<Self> {
        let number = libc::pid_t::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the call takes any number, and no flags.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, number, 0) };
        match i32::try_from(descriptor) {
            // SAFETY: it is new and nobody else's.
            Ok(descriptor @ 0..) => Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`Stopped`] if the waiting is.
    pub fn wait(&self, task: &Task) -> Result<(), Stopped> {
        while !self.ends_within(SLICE) {
            task.check()?;
        }
        Ok(())
    }

    /// Whether it has ended, or ends within a while. One that cannot be watched counts as ended.
    pub fn ends_within(&self, longest: Duration) -> bool {
        let mut ended = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let longest = libc::c_int::try_from(longest.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one structure, which outlives the call.
        match unsafe { libc::poll(&mut ended, 1, longest) } {
            0 => false,
            1 => true,
            _ => io::Error::last_os_error().kind() != io::ErrorKind::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Silent, StopHandle};
    use std::process::Command;
    use std::sync::Arc;

    #[test]
    fn the_end_of_a_process_is_waited_for_until_the_waiting_is_stopped() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(!process.ends_within(Duration::ZERO));
        let stop = StopHandle::default();
        stop.stop();
        assert_eq!(process.wait(&Task::new(Arc::new(stop), Arc::new(Silent))), Err(Stopped));
        child.kill().unwrap();
        assert_eq!(process.wait(&Task::default()), Ok(()));
        child.wait().unwrap();
        assert!(Process::find(u32::MAX).is_err());
    }
}
