//! A repository in a plain folder, without a mount: commands on it, copies of it, and what can be seen of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::stage::coral;

/// A folder with a repository in it.
#[derive(Clone)]
pub struct Plain(pub PathBuf);

impl Plain {
    pub fn init(folder: PathBuf) -> Self {
        let plain = Self(folder);
        std::fs::create_dir_all(&plain.0).expect("a scratch folder");
        plain.does(&["init"]);
        plain
    }

    /// A command that is about to run in the folder: in one thread, so that its system calls have an order.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(coral());
        self.around(&mut command);
        command.args(arguments);
        command
    }

    /// The surroundings of every command.
    pub fn around(&self, command: &mut Command) {
        command.current_dir(&self.0).stdin(Stdio::null()).env("CORAL_CORE_THREADS", "1");
        command.env("CORAL_CORE_RESERVE", "0").env("HOME", self.0.join("home")).env_remove("CI");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("coral starts")
    }

    /// Runs a command that has to succeed and gives what it printed.
    #[track_caller]
    pub fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes a file beside the repository and adds it.
    #[track_caller]
    pub fn add(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("room");
        self.does(&["add", name]);
    }

    /// The same repository in another folder.
    pub fn copy_to(&self, folder: PathBuf) -> Self {
        copy(&self.0, &folder);
        Self(folder)
    }

    /// All that people can see of it, without what depends on the clock; `None` where there is no repository.
    pub fn seen(&self) -> Seen {
        if !self.0.join(".coral/format").exists() {
            return None;
        }
        let log = self.json(&["log", "--all", "-n", "1000"]);
        let commits: BTreeMap<&str, String> = log["commits"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|commit| {
                let name = format!("{}/{}", commit["message"], commit["tree"]);
                (commit["commit"].as_str().unwrap_or_default(), name)
            })
            .collect();
        let mut seen = String::new();
        let mut look = |arguments: &[&str]| {
            let output = self.run(arguments);
            seen += &format!("{arguments:?} {}: {}\n", output.status, told(&output));
        };
        look(&["branch", "--json"]);
        look(&["tag", "--json"]);
        look(&["config", "list"]);
        for branch in ["main", "dev"] {
            look(&["status", "--json", "-B", branch]);
        }
        // How much there is besides is nobody's affair: what was kept and given up leaves a log.
        let checked = self.json(&["fsck", "--full"]);
        seen += &format!("fsck: {}\n", checked["findings"]);
        for (id, name) in &commits {
            seen = seen.replace(id, name).replace(&id[..10], name);
        }
        let mut messages: Vec<&String> = commits.values().collect();
        messages.sort();
        Some(format!("{messages:?}\n{seen}"))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        serde_json::from_slice(&self.run(&all).stdout).unwrap_or(Value::Null)
    }
}

/// All that people can see of a repository; `None` where there is none.
pub type Seen = Option<String>;

/// Looks at a repository in which a command did not end as usual: it is as one of `allowed`, or as anything if that is
/// empty, and the command, asked again where it is not done, does it.
pub fn judge(
    tried: &Plain,
    arguments: &[&str],
    allowed: &[&Seen],
    done: &Seen,
) -> std::result::Result<(), String> {
    let seen = tried.seen();
    if !allowed.is_empty() && !allowed.contains(&&seen) {
        return Err(allowed.iter().map(|expected| difference(&seen, expected)).collect());
    }
    if seen == *done {
        return Ok(());
    }
    let again = tried.run(arguments);
    let seen = tried.seen();
    match seen == *done {
        true => Ok(()),
        false => Err(format!("asked again: {}: {}{}", again.status, told(&again), difference(&seen, done))),
    }
}

/// The lines in which two sights differ.
fn difference(seen: &Seen, expected: &Seen) -> String {
    let lines = |text: &Seen| -> Vec<String> {
        text.as_deref().unwrap_or("no repository").lines().map(str::to_owned).collect()
    };
    let (seen, expected) = (lines(seen), lines(expected));
    let only = |of: &[String], other: &[String], sign: &str| -> String {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    only(&seen, &expected, "saw") + &only(&expected, &seen, "expected")
}

/// What a command said.
pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(status.success());
}
