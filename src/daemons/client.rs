//! Asking the daemons of a repository's mounts for things.
//!
//! Needs no mount of its own and no FUSE. A daemon that is dead or hangs costs the asker at most [`PATIENCE`], once:
//! nothing that is asked here is needed for correctness.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::task::{Meter, Task, Unit};

use super::protocol::{Answer, LINE_MAX, PATIENCE, Request, is_socket, on_short_path, process_of, unescape};

/// How long somebody who did not answer is not asked again.
const SILENCE: Duration = Duration::from_secs(60);

/// The daemons of repositories as one process asks them: who did not answer once is not waited for again for a while.
#[derive(Debug, Default)]
pub struct Daemons {
    /// Since when.
    silent: Mutex<BTreeMap<PathBuf, Instant>>,
}

impl Daemons {
    /// Nobody was asked yet.
    pub const fn new() -> Self {
        Self { silent: Mutex::new(BTreeMap::new()) }
    }

    /// Asks every daemon of the repository whose run folder is `run`, and returns the answers of those that live. What
    /// dead ones left behind is removed. Takes [`PATIENCE`] for those that do not answer, all together. Who works is
    /// waited for until the task is stopped: then he goes on alone, and his answer is not heard.
    ///
    /// # Errors
    /// If the folder exists and cannot be listed.
    pub fn ask_all(&self, run: &Path, request: Request, task: &Task) -> io::Result<Vec<Answer>> {
        let mut sockets = sockets(run)?;
        self.lock().retain(|_, since| since.elapsed() < SILENCE);
        sockets.retain(|socket| !self.lock().contains_key(socket));
        let asked = thread::scope(|scope| {
            let asking: Vec<_> =
                sockets.iter().map(|socket| scope.spawn(move || ask(socket, request, task))).collect();
            asking.into_iter().map(|asking| asking.join().unwrap_or(Asked::Gone)).collect::<Vec<_>>()
        });
        let mut answers = Vec::new();
        for (socket, asked) in sockets.into_iter().zip(asked) {
            match asked {
                Asked::Answered(answer) => answers.push(answer),
                Asked::Silent => drop(self.lock().insert(socket, Instant::now())),
                Asked::Gone => {}
            }
        }
        Ok(answers)
    }

    /// The process numbers of daemons that run and did not answer.
    pub fn silent(&self) -> Vec<u32> {
        self.lock().keys().filter_map(|socket| process_of(socket)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Instant>> {
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
    Ok(paths.into_iter().filter(|path| is_socket(path)).collect())
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
fn ask(socket: &Path, request: Request, task: &Task) -> Asked {
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
    match converse(&stream, request, task) {
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
    let (sender, connected) = mpsc::channel();
    let socket = socket.to_owned();
    thread::Builder::new().name("connect".into()).spawn(move || {
        // Who asked may have gone.
        let _ = sender.send(on_short_path(&socket, UnixStream::connect));
    })?;
    connected.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Says a request and reads until its answer; `None` if the other end says nothing sensible, or nobody wants to hear it.
fn converse(mut stream: &UnixStream, request: Request, task: &Task) -> io::Result<Option<Answer>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", request.word())?;
    let mut coding = Coding { task, meter: None, left: 0 };
    for line in BufReader::new(stream.take(LINE_MAX * 1024)).lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("busy", _) if task.check().is_err() => return Ok(None),
            ("busy", left) => coding.note(request, left),
            ("ok", text) => return Ok(Some(Ok(unescape(text)))),
            ("failed", text) => return Ok(Some(Err(unescape(text)))),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// How far a daemon is that codes what was saved.
struct Coding<'a> {
    task: &'a Task,
    meter: Option<Box<dyn Meter>>,
    left: u64,
}

impl Coding<'_> {
    /// Hears how many bytes are left.
    fn note(&mut self, request: Request, left: &str) {
        let (Request::Drain, Ok(left)) = (request, left.parse::<u64>()) else { return };
        let meter = self.meter.get_or_insert_with(|| {
            self.left = left;
            self.task.begin("coding", Unit::Bytes, Some(left))
        });
        // Others may save meanwhile.
        meter.advance(self.left.saturating_sub(left));
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn sockets_of_dead_daemons_are_removed() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(Daemons::new().ask_all(run.path(), Request::Ping, &Task::default()).unwrap(), []);
        assert!(!path.exists());
        assert_eq!(
            Daemons::new().ask_all(&run.path().join("none"), Request::Ping, &Task::default()).unwrap(),
            []
        );
    }

    #[test]
    fn who_did_not_answer_is_asked_again_after_a_while() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        let daemons = Daemons::new();
        let ask = || assert_eq!(daemons.ask_all(run.path(), Request::Ping, &Task::default()).unwrap(), []);
        daemons.lock().insert(path.clone(), Instant::now());
        ask();
        assert!(path.exists() && daemons.silent() == [7], "it is not asked");
        let long_ago = Instant::now().checked_sub(SILENCE).expect("the machine runs for longer");
        daemons.lock().insert(path.clone(), long_ago);
        ask();
        assert!(!path.exists() && daemons.silent().is_empty(), "it is, and gone");
    }
}
