//! What a process and the daemon of a mount say to each other on a Unix socket in `<repository>/.coral/run/`.
//!
//! One request a connection: a word on a line; answered by lines `busy ...` while it works and a last one `ok ...` or
//! `failed ...`. Does not know who asks, nor what answers.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
    /// What it serves: answers with a [`Served`].
    About,
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
    const ALL: [Request; 8] = [
        Request::Ping,
        Request::About,
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
            Request::About => "about",
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

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its process.
    pub process: u32,
    /// Where it mounted.
    pub mount_point: PathBuf,
    /// When it began, in seconds since 1970.
    pub since: i64,
    /// What it shows, for people.
    pub shows: String,
    /// Bytes that were saved or committed and are not yet coded.
    pub waiting: u64,
}

impl Served {
    /// As a daemon answers it: a line each, the mount point as the kernel has it.
    pub fn to_text(&self) -> String {
        let point: String =
            self.mount_point.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}\n{}\n{}\n{point}\n{}", self.process, self.since, self.waiting, self.shows)
    }

    /// What such a text says; `None` if it says something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.splitn(5, '\n');
        let mut line = || lines.next();
        let (process, since, waiting) = (line()?.parse().ok()?, line()?.parse().ok()?, line()?.parse().ok()?);
        let digits =
            line()?.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        let mount_point = OsString::from_vec(digits.collect::<Option<_>>()?).into();
        Some(Self { process, mount_point, since, shows: line()?.to_owned(), waiting })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_says_of_itself_is_heard_whole() {
        let mount_point = PathBuf::from(OsString::from_vec(b"/mnt/a b\n\xff".to_vec()));
        let shows = "all of it,\nand more".to_owned();
        let served = Served { process: 7, mount_point, since: -3, shows, waiting: 1 << 40 };
        assert_eq!(Served::parse(&unescape(&escape(&served.to_text()))), Some(served));
        for nonsense in ["", "7", "7\n1\n2\nzz\nx", "7\n1\n2\n2f"] {
            assert_eq!(Served::parse(nonsense), None);
        }
    }
}
