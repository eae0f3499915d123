//! The words for what came of a merge, a revert or a cherry-pick.

use super::context::{Place, say_heard};
use super::error::{CommandError, Result};
use super::json::{At, Id};
use super::output::{Colour, Output, note, warn};
use super::quote;
use super::unsaved::{self, DroppedRow};
use crate::history::BranchName;
use crate::merge::{Conflict, ConflictKind};
use crate::workspace::{Merged, Outcome};
use crate::worktree::{Committed, Merging, MergingKind, Worktree};
use schemars::JsonSchema;
use serde::Serialize;
use std::process::ExitCode;

/// Tensors of a conflict that are named.
const NAMED: usize = 5;

/// Says what came of it; 1 if something is to be decided.
pub fn report(out: &Output, branch: &BranchName, merged: Merged) -> Result<ExitCode> {
    warn(&merged.warnings);
    say_heard(&merged.heard);
    if out.json {
        let code = match &merged.outcome {
            Outcome::Conflicts(..) | Outcome::Refused(..) => ExitCode::from(1),
            _ => ExitCode::SUCCESS,
        };
        return out.value(&came(branch, &merged)).map(|()| code);
    }
    print_committed(out, branch, &merged.before)?;
    match merged.outcome {
        Outcome::UpToDate => out.line("already up to date")?,
        Outcome::Forwarded(from, to) => {
            out.line(format_args!("{branch} went forward from {} to {}", short(&from), short(&to)))?;
            note(format!("`coral reset --hard {}` takes it back", short(&from)));
        }
        Outcome::Committed(all) => print_committed(out, branch, &all)?,
        Outcome::Prepared(kind) => {
            out.line("the changes are in the worktree, and not committed")?;
            if kind != MergingKind::Squash {
                note(format!("`coral {} --continue` commits them, `--abort` gives them up", kind.words()));
            }
        }
        Outcome::Conflicts(kind, conflicts) => {
            print_conflicts(out, &conflicts.iter().collect::<Vec<_>>())?;
            let verb = kind.words();
            note(format!(
                "{} to decide; the rest is in the worktree. `coral checkout --ours PATH` or `--theirs PATH` takes a side, \
                 `coral add PATH` what is there; then `coral {verb} --continue`, or `--abort`",
                count(conflicts.len())
            ));
            return Ok(ExitCode::from(1));
        }
        Outcome::Refused(under_way, conflicts) => {
            print_conflicts(out, &conflicts.iter().collect::<Vec<_>>())?;
            let changed = match merged.before.as_slice() {
                [] => "nothing was changed".to_owned(),
                [one] => format!("nothing was changed after {}", short(&one.id)),
                [.., last] => format!(
                    "nothing was changed after the {} commits up to {}",
                    merged.before.len(),
                    short(&last.id)
                ),
            };
            let way_out = match under_way.map(MergingKind::words) {
                Some(verb) => {
                    format!(
                        "; a {verb} is under way: `coral {verb} --continue` goes on with it, `--abort` gives it up"
                    )
                }
                None => String::new(),
            };
            note(format!("{}, and {changed}{way_out}", count(conflicts.len())));
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line for each commit.
fn print_committed(out: &Output, branch: &BranchName, all: &[Committed]) -> Result<()> {
    for committed in all {
        let s = if committed.changed == 1 { "" } else { "s" };
        out.line(format_args!("[{branch} {}] {} path{s} changed", short(&committed.id), committed.changed))?;
        warn(&committed.warnings);
    }
    Ok(())
}

fn count(conflicts: usize) -> String {
    if conflicts == 1 { "1 conflict".into() } else { format!("{conflicts} conflicts") }
}

fn short(id: &impl ToString) -> String {
    id.to_string()[..10].to_owned()
}

/// One line for each conflict.
pub fn print_conflicts(out: &Output, conflicts: &[&Conflict]) -> Result<()> {
    conflicts.iter().try_for_each(|conflict| {
        let path = out.paint(Colour::Red, format_args!("C {}", quote::path(&conflict.path)));
        out.line(format_args!("{path}  ({}{})", conflict.kind.words(), tensors(conflict)))
    })
}

/// The tensors that a conflict is about.
pub fn tensors(conflict: &Conflict) -> String {
    let names: Vec<String> = conflict.tensors.iter().take(NAMED).map(|name| quote::text(name)).collect();
    let more = match conflict.tensors.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if names.is_empty() { String::new() } else { format!(": {}{more}", names.join(", ")) }
}

/// A path that is to be decided.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConflictRow {
    #[serde(flatten)]
    at: At,
    /// What each side did
    #[schemars(extend("enum" = ConflictKind::ALL.map(ConflictKind::words)))]
    conflict: &'static str,
    /// The tensors that it is about; none where it is the whole file
    tensors: Vec<String>,
}

impl From<&Conflict> for ConflictRow {
    fn from(conflict: &Conflict) -> Self {
        let (conflict, at, tensors) =
            (conflict.kind.words(), (&conflict.path).into(), conflict.tensors.clone());
        Self { at, conflict, tensors }
    }
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Came {
    branch: String,
    /// With `conflicts` and `refused` the command ends with 1
    #[schemars(extend("enum" = ["up to date", "fast-forward", "committed", "prepared", "conflicts", "refused"]))]
    outcome: &'static str,
    /// Where the branch went, or what was committed, in that order, also before something stopped
    commits: Vec<Id>,
    /// What is to be decided
    conflicts: Vec<ConflictRow>,
}

/// What was given up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GivenUp {
    branch: String,
    /// What it was
    #[schemars(extend("enum" = KINDS))]
    aborted: &'static str,
    /// What no commit has
    dropped: Vec<DroppedRow>,
}

/// What can be under way.
pub const KINDS: [&str; 4] = ["merge", "cherry-pick", "revert", "soup"];

fn came(branch: &BranchName, merged: &Merged) -> Came {
    let (outcome, commits, conflicts): (&str, Vec<Id>, &[Conflict]) = match &merged.outcome {
        Outcome::UpToDate => ("up to date", Vec::new(), &[]),
        Outcome::Forwarded(_, to) => ("fast-forward", vec![(*to).into()], &[]),
        Outcome::Committed(all) => ("committed", ids(all), &[]),
        Outcome::Prepared(_) => ("prepared", Vec::new(), &[]),
        Outcome::Conflicts(_, conflicts) => ("conflicts", Vec::new(), conflicts),
        Outcome::Refused(_, conflicts) => ("refused", Vec::new(), conflicts),
    };
    let commits = ids(&merged.before).into_iter().chain(commits).collect();
    let conflicts = conflicts.iter().map(ConflictRow::from).collect();
    Came { branch: branch.to_string(), outcome, commits, conflicts }
}

fn ids(committed: &[Committed]) -> Vec<Id> {
    committed.iter().map(|one| one.id.into()).collect()
}

/// What is under way, as a few words and as the verb that goes on with it.
pub fn under_way(merging: &Merging) -> String {
    let verb = merging.kind.words();
    format!(
        "a {verb} of {} is under way: `coral {verb} --continue` or `coral {verb} --abort`",
        short(&merging.theirs)
    )
}

/// Gives up what is under way, and says what is lost by it.
pub fn give_up(place: &Place, out: &Output, worktree: &Worktree) -> Result<ExitCode> {
    let (kind, dropped, heard) = place.merges().give_up(worktree)?;
    say_heard(&heard);
    let branch = worktree.branch();
    let dropped = unsaved::told(dropped, branch);
    if out.json {
        let (branch, dropped) = (branch.to_string(), unsaved::rows(&dropped));
        let given_up = GivenUp { branch, aborted: kind.words(), dropped };
        return out.value(&given_up).map(|()| ExitCode::SUCCESS);
    }
    out.line(format_args!(
        "the {} is given up: the worktree of `{branch}` equals its last commit",
        kind.words()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends what is under way without a change.
pub fn quit(place: &Place, out: &Output, worktree: &Worktree) -> Result<ExitCode> {
    let kind = place.merges().quit(worktree)?;
    out.line(format_args!("no {} is under way any more; the worktree stays as it is", kind.words()))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses to go on with something under the name of something else.
pub fn check_kind(worktree: &Worktree, verb: &str) -> Result<()> {
    match worktree.under_way().get()? {
        Some(merging) if merging.kind.words() != verb => {
            Err(CommandError::new(format!("what is under way is a {}", merging.kind.words()))
                .hint(format!("`coral {} --continue` or `--abort`", merging.kind.words())))
        }
        Some(_) | None => Ok(()),
    }
}
