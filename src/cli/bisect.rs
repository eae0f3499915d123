use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::json::Id;
use super::output::{Output, note};
use crate::id::CommitId;
use crate::workspace::{Next, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Find the commit that made something bad, by halves
///
/// `start`, then `bad` and `good` name where it is and is not; HEAD goes to the commit in the middle, which a mount shows as
/// MNT/HEAD. Say `good`, `bad` or `skip` of each, or let `run CMD` say it: 0 is good, 125 cannot be told, 1 to 127 is bad.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Begin; a bad and good commits may be named at once
    Start {
        /// The bad one, then good ones
        #[arg(value_name = "REF")]
        commits: Vec<String>,
    },
    /// It is as it should be there
    #[command(visible_alias = "old")]
    Good {
        /// Which; the one that the search went to if none is named
        #[arg(value_name = "REF")]
        commits: Vec<String>,
    },
    /// It is not as it should be there
    #[command(visible_alias = "new")]
    Bad {
        /// Which; the one that the search went to if none is named
        #[arg(value_name = "REF")]
        commit: Option<String>,
    },
    /// It cannot be told there
    Skip {
        /// Which; the one that the search went to if none is named
        #[arg(value_name = "REF")]
        commits: Vec<String>,
    },
    /// Let a command say what each commit is
    Run {
        /// The command with its arguments; CORAL_COMMIT names the commit that HEAD is at
        #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// What is known so far
    Log,
    /// End, and go back to where HEAD was
    Reset,
}

/// How far a search is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// A bad and a good commit are to be named first
    Unknown {
        /// Whether a bad one is
        has_bad: bool,
        /// Whether a good one is
        has_good: bool,
    },
    /// HEAD is at a commit that is to be looked at
    Look {
        commit: Id,
        /// Commits that may still be the one
        left: usize,
    },
    /// This one is the first that is bad
    Found { commit: Id },
    /// It is one of these, which cannot be told apart
    OneOf { commits: Vec<Id> },
}

/// What is known so far.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Known {
    /// Where HEAD was: the name of a branch, or a commit
    start: String,
    /// None, or one
    bad: Vec<Id>,
    good: Vec<Id>,
    /// What cannot be told of
    skipped: Vec<Id>,
}

impl From<&Next> for Progress {
    fn from(next: &Next) -> Self {
        match next {
            Next::Unknown { has_bad, has_good } => Self::Unknown { has_bad: *has_bad, has_good: *has_good },
            Next::Look(commit, left) => Self::Look { commit: (*commit).into(), left: *left },
            Next::Found(commit) => Self::Found { commit: (*commit).into() },
            Next::OneOf(commits) => Self::OneOf { commits: ids(commits) },
        }
    }
}

fn ids<'i>(ids: impl IntoIterator<Item = &'i CommitId>) -> Vec<Id> {
    ids.into_iter().copied().map(Id::from).collect()
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let resolve = |text: &str| place.repo.resolve(text, place.now());
    let resolve_all = |texts: &[String]| -> Result<Vec<CommitId>> {
        match texts {
            [] => Ok(vec![place.search().looked_at()?]),
            texts => texts.iter().map(|text| Ok(resolve(text)?)).collect(),
        }
    };
    let say_all = |verdict: Verdict, commits: Vec<CommitId>| -> Result<Next> {
        let mut next = Next::Unknown { has_bad: false, has_good: false };
        for commit in commits {
            next = place.search().say(verdict, commit)?;
        }
        Ok(next)
    };
    match args.action {
        Action::Start { commits } => {
            let commits: Vec<CommitId> =
                commits.iter().map(|text| Ok(resolve(text)?)).collect::<Result<_>>()?;
            place.search().start()?;
            if let Some((bad, good)) = commits.split_first() {
                place.search().say(Verdict::Bad, *bad)?;
                for good in good {
                    place.search().say(Verdict::Good, *good)?;
                }
            }
            told(&place, out, &place.search().next()?)
        }
        Action::Good { commits } => told(&place, out, &say_all(Verdict::Good, resolve_all(&commits)?)?),
        Action::Skip { commits } => told(&place, out, &say_all(Verdict::Skip, resolve_all(&commits)?)?),
        Action::Bad { commit } => {
            let commit = commit.as_deref().map(resolve).transpose()?;
            let commit = commit.map_or_else(|| place.search().looked_at(), Ok)?;
            told(&place, out, &place.search().say(Verdict::Bad, commit)?)
        }
        Action::Run { command } => search(&place, out, &command),
        Action::Log => {
            let known = place.search().known()?;
            if out.json {
                let (bad, good, skipped) = (ids(&known.bad), ids(&known.good), ids(&known.skipped));
                let known = Known { start: known.start, bad, good, skipped };
                return out.value(&known).map(|()| ExitCode::SUCCESS);
            }
            let bad = known.bad.iter().map(|id| ("bad", id));
            let good = known.good.iter().map(|id| ("good", id));
            let skipped = known.skipped.iter().map(|id| ("skip", id));
            for (word, id) in bad.chain(good).chain(skipped) {
                out.line(format_args!("{word} {}", &id.to_string()[..10]))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Reset => {
            let back = place.search().reset()?;
            out.line(format_args!("HEAD is at {back} again"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Lets a command look at each commit until the search ends.
fn search(place: &Place, out: &Output, command: &[OsString]) -> Result<ExitCode> {
    let mut next = place.search().next()?;
    while let Next::Look(commit, left) = next {
        note(format!("{left} left, looking at {}", describe(place, commit)?));
        let (program, arguments) = command.split_first().ok_or_else(|| CommandError::usage("no command"))?;
        let ran = Command::new(program).args(arguments).env("CORAL_COMMIT", commit.to_string()).status();
        let status =
            ran.map_err(|error| CommandError::new(format!("cannot run `{}`: {error}", program.display())))?;
        let verdict = match status.code() {
            Some(0) => Verdict::Good,
            Some(125) => Verdict::Skip,
            Some(1..=127) => Verdict::Bad,
            _ => {
                return Err(CommandError::new(format!("`{}` ended with {status}", program.display()))
                    .hint("the search is where it was; `coral bisect reset` ends it"));
            }
        };
        next = place.search().say(verdict, commit)?;
    }
    told(place, out, &next)
}

fn describe(place: &Place, commit: CommitId) -> Result<String> {
    Ok(format!("{} {}", &commit.to_string()[..10], place.repo.commit(commit)?.subject()))
}

fn told(place: &Place, out: &Output, next: &Next) -> Result<ExitCode> {
    if out.json {
        out.value(&Progress::from(next))?;
        return Ok(ended(next));
    }
    match next {
        Next::Unknown { has_bad: false, .. } => {
            out.line("`coral bisect bad REF` names a commit that is bad")?
        }
        Next::Unknown { .. } => out.line("`coral bisect good REF` names a commit that is good")?,
        Next::Look(id, left) => {
            out.line(format_args!("{left} left, HEAD is at {}", describe(place, *id)?))?
        }
        Next::Found(id) => {
            out.line(format_args!("{} is the first that is bad", describe(place, *id)?))?;
            note("`coral bisect reset` goes back to where HEAD was");
        }
        Next::OneOf(ids) => {
            out.line("it cannot be told which of these is the first that is bad:")?;
            ids.iter().try_for_each(|id| out.line(describe(place, *id)?))?;
        }
    }
    Ok(ended(next))
}

/// That it cannot be told which one it is, is no success.
fn ended(next: &Next) -> ExitCode {
    if matches!(next, Next::OneOf(_)) { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
