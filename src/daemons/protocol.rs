//! What a process and the daemon of a mount say to each other on a Unix socket in `<repository>/.coral/run/`.
//!
//! One request a connection: a word on a line; answered by lines `busy ...` while it works and a last one `ok ...` or
//! `failed ...`. Does not know who asks, nor what answers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an asker waits for the next line.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Longest request or answer line in bytes.
pub const LINE_MAX: u64 = 64 << 10;

/// How the names of sockets begin, before the number of the process, and their extension.
const NAME: &str = "mount-";
const SOCKET: &str = "sock";

/// What a daemon can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Whether it lives: answers with its process id and mount point.
    Ping,
    /// To look at the repository again now: refs or worktrees were changed by the asker.
    Refresh,
    /// To finish with files that were closed just now, and answer when their completion can be seen.
    Settle,
    /// To finish with files that were closed just now, as [`Request::Settle`], and to leave other work for later: the asker
    /// makes a commit.
    GiveWay,
    /// To store all files that are settled, and answer when that is done.
    Drain,
    /// What it is doing, for people.
    Status,
    /// To unmount and end.
    Stop,
}

impl Request {
    const ALL: [Request; 7] = [
        Request::Ping,
        Request::Refresh,
        Request::Settle,
        Request::GiveWay,
        Request::Drain,
        Request::Status,
        Request::Stop,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Request::Ping => "ping",
            Request::Refresh => "refresh",
            Request::Settle => "settle",
            Request::GiveWay => "give-way",
            Request::Drain => "drain",
            Request::Status => "status",
            Request::Stop => "stop",
        }
    }

    /// The request that a line is, if it is one.
    pub fn parse(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|request| request.word() == line.trim())
    }
}

/// What a daemon answered: `Err` if it tried and failed.
pub type Answer = Result<String, String>;

/// The socket of a process in a folder.
pub fn socket_of(run: &Path, process: u32) -> PathBuf {
    run.join(format!("{NAME}{process}.{SOCKET}"))
}

/// Whether a file in that folder is called like a socket.
pub fn is_socket(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == SOCKET)
}

/// The process that listens at a socket, as its name tells.
pub fn process_of(socket: &Path) -> Option<u32> {
    socket.file_stem()?.to_str()?.strip_prefix(NAME)?.parse().ok()
}

/// Calls `action` with a short name for `path`: socket addresses end at 108 bytes, paths do not. The folder is held
/// open and named through `/proc/self/fd`.
pub fn on_short_path<T>(path: &Path, action: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    action(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// A text on one line.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// The text that was put on one line.
pub fn unescape(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(match chars.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            plain => text.push(plain),
        }
    }
    text
}
