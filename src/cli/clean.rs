use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::json::{PathOnly, plain};
use super::output::{Output, note};
use super::progress::task;
use super::quote;
use super::unsaved::{self, DroppedRow, KeepArgs};
use crate::history::{ChangeKind, TreePath, glob};
use crate::workspace::Unsaved;
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
    /// Also what is in directories that the last commit does not have
    #[arg(short)]
    directories: bool,
    /// But not what this fits, with `*` and `?`: a path, or a name
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<String>,
    #[command(flatten)]
    keep: KeepArgs,
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
    /// What no commit has
    dropped: Vec<DroppedRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    let paths = place.paths().pathspec(&args.paths, &|path| Ok(worktree.names().resolve(path)?.is_some()))?;
    let snapshot = worktree.snapshot(false)?;
    let base = place.repo.tree_of(snapshot.base)?;
    let changes = snapshot.diff_from(base, &worktree)?;
    let (mut new, mut in_new_folders) = (Vec::new(), 0_usize);
    for change in changes.into_iter().filter(|change| change.kind == ChangeKind::Added) {
        if !paths.means(&change.path) || is_excluded(&args.exclude, &change.path) {
            continue;
        }
        let folder = change.path.split_last().map(|(folder, _)| folder).unwrap_or_default();
        // As in git, who names paths means what is in them.
        let looks_into = args.directories || !paths.is_all() || folder.is_root();
        match looks_into || place.repo.find_in_tree(base, &folder)?.is_some() {
            true => new.push(change.path),
            false => in_new_folders += 1,
        }
    }
    let mut dropped = Unsaved::default();
    if args.force && !new.is_empty() {
        // What the other side brought is in no commit of this one either.
        worktree.under_way().check_nothing()?;
        let task = task()?;
        let removed = place.drops().remove(&worktree, ("clean", &new), true, args.keep.task(&task))?;
        say_heard(&removed.heard);
        dropped = removed.dropped.map_err(CommandError::from)?;
    }
    if out.json {
        let (branch, paths, dropped) = (branch.to_string(), plain(&new), unsaved::rows(&dropped));
        return out.value(&Cleaned { branch, removed: args.force, paths, dropped });
    }
    let word = if args.force { "removed" } else { "would remove" };
    new.iter().try_for_each(|path| out.line(format_args!("{word} {}", quote::path(path))))?;
    if !args.force && !new.is_empty() {
        note("`coral clean -f` does it");
    }
    // Each of them was named.
    if !dropped.kept.is_empty() {
        note(match dropped.kept.len() < dropped.files.len() {
            true => "`coral undo` brings back those that were complete, and nothing the rest",
            false => "`coral undo` brings these back",
        });
    }
    if in_new_folders > 0 {
        let stay = if in_new_folders == 1 {
            "1 file in a new directory stays".to_owned()
        } else {
            format!("{in_new_folders} files in new directories stay")
        };
        note(format!("{stay}: `-d` means these too"));
    }
    Ok(())
}

/// Whether a path, one of the folders above it, or a name in it is left out.
fn is_excluded(patterns: &[String], path: &TreePath) -> bool {
    let names = path.names();
    let upto = |len: usize| names[..len].iter().cloned().collect::<TreePath>().to_string();
    let fits = |pattern: &String| {
        (1..=names.len()).any(|len| glob(pattern, &upto(len)) || glob(pattern, &names[len - 1].to_string()))
    };
    patterns.iter().any(fits)
}
