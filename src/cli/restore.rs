use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::globs;
use super::json::{PathOnly, plain};
use super::output::{Output, note};
use super::progress::task;
use super::quote;
use super::unsaved::{self, DroppedRow, KeepArgs};
use crate::history::TreePath;
use crate::workspace::{Restore, Restored};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Bring files of the worktree back from a commit
///
/// What the worktree has at these paths is dropped, until `coral undo` brings it back, and a file that is named and that the commit does not have is removed. New
/// files in a directory that is named stay, as no commit has them. All are restored, durably, or none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Paths in the worktree, `.` for all from here on; `*` and `?` fit names
    #[arg(value_name = "PATH", required_unless_present = "all")]
    paths: Vec<PathBuf>,
    /// Accepted for git's sake: it is always the worktree
    #[arg(short = 'W', long)]
    worktree: bool,
    /// Refused: there is no index beside the worktree
    #[arg(short = 'S', long, hide = true)]
    staged: bool,
    /// Drop every change of the worktree
    #[arg(long, conflicts_with_all = ["paths", "source"])]
    all: bool,
    /// Take them from this revision instead of the branch's last commit
    #[arg(short, long, value_name = "REF")]
    source: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// New files that are named one by one.
const NAMED: usize = 10;

/// What was brought back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BroughtBack {
    branch: String,
    /// Whether it was every path
    all: bool,
    /// The paths that were meant; none where it was all
    restored: Vec<PathOnly>,
    /// What no commit has
    dropped: Vec<DroppedRow>,
    /// New files in these directories, which stay
    kept: Vec<PathOnly>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    if args.staged {
        return Err(CommandError::usage(
            "there is no index that could be restored: the worktree is what is committed",
        )
        .hint(
            "`coral restore PATH` brings back the worktree's; `coral commit -- PATH` commits only some paths",
        ));
    }
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let worktree = place.worktree(&branch)?;
    let restored = globs::in_worktree(&place, &worktree, &args.paths)?;
    place.heed_names(args.source.as_deref());
    let is_whole = args.all || (args.source.is_none() && restored.iter().any(TreePath::is_root));
    let what = match args.all {
        true => Restore::All,
        false => Restore::Paths { paths: restored.clone(), source: args.source },
    };
    let Restored { dropped, kept, heard } =
        place.drops().restore(&worktree, &what, args.keep.task(&task()?))?;
    say_heard(&heard);
    let dropped = unsaved::told(dropped, &branch);
    if !out.json {
        unsaved::say(&dropped, "nothing brings these back");
        say_kept(&kept);
    }
    let all = is_whole && kept.is_empty();
    match (out.json, all) {
        (true, all) => {
            let restored = if all { Vec::new() } else { plain(&restored) };
            let dropped = unsaved::rows(&dropped);
            let kept = plain(&kept);
            out.value(&BroughtBack { branch: branch.to_string(), all, restored, dropped, kept })
        }
        (false, true) => out.line(format_args!("the worktree of `{branch}` equals its last commit")),
        (false, false) => {
            restored.iter().try_for_each(|path| out.line(format_args!("restored {}", quote::path(path))))
        }
    }
}

/// Names what stays, and how it goes.
pub fn say_kept(kept: &[TreePath]) {
    for path in kept.iter().take(NAMED) {
        note(format!("`{path}` is new and stays; `coral restore {}` drops it", quote::path_argument(path)));
    }
    if kept.len() > NAMED {
        note(format!("{} more are new and stay; `coral clean -f -d` drops what is new", kept.len() - NAMED));
    }
}
