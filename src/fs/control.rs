//! The daemon's Unix socket in `<repository>/.coral/run/`: how other processes ask it for things.
//!
//! One request a connection: a word on a line; answered by lines `busy ...` while it works and a last one `ok ...` or
//! `failed ...`. Only the daemon's own user and root are answered. A daemon that is dead or hangs costs the asker at
//! most [`PATIENCE`]: nothing that is asked here is needed for correctness.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long an asker waits for the next line.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often a working daemon says that it still works.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest request or answer line in bytes.
const LINE_MAX: u64 = 64 << 10;

/// What a daemon can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Whether it lives: answers with its process id and mount point.
    Ping,
    /// To look at the repository again now: refs or worktrees were changed by the asker.
    Refresh,
    /// To store all files that are settled, and answer when that is done.
    Drain,
    /// What it is doing, for people.
    Status,
    /// To unmount and end.
    Stop,
}

impl Request {
    const ALL: [Request; 5] =
        [Request::Ping, Request::Refresh, Request::Drain, Request::Status, Request::Stop];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Request::Ping => "ping",
            Request::Refresh => "refresh",
            Request::Drain => "drain",
            Request::Status => "status",
            Request::Stop => "stop",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|request| request.word() == line.trim())
    }
}

/// What a daemon answered: `Err` if it tried and failed.
pub type Answer = Result<String, String>;

/// Asks every daemon of the repository whose run folder is `run`, and returns the answers of those that live. What
/// dead ones left behind is removed.
///
/// # Errors
/// If the folder exists and cannot be listed.
pub fn ask_all(run: &Path, request: Request) -> io::Result<Vec<Answer>> {
    let entries = match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut answers = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            answers.extend(ask(&path, request));
        }
    }
    Ok(answers)
}

/// Asks the daemon behind one socket; `None` if it is dead or too slow to wait for.
fn ask(socket: &Path, request: Request) -> Option<Answer> {
    let stream = match on_short_path(socket, UnixStream::connect) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Nobody listens any more. If it cannot be removed, the next asker tries again.
            let _ = fs::remove_file(socket);
            return None;
        }
        stream => stream.ok()?,
    };
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    writeln!(&stream, "{}", request.word()).ok()?;
    let mut lines = BufReader::new(stream.take(LINE_MAX * 1024)).lines();
    loop {
        let line = lines.next()?.ok()?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("busy", _) => continue,
            ("ok", text) => return Some(Ok(unescape(text))),
            ("failed", text) => return Some(Err(unescape(text))),
            _ => return None,
        }
    }
}

/// Does what a request asks for.
pub(super) type Handler = dyn Fn(Request) -> Answer + Send + Sync;

/// A listening socket; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
}

impl ControlSocket {
    /// Listens in the folder `run`, which must exist, under a name of this process, and answers in threads of its own.
    pub fn listen(run: &Path, process: u32, handler: Arc<Handler>) -> io::Result<Self> {
        let path = run.join(format!("mount-{process}.sock"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = on_short_path(&path, UnixListener::bind)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        thread::Builder::new().name("control".into()).spawn(move || accept(&listener, &handler))?;
        Ok(Self { path })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Left behind, it is removed by the next asker.
        let _ = fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, handler: &Arc<Handler>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let handler = Arc::clone(handler);
        // If no thread can be started the asker sees the connection end.
        let _ = thread::Builder::new().name("control-answer".into()).spawn(move || serve(stream, &*handler));
    }
}

/// Answers one connection. Errors end it: the asker is gone.
fn serve(stream: UnixStream, handler: &Handler) {
    if !peer_is_trusted(&stream) || stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let mut line = String::new();
    if BufReader::new((&stream).take(LINE_MAX)).read_line(&mut line).is_err() {
        return;
    }
    let answer = match Request::parse(&line) {
        Some(request) => with_heartbeat(&stream, || handler(request)),
        None => Err(format!("unknown request `{}`", line.trim().escape_debug())),
    };
    let (word, text) = match &answer {
        Ok(text) => ("ok", text),
        Err(text) => ("failed", text),
    };
    let _ = writeln!(&stream, "{word} {}", escape(text));
}

/// Runs `work`, writing `busy` lines until it is done.
fn with_heartbeat(mut stream: &UnixStream, work: impl FnOnce() -> Answer) -> Answer {
    let (done, wait) = crossbeam_channel::bounded::<()>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(HEARTBEAT) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                if stream.write_all(b"busy\n").is_err() {
                    return;
                }
            }
        });
        let answer = work();
        drop(done);
        answer
    })
}

/// Whether the process at the other end belongs to root or to our own user.
fn peer_is_trusted(stream: &UnixStream) -> bool {
    let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` is as large as `len` says, and both outlive the call.
    let code = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    };
    // SAFETY: geteuid has no preconditions and cannot fail.
    code == 0 && (peer.uid == 0 || peer.uid == unsafe { libc::geteuid() })
}

/// Calls `action` with a short name for `path`: socket addresses end at 108 bytes, paths do not. The folder is held
/// open and named through `/proc/self/fd`.
fn on_short_path<T>(path: &Path, action: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    action(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// A text on one line.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(line: &str) -> String {
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

    fn listen(run: &Path, process: u32) -> ControlSocket {
        let handler = move |request| match request {
            Request::Drain => Err("two files\nare damaged \\".to_owned()),
            other => Ok(format!("{process} {}", other.word())),
        };
        ControlSocket::listen(run, process, Arc::new(handler)).unwrap()
    }

    #[test]
    fn every_daemon_answers_and_failures_are_told_whole() {
        let run = tempfile::tempdir().unwrap();
        let _one = listen(run.path(), 1);
        let _two = listen(run.path(), 2);
        let mut answers = ask_all(run.path(), Request::Ping).unwrap();
        answers.sort();
        assert_eq!(answers, [Ok("1 ping".into()), Ok("2 ping".into())]);
        let failed = Err("two files\nare damaged \\".to_owned());
        assert_eq!(ask_all(run.path(), Request::Drain).unwrap(), [failed.clone(), failed]);
    }

    #[test]
    fn sockets_of_dead_daemons_are_removed() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(ask_all(run.path(), Request::Ping).unwrap(), []);
        assert!(!path.exists());
        assert_eq!(ask_all(&run.path().join("none"), Request::Ping).unwrap(), []);
    }

    #[test]
    fn folders_too_deep_for_a_socket_address_work() {
        let run = tempfile::tempdir().unwrap();
        let deep = run.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let socket = listen(&deep, 3);
        assert_eq!(fs::metadata(&socket.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ask_all(&deep, Request::Status).unwrap(), [Ok("3 status".into())]);
        drop(socket);
        assert_eq!(ask_all(&deep, Request::Status).unwrap(), []);
    }
}
