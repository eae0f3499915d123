use super::context::Context;
use super::error::Result;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use crate::workspace::Stash;
use serde_json::json;

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
                return out.value(&json!({ "stashes": stashes.iter().map(row).collect::<Vec<_>>() }));
            }
            stashes.iter().try_for_each(|stash| told(out, "", stash))
        }
        Action::Show { number } => {
            let stash = place.stashes().find(number)?;
            let commit = place.repo.commit(stash.commit)?;
            let before = place.repo.tree_of(commit.parents.first().copied())?;
            let changes = place.repo.diff_trees(before, commit.tree)?;
            if out.json {
                let mut value = row(&stash);
                value["changes"] = changes.iter().map(super::change::change_json).collect();
                return out.value(&value);
            }
            changes.iter().try_for_each(|change| {
                let (letter, _, colour) = super::change::words(change.kind);
                out.line(out.paint(colour, format_args!("{letter} {}", super::quote::path(&change.path))))
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

fn row(stash: &Stash) -> serde_json::Value {
    json!({
        "stash": stash.number, "commit": stash.commit.to_string(), "message": stash.message, "tag": stash.tag.as_str(),
    })
}

fn told(out: &Output, what: &str, stash: &Stash) -> Result<()> {
    if out.json {
        return out.value(&row(stash));
    }
    let number = out.paint(Colour::Yellow, format_args!("stash {}", stash.number));
    let what = if what.is_empty() { String::new() } else { format!("{what} ") };
    out.line(format_args!("{what}{number} {} {}", &stash.commit.to_string()[..10], stash.message))
}
