//! What can be done to both file systems, as values with a text form: one word and its arguments on a line.

use std::fmt;
use std::str::FromStr;

use proptest::prelude::*;

/// One step. Paths are in the worktree of the current branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Creates a file that must not exist, and closes it.
    Create(String),
    /// Opens, writes so many bytes of a pattern at an offset, closes.
    Write {
        path: String,
        offset: u64,
        len: u64,
        seed: u8,
    },
    /// Sets the length.
    Truncate {
        path: String,
        len: u64,
    },
    /// Opens a file with O_TRUNC and closes it.
    Empty(String),
    Unlink(String),
    Mkdir(String),
    Rmdir(String),
    Symlink {
        path: String,
        target: String,
    },
    Rename {
        from: String,
        to: String,
        mode: Mode,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    /// Makes a file or directory durable.
    Sync(String),
    /// Opens a file and keeps it open in a slot; what the slot held is closed.
    Hold {
        slot: usize,
        path: String,
        write: bool,
    },
    /// Writes through a slot that is open for writing, and flushes as a closing duplicate does: nothing is complete by
    /// that.
    HeldWrite {
        slot: usize,
        offset: u64,
        len: u64,
        seed: u8,
    },
    /// Closes a slot.
    Release(usize),
    /// Commits the current branch.
    Commit,
    /// Makes a directory in `worktree/`.
    Branch(String),
    /// Makes another branch the current one.
    Switch(String),
    /// Stores what is complete, as the background does with large files.
    Ingest,
    /// Closes everything and opens the repository again.
    Reopen,
    /// The same, with all that can be rebuilt deleted in between.
    DropIndex,
    /// Power fails: what was not made durable is lost as chance will have it.
    PowerCut(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Replace,
    NoReplace,
    Exchange,
}

/// The few branches that there are.
pub(super) const BRANCHES: [&str; 3] = ["main", "x", "y/z"];
/// How many files are held open at once.
pub(super) const SLOTS: usize = 2;

/// Few names in few directories, so that steps meet.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "d"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["d/a", "d/b", "d/e", "d/e/a"]).prop_map(str::to_owned),
    ]
}

fn extent() -> impl Strategy<Value = (u64, u64, u8)> {
    (0..40u64, 0..60u64, 1..=255u8)
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    let renames = prop::sample::select(vec![Mode::Replace, Mode::Replace, Mode::NoReplace, Mode::Exchange]);
    let branch = || prop::sample::select(BRANCHES.to_vec()).prop_map(str::to_owned);
    prop_oneof![
        6 => path().prop_map(Step::Create),
        6 => (path(), extent()).prop_map(|(path, (offset, len, seed))| Step::Write { path, offset, len, seed }),
        2 => (path(), 0..80u64).prop_map(|(path, len)| Step::Truncate { path, len }),
        1 => path().prop_map(Step::Empty),
        3 => path().prop_map(Step::Unlink),
        3 => path().prop_map(Step::Mkdir),
        2 => path().prop_map(Step::Rmdir),
        1 => (path(), "[a-d/.]{1,4}").prop_map(|(path, target)| Step::Symlink { path, target }),
        4 => (path(), path(), renames).prop_map(|(from, to, mode)| Step::Rename { from, to, mode }),
        1 => (path(), prop::sample::select(vec![0o600, 0o644, 0o755])).prop_map(|(path, mode)| Step::Chmod { path, mode }),
        2 => path().prop_map(Step::Sync),
        2 => (slot.clone(), path(), any::<bool>()).prop_map(|(slot, path, write)| Step::Hold { slot, path, write }),
        3 => (slot.clone(), extent()).prop_map(|(slot, (offset, len, seed))| Step::HeldWrite { slot, offset, len, seed }),
        1 => slot.prop_map(Step::Release),
        5 => Just(Step::Commit),
        1 => branch().prop_map(Step::Branch),
        1 => branch().prop_map(Step::Switch),
        2 => Just(Step::Ingest),
        1 => Just(Step::Reopen),
        1 => Just(Step::DropIndex),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create(path) => write!(f, "create {path}"),
            Step::Write { path, offset, len, seed } => write!(f, "write {path} {offset} {len} {seed}"),
            Step::Truncate { path, len } => write!(f, "truncate {path} {len}"),
            Step::Empty(path) => write!(f, "empty {path}"),
            Step::Unlink(path) => write!(f, "unlink {path}"),
            Step::Mkdir(path) => write!(f, "mkdir {path}"),
            Step::Rmdir(path) => write!(f, "rmdir {path}"),
            Step::Symlink { path, target } => write!(f, "symlink {path} {target}"),
            Step::Rename { from, to, mode: Mode::Replace } => write!(f, "rename {from} {to}"),
            Step::Rename { from, to, mode: Mode::NoReplace } => write!(f, "rename-noreplace {from} {to}"),
            Step::Rename { from, to, mode: Mode::Exchange } => write!(f, "rename-exchange {from} {to}"),
            Step::Chmod { path, mode } => write!(f, "chmod {path} {mode:o}"),
            Step::Sync(path) => write!(f, "sync {path}"),
            Step::Hold { slot, path, write: false } => write!(f, "hold {slot} {path}"),
            Step::Hold { slot, path, write: true } => write!(f, "hold-write {slot} {path}"),
            Step::HeldWrite { slot, offset, len, seed } => {
                write!(f, "held-write {slot} {offset} {len} {seed}")
            }
            Step::Release(slot) => write!(f, "release {slot}"),
            Step::Commit => write!(f, "commit"),
            Step::Branch(name) => write!(f, "branch {name}"),
            Step::Switch(name) => write!(f, "switch {name}"),
            Step::Ingest => write!(f, "ingest"),
            Step::Reopen => write!(f, "reopen"),
            Step::DropIndex => write!(f, "drop-index"),
            Step::PowerCut(seed) => write!(f, "power-cut {seed}"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split(' ').collect();
        let bad = |_| format!("not a step: {line}");
        let number = |text: &str| text.parse::<u64>().map_err(bad);
        let seed = |text: &str| text.parse::<u8>().map_err(bad);
        let slot = |text: &str| text.parse::<usize>().map_err(bad);
        let rename = |from: &str, to: &str, mode| Step::Rename { from: from.into(), to: to.into(), mode };
        Ok(match words[..] {
            ["create", path] => Step::Create(path.into()),
            ["write", path, offset, len, pattern] => Step::Write {
                path: path.into(),
                offset: number(offset)?,
                len: number(len)?,
                seed: seed(pattern)?,
            },
            ["truncate", path, len] => Step::Truncate { path: path.into(), len: number(len)? },
            ["empty", path] => Step::Empty(path.into()),
            ["unlink", path] => Step::Unlink(path.into()),
            ["mkdir", path] => Step::Mkdir(path.into()),
            ["rmdir", path] => Step::Rmdir(path.into()),
            ["symlink", path, target] => Step::Symlink { path: path.into(), target: target.into() },
            ["rename", from, to] => rename(from, to, Mode::Replace),
            ["rename-noreplace", from, to] => rename(from, to, Mode::NoReplace),
            ["rename-exchange", from, to] => rename(from, to, Mode::Exchange),
            ["chmod", path, mode] => {
                Step::Chmod { path: path.into(), mode: u32::from_str_radix(mode, 8).map_err(bad)? }
            }
            ["sync", path] => Step::Sync(path.into()),
            ["hold", at, path] => Step::Hold { slot: slot(at)?, path: path.into(), write: false },
            ["hold-write", at, path] => Step::Hold { slot: slot(at)?, path: path.into(), write: true },
            ["held-write", at, offset, len, pattern] => Step::HeldWrite {
                slot: slot(at)?,
                offset: number(offset)?,
                len: number(len)?,
                seed: seed(pattern)?,
            },
            ["release", at] => Step::Release(slot(at)?),
            ["commit"] => Step::Commit,
            ["branch", name] => Step::Branch(name.into()),
            ["switch", name] => Step::Switch(name.into()),
            ["ingest"] => Step::Ingest,
            ["reopen"] => Step::Reopen,
            ["drop-index"] => Step::DropIndex,
            ["power-cut", seed] => Step::PowerCut(number(seed)?),
            _ => return Err(format!("not a step: {line}")),
        })
    }
}
