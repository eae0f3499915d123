//! `cherry-pick` and `revert`: the changes of commits, made again or undone.

use super::context::Context;
use super::error::{CommandError, Result};
use super::merge::parse_strategy;
use super::merged::{check_kind, give_up, quit, report};
use super::output::Output;
use super::progress::task;
use super::unsaved;
use crate::history::{Range, Revisions, Walk, WalkRequest};
use crate::id::CommitId;
use crate::workspace::{ReplayRequest, Strategy};
use crate::worktree::MergingKind;
use std::process::ExitCode;

/// Make the changes of other commits here as well
///
/// Each becomes a commit with the message and the author of the original. A..B are those that lead to B and not to A, the
/// oldest first.
#[derive(Debug, clap::Args)]
pub struct CherryPick {
    #[command(flatten)]
    args: Args,
    /// Say in the message where it comes from
    #[arg(short = 'x')]
    note_origin: bool,
}

/// Undo the changes of earlier commits by new ones
///
/// Nothing goes from history: each becomes a commit that does the opposite.
#[derive(Debug, clap::Args)]
pub struct Revert {
    #[command(flatten)]
    args: Args,
}

/// What both take.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The commits, or ranges
    #[arg(value_name = "REVISION", required_unless_present_any = ["go_on", "skip", "abort", "quit"])]
    commits: Vec<String>,
    /// Of a merge, the number of the parent that its changes are counted from
    #[arg(short, long, value_name = "NUMBER")]
    mainline: Option<u32>,
    /// Stop before the commit, with the changes of all in the worktree
    #[arg(short, long)]
    no_commit: bool,
    /// Accepted for git's sake: messages are not asked for
    #[arg(long)]
    no_edit: bool,
    /// Of what both changed, take `ours`, `theirs`, or `fail` without a change
    #[arg(short = 's', long, visible_short_alias = 'X', value_name = "STRATEGY", value_parser = parse_strategy)]
    strategy: Option<Strategy>,
    /// Commit what was decided, and go on with the next
    #[arg(long = "continue", conflicts_with_all = ["commits", "abort", "quit"])]
    go_on: bool,
    /// Leave out the commit that it stopped at, and go on with the next
    #[arg(long, conflicts_with_all = ["commits", "go_on", "abort", "quit"])]
    skip: bool,
    /// Give it up: the worktree is as in the last commit
    #[arg(long, conflicts_with_all = ["commits", "quit"])]
    abort: bool,
    /// Forget it, and leave the worktree as it is
    #[arg(long, conflicts_with = "commits")]
    quit: bool,
    /// What the commit that goes on says
    #[arg(long, value_name = "TEXT", requires = "go_on")]
    message: Option<String>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

pub fn cherry_pick(context: &Context, out: &Output, args: CherryPick) -> Result<ExitCode> {
    run(context, out, args.args, MergingKind::CherryPick, args.note_origin)
}

pub fn revert(context: &Context, out: &Output, args: Revert) -> Result<ExitCode> {
    run(context, out, args.args, MergingKind::Revert, false)
}

fn run(
    context: &Context,
    out: &Output,
    args: Args,
    kind: MergingKind,
    note_origin: bool,
) -> Result<ExitCode> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let task = task()?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    if args.go_on || args.skip || args.abort || args.quit {
        check_kind(&worktree, kind.words())?;
    }
    if args.abort {
        return give_up(&place, out, &worktree);
    }
    if args.quit {
        return quit(&place, out, &worktree);
    }
    if args.skip {
        if worktree.under_way().get()?.is_some_and(|merging| merging.manner.no_commit) {
            let whole = "what is not committed is one change, of which no part can be left out";
            return Err(
                CommandError::new(whole).hint(format!("`coral {} --abort` gives it up", kind.words()))
            );
        }
        let (dropped, merged) = place.merges().skip(&worktree, &task)?;
        let dropped = unsaved::told(dropped, &branch);
        if !out.json {
            unsaved::say(&dropped, "nothing brings these back");
        }
        return report(out, &branch, merged);
    }
    if args.go_on {
        return report(out, &branch, place.merges().go_on(&worktree, args.message, &task)?);
    }
    let mut commits: Vec<CommitId> = Vec::new();
    for text in &args.commits {
        if let Some(Range::Only(one)) = Range::parse(text) {
            commits.push(Revisions::of(&place.repo).resolve(&one, place.now())?);
            continue;
        }
        let selection = Revisions::of(&place.repo).select([text.as_str()], place.now())?;
        let request =
            WalkRequest { tips: selection.tips, hidden: selection.hidden, ..WalkRequest::default() };
        let mut found = Walk::of(&place.repo, request)?
            .map(|step| Ok::<_, CommandError>(step?.0))
            .collect::<Result<Vec<CommitId>>>()?;
        // Made again from the oldest on, undone from the newest on.
        if kind == MergingKind::CherryPick {
            found.reverse();
        }
        commits.extend(found);
    }
    let request = ReplayRequest {
        kind,
        commits,
        mainline: args.mainline,
        no_commit: args.no_commit,
        note_origin,
        strategy: args.strategy.unwrap_or_default(),
    };
    report(out, &branch, place.merges().replay(&worktree, &request, &task)?)
}
