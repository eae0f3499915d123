//! The daemon's Unix socket, at which it answers what other processes ask ([`daemons`](crate::daemons)).
//!
//! Only the daemon's own user and root are answered.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::daemons::{Answer, LINE_MAX, PATIENCE, Request, escape, on_short_path, socket_of};
use crossbeam_channel::bounded;

/// How often a working daemon says that it still works.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long nobody is let in when there is nothing to let them in with.
const PAUSE: Duration = Duration::from_millis(100);

/// Does what is asked for.
pub(super) trait Handler: Send + Sync {
    /// Does what a request asks for.
    fn answer(&self, request: Request) -> Answer;

    /// Bytes that are left to do, for who waits for it.
    fn left(&self) -> Option<u64> {
        None
    }
}

impl<F: Fn(Request) -> Answer + Send + Sync> Handler for F {
    fn answer(&self, request: Request) -> Answer {
        self(request)
    }
}

/// A listening socket; when this is dropped it is removed, and its thread ends.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    listener: Arc<UnixListener>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ControlSocket {
    /// Listens in the folder `run`, which must exist, under a name of this process, and answers in threads of its own.
    pub fn listen(run: &Path, process: u32, handler: Arc<dyn Handler>) -> io::Result<Self> {
        let path = socket_of(run, process);
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
fn accept(
    incoming: impl Iterator<Item = io::Result<UnixStream>>,
    handler: &Arc<dyn Handler>,
    pause: impl Fn(),
) {
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
fn serve(stream: UnixStream, handler: &dyn Handler) {
    let patient = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
    if !peer_is_trusted(&stream) || patient.is_err() {
        return;
    }
    let mut line = String::new();
    if BufReader::new((&stream).take(LINE_MAX)).read_line(&mut line).is_err() {
        return;
    }
    let answer = match Request::parse(&line) {
        Some(request) => with_heartbeat(&stream, handler, request),
        None => Err(format!("unknown request `{}`", line.trim().escape_debug())),
    };
    let (word, text) = match &answer {
        Ok(text) => ("ok", text),
        Err(text) => ("failed", text),
    };
    let _ = writeln!(&stream, "{word} {}", escape(text));
}

/// Carries a request out, writing `busy` lines until that is done, with the bytes that are left where that is known.
fn with_heartbeat(mut stream: &UnixStream, handler: &dyn Handler, request: Request) -> Answer {
    let (done, wait) = bounded::<()>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(HEARTBEAT) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                let left = handler.left().map(|left| format!(" {left}")).unwrap_or_default();
                if writeln!(stream, "busy{left}").is_err() {
                    return;
                }
            }
        });
        let answer = handler.answer(request);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemons::Daemons;
    use crate::task::{Silent, StopHandle, Task};

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
        let mut answers = Daemons::new().ask_all(run.path(), Request::Ping, &Task::default()).unwrap();
        answers.sort();
        assert_eq!(answers, [Ok("1 ping".into()), Ok("2 ping".into())]);
        let failed = Err("two files\nare damaged \\".to_owned());
        assert_eq!(
            Daemons::new().ask_all(run.path(), Request::Drain, &Task::default()).unwrap(),
            [failed.clone(), failed]
        );
    }

    #[test]
    fn a_daemon_that_says_nothing_is_asked_each_time_and_hinders_nobody() {
        let run = tempfile::tempdir().unwrap();
        let silent = UnixListener::bind(run.path().join("mount-77.sock")).unwrap();
        let _lively = listen(run.path(), 1);
        let daemons = Daemons::new();
        for _ in 0..3 {
            assert_eq!(
                daemons.ask_all(run.path(), Request::Ping, &Task::default()).unwrap(),
                [Ok("1 ping".into())]
            );
        }
        assert_eq!(daemons.silent(), [77]);
        silent.set_nonblocking(true).unwrap();
        assert!((0..3).all(|_| silent.accept().is_ok()));
        assert_eq!(silent.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn who_works_is_left_alone_when_the_task_is_stopped() {
        let run = tempfile::tempdir().unwrap();
        let (stop, (begun, wait)) = (StopHandle::default(), bounded::<()>(0));
        let stopping = stop.clone();
        let handler = move |_| {
            // It works until the asker has gone.
            stopping.stop();
            Ok(wait.recv().map_or(String::new(), |()| "never".into()))
        };
        let _socket = ControlSocket::listen(run.path(), 5, Arc::new(handler)).unwrap();
        let task = Task::new(Arc::new(stop), Arc::new(Silent));
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Drain, &task).unwrap(), []);
        drop(begun);
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
        let handler: Arc<dyn Handler> = Arc::new(|request: Request| Ok(request.word().to_owned()));
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
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Ping, &Task::default()).unwrap(), []);
    }

    #[test]
    fn folders_too_deep_for_a_socket_address_work() {
        let run = tempfile::tempdir().unwrap();
        let deep = run.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let socket = listen(&deep, 3);
        assert_eq!(fs::metadata(&socket.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            Daemons::new().ask_all(&deep, Request::Status, &Task::default()).unwrap(),
            [Ok("3 status".into())]
        );
        drop(socket);
        assert_eq!(Daemons::new().ask_all(&deep, Request::Status, &Task::default()).unwrap(), []);
    }
}
