use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::output::{Output, warn};
use crate::history::{BranchName, Error, Head};
use crate::workspace::{self, MovedHead, Switch};
use serde_json::json;

/// Make another branch the current one
///
/// HEAD, and with it what commands are about, moves to the branch. Every branch has a worktree of its own, so nothing
/// is overwritten and no change is in the way. A tag or commit detaches HEAD: there is no branch to commit to then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A branch, or any revision to look at
    #[arg(value_name = "TARGET", required_unless_present = "create")]
    target: Option<String>,
    /// Make this branch and go there; TARGET is where it starts
    #[arg(short, long, visible_short_alias = 'b', value_name = "NAME")]
    create: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let to = match (args.create, args.target) {
        (Some(name), start) => Switch::New { branch: BranchName::new(name)?, start },
        (None, Some(target)) => Switch::To(target),
        (None, None) => return Err(CommandError::usage("no branch was named")),
    };
    let MovedHead { head, warnings, heard } =
        place.switch(&to).map_err(|error| with_what_may_be_meant(error, &to))?;
    warn(&warnings);
    say_heard(&heard);
    match (out.json, &head) {
        (true, Head::Branch(name)) => out.value(&json!({ "branch": name.as_str() })),
        (true, Head::Detached(id)) => out.value(&json!({ "detached": id.to_string() })),
        (false, Head::Branch(name)) => out.line(format_args!("on branch {name}")),
        (false, Head::Detached(id)) => {
            out.line(format_args!("HEAD is detached at {}", &id.to_string()[..10]))
        }
    }
}

/// That there is no such revision may mean that a branch, or files, were meant.
fn with_what_may_be_meant(error: workspace::Error, to: &Switch) -> CommandError {
    match (error, to) {
        (error @ workspace::Error::Repo(Error::UnknownRevision { .. }), Switch::To(target)) => {
            CommandError::from(error)
                .hint(format!("`coral switch -c {target}` makes a branch of that name"))
                .hint("`coral restore PATH` drops the changes of files")
        }
        (error, _) => error.into(),
    }
}
