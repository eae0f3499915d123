use super::context::{Context, Place, say_heard};
use super::error::{CommandError, Result};
use super::globs;
use super::json::{PathOnly, plain};
use super::output::Output;
use super::progress::task;
use super::quote;
use super::unsaved::{self, DroppedRow, KeepArgs};
use crate::history::TreePath;
use crate::workspace::Error;
use crate::worktree::{self, Worktree};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashSet;
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
    /// Only tell what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// That there is no such path is no failure
    #[arg(long)]
    ignore_unmatch: bool,
    /// Accepted for git's sake where no mount is: plain files stay in any case
    #[arg(long)]
    cached: bool,
    #[command(flatten)]
    keep: KeepArgs,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What was removed from a worktree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Removed {
    branch: String,
    /// The paths that were meant; with --dry-run they are still there
    removed: Vec<PathOnly>,
    /// What no commit has
    dropped: Vec<DroppedRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    if args.cached && place.inside.is_some() {
        return Err(CommandError::usage(
            "there is no index: the files of a mounted worktree are what is committed",
        )
        .hint("`coral export HEAD DIR` or `cp` first, where files are to stay; then `coral rm PATH`"));
    }
    let branch = place.branch(args.branch.as_deref())?;
    let worktree = place.worktree(&branch)?;
    let paths = removed_paths(&place, &worktree, &args)?;
    if args.dry_run || paths.is_empty() {
        worktree.edits().check_removable(&paths, args.recursive).map_err(refused)?;
        if out.json {
            let (removed, dropped) = (plain(&paths), Vec::new());
            return out.value(&Removed { branch: branch.to_string(), removed, dropped });
        }
        return paths
            .iter()
            .try_for_each(|path| out.line(format_args!("would remove {}", quote::path(path))));
    }
    let task = task()?;
    let removed = place.drops().remove(&worktree, ("rm", &paths), args.recursive, args.keep.task(&task));
    let removed = removed.map_err(|error| match error {
        Error::Worktree(error) => refused(error),
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

/// What is meant. The top stands for all that is in it.
fn removed_paths(place: &Place, worktree: &Worktree, args: &Args) -> Result<Vec<TreePath>> {
    let is_there = |path: &TreePath| worktree.names().resolve(path).is_ok_and(|found| found.is_some());
    let mut paths = Vec::new();
    for typed in &args.paths {
        match globs::in_worktree(place, worktree, std::slice::from_ref(typed)) {
            Ok(found) if args.ignore_unmatch => paths.extend(found.into_iter().filter(is_there)),
            Ok(found) => paths.extend(found),
            Err(_) if args.ignore_unmatch => {}
            Err(error) => return Err(error),
        }
    }
    if args.recursive && paths.iter().any(TreePath::is_root) {
        let snapshot = worktree.snapshot(false)?;
        let entries = snapshot.tree.entries(snapshot.tree.root, &place.repo)?.into_iter();
        return Ok(entries.map(|entry| TreePath::ROOT.join(entry.name)).collect());
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

fn refused(error: worktree::Error) -> CommandError {
    match error {
        worktree::Error::IsADirectory(path) => {
            CommandError::new(format!("`{}` is a directory", quote::path(&path)))
                .hint("`-r` removes it with everything in it")
        }
        other => other.into(),
    }
}
