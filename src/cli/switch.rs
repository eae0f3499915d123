use super::branch;
use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use crate::repo::{BranchName, Error, Head};
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
    let refs = place.repo.refs();
    let head = match (args.create, args.target) {
        (Some(name), start) => {
            let unborn = refs
                .current_branch()
                .ok()
                .filter(|current| refs.branch(current).is_ok_and(|tip| tip.is_none()));
            // Before the first commit there is nothing to start from: the unborn branch gets another name.
            if !(start.is_none() && unborn.is_some()) {
                branch::create(&place, &name, start.as_deref().unwrap_or("HEAD"))?;
            }
            Head::Branch(BranchName::new(name)?)
        }
        (None, Some(target)) => match BranchName::new(target.clone()) {
            Ok(branch) if refs.branch(&branch)?.is_some() || refs.head()? == Head::Branch(branch.clone()) => {
                Head::Branch(branch)
            }
            _ => match place.repo.resolve(&target, place.now()) {
                Ok(commit) => Head::Detached(commit),
                Err(error @ Error::UnknownRevision { .. }) => {
                    return Err(CommandError::from(error)
                        .hint(format!("`coral switch -c {target}` makes a branch of that name")));
                }
                Err(error) => return Err(error.into()),
            },
        },
        (None, None) => return Err(CommandError::usage("no branch was named")),
    };
    refs.set_head(&head)?;
    place.announce();
    match (out.json, &head) {
        (true, Head::Branch(name)) => out.value(&json!({ "branch": name.as_str() })),
        (true, Head::Detached(id)) => out.value(&json!({ "detached": id.to_string() })),
        (false, Head::Branch(name)) => out.line(format_args!("on branch {name}")),
        (false, Head::Detached(id)) => {
            out.line(format_args!("HEAD is detached at {}", &id.to_string()[..10]))
        }
    }
}
