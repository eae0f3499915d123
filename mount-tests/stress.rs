//! Everything at once, on a slow disk: whoever only looks must not notice.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::stage::{Missing, Stage, coral, weights};

/// How long any look may take before the mount counts as stuck.
const WATCHDOG: Duration = Duration::from_secs(10);
const FILES: usize = 6;
const LEN: usize = 48 << 20;
const ROUNDS: usize = 60;

fn needs_strace() -> Result<(), Missing> {
    match Command::new("strace").arg("-V").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Missing("a slow disk is made with strace, which is not installed".to_owned())),
    }
}

/// A daemon for which every sync of the disk takes so much longer.
fn slow_daemon(stage: &Stage, delay: Duration) -> Command {
    let mut command = Command::new("strace");
    let inject = format!("inject=fsync,fdatasync:delay_exit={}", delay.as_micros());
    command.args([
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        &inject,
    ]);
    command.arg(coral()).args(["mount", "repo", "mnt"]).current_dir(stage.path(""));
    command
}

/// The lock files of all worktrees.
fn worktree_locks(stage: &Stage) -> Vec<PathBuf> {
    let folders = fs::read_dir(stage.path("repo/.coral/worktrees")).expect("worktrees");
    folders.map(|folder| folder.expect("listed").path().join("lock")).filter(|lock| lock.exists()).collect()
}

/// Holds a lock as another process would: this one is another.
fn hold(lock: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).open(lock).expect("there");
    // SAFETY: flock takes any descriptor.
    assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
    file
}

/// Does something that must end in time, and tells how long it took.
fn watched(what: &str, act: impl FnOnce() + Send + 'static) -> Duration {
    let (done, ended) = channel();
    let begin = Instant::now();
    thread::spawn(move || {
        act();
        let _ = done.send(());
    });
    ended.recv_timeout(WATCHDOG).unwrap_or_else(|_| panic!("{what} did not end within {WATCHDOG:?}"));
    begin.elapsed()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(50), at(99), at(100));
}

/// Tells when the looks are over, also if they fail.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn looks_go_on_while_everything_else_waits() -> Result<(), Missing> {
    needs_strace()?;
    let mut stage = Stage::new()?;
    let bytes = weights(9, LEN);
    for file in 0..FILES {
        fs::write(stage.worktree(&format!("f{file}")), &bytes).expect("room");
    }
    fs::create_dir(stage.worktree("aside")).expect("room");
    stage.commit("stored");
    stage.unmount();
    stage.serve(slow_daemon(&stage, Duration::from_millis(700)), "mnt");
    fs::read_dir(stage.worktree("")).expect("a worktree");

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (stage, over) = (&stage, &over);
        let until_here = Over(over);
        for file in 0..FILES {
            scope.spawn(move || {
                let open = OpenOptions::new().write(true).open(stage.worktree(&format!("f{file}")));
                let open = open.expect("there");
                open.write_all_at(b"!", 0).expect("room");
                // Syncs go on as long as anybody looks.
                while !over.load(Ordering::Relaxed) {
                    open.sync_all().expect("durable");
                    open.write_all_at(b"!", 0).expect("room");
                }
            });
        }
        let held: Vec<File> = worktree_locks(stage).iter().map(|lock| hold(lock)).collect();
        let waits = scope.spawn(|| {
            // It waits for the lock, and may give up. The kernel lets nobody look into the directory meanwhile.
            let _ = fs::create_dir(stage.worktree("aside/waits"));
        });
        let mut held = Some(held);
        let (mut history, mut names, mut worktree, mut reads) = (vec![], vec![], vec![], vec![]);
        for round in 0..ROUNDS {
            if round == ROUNDS / 2 {
                drop(held.take());
            }
            let path = stage.mnt(&format!("branches/main/none-{round}"));
            history.push(watched("a look into the history", move || assert!(!path.exists())));
            let path = stage.mnt("branches");
            names.push(watched("a listing of branches", move || {
                assert_eq!(fs::read_dir(path).expect("listed").count(), 1);
            }));
            let path = stage.worktree(&format!("none-{round}"));
            worktree.push(watched("a look into the worktree", move || assert!(!path.exists())));
            let (path, offset) = (stage.mnt("branches/main/f1"), round * (LEN / ROUNDS) / 4096 * 4096);
            let expected = bytes[offset..offset + 4096].to_vec();
            reads.push(watched("a read of the history", move || {
                let mut found = vec![0; 4096];
                File::open(path).expect("there").read_exact_at(&mut found, offset as u64).expect("readable");
                assert!(found == expected);
            }));
        }
        drop(until_here);
        report("look-up in the history", history);
        report("listing of branches", names);
        report("look-up in the worktree", worktree);
        report("read of the history", reads);
        waits.join().expect("it ends");
    });
    let mut changed = bytes;
    changed[0] = b'!';
    for file in 0..FILES {
        assert!(fs::read(stage.worktree(&format!("f{file}"))).expect("there") == changed);
    }
    stage.commit("changed");
    assert!(fs::read(stage.mnt("HEAD/f0")).expect("committed") == changed);
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}
