use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::globs;
use super::json::{PathOnly, plain};
use super::output::Output;
use super::quote;
use super::unsaved::{self, DroppedRow};
use crate::workspace::Error;
use crate::worktree;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Remove files from the worktree
///
/// The next commit no longer has them; earlier commits keep them. Plain files outside of the mount stay. All are removed,
/// durably, or none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Paths in the worktree; `*` and `?` fit names
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Remove directories with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// Accepted for git's sake: changed files are removed in any case, and named
    #[arg(short, long)]
    force: bool,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What was removed from a worktree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Removed {
    branch: String,
    /// The paths that were meant
    removed: Vec<PathOnly>,
    /// What nothing brings back
    dropped: Vec<DroppedRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let worktree = place.worktree(&branch)?;
    let paths = globs::in_worktree(&place, &worktree, &args.paths)?;
    let removed = place.drops().remove(&worktree, &paths, args.recursive).map_err(|error| match error {
        Error::Worktree(worktree::Error::IsADirectory(path)) => {
            CommandError::new(format!("`{path}` is a directory"))
                .hint("`-r` removes it with everything in it")
        }
        other => other.into(),
    })?;
    say_heard(&removed.heard);
    let unsaved = unsaved::told(removed.dropped, &branch);
    if out.json {
        let (removed, dropped) = (plain(&paths), unsaved::rows(&unsaved));
        return out.value(&Removed { branch: branch.to_string(), removed, dropped });
    }
    paths.iter().try_for_each(|path| out.line(format_args!("removed {}", quote::path(path))))?;
    unsaved::say(
        &unsaved,
        match unsaved.has_older {
            true => "`coral restore PATH` brings back what the last commit has of them, and nothing the rest",
            false => "nothing brings these back",
        },
    );
    Ok(())
}
