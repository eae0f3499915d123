use super::change::{ChangeRow, rows, words};
use super::context::Context;
use super::error::Result;
use super::json::Id;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use super::quote;
use crate::workspace::Stash;
use schemars::JsonSchema;
use serde::Serialize;

/// Put the changes of the worktree aside, and bring them back
///
/// Each branch has a worktree of its own, so that switching needs no stash; it is for trying something else on the same branch.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME", global = true)]
    branch: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put the changes aside, which is also what no action does
    #[command(visible_alias = "save")]
    Push {
        /// What they are
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// List what was put aside, the newest first
    List,
    /// What a stash changes; the newest one if no number is given
    Show {
        /// Its number
        number: Option<u32>,
    },
    /// Bring the changes back, and let the stash go
    Pop {
        /// Its number
        number: Option<u32>,
    },
    /// Bring the changes back, and keep the stash
    Apply {
        /// Its number
        number: Option<u32>,
    },
    /// Let a stash go
    Drop {
        /// Its number
        number: Option<u32>,
    },
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

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let action = args.action.unwrap_or(Action::Push { message: None });
    let worktree = || place.worktree(&place.branch(args.branch.as_deref())?);
    match action {
        Action::Push { message } => {
            place.settle();
            let (stash, warnings) = place.stashes().push(&worktree()?, message, &task()?)?;
            warn(&warnings);
            told(out, "put aside", &stash)?;
            if !out.json {
                note("`coral stash pop` brings it back");
            }
            Ok(())
        }
        Action::List => {
            let stashes = place.stashes().all()?;
            if out.json {
                return out.value(&Stashes { stashes: stashes.iter().map(StashRow::from).collect() });
            }
            stashes.iter().try_for_each(|stash| told(out, "", stash))
        }
        Action::Show { number } => {
            let stash = place.stashes().find(number)?;
            let commit = place.repo.commit(stash.commit)?;
            let before = place.repo.tree_of(commit.parents.first().copied())?;
            let changes = place.repo.diff_trees(before, commit.tree)?;
            if out.json {
                return out.value(&StashShown { stash: (&stash).into(), changes: rows(&changes) });
            }
            changes.iter().try_for_each(|change| {
                let (letter, _, colour) = words(change.kind);
                out.line(out.paint(colour, format_args!("{letter} {}", quote::path(&change.path))))
            })
        }
        Action::Pop { number } => {
            let stash = place.stashes().find(number)?;
            place.stashes().pop(&worktree()?, &stash, &task()?)?;
            warn(&place.stashes().drop(&stash)?);
            told(out, "brought back", &stash)
        }
        Action::Apply { number } => {
            let stash = place.stashes().find(number)?;
            place.stashes().pop(&worktree()?, &stash, &task()?)?;
            told(out, "brought back", &stash)
        }
        Action::Drop { number } => {
            let stash = place.stashes().find(number)?;
            warn(&place.stashes().drop(&stash)?);
            told(out, "dropped", &stash)?;
            if !out.json {
                note(format!("`coral show {}` has its files still", &stash.commit.to_string()[..10]));
            }
            Ok(())
        }
    }
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
