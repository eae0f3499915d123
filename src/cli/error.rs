//! Errors as a person reads them: what went wrong, and the way out.

use super::quote;
use super::signals;
use crate::config::ConfigError;
use crate::convert;
use crate::disk::DiskError;
use crate::history::{Error, Limit, PathError, RefNameError};
use crate::id::CommitId;
use crate::quote::clipped;
use crate::store::StoreError;
use crate::{workspace, worktree};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Display;
use std::io;

/// What a command ends with that could not tell what it was asked, where 1 is an answer.
const NO_ANSWER: u8 = 3;
/// What a command ends with that found bytes wrong, or missing.
pub const DAMAGE: u8 = 4;

/// A result of a command.
pub type Result<T> = std::result::Result<T, CommandError>;

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    code: String,
    message: String,
    hints: Vec<String>,
    exit_code: u8,
    broken_pipe: bool,
    stopped: bool,
}

impl CommandError {
    /// A failure.
    pub fn new(message: impl Display) -> Self {
        Self {
            code: "failed".into(),
            message: message.to_string(),
            hints: Vec::new(),
            exit_code: 1,
            broken_pipe: false,
            stopped: false,
        }
    }

    /// The same of a command that ends with 1 to say no: that it could not tell is another number.
    #[must_use]
    pub fn or_no_answer(self, answers: bool) -> Self {
        if answers && self.exit_code == 1 { Self { exit_code: NO_ANSWER, ..self } } else { self }
    }

    /// A command line that means nothing.
    pub fn usage(message: impl Display) -> Self {
        Self { exit_code: 2, code: "usage".into(), ..Self::new(message) }
    }

    /// What another process of this program said when it failed, with its hints.
    #[cfg(feature = "mount")]
    pub fn heard(said: &str) -> Self {
        let hints: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
        let lines = said.lines().filter(|line| !line.starts_with("hint: ") && !line.trim().is_empty());
        let lines: Vec<&str> = lines.map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
        hints.into_iter().fold(Self::new(lines.join("; ")), Self::hint)
    }

    /// That what was to be said could not be written. That its reader went away is no failure.
    pub fn unprintable(error: &io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let plain =
            Self { broken_pipe, ..Self::new(format!("cannot write to the standard output: {error}")) };
        plain.hint("what was to be said is lost; what was to be done may be done")
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// The same; if it is that the command was stopped, with what that leaves.
    #[must_use]
    pub fn or_stopped(self, left: &str) -> Self {
        if self.stopped { self.hint(left) } else { self }
    }

    /// What it is, for programs: the same for all failures of a kind.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The same as an error of this kind, which is named after its variant.
    fn of_kind(self, error: &dyn std::fmt::Debug) -> Self {
        let shown = format!("{error:?}");
        let name = shown.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let mut code = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.push(c.to_ascii_lowercase());
        }
        Self { code, ..self }
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// Whether the reader of the output went away, which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The ways out.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

/// What is printed of a command that failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failed<'e> {
    pub error: Facts<'e>,
}

/// What went wrong, and the ways out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts<'e> {
    /// What it is, for programs: the same for all failures of a kind, such as `usage` or `unknown_revision`; `failed` for what
    /// has no kind of its own
    code: &'e str,
    /// What went wrong, for people
    message: &'e str,
    /// Ways out, for people
    hints: &'e [String],
    /// What the process ends with: 1 to 4, or 128 and the number of a signal
    exit_code: u8,
}

impl<'e> From<&'e CommandError> for Facts<'e> {
    fn from(error: &'e CommandError) -> Self {
        Self {
            code: error.code(),
            message: error.message(),
            hints: error.hints(),
            exit_code: error.exit_code(),
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let hint = hint(&error);
        let plain = match error {
            Error::Stopped(_) => Self { exit_code: signals::exit_code(), stopped: true, ..Self::new(&error) },
            _ if is_damage(&error) => Self { exit_code: DAMAGE, ..Self::new(&error) },
            _ => Self::new(&error),
        };
        let plain = plain.of_kind(&error);
        match hint {
            Some(hint) => plain.hint(hint),
            None => plain,
        }
    }
}

impl CommandError {
    /// What is wrong with a worktree, for who knows a better way out than there is in general.
    pub fn without_hint(error: worktree::Error) -> Self {
        Self { hints: Vec::new(), ..error.into() }
    }
}

impl From<worktree::Error> for CommandError {
    fn from(error: worktree::Error) -> Self {
        match error {
            worktree::Error::History(error) => error.into(),
            error => match worktree_hint(&error) {
                Some(hint) => Self::new(&error).of_kind(&error).hint(hint),
                None => Self::new(&error).of_kind(&error),
            },
        }
    }
}

/// The way out of an error of the history.
fn hint(error: &Error) -> Option<String> {
    let did_you_mean = |name: &dyn Display| Some(format!("did you mean `{name}`?"));
    match error {
        Error::NotARepository(_) => Some("`coral init` makes one; `-C DIR` names another folder".into()),
        Error::AlreadyARepository(_) => Some("use it as it is; nothing was changed".into()),
        Error::NewerFormat { .. } => Some("use the version of coral that made it, or a newer one".into()),
        Error::UnknownRevision { nearest: Some(name), .. } => did_you_mean(name),
        Error::UnknownRevision { nearest: None, .. } => {
            Some("`coral log`, `coral branch` and `coral tag` list what there is".into())
        }
        Error::MissingCommit { .. } => Some(
            "`coral fsck` tells what is missing and what is left; an incomplete copy has refs newer than its packs"
                .into(),
        ),
        Error::UnknownRef { nearest: Some(name), .. } => did_you_mean(name),
        Error::UnknownRef { kind, nearest: None, .. } => Some(format!("`coral {kind}` lists what there is")),
        Error::UnknownPath { path, nearest: Some(nearest), .. } if path == nearest => {
            Some(format!("the last commit has it: `coral restore {}` brings it back", quote::path_argument(path)))
        }
        Error::UnknownPath { nearest: Some(path), .. } => did_you_mean(path),
        Error::UnknownPath { nearest: None, .. } => Some("`coral ls [REF]` lists what there is".into()),
        Error::AmbiguousPrefix { matches, count, .. } => Some(matching(matches, *count)),
        Error::TooShort { .. } => Some("`coral log --oneline` shows the commits".into()),
        Error::UnknownTime(_) => Some(
            "times are `yesterday`, `2 hours ago`, `2026-11-23`, `2026-11-23 07:31` and what RFC 3339 has".into(),
        ),
        Error::TooFar { has: Limit::Entries { .. } | Limit::Switches(_), .. } => {
            Some("`coral reflog` lists where HEAD, a branch or a tag was".into())
        }
        Error::RefName(_) => Some("use letters, digits, `-`, `_`, `.` and `/`, as git does".into()),
        Error::RefExists { kind: "branch", name } => Some(format!("`coral switch {}` goes there", quote::word(name))),
        Error::RefExists { .. } => Some("`-f` moves it".into()),
        Error::ReservedName(_) => Some("choose another name".into()),
        Error::RefConflict { .. } => Some("a name cannot be both a branch and a folder of branches".into()),
        Error::Overtaken(_) => Some("`coral op log` shows it; nothing has changed".into()),
        Error::RefMoved { .. } => Some("look with `coral log`, then try again".into()),
        Error::DetachedHead(_) => Some("`coral switch -c NAME` makes a branch here".into()),
        Error::Unborn(_) => Some("`coral commit -m MESSAGE` makes the first".into()),
        Error::CurrentBranch(_) => Some("`coral switch` to another one first".into()),
        Error::NotMerged(_) => Some("`-D` deletes it all the same".into()),
        Error::Replaced(_) => Some(OPEN_ANEW.into()),
        Error::KeepsChanging(_) => Some("try again when nobody writes to it".into()),
        Error::OutputExists(_) => Some("name a path that does not exist yet; nothing was overwritten".into()),
        Error::WrongBytes(_) | Error::WrongLength { .. } | Error::Damaged { .. } => Some("`coral fsck --full` lists all damage".into()),
        Error::Store(StoreError::Busy { .. }) => Some("wait until it is done".into()),
        Error::Store(StoreError::Full { .. }) => Some(
            "free some room, or let it be filled further with `coral config set core.reserve SIZE`; the repository is \
             unchanged"
                .into(),
        ),
        Error::Store(error) if error.is_full() => Some("free some room; the repository is unchanged".into()),
        Error::Store(error) if error.is_corruption() => Some("`coral fsck --full` lists all damage".into()),
        Error::Disk(error) | Error::Store(StoreError::Disk(error)) if is_read_only(error) => {
            Some("it cannot be written here; looking at history works all the same, and nothing was changed".into())
        }
        Error::Disk(error) if error.operation == "sync" => Some(
            "the disk did not say that it has it: it may be done or not, so look with `coral status` or `coral log`".into(),
        ),
        Error::Disk(error) if error.is_full() => Some("free some room; the repository is unchanged".into()),
        _ => None,
    }
}

/// The way out of an error of a worktree.
fn worktree_hint(error: &worktree::Error) -> Option<String> {
    use worktree::Error as E;
    match error {
        E::NothingToCommit { still_open, .. } if !still_open.is_empty() => Some(format!(
            "{} file(s) are being written or were not finished; `--include-open` takes them as they are",
            still_open.len()
        )),
        E::NothingToCommit { .. } => {
            Some("save files into the mount's worktree/, or `coral add` them".into())
        }
        E::Diverged { .. } => {
            Some("commit the changes on a new branch, or drop them with `coral restore -B NAME --all`".into())
        }
        E::NotTheLast { branch, .. } => {
            Some(format!(
                "somebody committed meanwhile: `coral log {}` shows it, `coral commit` commits upon it",
                quote::word(branch)
            ))
        }
        E::UncommittedChanges(name) => Some(format!(
            "`coral commit -B {0}` records them, `coral stash` puts them aside, `coral restore -B {0} --all` drops them",
            quote::word(name)
        )),
        // Where nothing can be written, nothing can be dropped either.
        E::NotKept(why) if is_unwritable(why) => worktree_hint(why),
        E::NotKept(_) => Some("nothing has changed; `--no-keep`, as in `coral restore --no-keep PATH`, drops it for good".into()),
        E::Unmerged(_) => Some(
            "`coral status` lists them; `coral checkout --ours PATH` or `--theirs PATH` takes a side, `coral add PATH` what is there"
                .into(),
        ),
        E::UnderWay { what, .. } => {
            Some(format!("`coral {what} --continue` goes on with it, `coral {what} --abort` gives it up"))
        }
        E::CutShort { what: what @ ("cherry-pick" | "revert") } => Some(format!(
            "`coral {what} --continue` does it, `coral {what} --quit` forgets it, `coral {what} --abort` takes all of it back"
        )),
        E::CutShort { what } => Some(format!("`coral {what} --abort` gives it up; then begin it again")),
        E::NothingUnderWay(_) => Some("`coral status` tells what is".into()),
        E::OwnStore(_) => Some("name what lies beside it; the repository is not content of its own".into()),
        E::OwnMount(_) => Some(
            "history is in the repository already; of a mount, `add` takes single files of a branch, tag or commit".into(),
        ),
        E::BeingWritten(_) => {
            Some("wait until it is closed, or write to it through the same mount".into())
        }
        E::LostBytes(path) => Some(format!(
            "save it again, or go back to the last commit's with `coral restore {}`; then look after the disk",
            quote::path_argument(path)
        )),
        E::Replaced(_) => Some(OPEN_ANEW.into()),
        E::History(error) => hint(error),
        E::NotADirectory(_) | E::IsADirectory(_) | E::Exists(_) | E::NotEmpty(_) | E::IntoItself(_) => None,
        E::Stale | E::RecordTooLong | E::DamagedJournal { .. } => None,
    }
}

/// The way out where a repository or a worktree is no longer the one that was opened.
const OPEN_ANEW: &str = "open it anew: umount and mount again, or repeat the command";

/// The commits of a prefix.
fn matching(matches: &[(CommitId, String)], count: usize) -> String {
    let shown =
        matches.iter().map(|(id, subject)| format!("{} {}", &id.to_string()[..10], clipped(subject, 40)));
    let shown: Vec<String> = shown.collect();
    let more = if count > matches.len() { ", ..." } else { "" };
    format!("type more of its digits: {}{more}", shown.join(", "))
}

/// Whether something that was stored is not there as it was stored.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::WrongBytes(_)
        | Error::WrongLength { .. }
        | Error::Damaged { .. }
        | Error::MissingCommit { .. } => true,
        Error::Store(error) => error.is_corruption(),
        _ => false,
    }
}

/// Whether a disk that cannot be written is why something of a worktree did not happen.
fn is_unwritable(error: &worktree::Error) -> bool {
    match error {
        worktree::Error::History(Error::Disk(error) | Error::Store(StoreError::Disk(error))) => {
            is_read_only(error)
        }
        _ => false,
    }
}

fn is_read_only(error: &DiskError) -> bool {
    matches!(error.source.raw_os_error(), Some(libc::EROFS | libc::EACCES | libc::EPERM))
}

macro_rules! through_repo {
    ($($error:ty),*) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        }
    )*};
}
through_repo!(PathError, RefNameError, DiskError, StoreError);

impl From<workspace::Error> for CommandError {
    fn from(error: workspace::Error) -> Self {
        let kind = format!("{error:?}");
        let is_own = !matches!(
            error,
            workspace::Error::Repo(_) | workspace::Error::Worktree(_) | workspace::Error::Config { .. }
        );
        let plain = of_workspace(error);
        if is_own { plain.of_kind(&format_args!("{kind}")) } else { plain }
    }
}

fn of_workspace(error: workspace::Error) -> CommandError {
    {
        use workspace::Error as E;
        match error {
            E::Repo(error) => error.into(),
            E::Worktree(error) => error.into(),
            E::Config { source, file: None } => source.into(),
            E::Config { source, file: Some(file) } => CommandError::from(source)
                .hint(format!("it is in `{}`; `coral config edit` opens that", file.display())),
            E::Unreadable { .. } => CommandError::new(error),
            E::Homeless => CommandError::new(error).hint("set HOME or XDG_CONFIG_HOME to an absolute path"),
            E::BranchGone(_) => CommandError::new(error)
                .hint("`cd` to another folder; `coral branch` lists what there is. Nothing was done"),
            E::OutOfWorktree(_) => CommandError::usage(error),
            E::OtherWorktree { ref branch, .. } => {
                let hint = format!("run it there, or with `-C` there; `-B {branch}` and the path in the worktree mean it too");
                CommandError::usage(error).hint(hint)
            }
            E::Nameless(_) => CommandError::usage(error).hint("`--to DIR` says where its files go"),
            E::Around(_) => CommandError::usage(error)
                .hint("`--to DIR` says where its files go; `coral add .` takes those beside the repository"),
            E::NotHere { .. } => CommandError::new(error)
                .hint("what is elsewhere is added by its absolute path, or with `--to DIR`"),
            E::Mainline { .. } => {
                CommandError::usage(error).hint("`-m 1` counts from the first, as a merge does")
            }
            E::NoBisection => CommandError::new(error).hint("`coral bisect start BAD GOOD` begins one"),
            E::NoFile(_) => CommandError::new(error).hint("`coral ls -r` lists the files"),
            E::NothingToUndo => CommandError::new(error).hint("`coral op log` lists what was done"),
            E::ChangedSince(ref paths) => {
                let path = paths.first().map(quote::path_argument).unwrap_or_default();
                CommandError::new(error).hint(format!(
                    "nothing has changed; copy what is there now to elsewhere, then `coral restore --no-keep {path}` takes it away"
                ))
            }
            E::StashConflicts { number, ref paths } => {
                let path = paths.first().map(quote::path_argument).unwrap_or_default();
                CommandError::new(error).hint(format!(
                    "nothing has changed; `coral diff stash/{number}` shows it, `coral restore -s stash/{number} {path}` takes \
                     what it has there"
                ))
            }
            E::BadBeforeGood { .. } => CommandError::new(error)
                .hint("the bad one is named first: `coral bisect start BAD GOOD`"),
            E::NothingToStash(_) => CommandError::new(error).hint("`coral status` tells what differs"),
            E::NoStash(_) | E::NoStashBack { .. } => CommandError::new(error).hint("`coral stash list` lists what is put aside"),
            E::Unrelated { .. } => {
                CommandError::new(error).hint("`--allow-unrelated-histories` merges them all the same")
            }
            E::NotForward { .. } => CommandError::new(error).hint("without `--ff-only` they are merged"),
            E::Soup { .. } => CommandError::new(error).hint(
                "`--copy PATTERN` takes tensors from the first model; docs/merge.md says what is mixed. Nothing was changed",
            ),
            E::SoupRefused(_) => CommandError::new(error),
            E::NoConflict => CommandError::new(error).hint("`coral status` lists what is"),
            E::TwoWorktrees => CommandError::usage(error).hint("`coral commit` one of them first"),
            E::TooManyBlocks { .. } => {
                CommandError::usage(error).hint("`--rows=COUNT` with more rows, or `-t NAME` for some tensors")
            }
            E::SavedMeanwhile => CommandError::new(error).hint("try again when there is a moment without"),
            E::Unfinished(_) => CommandError::new(error)
                .hint("save it again; `coral commit --include-open` takes it as it is"),
        }
    }
}

impl From<convert::Error> for CommandError {
    fn from(error: convert::Error) -> Self {
        use convert::Error as E;
        let hints = match &error {
            E::Repo(_) => Vec::new(),
            E::Refused(refused) => ways_to_convert(refused),
            E::NoTensors(_) => {
                vec!["docs/formats.md lists the kinds of files whose tensors are known".into()]
            }
            E::Nothing => vec!["`coral show REF:PATH` lists the tensors".into()],
            E::TooLarge => vec!["`--shard-size 5GB` cuts it into several files".into()],
            E::NoMetadata(_) | E::NoShards(_) => vec!["safetensors and GGUF have that".into()],
            E::NoBlocks => vec!["`--format gguf`, or another `--dtype`".into()],
        };
        let plain = match error {
            E::Repo(error) => return error.into(),
            E::NoMetadata(_) | E::NoShards(_) | E::NoBlocks => Self::usage(&error),
            _ => Self::new(&error).of_kind(&error),
        };
        hints.into_iter().fold(plain, Self::hint)
    }
}

/// The ways out for tensors that cannot be what they are to become.
fn ways_to_convert(refused: &convert::Refused) -> Vec<String> {
    use convert::Why;
    let mut ways: Vec<String> = Vec::new();
    for refusal in &refused.refusals {
        let way = match refusal.why {
            Why::Number => "`--dtype f32` makes floats of a type that every kind of file has",
            Why::Block => "`--dtype f16`, or f32, computes their numbers",
            Why::Name | Why::LongName { .. } => "`--strip-prefix TEXT` takes the beginning of names away",
            Why::Twice => "`--tensors` and `--without` choose, or convert one file after the other",
            Why::Axes { .. } | Why::Type | Why::UnknownBlock | Why::Sign | Why::Damaged | Why::PassedOver => {
                "`--without PATTERN` leaves tensors out"
            }
        };
        if !ways.iter().any(|known| known == way) {
            ways.push(way.to_owned());
        }
    }
    ways
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::UnknownKey { name, nearest } => {
                let is_near = strsim::damerau_levenshtein(name, nearest) * 2 <= name.chars().count();
                let mean = if is_near { format!("did you mean `{nearest}`? ") } else { String::new() };
                Some(format!("{mean}`coral config list` shows every setting"))
            }
            ConfigError::Former { .. } => {
                Some("`coral config migrate` takes such settings out of a file".into())
            }
            ConfigError::UnknownAlias(_) => Some("`coral config list` shows every alias".into()),
            ConfigError::Value { .. } | ConfigError::Alias { .. } | ConfigError::Syntax { .. } => None,
        };
        match hint {
            Some(hint) => Self::new(&error).of_kind(&error).hint(hint),
            None => Self::new(&error).of_kind(&error),
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self { broken_pipe: error.kind() == io::ErrorKind::BrokenPipe, ..Self::new(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::history::{BranchName, Options, Repo};
    use crate::store;
    use std::path::Path;
    use std::sync::Arc;

    #[cfg(feature = "mount")]
    #[test]
    fn what_another_process_said_keeps_its_hints() {
        let heard = CommandError::heard("error: it is mounted\nhint: take it away\nhint: or not\n");
        assert_eq!(heard.message, "it is mounted");
        assert_eq!(heard.hints, ["take it away", "or not"]);
        assert_eq!(CommandError::heard("thread panicked\nat once\n").message, "thread panicked; at once");
    }

    #[test]
    fn a_disk_that_is_kept_free_says_by_what_and_how_much() {
        let disk = Arc::new(SimulatedDisk::new());
        let root = Path::new("/r/.coral");
        crate::disk::Disk::create_dir_all(&*disk, Path::new("/r")).expect("room");
        Repo::create(disk.clone(), root, &BranchName::new("main").expect("valid")).expect("room");
        let options = Options {
            store: store::Options { reserve_bytes: u64::MAX, ..store::Options::default() },
            ..Options::default()
        };
        let repo = Repo::open(disk, root, options).expect("there");
        let full = repo.store().begin().map(drop).expect_err("too little is left");
        let full = CommandError::from(full);
        for words in ["/r/.coral", " left", "core.reserve keeps 16.0 EiB"] {
            assert!(full.message.contains(words), "no `{words}` in {full:?}");
        }
        assert!(full.hints[0].contains("coral config set core.reserve"), "{full:?}");
    }
}
