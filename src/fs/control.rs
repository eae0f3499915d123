//! The daemon's Unix socket in `<repository>/.coral/run/`: how other processes ask it for things.
//!
//! One request a connection: a word on a line; answered by lines `busy ...` while it works and a last one `ok ...` or
//! `failed ...`. Only the daemon's own user and root are answered. A daemon that is dead or hangs costs the asker at
//! most [`PATIENCE`]: nothing that is asked here is needed for correctness.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

/// How long an asker waits for the next line.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often a working daemon says that it still works.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long nobody is let in when there is nothing to let them in with.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest request or answer line in bytes.
const LINE_MAX: u64 = 64 << 10;

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
    /// To store all files that are settled, and answer when that is done.
    Drain,
    /// What it is doing, for people.
    Status,
    /// To unmount and end.
    Stop,
}

impl Request {
    const ALL: [Request; 6] =
        [Request::Ping, Request::Refresh, Request::Settle, Request::Drain, Request::Status, Request::Stop];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Request::Ping => "ping",
            Request::Refresh => "refresh",
            Request::Settle => "settle",
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

/// The daemons of repositories as one process asks them: who did not answer once is not waited for again.
#[derive(Debug, Default)]
pub struct Daemons {
    silent: Mutex<BTreeSet<PathBuf>>,
}

impl Daemons {
    /// Nobody was asked yet.
    pub const fn new() -> Self {
        Self { silent: Mutex::new(BTreeSet::new()) }
    }

    /// Asks every daemon of the repository whose run folder is `run`, and returns the answers of those that live. What
    /// dead ones left behind is removed. Takes [`PATIENCE`] for those that do not answer, all together.
    ///
    /// # Errors
    /// If the folder exists and cannot be listed.
    pub fn ask_all(&self, run: &Path, request: Request) -> io::Result<Vec<Answer>> {
        let mut sockets = sockets(run)?;
        sockets.retain(|socket| !self.lock().contains(socket));
        let asked = thread::scope(|scope| {
            let asking: Vec<_> =
                sockets.iter().map(|socket| scope.spawn(move || ask(socket, request))).collect();
            asking.into_iter().map(|asking| asking.join().unwrap_or(Asked::Gone)).collect::<Vec<_>>()
        });
        let mut answers = Vec::new();
        for (socket, asked) in sockets.into_iter().zip(asked) {
            match asked {
                Asked::Answered(answer) => answers.push(answer),
                Asked::Silent => drop(self.lock().insert(socket)),
                Asked::Gone => {}
            }
        }
        Ok(answers)
    }

    /// The process numbers of daemons that run and did not answer.
    pub fn silent(&self) -> Vec<u32> {
        self.lock().iter().filter_map(|socket| process_of(socket)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets in a folder, which need not exist.
fn sockets(run: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == SOCKET))
        .collect())
}

/// The process that listens at a socket, as its name tells.
fn process_of(socket: &Path) -> Option<u32> {
    socket.file_stem()?.to_str()?.strip_prefix(NAME)?.parse().ok()
}

/// How a daemon took a question.
enum Asked {
    Answered(Answer),
    /// It is there and says nothing.
    Silent,
    /// It is dead, or ends.
    Gone,
}

/// Asks the daemon behind one socket.
fn ask(socket: &Path, request: Request) -> Asked {
    let stream = match connect(socket) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Nobody listens any more. If it cannot be removed, the next asker tries again.
            let _ = fs::remove_file(socket);
            return Asked::Gone;
        }
        Err(error) if is_timeout(&error) => return Asked::Silent,
        Err(_) => return Asked::Gone,
    };
    match converse(&stream, request) {
        Ok(Some(answer)) => Asked::Answered(answer),
        Ok(None) => Asked::Gone,
        Err(error) if is_timeout(&error) => Asked::Silent,
        Err(_) => Asked::Gone,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Connects, which may wait as long as reading when too many have asked a daemon that hangs.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (sender, connected) = bounded(1);
    let socket = socket.to_owned();
    thread::Builder::new().name("connect".into()).spawn(move || {
        // Who asked may have gone.
        let _ = sender.send(on_short_path(&socket, UnixStream::connect));
    })?;
    connected.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Says a request and reads until its answer; `None` if the other end says nothing sensible.
fn converse(mut stream: &UnixStream, request: Request) -> io::Result<Option<Answer>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", request.word())?;
    for line in BufReader::new(stream.take(LINE_MAX * 1024)).lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("busy", _) => {}
            ("ok", text) => return Ok(Some(Ok(unescape(text)))),
            ("failed", text) => return Ok(Some(Err(unescape(text)))),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Does what a request asks for.
pub(super) type Handler = dyn Fn(Request) -> Answer + Send + Sync;

/// A listening socket; when this is dropped it is removed, and its thread ends.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    listener: Arc<UnixListener>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ControlSocket {
    /// Listens in the folder `run`, which must exist, under a name of this process, and answers in threads of its own.
    pub fn listen(run: &Path, process: u32, handler: Arc<Handler>) -> io::Result<Self> {
        let path = run.join(format!("{NAME}{process}.{SOCKET}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = Arc::new(on_short_path(&path, UnixListener::bind)?);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let listening = Arc::clone(&listener);
        let accept = move || accept(listening.incoming(), &handler, || thread::sleep(PAUSE));
        let thread = thread::Builder::new().name("control".into()).spawn(accept)?;
        Ok(Self { path, listener, thread: Some(thread) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Left behind, it is removed by the next asker.
        let _ = fs::remove_file(&self.path);
        // SAFETY: the descriptor is open as long as `listener` lives. On Linux this wakes whoever accepts on it.
        let _ = unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Answers until nobody listens any more. `pause` waits a while.
fn accept(incoming: impl Iterator<Item = io::Result<UnixStream>>, handler: &Arc<Handler>, pause: impl Fn()) {
    for stream in incoming {
        let stream = match stream {
            Ok(stream) => stream,
            // It was shut down.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // The asker was faster.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // There is no descriptor or memory for it. It waits at the door, so that asking again is answered at once.
            Err(_) => {
                pause();
                continue;
            }
        };
        let handler = Arc::clone(handler);
        // If no thread can be started the asker sees the connection end.
        let _ = thread::Builder::new().name("control-answer".into()).spawn(move || serve(stream, &*handler));
    }
}

/// Answers one connection. Errors end it: the asker is gone, or neither speaks nor listens.
fn serve(stream: UnixStream, handler: &Handler) {
    let patient = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
    if !peer_is_trusted(&stream) || patient.is_err() {
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
    let (done, wait) = bounded::<()>(0);
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
        let mut answers = Daemons::new().ask_all(run.path(), Request::Ping).unwrap();
        answers.sort();
        assert_eq!(answers, [Ok("1 ping".into()), Ok("2 ping".into())]);
        let failed = Err("two files\nare damaged \\".to_owned());
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Drain).unwrap(), [failed.clone(), failed]);
    }

    #[test]
    fn sockets_of_dead_daemons_are_removed() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Ping).unwrap(), []);
        assert!(!path.exists());
        assert_eq!(Daemons::new().ask_all(&run.path().join("none"), Request::Ping).unwrap(), []);
    }

    #[test]
    fn a_daemon_that_says_nothing_is_waited_for_once() {
        let run = tempfile::tempdir().unwrap();
        let silent = UnixListener::bind(run.path().join("mount-77.sock")).unwrap();
        let _lively = listen(run.path(), 1);
        let daemons = Daemons::new();
        for _ in 0..3 {
            assert_eq!(daemons.ask_all(run.path(), Request::Ping).unwrap(), [Ok("1 ping".into())]);
        }
        assert_eq!(daemons.silent(), [77]);
        // It was asked once: one connection waits, and no other.
        silent.set_nonblocking(true).unwrap();
        assert!(silent.accept().is_ok());
        assert_eq!(silent.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_asker_that_does_not_listen_is_not_waited_for_for_ever() {
        let run = tempfile::tempdir().unwrap();
        let held = Arc::new(());
        let watched = Arc::downgrade(&held);
        let handler = move |_| {
            let _ = &held;
            Ok("x".repeat(16 << 20))
        };
        let socket = ControlSocket::listen(run.path(), 5, Arc::new(handler)).unwrap();
        let mut deaf = UnixStream::connect(run.path().join("mount-5.sock")).unwrap();
        deaf.write_all(b"status\n").unwrap();
        // It is being answered: the first bytes are here.
        deaf.read_exact(&mut [0; 10]).unwrap();
        drop(socket);
        // The thread that answers is the last that holds it.
        while watched.upgrade().is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn without_descriptors_the_door_is_closed_for_a_while() {
        let (asker, stream) = UnixStream::pair().unwrap();
        writeln!(&asker, "ping").unwrap();
        let full = || Err(io::Error::from_raw_os_error(libc::EMFILE));
        let gone = Err(io::Error::from_raw_os_error(libc::ECONNABORTED));
        let incoming = [full(), full(), gone, Ok(stream), Err(io::ErrorKind::InvalidInput.into()), full()];
        let pauses = std::cell::Cell::new(0);
        let handler: Arc<Handler> = Arc::new(|request: Request| Ok(request.word().to_owned()));
        accept(incoming.into_iter(), &handler, || pauses.set(pauses.get() + 1));
        assert_eq!(pauses.get(), 2);
        let mut answer = String::new();
        BufReader::new(&asker).read_line(&mut answer).unwrap();
        assert_eq!(answer, "ok ping\n");
    }

    #[test]
    fn a_socket_that_is_dropped_ends_its_thread_and_lets_go_of_what_answers() {
        let run = tempfile::tempdir().unwrap();
        let held = Arc::new(());
        let watched = Arc::downgrade(&held);
        let handler = move |_| {
            let _ = &held;
            Ok(String::new())
        };
        let socket = ControlSocket::listen(run.path(), 5, Arc::new(handler)).unwrap();
        drop(socket);
        assert!(watched.upgrade().is_none());
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Ping).unwrap(), []);
    }

    #[test]
    fn folders_too_deep_for_a_socket_address_work() {
        let run = tempfile::tempdir().unwrap();
        let deep = run.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let socket = listen(&deep, 3);
        assert_eq!(fs::metadata(&socket.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Daemons::new().ask_all(&deep, Request::Status).unwrap(), [Ok("3 status".into())]);
        drop(socket);
        assert_eq!(Daemons::new().ask_all(&deep, Request::Status).unwrap(), []);
    }
}
