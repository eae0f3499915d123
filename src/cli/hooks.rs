//! Programs of a repository that are run around its changes: `pre-commit`, `post-commit`, `pre-merge`, `post-move`.
//!
//! They lie in the repository's own `hooks` folder, which no tree can have, and are off until the repository's own file of
//! settings turns them on (`core.hooks`): what somebody was given as a repository runs nothing by itself. They are run by
//! commands and not by mounts, which have no terminal, and whose saves must not wait for anybody's program.

use super::change::ChangeRow;
use super::context::Place;
use super::error::{CommandError, Result};
use super::json::Id;
use super::output::{note, schema_name};
use crate::config::Origin;
use crate::history::{self, Head};
use crate::random::unpredictable;
use crate::task::Task;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often it is looked whether a program ended.
const LOOK: Duration = Duration::from_millis(5);
/// How long a program has to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// A program of the repository that is to be run.
struct Hook<'a> {
    place: &'a Place,
    name: &'static str,
    path: PathBuf,
}

/// What a program reads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heard {
    #[serde(flatten)]
    what: Told,
    schema: String,
    /// Its name
    #[schemars(extend("enum" = ["pre-commit", "post-commit", "pre-merge", "post-move"]))]
    hook: &'static str,
}

/// What is about to be done, or was.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Told {
    /// A commit that is about to be made
    PreCommit {
        branch: String,
        message: String,
        /// What it would record
        changes: Vec<ChangeRow>,
    },
    /// A commit that was made
    PostCommit { branch: String, commit: Id, message: String },
    /// A merge that is about to begin
    PreMerge {
        branch: String,
        /// What is merged, as it was said
        theirs: String,
        /// What the merge is to say, if that was said
        message: Option<String>,
    },
    /// Refs that moved
    PostMove { moves: Vec<Move> },
}

/// A ref that moved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Move {
    /// `HEAD`, `refs/heads/NAME` or `refs/tags/NAME`
    #[serde(rename = "ref")]
    of: String,
    /// The commit that it named, of HEAD also `ref: refs/heads/NAME`; null if it was not there
    old: Option<String>,
    /// The same of now; null if it is gone
    new: Option<String>,
}

impl Told {
    /// The program that is told of it.
    fn hook(&self) -> &'static str {
        match self {
            Told::PreCommit { .. } => "pre-commit",
            Told::PostCommit { .. } => "post-commit",
            Told::PreMerge { .. } => "pre-merge",
            Told::PostMove { .. } => "post-move",
        }
    }
}

/// Why a program did not end well.
enum Ended {
    Failed(ExitStatus),
    TimedOut(u64),
    Stopped,
}

/// Whether hooks are on: the repository's own file says so, and the environment does not say no.
fn are_on(place: &Place) -> bool {
    matches!(place.config.get("core.hooks"), Ok(("true", Origin::Repository)))
}

/// The program of this name, if there is one that may be run.
fn find<'a>(place: &'a Place, name: &'static str) -> Option<Hook<'a>> {
    if !are_on(place) {
        return None;
    }
    let path = place.repo.root().join("hooks").join(name);
    let found = match std::fs::metadata(&path) {
        Ok(found) => found,
        // A link that leads nowhere was meant to be one.
        Err(_) if std::fs::symlink_metadata(&path).is_err() => return None,
        Err(error) => {
            note(format!("the hook `{}` cannot be found, and was passed over: {error}", path.display()));
            return None;
        }
    };
    let own = std::fs::metadata("/proc/self").map(|own| own.uid());
    match (found.is_file() && found.permissions().mode() & 0o111 != 0, own) {
        (false, _) => {
            note(format!("the hook `{}` is no program that can be run, and was passed over", path.display()));
            None
        }
        // Whoever can write into a repository that is shared runs nothing as somebody else.
        (true, Ok(own)) if found.uid() != own && found.uid() != 0 => {
            note(format!("the hook `{}` belongs to somebody else, and was passed over", path.display()));
            None
        }
        (true, _) => Some(Hook { place, name, path }),
    }
}

/// Runs a hook before something is done, with what that is; it can say no.
///
/// # Errors
/// If it does, or does not end in time, or a signal came: nothing was done.
pub fn before(place: &Place, what: Told, task: &Task) -> Result<()> {
    let name = what.hook();
    let Some(hook) = find(place, name) else { return Ok(()) };
    let hint = "nothing was done; `--no-verify` does it without asking";
    match hook.run(what, task)? {
        Ok(()) => Ok(()),
        Err(Ended::Stopped) => Err(history::Error::Stopped(crate::task::Stopped).into()),
        Err(Ended::TimedOut(seconds)) => {
            Err(CommandError::new(format!("the hook `{name}` did not end within {seconds} seconds"))
                .hint(hint)
                .hint("`coral config set core.hook_timeout SECONDS` gives it longer"))
        }
        Err(Ended::Failed(status)) => {
            Err(CommandError::new(format!("the hook `{name}` said no ({})", words(status))).hint(hint))
        }
    }
}

/// Runs a hook after something was done, which it does not change.
pub fn after(place: &Place, what: Told, task: &Task) {
    let name = what.hook();
    let Some(hook) = find(place, name) else { return };
    match hook.run(what, task) {
        Ok(Ok(())) => {}
        Ok(Err(Ended::Failed(status))) => {
            note(format!("the hook `{name}` failed ({}), after it was done", words(status)));
        }
        Ok(Err(Ended::TimedOut(seconds))) => {
            note(format!("the hook `{name}` did not end within {seconds} seconds, after it was done"));
        }
        Ok(Err(Ended::Stopped)) => note(format!("the hook `{name}` was stopped, after it was done")),
        Err(error) => note(error.message()),
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "it ended".into(),
    }
}

impl Hook<'_> {
    fn run(&self, what: Told, task: &Task) -> Result<std::result::Result<(), Ended>> {
        let cannot = |error: std::io::Error| {
            CommandError::new(format!("cannot run the hook `{}`: {error}", self.path.display()))
        };
        let place = self.place;
        let mut command = Command::new(&self.path);
        command
            .current_dir(&place.folder)
            .env("CORAL_DIR", place.repo.root())
            .env("CORAL_HOOK", self.name)
            .stdin(self.told(what).map_err(cannot)?)
            // What it prints is no result of the command.
            .stdout(std::io::stderr().as_fd().try_clone_to_owned().map_err(cannot)?)
            // What it starts ends with it.
            .process_group(0);
        if let Ok(branch) = place.branch(None) {
            command.env("CORAL_BRANCH", branch.as_str());
        }
        let child = command.spawn().map_err(cannot)?;
        wait(child, place.config.number("core.hook_timeout"), task).map_err(cannot)
    }

    /// What it reads: a JSON object, in a file without a name, so that nobody waits for it to read.
    fn told(&self, what: Told) -> std::io::Result<Stdio> {
        let text = serde_json::to_vec(&Heard { what, schema: schema_name("hook"), hook: self.name })?;
        let path = self.place.repo.root().join(format!("hook.{:032x}", unpredictable()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        file.write_all(&text)?;
        file.rewind()?;
        Ok(file.into())
    }
}

/// Waits for a program; 0 seconds are as long as it takes.
fn wait(mut child: Child, seconds: u64, task: &Task) -> std::io::Result<std::result::Result<(), Ended>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ok(()) } else { Err(Ended::Failed(status)) });
        }
        let is_late = seconds > 0 && begun.elapsed() >= Duration::from_secs(seconds);
        if task.check().is_err() || is_late {
            end(&mut child)?;
            return Ok(Err(if is_late { Ended::TimedOut(seconds) } else { Ended::Stopped }));
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends a program with all that it started: first it is asked to.
fn end(child: &mut Child) -> std::io::Result<()> {
    let tell = |child: &Child, signal| {
        // The number of a process that was not waited for is nobody else's.
        if let Ok(group) = i32::try_from(child.id()) {
            // SAFETY: the call takes numbers alone.
            let _ = unsafe { libc::killpg(group, signal) };
        }
    };
    tell(child, libc::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && !has_ended(child) {
        std::thread::sleep(LOOK);
    }
    // What it started may go on without it; its own number is not given anew before it was waited for.
    tell(child, libc::SIGKILL);
    child.wait().map(drop)
}

/// Whether a process ended; it is waited for later.
fn has_ended(child: &Child) -> bool {
    // SAFETY: all zeros is a value of this plain structure.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` outlives the call.
    let asked = unsafe { libc::waitid(libc::P_PID, child.id(), &mut info, flags) };
    // SAFETY: the field is set by a call that succeeds, and zero as long as the process runs.
    asked != 0 || unsafe { info.si_pid() } != 0
}

/// Where every ref was before a command, if somebody wants to hear of moves.
pub struct Moves {
    before: BTreeMap<String, String>,
}

impl Moves {
    /// Where refs are now; `None` if nobody wants to know.
    pub fn watched(place: &Place) -> Option<Self> {
        find(place, "post-move")?;
        Some(Self { before: refs(place) })
    }

    /// Tells of refs that are elsewhere now.
    pub fn tell(self, place: &Place, task: &Task) {
        let now = refs(place);
        let names: std::collections::BTreeSet<&String> = self.before.keys().chain(now.keys()).collect();
        let moved = names.into_iter().filter(|name| self.before.get(*name) != now.get(*name));
        let at = |refs: &BTreeMap<String, String>, name| refs.get(name).cloned();
        let moves: Vec<Move> = moved
            .map(|name| Move { of: name.clone(), old: at(&self.before, name), new: at(&now, name) })
            .collect();
        if !moves.is_empty() {
            after(place, Told::PostMove { moves }, task);
        }
    }
}

/// Every ref with what it names. One that cannot be read did not move.
fn refs(place: &Place) -> BTreeMap<String, String> {
    let refs = place.repo.refs();
    let mut found = BTreeMap::new();
    if let Ok(head) = refs.head() {
        let names = match head {
            Head::Branch(branch) => format!("ref: refs/heads/{branch}"),
            Head::Detached(commit) => commit.to_string(),
        };
        found.insert("HEAD".to_owned(), names);
    }
    for (name, commit) in refs.branches().unwrap_or_default() {
        found.insert(format!("refs/heads/{name}"), commit.to_string());
    }
    for (name, tag) in refs.tags().unwrap_or_default() {
        found.insert(format!("refs/tags/{name}"), tag.commit.to_string());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str, seconds: u64, task: &Task) -> std::result::Result<(), Ended> {
        let child = Command::new("sh").arg("-c").arg(script).process_group(0).spawn().expect("sh");
        wait(child, seconds, task).expect("it can be waited for")
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_all_it_started() {
        let ended = ran("trap '' TERM; (sleep 600; true) & sleep 600", 1, &Task::default());
        assert!(matches!(ended, Err(Ended::TimedOut(1))));
        assert!(ran("exit 0", 1, &Task::default()).is_ok());
        // What it started goes with it, also if it goes at once and the other does not.
        let noted = std::env::temp_dir().join(format!("{:032x}", unpredictable()));
        let script =
            format!("(trap '' TERM; echo started; exec sleep 600) & echo $! > {}; wait", noted.display());
        assert!(matches!(ran(&script, 1, &Task::default()), Err(Ended::TimedOut(1))));
        let other = std::fs::read_to_string(&noted).expect("its number");
        std::fs::remove_file(&noted).expect("a file");
        let begun = Instant::now();
        let is_there = || {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", other.trim())).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
        };
        while is_there() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
            std::thread::sleep(LOOK);
        }
        assert!(
            matches!(ran("exit 3", 0, &Task::default()), Err(Ended::Failed(status)) if words(status) == "exit code 3")
        );
        assert!(
            matches!(ran("kill -9 $$", 0, &Task::default()), Err(Ended::Failed(status)) if words(status) == "signal 9")
        );
    }
}
