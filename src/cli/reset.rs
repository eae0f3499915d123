use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::json::Id;
use super::output::{Output, note, warn};
use super::progress::task;
use super::unsaved::{self, DroppedRow, KeepArgs};
use crate::worktree::Keeps;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Let the branch go to another commit
///
/// The commits behind it stay, and `coral reflog` knows where the branch was. The worktree keeps its files, as changes upon
/// the other commit; with --hard it has what the commit has, and `coral undo` brings back what is dropped. There is no index: --soft and --mixed are the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to; its own last commit if it is not said
    #[arg(value_name = "REF")]
    revision: Option<String>,
    /// Keep the files
    #[arg(long, conflicts_with_all = ["hard", "mixed"])]
    soft: bool,
    /// Keep the files, which is the default
    #[arg(long, conflicts_with = "hard")]
    mixed: bool,
    /// Drop every change: the worktree equals the commit
    #[arg(long)]
    hard: bool,
    #[command(flatten)]
    keep: KeepArgs,
    /// Not here: `coral restore PATH`
    #[arg(last = true, value_name = "PATH", hide = true)]
    paths: Vec<PathBuf>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// Where a branch went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Went {
    branch: String,
    commit: Id,
    /// Where it was before
    was: Id,
    /// What no commit has
    dropped: Vec<DroppedRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    if !args.paths.is_empty() {
        return Err(CommandError::usage("there is no index that paths could be taken out of")
            .hint("`coral restore -s REF PATH` brings files back into the worktree"));
    }
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    place.heed_names(args.revision.as_deref());
    let keeps = if args.hard { Keeps::Nothing } else { Keeps::Files };
    let (to, task) = (args.revision.as_deref().unwrap_or(branch.as_str()), task()?);
    let reset = place.reset(&worktree, to, keeps, args.keep.task(&task).is_some(), &task)?;
    warn(&reset.warnings);
    say_heard(&reset.heard);
    let dropped = unsaved::told(reset.dropped, &branch);
    let (was, is) = (reset.was.to_string(), reset.is.to_string());
    if out.json {
        let (commit, was) = (reset.is.into(), reset.was.into());
        let dropped = unsaved::rows(&dropped);
        return out.value(&Went { branch: branch.to_string(), commit, was, dropped });
    }
    unsaved::say(&dropped, "nothing brings these back");
    let subject = place.repo.commit(reset.is)?.subject().to_owned();
    out.line(format_args!("{branch} is at {} {subject} (was {})", &is[..10], &was[..10]))?;
    if was != is {
        note(format!("`coral reset {}{}` takes it back", if args.hard { "--hard " } else { "" }, &was[..10]));
    }
    Ok(())
}
