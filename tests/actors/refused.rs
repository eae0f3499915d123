//! Commands whose system calls fail, one at a time: an error means that nothing has changed, success that all has.
//!
//! strace makes the calls fail. A command that failed is asked again and then does what it should.

use std::process::Command;

use crate::plain::{Plain, Seen, judge, told};
use crate::seed::{self, Random};
use crate::stage::{Missing, coral};

/// The calls by which a command changes the disk.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,openat,unlink,unlinkat,mkdir,ftruncate,\
                     fallocate,rmdir";

/// Calls of one command that are made to fail at most: chosen by chance where it makes more.
const POINTS: usize = 10;

/// Every command that writes, and the repository that it runs on.
const COMMANDS: &[&[&str]] = &[
    &["init"],
    &["commit", "-m", "next"],
    &["branch", "fresh"],
    &["branch", "-D", "dev"],
    &["switch", "dev"],
    &["switch", "-c", "fresh"],
    &["tag", "v2"],
    &["tag", "-f", "v1", "-c", "HEAD"],
    &["tag", "-D", "v1"],
    &["repack"],
    &["add", "new.txt"],
    &["add", "a.txt"],
    &["rm", "b.txt"],
    &["restore", "c.txt"],
    &["config", "set", "user.name", "Somebody Else"],
];

/// Commands whose last step is to sync a name: when that fails, nobody can tell whether it will be there after a power
/// cut, and it is seen already. Refs and worktrees are never in such doubt.
const IN_DOUBT: &[&str] = &["init", "config"];

fn needs_strace() -> Result<(), Missing> {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    match probe.is_ok_and(|probe| probe.status.success()) {
        true => Ok(()),
        false => Err(Missing("strace is not there, or may not trace".to_owned())),
    }
}

/// Two branches, a tag, some packs, and a worktree with something new, something changed and something removed.
pub fn repository(folder: &std::path::Path) -> Plain {
    let plain = Plain::init(folder.join("template"));
    for name in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        plain.add(name, format!("{name} as it was first").as_bytes());
    }
    plain.does(&["commit", "-m", "first"]);
    plain.does(&["branch", "dev"]);
    plain.does(&["tag", "v1"]);
    plain.add("a.txt", b"second");
    plain.does(&["commit", "-m", "second"]);
    plain.add("c.txt", b"changed");
    plain.add("e.txt", b"only here");
    plain.does(&["rm", "d.txt"]);
    for (name, text) in [("new.txt", "something new"), ("a.txt", "third")] {
        std::fs::write(plain.0.join(name), text).expect("room");
    }
    plain
}

/// A system call of a command: which one, and the how-manieth of its name.
#[derive(Debug, Clone)]
struct Point {
    call: String,
    nth: usize,
}

/// The calls of a command that touch its repository.
fn points(plain: &Plain, arguments: &[&str]) -> Vec<Point> {
    let log = plain.0.join("home.trace");
    let mut strace = Command::new("strace");
    plain.around(&mut strace);
    strace.args(["-f", "-y", "-e"]).arg(format!("trace={CALLS}")).arg("-o").arg(&log);
    let output = strace.arg(coral()).args(arguments).output().expect("strace starts");
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    let text = std::fs::read_to_string(&log).expect("a trace");
    let mut counts = std::collections::HashMap::new();
    let mut points = Vec::new();
    let thread = text.split_whitespace().next().unwrap_or_default().to_owned();
    for line in text.lines().filter(|line| line.starts_with(&thread)) {
        let Some((call, rest)) = line[thread.len()..].trim_start().split_once('(') else { continue };
        let nth = counts.entry(call.to_owned()).and_modify(|count| *count += 1).or_insert(1);
        let changes =
            call != "openat" || ["O_RDWR", "O_WRONLY", "O_CREAT"].iter().any(|flag| rest.contains(flag));
        if rest.contains("/.coral") && changes {
            points.push(Point { call: call.to_owned(), nth: *nth });
        }
    }
    points
}

pub fn a_command_whose_system_call_fails_changes_nothing_and_says_so() -> Result<(), Missing> {
    needs_strace()?;
    seed::each(&[1], |seed| {
        let mut random = Random::new(seed);
        let scratch = crate::scratch();
        let template = repository(scratch.path());
        let empty = Plain(scratch.path().join("empty"));
        std::fs::create_dir(&empty.0).expect("new");
        let mut wrong = Vec::new();
        for arguments in COMMANDS {
            let from = if arguments[0] == "init" { &empty } else { &template };
            check_command(from, arguments, &mut random, &mut wrong);
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    });
    Ok(())
}

fn check_command(from: &Plain, arguments: &[&str], random: &mut Random, wrong: &mut Vec<String>) {
    let scratch = from.0.parent().expect("a folder around it");
    let at = |name: &str| scratch.join("copies").join(name);
    std::fs::create_dir_all(scratch.join("copies")).expect("new");
    let before = from.copy_to(at("before")).seen();
    let done = from.copy_to(at("done"));
    let points = points(&done, arguments);
    let after = done.seen();
    assert!(before != after || arguments == ["repack"], "{arguments:?} does something: {before:?}");
    for Point { call, nth } in random.sample(points, POINTS) {
        let errors: &[&str] = if call == "openat" { &["EMFILE", "ENOSPC"] } else { &["ENOSPC", "EIO"] };
        let error = random.choose(errors);
        let tried = from.copy_to(at("tried"));
        let mut strace = Command::new("strace");
        tried.around(&mut strace);
        strace.args(["-f", "-o", "/dev/null", "-e"]).arg(format!("inject={call}:error={error}:when={nth}"));
        let output = strace.arg(coral()).args(arguments).output().expect("strace starts");
        let is_in_doubt = IN_DOUBT.contains(&arguments[0]) && call.ends_with("sync");
        let allowed: &[&Seen] = match output.status.success() {
            true => &[&after],
            false if is_in_doubt => &[&before, &after],
            false => &[&before],
        };
        if let Err(difference) = judge(&tried, arguments, allowed, &after) {
            let what = format!("{arguments:?} with {error} at {call} {nth}: {}: ", output.status);
            wrong.push(what + &told(&output) + &difference);
        }
        std::fs::remove_dir_all(&tried.0).expect("it can be removed");
    }
    std::fs::remove_dir_all(scratch.join("copies")).expect("it can be removed");
}
