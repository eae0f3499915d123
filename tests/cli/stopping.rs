//! Signals that end a command, and what it tells of how far it is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Stdio};

use super::workbench::{Workbench, weights};

/// `add` that has begun and goes no further: somebody else holds the store.
struct Held {
    process: Child,
    stderr: BufReader<ChildStderr>,
    /// Dropped, it lets the command go on.
    lock: File,
}

fn hold_up(bench: &Workbench) -> Held {
    let path = bench.path("repo/.coral/packs/writers.lock");
    let lock = File::create(&path).expect("a lock file");
    lock.lock().expect("nobody else writes");
    let mut command = bench.command(&bench.path("repo"), &["add", "large"]);
    command.env("CORAL_PROGRESS", "plain").stdout(Stdio::null()).stderr(Stdio::piped());
    // Whoever runs the tests may ignore them, and what is ignored stays so.
    let unignored = || {
        for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(number, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: signal is async-signal-safe, and nothing else is called.
    unsafe { command.pre_exec(unignored) };
    let mut process = command.spawn().expect("coral starts");
    let mut stderr = BufReader::new(process.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it says what it does");
    assert_eq!(line, "looking for files: 0 files\n");
    // Who waits for a lock has its file open.
    let files = format!("/proc/{}/fd", process.id());
    let waits = || {
        let files = std::fs::read_dir(&files).expect("it runs");
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == path))
    };
    while !waits() {
        std::thread::yield_now();
    }
    Held { process, stderr, lock }
}

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.write("large", &weights(1, 400_000).iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>());
    bench
}

fn signal(process: &Child, signal: i32) {
    // SAFETY: kill takes no pointers, and the process was not waited for yet: the number is its.
    assert_eq!(unsafe { libc::kill(process.id().cast_signed(), signal) }, 0);
}

#[test]
fn a_signal_ends_a_command_cleanly_and_it_says_how_to_go_on() {
    let bench = bench();
    for (number, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let Held { mut process, mut stderr, lock } = hold_up(&bench);
        signal(&process, number);
        drop(lock);
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("read");
        assert_eq!(process.wait().expect("it ends").code(), Some(code), "{said}");
        for words in
            ["error: stopped before it was done", "hint: nothing was added; the same command begins again"]
        {
            assert!(said.contains(words), "no `{words}` in {said}");
        }
        assert_eq!(bench.coral(&["status", "--short"]).succeeds().stdout, "");
    }
    assert!(bench.coral(&["fsck", "--full"]).succeeds().stdout.contains("nothing is wrong"));
    bench.coral(&["add", "large"]).succeeds();
    assert_eq!(bench.coral(&["status", "--short"]).succeeds().stdout, "A large\n");
}

#[test]
fn whoever_waits_for_a_lock_ends_although_it_stays_held() {
    let bench = bench();
    let Held { mut process, mut stderr, lock } = hold_up(&bench);
    signal(&process, libc::SIGINT);
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("read");
    assert_eq!(process.wait().expect("it ends").code(), Some(130), "{said}");
    assert!(said.contains("stopped before it was done"), "{said}");
    drop(lock);
    bench.coral(&["add", "large"]).succeeds();
}

#[test]
fn signals_that_come_again_and_again_end_a_command_at_once() {
    let bench = bench();
    let Held { mut process, stderr: _stderr, lock } = hold_up(&bench);
    // Two that come at the same time may arrive as one. It ends although what it waits for does not come.
    let status = loop {
        signal(&process, libc::SIGINT);
        match process.try_wait().expect("it is ours") {
            Some(status) => break status,
            None => std::thread::yield_now(),
        }
    };
    // By itself if it comes to that before the next one.
    assert!(status.signal() == Some(libc::SIGINT) || status.code() == Some(130), "{status}");
    drop(lock);
    bench.coral(&["add", "large"]).succeeds();
    assert!(bench.coral(&["fsck", "--full"]).succeeds().stdout.contains("nothing is wrong"));
}

#[test]
fn a_command_tells_how_far_it_is_only_to_who_wants_to_hear_it() {
    let bench = bench();
    let add = |progress: Option<&str>| {
        let mut command = bench.command(&bench.path("repo"), &["add", "large"]);
        command.envs(progress.map(|how| ("CORAL_PROGRESS", how)));
        bench.run(command)
    };
    for silent in [None, Some(""), Some("none")] {
        assert_eq!(add(silent).succeeds().stderr, "");
    }
    let plain = add(Some("plain")).succeeds();
    assert_eq!(plain.stdout, "added large\n");
    let lines: Vec<&str> = plain.stderr.lines().collect();
    assert_eq!(lines, ["looking for files: 0 files", "hashing: 0 B of 1.53 MiB", "storing: 0 B of 1.53 MiB"]);
    add(Some("loud")).fails(2, &["`CORAL_PROGRESS` cannot be `loud`", "`bar`, `plain` or `none`"]);
}
