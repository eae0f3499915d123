//! Starting the mount in the background: a copy of the program, in a session of its own, that says when it is ready.
//!
//! The starter waits on a pipe. The copy writes `ready` or why it failed; if it dies silently, the pipe ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What the copy writes once the mount answers.
const READY: &str = "ready\n";

/// Why a background process did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It said why.
    #[error("{0}")]
    Failed(String),
    /// It ended without a word.
    #[error("the background process ended before it was ready")]
    Died,
    /// It could not be started.
    #[error("cannot start the background process: {0}")]
    Start(#[from] io::Error),
}

/// Starts `command` in the background and waits until it calls [`ReadySignal::ready`]. The descriptor number of its
/// end of the pipe is added as the last argument, `--ready-fd=N`. Returns its process id.
///
/// # Errors
/// What the process said before it gave up, if it said anything.
pub fn launch(mut command: Command) -> Result<u32, LaunchError> {
    let (mut reader, writer) = io::pipe()?;
    let descriptor = writer.as_raw_fd();
    command.arg(format!("--ready-fd={descriptor}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec the closure only makes the async-signal-safe calls fcntl and setsid.
    unsafe { command.pre_exec(move || detach(descriptor)) };
    let child = command.spawn()?;
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said)?;
    match said.as_str() {
        READY => Ok(child.id()),
        "" => Err(LaunchError::Died),
        why => Err(LaunchError::Failed(why.trim_end().to_owned())),
    }
}

/// Leaves the terminal's session and keeps the pipe open across exec.
fn detach(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: `descriptor` is open: the parent holds it until the child has been started.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: setsid has no preconditions; it fails only for a group leader, which a fresh child is not.
    match unsafe { libc::setsid() } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The background process's end of the pipe.
#[derive(Debug)]
pub struct ReadySignal(File);

impl ReadySignal {
    /// The pipe behind the number that [`launch`] passed as `--ready-fd`.
    ///
    /// # Errors
    /// If nothing is open under that number.
    pub fn from_descriptor(descriptor: RawFd) -> io::Result<Self> {
        // SAFETY: fcntl takes any number and says EBADF for those that are not open.
        if descriptor <= 2 || unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: it is open, and `launch` made it for this process, which has given it no other owner.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) })))
    }

    /// Tells the starter that the mount answers.
    pub fn ready(mut self) {
        // A starter that is gone does not wait.
        let _ = self.0.write_all(READY.as_bytes());
    }

    /// Tells the starter why there will be no mount.
    pub fn failed(mut self, why: &dyn std::fmt::Display) {
        // A starter that is gone does not wait.
        let _ = writeln!(self.0, "{why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        // The shell's `$0` is the argument after the script: `--ready-fd=N`.
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_process_that_says_ready_is_launched() {
        let pid = launch(shell("echo ready > /proc/self/fd/${0#--ready-fd=}")).unwrap();
        assert_ne!(pid, std::process::id());
    }

    #[test]
    fn a_process_that_fails_is_quoted() {
        let error = launch(shell("echo no fuse here > /proc/self/fd/${0#--ready-fd=}")).unwrap_err();
        assert_eq!(error.to_string(), "no fuse here");
    }

    #[test]
    fn a_process_that_dies_is_noticed() {
        assert!(matches!(launch(shell("exit 3")), Err(LaunchError::Died)));
    }
}
