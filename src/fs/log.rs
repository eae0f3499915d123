//! The daemon's log: a line for each thing that went wrong, in a file that is there when the mount is gone.
//!
//! A thread of its own writes it, so that nobody who answers the kernel waits for a disk; what comes faster than it can be
//! written is left out and counted. The file is bounded: when it is full it becomes the old one, of which one is kept. A
//! line is one line, whatever names are in it. Several daemons may write one log.

use std::fmt::{self, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::quote;
use crate::units::Timestamp;

use super::namespace::date_names;

/// Bytes from which on the log is full.
const FULL: u64 = 1 << 20;
/// Bytes of a line.
const LINE_MAX: usize = 4096;
/// Lines that wait to be written.
const WAITING: usize = 256;

enum Message {
    Line(String),
    /// Answer, by hanging up, when what came before is written.
    Flush(Sender<()>),
}

/// Where the log goes.
pub(super) struct Log {
    path: Option<PathBuf>,
    sender: Option<Sender<Message>>,
    left_out: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Log {
    /// None is kept.
    pub fn none() -> Self {
        Self { path: None, sender: None, left_out: Arc::default(), thread: None }
    }

    /// Starts to write to the end of a file. Where nothing can be written, nothing is: a repository on a read-only disk
    /// is mounted all the same.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn to(path: &Path) -> io::Result<Self> {
        let (sender, receiver) = bounded(WAITING);
        let left_out = Arc::default();
        let (file, missed) = (path.to_owned(), Arc::clone(&left_out));
        let work = move || write_all(&file, FULL, &receiver, &missed);
        let thread = thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(Self { path: Some(path.to_owned()), sender: Some(sender), left_out, thread: Some(thread) })
    }

    /// The file, if one is written.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Adds a line. Names in it are quoted before.
    pub fn line(&self, at: Timestamp, what: impl Display) {
        let Some(sender) = &self.sender else { return };
        let (day, time) = date_names(at).unwrap_or_default();
        let line = format!("{day} {} UTC {} {what}", time.replace('-', ":"), std::process::id());
        let line = quote::clipped(&quote::text(&line), LINE_MAX);
        match sender.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until what was added is written.
    pub fn flush(&self) {
        let (answer, written) = bounded(0);
        if let Some(sender) = &self.sender
            && sender.send(Message::Flush(answer)).is_ok()
        {
            // The answer is that the thread hangs up.
            let _ = written.recv();
        }
    }
}

impl Drop for Log {
    /// Writes what waits.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported when it happened, and nothing depends on its result.
            let _ = thread.join();
        }
    }
}

fn write_all(path: &Path, full: u64, lines: &Receiver<Message>, left_out: &AtomicU64) {
    while let Ok(message) = lines.recv() {
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(asker) => {
                drop(asker);
                continue;
            }
        };
        let missed = left_out.swap(0, Ordering::Relaxed);
        let more =
            if missed > 0 { format!("\n... {missed} lines were left out here") } else { String::new() };
        // The log is where trouble would be told.
        let _ = append(path, full, &format!("{line}{more}\n"));
    }
}

/// Adds a text in one write, so that those of several daemons do not mix.
fn append(path: &Path, full: u64, text: &str) -> io::Result<()> {
    let open = || OpenOptions::new().append(true).create(true).open(path);
    let mut file = open()?;
    if file.metadata()?.len() + text.len() as u64 > full && set_aside(path, &file)? {
        file = open()?;
    }
    file.write_all(text.as_bytes())
}

/// Makes a full log the old one, unless another daemon is just doing so. Returns whether a new one is to be begun.
fn set_aside(path: &Path, file: &File) -> io::Result<bool> {
    if file.try_lock().is_err() {
        return Ok(false);
    }
    let (held, there) = (file.metadata()?, fs::metadata(path));
    if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
        fs::rename(path, old(path))?;
    }
    Ok(true)
}

/// The name of the log before.
fn old(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_there_when_the_log_is_closed_a_line_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mount.log");
        for _ in 0..2 {
            let log = Log::to(&path).unwrap();
            log.line(
                Timestamp { seconds: 1_795_419_064, nanoseconds: 0 },
                "read a\nb\u{1b}[31m: it is damaged",
            );
        }
        let text = fs::read_to_string(&path).unwrap();
        let line =
            format!("2026-11-23 07:31:04 UTC {} read a\\nb\\033[31m: it is damaged", std::process::id());
        assert_eq!(text.lines().collect::<Vec<_>>(), [&line, &line]);
        Log::none().line(Timestamp::EPOCH, "nothing");
    }

    #[test]
    fn a_full_log_becomes_the_old_one_and_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mount.log");
        for number in 0..100 {
            append(&path, 100, &format!("line {number:04}\n")).unwrap();
        }
        let (now, before) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(old(&path)).unwrap());
        assert!(now.len() <= 100 && before.len() <= 100, "{} {}", now.len(), before.len());
        assert!(format!("{before}{now}").ends_with("line 0098\nline 0099\n"));
        assert!(now.starts_with("line 0090\n") && before.starts_with("line 0080\n"), "{before}{now}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_log_that_another_daemon_is_setting_aside_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mount.log");
        append(&path, 100, "first\n").unwrap();
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        append(&path, 1, "second\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn where_no_log_can_be_written_nothing_else_fails() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::to(&folder.path().join("none/mount.log")).unwrap();
        log.line(Timestamp::EPOCH, "lost");
        drop(log);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
