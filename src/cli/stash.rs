use super::change::{ChangeRow, rows, words};
use super::changes::{self, Changes};
use super::context::{Context, Place, say_heard};
use super::error::Result;
use super::globs;
use super::json::Id;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use super::quote;
use crate::history::BranchName;
use crate::workspace::{Pathspec, Stash, Switch};
use crate::worktree::Worktree;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Put the changes of the worktree aside, and bring them back
///
/// Each branch has a worktree of its own, so that switching needs no stash; it is for trying something else on the same branch.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    push: PushArgs,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME", global = true)]
    branch: Option<String>,
}

/// What is put aside.
#[derive(Debug, clap::Args)]
struct PushArgs {
    /// What they are
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Also what no commit has; accepted for git's sake: it is put aside in any case
    #[arg(short = 'u', long, hide = true)]
    include_untracked: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put the changes aside, which is also what no action does
    Push {
        #[command(flatten)]
        push: PushArgs,
        /// Only what is at and below these paths; `*` and `?` fit names
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// The same, with what they are as plain words
    #[command(hide = true)]
    Save {
        /// What they are
        #[arg(value_name = "TEXT")]
        message: Vec<String>,
    },
    /// List what was put aside, the newest first
    List,
    /// What a stash changes; the newest one if none is named
    Show {
        #[command(flatten)]
        which: Which,
        /// In full
        #[arg(short, long, short_alias = 'u')]
        patch: bool,
        /// One line a file: how many tensors differ and by how much
        #[arg(long, conflicts_with = "patch")]
        stat: bool,
    },
    /// Bring the changes back, and let the stash go
    Pop(Which),
    /// Bring the changes back, and keep the stash
    Apply(Which),
    /// Let a stash go
    Drop(Which),
    /// Let all go
    Clear,
    /// Make a branch where the changes were made, and bring them back there
    Branch {
        /// Its name
        name: String,
        #[command(flatten)]
        which: Which,
    },
}

/// Which stash.
#[derive(Debug, clap::Args)]
struct Which {
    /// Its number, or `stash@{N}` for the one N before the newest
    #[arg(value_name = "STASH", value_parser = named)]
    stash: Option<Named>,
}

/// A stash as somebody names it.
#[derive(Debug, Clone, Copy)]
enum Named {
    Number(u32),
    /// So many before the newest.
    Back(usize),
}

fn named(text: &str) -> std::result::Result<Named, String> {
    let back = text.strip_prefix("stash@{").and_then(|rest| rest.strip_suffix('}'));
    let named = match back {
        Some(back) => back.parse().ok().map(Named::Back),
        None => text.strip_prefix("stash/").unwrap_or(text).parse().ok().map(Named::Number),
    };
    named.ok_or_else(|| "it is a number of `coral stash list`, or `stash@{0}` for the newest".to_owned())
}

impl Which {
    fn find(&self, place: &Place) -> Result<Stash> {
        Ok(match self.stash {
            Some(Named::Back(back)) => place.stashes().back(back)?,
            Some(Named::Number(number)) => place.stashes().find(Some(number))?,
            None => place.stashes().find(None)?,
        })
    }
}

/// What was put aside.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StashRow {
    /// Its number: the newest has the highest
    stash: u32,
    /// A commit upon the one that the branch was at, with the files
    commit: Id,
    message: String,
    /// The tag that keeps it
    tag: String,
}

/// All that was put aside, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stashes {
    stashes: Vec<StashRow>,
}

/// What was put aside, and what it changes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StashShown {
    #[serde(flatten)]
    stash: StashRow,
    changes: Vec<ChangeRow>,
}

/// Stashes that were let go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dropped {
    /// The newest first
    dropped: Vec<StashRow>,
}

/// Changes that were brought back on a branch of their own.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Branched {
    /// The branch, which HEAD names now
    branch: String,
    #[serde(flatten)]
    stash: StashRow,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let Args { action, push, branch } = args;
    let action = action.unwrap_or(Action::Push { push, paths: Vec::new() });
    let worktree = || place.worktree(&place.branch(branch.as_deref())?);
    match action {
        Action::Push { push, paths } => put_aside(&place, out, &worktree()?, &paths, push.message),
        Action::Save { message } => {
            let message = Some(message.join(" ")).filter(|message| !message.is_empty());
            put_aside(&place, out, &worktree()?, &[], message)
        }
        Action::List => {
            let stashes = place.stashes().all()?;
            if out.json {
                return out.value(&Stashes { stashes: stashes.iter().map(StashRow::from).collect() });
            }
            stashes.iter().try_for_each(|stash| told(out, "", stash))
        }
        Action::Show { which, patch, stat } => {
            let stash = which.find(&place)?;
            let commit = place.repo.commit(stash.commit)?;
            let before = place.repo.tree_of(commit.parents.first().copied())?;
            let changes = place.repo.diff_trees(before, commit.tree)?;
            if out.json {
                return out.value(&StashShown { stash: (&stash).into(), changes: rows(&changes) });
            }
            if patch || stat {
                let (old, new) = (
                    place.views().view_tree(before, "its parent"),
                    place.views().view_tree(commit.tree, "the stash"),
                );
                let wanted = if patch { Changes::Patch } else { Changes::Stat };
                return changes::print(&place, out, (&old, &new), &Pathspec::default(), wanted, &task()?);
            }
            changes.iter().try_for_each(|change| {
                let (letter, _, colour) = words(change.kind);
                out.line(out.paint(colour, format_args!("{letter} {}", quote::path(&change.path))))
            })
        }
        Action::Pop(which) => {
            let stash = which.find(&place)?;
            place.stashes().pop(&worktree()?, &stash, &task()?)?;
            warn(&place.stashes().drop(&stash)?);
            told(out, "brought back", &stash)
        }
        Action::Apply(which) => {
            let stash = which.find(&place)?;
            place.stashes().pop(&worktree()?, &stash, &task()?)?;
            told(out, "brought back", &stash)
        }
        Action::Drop(which) => {
            let stash = which.find(&place)?;
            warn(&place.stashes().drop(&stash)?);
            told(out, "dropped", &stash)?;
            if !out.json {
                note(format!("`coral show {}` has its files still", &stash.commit.to_string()[..10]));
            }
            Ok(())
        }
        Action::Clear => {
            let stashes = place.stashes().all()?;
            for stash in &stashes {
                warn(&place.stashes().drop(stash)?);
                if !out.json {
                    told(out, "dropped", stash)?;
                }
            }
            match (out.json, stashes.is_empty()) {
                (true, _) => out.value(&Dropped { dropped: stashes.iter().map(StashRow::from).collect() }),
                (false, true) => Ok(()),
                (false, false) => {
                    note("`coral undo` brings them back, one each time");
                    Ok(())
                }
            }
        }
        Action::Branch { name, which } => on_branch(&place, out, name, &which.find(&place)?),
    }
}

fn put_aside(
    place: &Place,
    out: &Output,
    worktree: &Worktree,
    paths: &[PathBuf],
    message: Option<String>,
) -> Result<()> {
    place.settle();
    let only = globs::in_worktree(place, worktree, paths)?;
    let (stash, warnings) = place.stashes().push(worktree, &only, message, &task()?)?;
    warn(&warnings);
    told(out, "put aside", &stash)?;
    if !out.json {
        note("`coral stash pop` brings it back");
    }
    Ok(())
}

/// Makes a branch at the commit that the changes were made on, goes there, and brings them back.
fn on_branch(place: &Place, out: &Output, name: String, stash: &Stash) -> Result<()> {
    let branch = BranchName::new(name)?;
    let base = place.repo.commit(stash.commit)?.parents.first().map(ToString::to_string);
    let moved = place.naming().switch(&Switch::New { branch: branch.clone(), start: base })?;
    warn(&moved.warnings);
    say_heard(&moved.heard);
    place.stashes().pop(&place.worktree(&branch)?, stash, &task()?)?;
    warn(&place.stashes().drop(stash)?);
    if out.json {
        return out.value(&Branched { branch: branch.to_string(), stash: stash.into() });
    }
    out.line(format_args!("on branch {branch}"))?;
    told(out, "brought back", stash)
}

impl From<&Stash> for StashRow {
    fn from(stash: &Stash) -> Self {
        let Stash { number, commit, message, tag, .. } = stash;
        Self { stash: *number, commit: (*commit).into(), message: message.clone(), tag: tag.to_string() }
    }
}

fn told(out: &Output, what: &str, stash: &Stash) -> Result<()> {
    if out.json {
        return out.value(&StashRow::from(stash));
    }
    let number = out.paint(Colour::Yellow, format_args!("stash {}", stash.number));
    let what = if what.is_empty() { String::new() } else { format!("{what} ") };
    out.line(format_args!("{what}{number} {} {}", &stash.commit.to_string()[..10], stash.message))
}
