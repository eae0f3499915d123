//! Commands that are killed at any moment: what they do happens as a whole or not at all, and nothing is in the way of
//! the next one.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::plain::{Plain, Seen, judge};
use crate::refused::repository;
use crate::seed::{self, Random};
use crate::stage::Missing;

/// Commands that do two things one after the other. Between them the repository is whole, and asking again does the rest.
const TWO_STEPS: &[&[&str]] = &[&["switch", "-c", "fresh"], &["branch", "-D", "dev"]];

const KILLS: usize = 100;

/// Commands that have one moment at which what they do is done.
const COMMANDS: &[&[&str]] = &[
    &["add", "new.txt"],
    &["rm", "b.txt"],
    &["commit", "-m", "next"],
    &["branch", "fresh"],
    &["switch", "dev"],
    &["tag", "v2"],
    &["tag", "-f", "v1", "-c", "HEAD"],
    &["tag", "-D", "v1"],
    &["repack"],
    &["config", "set", "user.name", "Somebody Else"],
];

pub fn a_command_that_is_killed_has_done_all_or_nothing() -> Result<(), Missing> {
    seed::each(&[1], |seed| {
        let mut random = Random::new(seed);
        let scratch = crate::scratch();
        let template = repository(scratch.path());
        let before = template.seen();
        let mut wrong = Vec::new();
        let commands: Vec<&[&str]> = COMMANDS.iter().chain(TWO_STEPS).copied().collect();
        for arguments in &commands {
            let done = template.copy_to(scratch.path().join("done"));
            let start = Instant::now();
            done.does(arguments);
            // Somewhat longer, so that the end is met too.
            let usual = start.elapsed() * 6 / 5;
            let after = done.seen();
            std::fs::remove_dir_all(&done.0).expect("it can be removed");
            for _ in 0..KILLS.div_ceil(commands.len()) {
                let tried = template.copy_to(scratch.path().join("tried"));
                let moment = usual.mul_f64(random.below(1000) as f64 / 1000.0);
                let what = kill(&tried, arguments, moment);
                let is_whole: &[&Seen] = if TWO_STEPS.contains(arguments) { &[] } else { &[&before, &after] };
                if let Err(difference) = judge(&tried, arguments, is_whole, &after) {
                    wrong.push(what + &difference);
                }
                std::fs::remove_dir_all(&tried.0).expect("it can be removed");
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    });
    Ok(())
}

/// Commands that drop what is in no commit: `c.txt` was changed, `e.txt` is new.
const DROPPING: &[&[&str]] = &[
    &["reset", "--hard", "HEAD~1"],
    &["restore", "c.txt"],
    &["restore", "--all"],
    &["clean", "-f"],
    &["rm", "c.txt", "e.txt"],
];

/// Whenever it is killed, what it drops is there still, or undoing what it did brings it back.
pub fn what_a_killed_command_drops_comes_back() -> Result<(), Missing> {
    seed::each(&[1], |seed| {
        let mut random = Random::new(seed);
        let scratch = crate::scratch();
        let template = repository(scratch.path());
        let files = [(":c.txt", "changed"), (":e.txt", "only here")];
        for arguments in DROPPING {
            let done = template.copy_to(scratch.path().join("done"));
            let start = Instant::now();
            done.does(arguments);
            let usual = start.elapsed() * 6 / 5;
            std::fs::remove_dir_all(&done.0).expect("it can be removed");
            for _ in 0..KILLS.div_ceil(DROPPING.len()) {
                let tried = template.copy_to(scratch.path().join("tried"));
                let what = kill(&tried, arguments, usual.mul_f64(random.below(1000) as f64 / 1000.0));
                let has = |(path, text): (&str, &str)| tried.run(&["cat", path]).stdout == text.as_bytes();
                if !files.into_iter().all(has) {
                    tried.does(&["undo"]);
                    let left: Vec<_> = files.into_iter().filter(|file| !has(*file)).collect();
                    assert!(left.is_empty(), "{what}{left:?} did not come back");
                }
                tried.does(&["fsck"]);
                std::fs::remove_dir_all(&tried.0).expect("it can be removed");
            }
        }
    });
    Ok(())
}

/// Runs a command and kills it after so long, if it is still there.
fn kill(plain: &Plain, arguments: &[&str], after: Duration) -> String {
    let mut command = plain.command(arguments);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("coral starts");
    // A moment of chance, not something that is waited for.
    std::thread::sleep(after);
    let _ = process.kill();
    let status = process.wait().expect("it was started");
    format!("{arguments:?} killed after {after:?} ({status})\n")
}
