use super::context::Context;
use super::error::{CommandError, Result};
use super::hooks::{self, Told};
use super::known::known;
use super::merged::{check_kind, give_up, quit, report};
use super::output::Output;
use super::progress::task;
use crate::merge::Mix;
use crate::soup::Method;
use crate::workspace::{Forward, MergeRequest, Strategy};
use std::process::ExitCode;

/// Bring the changes of another branch into this one
///
/// Where this branch has no commits of its own it goes forward. Else both are merged three ways from where they parted: path
/// by path, and files that have the same tensors tensor by tensor, so that two fine-tunes of different layers merge by
/// themselves. What both changed, each in its own way, is a conflict: nothing is committed, the exit code is 1, and `status`
/// lists what is to be decided.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to merge
    #[arg(value_name = "REF", required_unless_present_any = ["go_on", "abort", "quit"])]
    theirs: Option<String>,
    /// What the merge says
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// A merge also where the branch could go forward
    #[arg(long, conflicts_with_all = ["ff_only", "squash"])]
    no_ff: bool,
    /// Go forward, or fail
    #[arg(long)]
    ff_only: bool,
    /// Go forward if that is possible, which is the default
    #[arg(long, conflicts_with_all = ["no_ff", "ff_only"])]
    ff: bool,
    /// Only the changes, to be committed as if they had been made here
    #[arg(long)]
    squash: bool,
    /// Stop before the commit
    #[arg(long)]
    no_commit: bool,
    /// Of what both changed, take `ours` or `theirs`, mix tensors by `average` or `weighted`, or `fail` without a change
    #[arg(short = 's', long, visible_short_alias = 'X', value_name = "STRATEGY", hide_possible_values = true, value_parser = known(strategies, parse_merge_strategy))]
    strategy: Option<Strategy>,
    /// How much of this branch is in a tensor that both changed, from 0 to 1 (weighted)
    #[arg(long, value_name = "A", value_parser = parse_alpha)]
    alpha: Option<f64>,
    /// Merge histories that have nothing in common
    #[arg(long)]
    allow_unrelated_histories: bool,
    /// Commit what was decided
    #[arg(long = "continue", conflicts_with_all = ["theirs", "abort", "quit"])]
    go_on: bool,
    /// Give the merge up: the worktree is as before it
    #[arg(long, conflicts_with_all = ["theirs", "quit"])]
    abort: bool,
    /// Forget the merge, and leave the worktree as it is
    #[arg(long, conflicts_with = "theirs")]
    quit: bool,
    /// Do not ask the hook `pre-merge`
    #[arg(long)]
    no_verify: bool,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

fn strategies() -> Vec<&'static str> {
    vec!["ours", "theirs", "average", "weighted", "fail"]
}

/// A strategy of a merge by its name: tensors may be mixed as well.
fn parse_merge_strategy(name: &str) -> std::result::Result<Strategy, String> {
    match name {
        "average" => Ok(Strategy::Mix(Mix::Average)),
        "weighted" => Ok(Strategy::Mix(Mix::Weighted(0.5))),
        _ => parse_strategy(name).map_err(|_| {
            let known = "strategies are ours, theirs, average, weighted and fail";
            match name == "greedy" || Method::from_name(name).is_some() {
                true => format!("{known}; `coral soup --method {name}` makes whole models one"),
                false => known.to_owned(),
            }
        }),
    }
}

fn parse_alpha(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(alpha) if (0.0..=1.0).contains(&alpha) => Ok(alpha),
        Ok(_) | Err(_) => Err("it is a number from 0 to 1".into()),
    }
}

/// A strategy by its name.
pub fn parse_strategy(name: &str) -> std::result::Result<Strategy, String> {
    match name {
        "ours" => Ok(Strategy::Ours),
        "theirs" => Ok(Strategy::Theirs),
        "fail" => Ok(Strategy::Fail),
        _ => Err("strategies are ours, theirs and fail".into()),
    }
}

/// What is done with conflicts.
fn strategy(strategy: Option<Strategy>, alpha: Option<f64>) -> Result<Strategy> {
    match (strategy.unwrap_or_default(), alpha) {
        (Strategy::Mix(Mix::Weighted(_)), Some(alpha)) => Ok(Strategy::Mix(Mix::Weighted(alpha))),
        (_, Some(_)) => Err(CommandError::usage("`--alpha` belongs to `-s weighted`")),
        (strategy, None) => Ok(strategy),
    }
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let task = task()?;
    let strategy = strategy(args.strategy, args.alpha)?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    if args.go_on || args.abort || args.quit {
        check_kind(&worktree, "merge")?;
    }
    match (args.theirs, args.abort, args.quit) {
        (_, true, _) => give_up(&place, out, &worktree),
        (_, _, true) => quit(&place, out, &worktree),
        (None, ..) => report(out, &branch, place.merges().go_on(&worktree, args.message, &task)?),
        (Some(theirs), ..) => {
            let forward = match (args.no_ff, args.ff_only) {
                (true, _) => Forward::Never,
                (_, true) => Forward::Only,
                (false, false) => Forward::Allowed,
            };
            if theirs.contains("..") {
                return Err(CommandError::usage("a merge takes one commit, not a range"));
            }
            if !args.no_verify {
                let (theirs, message) = (theirs.clone(), args.message.clone());
                let what = Told::PreMerge { branch: branch.to_string(), theirs, message };
                hooks::before(&place, what, &task)?;
            }
            let request = MergeRequest {
                theirs,
                message: args.message,
                forward,
                squash: args.squash,
                no_commit: args.no_commit,
                strategy,
                allow_unrelated: args.allow_unrelated_histories,
            };
            report(out, &branch, place.merges().merge(&worktree, &request, &task)?)
        }
    }
}
