//! What verbs drop beside somebody who saves without pause: they get it done, and nothing is lost that was closed.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::harness::Missing;
use super::stage::Stage;

/// How long the saver rests between two files: less than any look, store and drop take.
const PAUSE: Duration = Duration::from_millis(3);

/// Carries verbs out, each on a changed file, while somebody saves one new file after the other; says how many he saved.
fn beside_a_saver(stage: &Stage, verbs: &[&[&str]]) -> u64 {
    let (stop, saved) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                fs::write(stage.worktree(&format!("saved-{number}")), number.to_string()).expect("room");
                saved.store(number, Ordering::Relaxed);
                thread::sleep(PAUSE);
            }
        });
        let done = catch_unwind(AssertUnwindSafe(|| {
            for verb in verbs {
                fs::write(stage.worktree("a"), "changed").expect("room");
                stage.in_repo(verb).succeeds();
            }
        }));
        stop.store(true, Ordering::Relaxed);
        done.expect("each verb gets it done");
    });
    saved.into_inner()
}

pub fn who_keeps_nothing_waits_for_nobody_who_saves() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "committed").expect("room");
    stage.in_repo(&["commit", "-m", "first"]).succeeds();
    let verbs: [&[&str]; 3] = [
        &["reset", "--hard", "--no-keep"],
        &["restore", "--all", "--no-keep"],
        &["restore", "--no-keep", "a"],
    ];
    assert!(beside_a_saver(&stage, &verbs.repeat(3)) > 0);
    assert_eq!(fs::read(stage.worktree("a")).expect("there"), b"committed");
    Ok(())
}

pub fn what_is_dropped_beside_constant_saving_is_kept_or_stays() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "committed").expect("room");
    stage.in_repo(&["commit", "-m", "first"]).succeeds();
    let verbs: [&[&str]; 3] = [&["reset", "--hard"], &["restore", "--all"], &["clean", "-f"]];
    let all = beside_a_saver(&stage, &verbs.repeat(3));
    let folder = |path| fs::read_dir(path).expect("a folder").map(|entry| entry.expect("read").file_name());
    let mut there: HashSet<_> = folder(stage.worktree("")).collect();
    for kept in folder(stage.path("repo/.coral/refs/tags/kept")) {
        let commit = format!("kept/{}^", kept.to_string_lossy());
        let listed = stage.in_repo(&["ls", &commit]).succeeds();
        there.extend(listed.lines().into_iter().map(std::ffi::OsString::from));
    }
    let lost: Vec<u64> = (1..=all)
        .filter(|number| !there.contains(std::ffi::OsStr::new(&format!("saved-{number}"))))
        .collect();
    assert!(all > 9 && lost.is_empty(), "{lost:?} of {all}");
    Ok(())
}

pub fn what_is_dropped_while_it_is_written_is_told() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "committed").expect("room");
    stage.in_repo(&["commit", "-m", "first"]).succeeds();
    for days in ["30", "0"] {
        stage.in_repo(&["config", "set", "core.keep_days", days]).succeeds();
        let mut written = fs::File::create(stage.worktree("begun")).expect("room");
        written.write_all(b"so far").expect("room");
        let told = stage.in_repo(&["restore", "--all"]).succeeds().to_string();
        assert!(told.contains("1 file dropped") && told.contains("begun"), "{days}: {told}");
        drop(written);
        if days != "0" {
            stage.in_repo(&["undo"]).succeeds();
            assert_eq!(fs::read(stage.worktree("begun")).expect("it is back"), b"so far");
            stage.in_repo(&["rm", "begun"]).succeeds();
        }
    }
    Ok(())
}

pub fn the_mode_of_a_directory_comes_back_and_what_was_saved_in_it_stays() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let dir = stage.worktree("d");
    fs::create_dir(&dir).expect("new");
    fs::write(dir.join("x"), "x").expect("room");
    stage.in_repo(&["commit", "-m", "first"]).succeeds();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
    stage.in_repo(&["reset", "--hard"]).succeeds();
    let mode = || fs::metadata(&dir).expect("there").permissions().mode() & 0o777;
    assert_ne!(mode(), 0o700);
    fs::write(dir.join("since"), "saved since").expect("room");
    stage.in_repo(&["undo"]).succeeds();
    assert_eq!(mode(), 0o700);
    assert_eq!(fs::read_to_string(dir.join("since")).expect("it stays"), "saved since");
    assert_eq!(fs::read_to_string(dir.join("x")).expect("it stays"), "x");
    Ok(())
}
