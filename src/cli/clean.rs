use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::json::{PathOnly, plain};
use super::output::{Output, note};
use super::quote;
use crate::history::{ChangeKind, TreePath};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Remove from the worktree what the last commit does not have
///
/// Without -f it is only listed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these paths
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Do it
    #[arg(short, long)]
    force: bool,
    /// Only list it, which is also what no -f does
    #[arg(short = 'n', long, conflicts_with = "force")]
    dry_run: bool,
    /// Accepted for git's sake: directories are looked into
    #[arg(short)]
    directories: bool,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What the last commit does not have.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleaned {
    branch: String,
    /// Whether it was removed, and not only listed
    removed: bool,
    paths: Vec<PathOnly>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    let paths = place.paths().pathspec(&args.paths, &|path| Ok(worktree.names().resolve(path)?.is_some()))?;
    let snapshot = worktree.snapshot(false)?;
    let changes = snapshot.diff_from(place.repo.tree_of(snapshot.base)?, &worktree)?;
    let new =
        changes.into_iter().filter(|change| change.kind == ChangeKind::Added && paths.means(&change.path));
    let new: Vec<TreePath> = new.map(|change| change.path).collect();
    if args.force && !new.is_empty() {
        let removed = place.drops().remove(&worktree, &new, true)?;
        say_heard(&removed.heard);
        if let Err(error) = removed.dropped {
            return Err(CommandError::from(error));
        }
    }
    if out.json {
        let (branch, paths) = (branch.to_string(), plain(&new));
        return out.value(&Cleaned { branch, removed: args.force, paths });
    }
    let word = if args.force { "removed" } else { "would remove" };
    new.iter().try_for_each(|path| out.line(format_args!("{word} {}", quote::path(path))))?;
    if !args.force && !new.is_empty() {
        note("`coral clean -f` does it");
    }
    Ok(())
}
