//! Asking the daemons of a repository's mounts for things.
//!
//! Needs no mount of its own and no FUSE. A daemon that is dead or hangs costs the asker at most [`PATIENCE`] once a
//! minute, and [`SHORT`] each time else: one that hung may be at work again, and what it heard since is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::task::{Meter, Task, Unit};

use super::protocol::{Answer, LINE_MAX, PATIENCE, Request, is_socket, on_short_path, process_of, unescape};

/// How long somebody who did not answer is not waited for as for others.
const SILENCE: Duration = Duration::from_secs(60);
/// How long he is, each time.
const SHORT: Duration = Duration::from_millis(100);

/// The daemons of repositories as one process asks them: who did not answer once is hardly waited for until he does, or for a
/// while.
#[derive(Debug, Default)]
pub struct Daemons {
    /// Since when.
    silent: Mutex<BTreeMap<PathBuf, Instant>>,
    /// Those of them that nobody could connect to yet.
    connecting: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Daemons {
    /// Nobody was asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every daemon of the repository whose run folder is `run`, and returns the answers of those that live. What
    /// dead ones left behind is removed. Takes [`PATIENCE`] for those that do not answer, all together. Who works is
    /// waited for until the task is stopped: then he goes on alone, and his answer is not heard.
    ///
    /// # Errors
    /// If the folder exists and cannot be listed.
    pub fn ask_all(&self, run: &Path, request: Request, task: &Task) -> io::Result<Vec<Answer>> {
        let sockets = sockets(run)?;
        lock(&self.silent).retain(|_, since| since.elapsed() < SILENCE);
        let asked = thread::scope(|scope| {
            let ask = |socket| move || self.ask(socket, request, task);
            let asking: Vec<_> = sockets.iter().map(|socket| scope.spawn(ask(socket))).collect();
            asking.into_iter().map(|asking| asking.join().unwrap_or(Asked::Gone)).collect::<Vec<_>>()
        });
        let mut answers = Vec::new();
        for (socket, asked) in sockets.into_iter().zip(asked) {
            match asked {
                Asked::Answered(answer) => {
                    lock(&self.silent).remove(&socket);
                    answers.push(answer);
                }
                Asked::Silent => drop(lock(&self.silent).entry(socket).or_insert_with(Instant::now)),
                Asked::Gone => drop(lock(&self.silent).remove(&socket)),
            }
        }
        Ok(answers)
    }

    /// The process numbers of daemons that run and did not answer.
    pub fn silent(&self) -> Vec<u32> {
        lock(&self.silent).keys().filter_map(|socket| process_of(socket)).collect()
    }

    /// Asks the daemon behind one socket.
    fn ask(&self, socket: &Path, request: Request, task: &Task) -> Asked {
        let is_silent = lock(&self.silent).contains_key(socket);
        let patience = if is_silent { SHORT } else { PATIENCE };
        // Whoever hangs lets few connect, and threads must not wait for him in numbers.
        if is_silent && !lock(&self.connecting).insert(socket.to_owned()) {
            return Asked::Silent;
        }
        let stream = match self.connect(socket, patience) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Nobody listens any more. If it cannot be removed, the next asker tries again.
                let _ = fs::remove_file(socket);
                return Asked::Gone;
            }
            Err(error) if is_timeout(&error) => return Asked::Silent,
            Err(_) => return Asked::Gone,
        };
        match converse(&stream, request, patience, task) {
            Ok(Some(answer)) => Asked::Answered(answer),
            Ok(None) => Asked::Gone,
            Err(error) if is_timeout(&error) => Asked::Silent,
            Err(_) => Asked::Gone,
        }
    }

    /// Connects, which may wait as long as reading when too many have asked a daemon that hangs.
    fn connect(&self, socket: &Path, patience: Duration) -> io::Result<UnixStream> {
        let (sender, connected) = mpsc::channel();
        let (socket, connecting) = (socket.to_owned(), Arc::clone(&self.connecting));
        thread::Builder::new().name("connect".into()).spawn(move || {
            let stream = on_short_path(&socket, UnixStream::connect);
            lock(&connecting).remove(&socket);
            // Who asked may have gone.
            let _ = sender.send(stream);
        })?;
        connected.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Says a request and reads until its answer; `None` if the other end says nothing sensible, or nobody wants to hear it.
fn converse(
    mut stream: &UnixStream,
    request: Request,
    patience: Duration,
    task: &Task,
) -> io::Result<Option<Answer>> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    writeln!(stream, "{}", request.word())?;
    let mut coding = Coding { task, meter: None, left: 0 };
    for line in BufReader::new(stream.take(LINE_MAX * 1024)).lines() {
        let line = line?;
        // Who says something lives.
        stream.set_read_timeout(Some(PATIENCE))?;
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
    use std::sync::atomic::{AtomicBool, Ordering};

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

    /// A daemon that says nothing until it is told to.
    fn listener(path: &Path) -> Arc<AtomicBool> {
        let answers = Arc::new(AtomicBool::new(false));
        let (listener, told) = (UnixListener::bind(path).unwrap(), Arc::clone(&answers));
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                match told.load(Ordering::SeqCst) {
                    // Whoever asked may have given up.
                    true => drop(stream.write_all(b"ok \n")),
                    false => hanging.push(stream),
                }
            }
        });
        answers
    }

    #[test]
    fn who_did_not_answer_is_heard_as_soon_as_he_does() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        let answers = listener(&path);
        let daemons = Daemons::new();
        let ask = || daemons.ask_all(run.path(), Request::Settle, &Task::default()).unwrap();
        lock(&daemons.silent).insert(path.clone(), Instant::now());
        assert_eq!(ask(), []);
        assert_eq!(daemons.silent(), [7]);
        answers.store(true, Ordering::SeqCst);
        // On a busy machine it takes longer than it is waited for.
        let heard = (0..1000).any(|_| ask() == [Ok(String::new())]);
        assert!(heard && daemons.silent().is_empty());
    }

    #[test]
    fn who_was_silent_long_ago_is_waited_for_as_others() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("mount-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        let daemons = Daemons::new();
        let long_ago = Instant::now().checked_sub(SILENCE).expect("the machine runs for longer");
        lock(&daemons.silent).insert(path.clone(), long_ago);
        assert_eq!(daemons.ask_all(run.path(), Request::Ping, &Task::default()).unwrap(), []);
        assert!(!path.exists() && daemons.silent().is_empty());
    }
}
