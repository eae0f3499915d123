//! When a file counts as complete: when its last writer is gone for good.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::stage::{Missing, Stage, detach, needs_root};

fn create(path: &Path) -> File {
    OpenOptions::new().write(true).create_new(true).open(path).expect("new")
}

/// What `coral status` says, and that a commit has nothing to take.
fn is_being_written(stage: &Stage) {
    let status = stage.in_repo(&["status"]).succeeds().text();
    assert!(status.contains("being written"), "{status}");
    stage.in_repo(&["commit", "-m", "early"]).fails(&["nothing to commit"]);
}

fn is_committed(stage: &Stage, name: &str, bytes: &[u8]) {
    stage.commit("whole");
    assert!(fs::read(stage.mnt(&format!("HEAD/{name}"))).expect("committed") == bytes);
}

pub fn a_child_of_a_writer_completes_nothing() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut file = create(&stage.worktree("ckpt"));
    file.write_all(b"half").expect("room");
    // One that executes another program closes its copy of the descriptor while it does, one that does not when it ends.
    assert!(Command::new("true").status().expect("it runs").success());
    is_being_written(&stage);
    // SAFETY: the child only calls _exit.
    let child = unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child => child,
        }
    };
    // SAFETY: it is our child; no status is asked for.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    is_being_written(&stage);
    file.write_all(b" and half").expect("room");
    drop(file);
    is_committed(&stage, "ckpt", b"half and half");
    Ok(())
}

pub fn what_is_open_after_a_fork_is_interrupted_when_the_mount_is_taken_away() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    stage.mount(&["--no-passthrough", "repo", "mnt"]);
    // A process of its own: of this one other tests make children all the time.
    let script = "exec 3> \"$W\"/ckpt; printf half >&3; /bin/true; echo ready; read end";
    let mut writer = stage.program("sh", &stage.path(""));
    let mut writer =
        writer.args(["-euc", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
    let mut ready = String::new();
    BufReader::new(writer.stdout.take().expect("piped")).read_line(&mut ready).expect("readable");
    fs::write(stage.worktree("whole"), "closed").expect("room");
    // Whoever asks waits until the word of a close that was the last would have come.
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "A whole\nW ckpt\n");
    // It is busy and stays, but nobody is heard any more.
    let place = CString::new(stage.mnt("").as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the path is NUL-terminated and outlives the call.
    unsafe { libc::umount2(place.as_ptr(), libc::MNT_FORCE) };
    stage.wait_for_the_last();
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "A whole\nI ckpt\n");
    drop(writer.stdin.take());
    writer.wait().expect("it ran");
    detach(&stage.mnt(""));
    Ok(())
}

pub fn a_descriptor_that_was_duplicated_completes_nothing() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut file = create(&stage.worktree("ckpt"));
    file.write_all(b"half").expect("room");
    drop(file.try_clone().expect("open"));
    is_being_written(&stage);
    let other = file.try_clone().expect("open");
    drop(file);
    is_being_written(&stage);
    drop(other);
    is_committed(&stage, "ckpt", b"half");
    Ok(())
}

pub fn a_program_that_ends_without_closing_completes_what_it_wrote() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("sh -c 'exec 3> \"$W\"/a; printf all >&3; exit 3' || [ $? = 3 ]").succeeds();
    is_committed(&stage, "a", b"all");
    Ok(())
}

pub fn a_killed_writer_completes_nothing_and_is_named() -> Result<(), Missing> {
    let stage = Stage::new()?;
    for signal in ["KILL", "TERM", "SEGV"] {
        let name = format!("by-{signal}");
        let script = format!("sh -c 'exec 3> \"$W\"/{name}; printf half >&3; kill -{signal} $$; exit 0'");
        stage.sh(&format!("ulimit -c 0; {script} || true")).succeeds();
        let status = stage.in_repo(&["status"]).succeeds().to_string();
        assert!(status.contains(&name), "{status}");
    }
    stage.in_repo(&["commit", "-m", "early"]).fails(&["nothing to commit"]);
    // Whoever saves again completes it.
    fs::write(stage.worktree("by-KILL"), "whole").expect("room");
    stage.commit("one of them");
    assert_eq!(stage.sh("ls \"$M\"/HEAD/").succeeds().lines(), ["by-KILL"]);
    assert_eq!(fs::read(stage.mnt("HEAD/by-KILL")).expect("committed"), b"whole");
    Ok(())
}

pub fn a_commit_right_after_a_copy_always_has_it() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.path("source"), [7; 5000]).expect("room");
    stage
        .sh("for n in $(seq 200); do
              cp source \"$W\"/f$n; \"$CORAL\" -C repo commit -m $n > said; [ -e \"$M\"/branches/main/f$n ]
            done")
        .succeeds();
    stage
        .sh("for n in $(seq 50); do cp source \"$W\"/g$n; \"$CORAL\" -C repo status -s > said; grep -q \"A g$n\" said; done")
        .succeeds();
    Ok(())
}

pub fn what_is_written_on_and_closed_again_and_again_is_all_there() -> Result<(), Missing> {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 100;
    let stage = Stage::new()?;
    let write_on = |writer: usize| {
        let path = stage.worktree(&format!("log{writer}"));
        for round in 0..ROUNDS {
            // The kernel tells of a close when it likes: after the next opening, or after the next close.
            fs::write(&path, "0").unwrap_or_else(|error| panic!("round {round}: {error}"));
            for part in ["1", "2", "3", "4"] {
                let mut file = OpenOptions::new().append(true).open(&path).expect("there");
                file.write_all(part.as_bytes()).expect("room");
            }
            assert_eq!(fs::read_to_string(&path).expect("there"), "01234", "round {round}");
        }
    };
    std::thread::scope(|threads| {
        (0..WRITERS).for_each(|writer| drop(threads.spawn(move || write_on(writer))));
    });
    stage.commit("logs");
    for writer in 0..WRITERS {
        assert_eq!(fs::read_to_string(stage.mnt(&format!("HEAD/log{writer}"))).expect("committed"), "01234");
    }
    Ok(())
}

pub fn what_a_killed_writer_left_is_told_as_it_is() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let killed =
        |name: &str| format!("sh -c 'exec 3> \"$W\"/{name}; printf half >&3; kill -KILL $$; exit 0' || true");
    fs::write(stage.worktree("old"), "whole").expect("room");
    stage.commit("first");
    stage.sh(&format!("{}; {}", killed("old"), killed("new"))).succeeds();
    let in_worktree = |script: &str| stage.sh_in(&stage.worktree(""), script);
    in_worktree("\"$CORAL\" add new").fails(&["`new` was not finished by who wrote it", "--include-open"]);
    in_worktree("\"$CORAL\" add nothing").fails(&["no `nothing` here"]);
    fs::write(stage.worktree("other"), "whole").expect("room");
    assert!(in_worktree("\"$CORAL\" add other").succeeds().text().contains("already in the worktree"));
    let status = in_worktree("\"$CORAL\" status").succeeds().text();
    assert!(status.contains("`coral restore PATH` drops them") && status.contains("was killed"), "{status}");
    let said = in_worktree("\"$CORAL\" commit -m second").succeeds().to_string();
    assert!(
        said.contains("`old` was not finished by who wrote it and stands in the commit as it was before"),
        "{said}"
    );
    assert!(said.contains("`new` was not finished by who wrote it and is not in the commit"), "{said}");
    let dropped = in_worktree("\"$CORAL\" restore --all").succeeds().to_string();
    assert!(dropped.contains("2 files dropped") && dropped.contains("interrupted   new"), "{dropped}");
    Ok(())
}

/// Saves one file after the other until it is told to stop: the first moved to its name, the second written over.
fn save_pairs(stage: &Stage, stop: &AtomicBool) {
    for number in 1_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (first, begun) = (stage.worktree("first"), stage.worktree("first.tmp"));
        fs::write(&begun, number.to_string()).expect("room");
        fs::rename(begun, first).expect("ours");
        fs::write(stage.worktree("second"), number.to_string()).expect("room");
    }
}

pub fn a_commit_through_another_mount_misses_nothing_that_was_closed_before() -> Result<(), Missing> {
    const COMMITS: usize = 200;
    let mut stage = Stage::new()?;
    fs::create_dir(stage.path("other")).expect("a scratch folder");
    stage.mount(&["repo", "other"]);
    let (stop, stage) = (AtomicBool::new(false), &stage);
    thread::scope(|scope| {
        scope.spawn(|| save_pairs(stage, &stop));
        let done = catch_unwind(AssertUnwindSafe(|| {
            for number in 0..COMMITS {
                let ctl = OpenOptions::new().read(true).write(true).open(stage.path("other/.coral/ctl"));
                // Nothing may have been saved since the last one.
                let _ = ctl.expect("there").write_all(format!("commit -m {number}\n").as_bytes());
            }
        }));
        stop.store(true, Ordering::Relaxed);
        done.expect("commits were asked for");
    });
    let ids = stage.in_repo(&["log", "-n", "0", "--format=%H"]).succeeds().lines();
    assert!(ids.len() > COMMITS / 4, "{}", ids.len());
    let mut whole = 0;
    for id in ids {
        let number = |name: &str| match fs::read_to_string(stage.mnt(&format!("commits/{id}/{name}"))) {
            Ok(text) => text.parse::<u64>().expect("a number"),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
                0
            }
        };
        let (first, second) = (number("first"), number("second"));
        assert!(first == second || first == second + 1, "{id} has {first} and {second}");
        whole += usize::from(second > 0);
    }
    assert!(whole > COMMITS / 5, "{whole} have both");
    Ok(())
}
