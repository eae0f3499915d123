//! Starting the mount in the background: a copy of the program, in a session of its own, that says when it is ready.
//!
//! The starter waits on a pipe, which is the copy's error output as well until it is ready: whatever its last words are,
//! and from whichever part of it, they arrive. The copy writes `ready` on a line of its own; if it ends, so does the pipe.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

/// What the copy writes once the mount answers.
const READY: &str = "ready\n";
/// Longest last words in bytes.
const SAID_MAX: u64 = 64 << 10;

/// Why a background process did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It said why.
    #[error("{0}")]
    Failed(String),
    /// It ended without a word.
    #[error("the background process ended before it was ready ({0})")]
    Died(ExitStatus),
    /// It could not be started.
    #[error("cannot start the background process: {0}")]
    Start(#[from] io::Error),
}

/// A process that was started in the background and is ready.
#[derive(Debug)]
pub struct Launched {
    /// Its number.
    pub process: u32,
    /// What it said before it was ready.
    pub said: String,
}

/// Starts `command` in the background and waits until it calls [`ReadySignal::ready`]. The descriptor number of its
/// end of the pipe is added as the last argument, `--ready-fd=N`.
///
/// # Errors
/// What the process said before it gave up, if it said anything.
pub fn launch(mut command: Command) -> Result<Launched, LaunchError> {
    let (mut reader, writer) = io::pipe()?;
    let descriptor = writer.as_raw_fd();
    command.arg(format!("--ready-fd={descriptor}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer.try_clone()?);
    // SAFETY: between fork and exec the closure only makes the async-signal-safe calls fcntl and setsid.
    unsafe { command.pre_exec(move || detach(descriptor)) };
    let mut child = command.spawn()?;
    // The command holds the other end too.
    drop((writer, command));
    let mut said = Vec::new();
    Read::by_ref(&mut reader).take(SAID_MAX).read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    if let Some(before) = said.strip_suffix(READY) {
        return Ok(Launched { process: child.id(), said: before.to_owned() });
    }
    if said.trim().is_empty() {
        return Err(LaunchError::Died(child.wait()?));
    }
    Err(LaunchError::Failed(said))
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

    /// Tells the starter that the mount answers. From then on nobody hears the error output.
    pub fn ready(mut self) {
        // A starter that is gone does not wait.
        let _ = self.0.write_all(READY.as_bytes());
        if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
            // SAFETY: both are open, and the number of the error output stays open.
            unsafe { libc::dup2(nowhere.as_raw_fd(), libc::STDERR_FILENO) };
        }
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
    fn a_process_that_says_ready_is_launched_with_what_it_said_before() {
        let script = "echo note >&2; exec 2> /dev/null; echo ready > /proc/self/fd/${0#--ready-fd=}";
        let launched = launch(shell(script)).unwrap();
        assert_ne!(launched.process, std::process::id());
        assert_eq!(launched.said, "note\n");
    }

    #[test]
    fn the_last_words_of_a_process_are_heard_on_either_way() {
        for way in ["/proc/self/fd/${0#--ready-fd=}", "/dev/stderr"] {
            let error = launch(shell(&format!("echo no fuse here > {way}"))).unwrap_err();
            assert_eq!(error.to_string(), "no fuse here\n");
        }
    }

    #[test]
    fn a_process_that_dies_without_a_word_is_told_with_its_end() {
        let error = launch(shell("exit 3")).unwrap_err().to_string();
        assert!(error.ends_with("before it was ready (exit status: 3)"), "{error}");
        let error = launch(shell("kill -KILL $$")).unwrap_err().to_string();
        assert!(error.contains("signal: 9"), "{error}");
    }
}
