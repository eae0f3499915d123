use super::context::{Context, Place, say_heard};
use super::error::{CommandError, Result};
use super::globs;
use super::json::{Id, PathOnly, plain};
use super::merged::ConflictRow;
use super::output::{Output, note, warn};
use super::progress::task;
use super::quote;
use super::restore::say_kept;
use super::unsaved::{self, DroppedRow};
use crate::history::{BranchName, Error, Head, is_glob};
use crate::merge::Favor;
use crate::workspace::{self, MovedHead, Restore, Switch};
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// Make another branch the current one
///
/// HEAD, and with it what commands are about, moves to the branch. Every branch has a worktree of its own, so nothing
/// is overwritten and no change is in the way. A tag or commit detaches HEAD: there is no branch to commit to then. `-` goes
/// back to where HEAD was before.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A branch, or any revision to look at
    #[arg(value_name = "TARGET", required_unless_present_any = ["create", "force_create", "paths"])]
    target: Option<OsString>,
    /// Files, where `checkout` is asked for them
    #[arg(value_name = "FILE", hide = true)]
    more: Vec<OsString>,
    /// That it was called `checkout`, which brings back files as well
    #[arg(long, hide = true)]
    checkout: bool,
    /// Bring these files back instead, from TARGET or the last commit
    #[arg(last = true, value_name = "PATH", conflicts_with = "create")]
    paths: Vec<PathBuf>,
    /// In a merge, take this branch's side of the paths in conflict; TARGET is one of them
    #[arg(long, conflicts_with_all = ["create", "theirs"])]
    ours: bool,
    /// In a merge, take the other side
    #[arg(long, conflicts_with = "create")]
    theirs: bool,
    /// HEAD is detached, also at a branch
    #[arg(short, long)]
    detach: bool,
    /// Make this branch and go there; TARGET is where it starts
    #[arg(short, long, visible_short_alias = 'b', value_name = "NAME")]
    create: Option<String>,
    /// The same, also if there is one: it moves to TARGET, and its worktree along if it has no changes. Also -C behind the verb,
    /// unless a folder is called so
    #[arg(short = 'B', long, value_name = "NAME", conflicts_with_all = ["create", "detach", "paths", "ours", "theirs"])]
    force_create: Option<String>,
}

/// Where HEAD is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Switched {
    /// The branch; null where HEAD is detached
    branch: Option<String>,
    /// The commit where HEAD is detached
    detached: Option<Id>,
}

/// Conflicts that were decided.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decided {
    branch: String,
    decided: Vec<ConflictRow>,
}

/// Files that were brought back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Restored {
    branch: String,
    restored: Vec<PathOnly>,
    /// What no commit has
    dropped: Vec<DroppedRow>,
    /// New files in directories that were named, which stay
    kept: Vec<PathOnly>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    if args.ours || args.theirs {
        let favor = if args.ours { Favor::Ours } else { Favor::Theirs };
        let typed = args.target.into_iter().chain(args.more).map(PathBuf::from);
        return decide(&place, out, typed.chain(args.paths).collect(), favor);
    }
    if args.checkout
        && args.create.is_none()
        && args.force_create.is_none()
        && !args.detach
        && let Some((paths, source)) = files_meant(&place, &args)?
    {
        return bring_back(&place, out, &paths, source);
    }
    if let Some(word) = args.more.first() {
        let word = quote::name(word.as_encoded_bytes());
        return Err(CommandError::usage(format!("HEAD goes to one place, and `{word}` is another"))
            .hint("`coral restore PATH` brings back files, with `-s REF` those of another commit"));
    }
    let target = args.target.map(|target| target.to_string_lossy().into_owned());
    // As in git, who checks out where he is stays there: on a branch, if he is on one.
    let is_here = matches!(target.as_deref(), Some("HEAD" | "@")) && !args.detach;
    if args.checkout && is_here && args.create.is_none() && args.force_create.is_none() {
        return say_head(out, &place.repo.head()?);
    }
    if !args.paths.is_empty() {
        return bring_back(&place, out, &args.paths, target);
    }
    let (created, target) = match args.force_create {
        // One that is there is gone to when it has moved.
        Some(name) if place.repo.refs().branch(&BranchName::new(name.as_str())?)?.is_some() => {
            let start = target.as_deref().unwrap_or("HEAD");
            super::branch::moved(&place, &BranchName::new(name.as_str())?, start)?;
            (None, Some(name))
        }
        Some(name) => (Some(name), target),
        None => (args.create, target),
    };
    let to = match (created, target) {
        (Some(name), start) => Switch::New { branch: BranchName::new(name)?, start },
        (None, Some(target)) if args.detach => {
            Switch::To(place.repo.resolve(&target, place.now())?.to_string())
        }
        (None, Some(target)) => Switch::To(target),
        (None, None) => return Err(CommandError::usage("no branch was named")),
    };
    if let Switch::To(target) = &to {
        place.heed_names([target.as_str()]);
    }
    let MovedHead { head, warnings, heard } =
        place.naming().switch(&to).map_err(|error| with_what_may_be_meant(error, &to))?;
    warn(&warnings);
    say_heard(&heard);
    if let Some((branch, _)) =
        place.inside.as_ref().filter(|(branch, _)| head != Head::Branch(branch.clone()))
    {
        note(format!(
            "in this folder HEAD is the branch of the worktree, {branch}; elsewhere it is where it went now"
        ));
    }
    say_head(out, &head)
}

/// Says where HEAD is.
fn say_head(out: &Output, head: &Head) -> Result<()> {
    match (out.json, head) {
        (true, Head::Branch(name)) => out.value(&Switched { branch: Some(name.to_string()), detached: None }),
        (true, Head::Detached(id)) => out.value(&Switched { branch: None, detached: Some((*id).into()) }),
        (false, Head::Branch(name)) => out.line(format_args!("on branch {name}")),
        (false, Head::Detached(id)) => {
            out.line(format_args!("HEAD is detached at {}", &id.to_string()[..10]))
        }
    }
}

/// The files that `checkout` is asked for, and the revision that they come from: `checkout [REF] FILE...`, where the first word
/// is a file if it is no revision.
fn files_meant(place: &Place, args: &Args) -> Result<Option<(Vec<PathBuf>, Option<String>)>> {
    let Some(target) = &args.target else { return Ok(None) };
    let text = target.to_string_lossy();
    let is_head = matches!(place.repo.head()?, Head::Branch(branch) if branch.as_str() == text);
    let is_revision = is_head || place.repo.resolve(&text, place.now()).is_ok();
    let words = || args.more.iter().map(PathBuf::from).chain(args.paths.iter().cloned());
    if is_revision {
        let source = Some(text.into_owned());
        return Ok(if words().next().is_some() { Some((words().collect(), source)) } else { None });
    }
    let branch = place.branch(None)?;
    let worktree = place.worktree(&branch)?;
    let paths: Vec<PathBuf> = std::iter::once(PathBuf::from(target)).chain(words()).collect();
    let path = place.paths().tree_path(target.as_ref())?;
    let tip = place.repo.tree_of(place.repo.refs().branch(&branch)?)?;
    let is_file = is_glob(&text)
        || worktree.names().resolve(&path)?.is_some()
        || place.repo.find_in_tree(tip, &path)?.is_some();
    Ok(is_file.then_some((paths, None)))
}

/// Takes a side of the paths in conflict.
fn decide(place: &Place, out: &Output, paths: Vec<PathBuf>, favor: Favor) -> Result<()> {
    let branch = place.branch(None)?;
    let worktree = place.worktree(&branch)?;
    let paths = place.paths().pathspec(&paths, &|path| Ok(worktree.names().resolve(path)?.is_some()))?;
    if let Some(tensor) = paths.tensors.first() {
        let tensor = quote::text(tensor);
        return Err(CommandError::usage(format!(
            "a side is taken of whole files, and `#{tensor}` means tensors"
        ))
        .hint("save the file with the tensors that it is to have, and `coral add PATH` decides for it"));
    }
    let decided = place.merges().decide(&worktree, &paths, Some(favor))?;
    place.announce();
    if out.json {
        let decided = decided.iter().map(ConflictRow::from).collect();
        return out.value(&Decided { branch: branch.to_string(), decided });
    }
    let side = if favor == Favor::Ours { "ours" } else { "theirs" };
    decided
        .iter()
        .try_for_each(|conflict| out.line(format_args!("{side} of {}", quote::path(&conflict.path))))
}

/// Brings files of the worktree back, as `coral restore` does.
fn bring_back(place: &Place, out: &Output, paths: &[PathBuf], source: Option<String>) -> Result<()> {
    let branch = place.branch(None)?;
    let worktree = place.worktree(&branch)?;
    let paths = globs::in_worktree(place, &worktree, paths)?;
    let workspace::Restored { dropped, kept, heard } =
        place.drops().restore(&worktree, &Restore::Paths { paths: paths.clone(), source }, Some(&task()?))?;
    say_heard(&heard);
    let dropped = unsaved::told(dropped, &branch);
    if out.json {
        let (restored, dropped, kept) = (plain(&paths), unsaved::rows(&dropped), plain(&kept));
        return out.value(&Restored { branch: branch.to_string(), restored, dropped, kept });
    }
    unsaved::say(&dropped, "nothing brings these back");
    say_kept(&kept);
    paths.iter().try_for_each(|path| out.line(format_args!("restored {}", quote::path(path))))
}

/// That there is no such revision may mean that a branch, or files, were meant.
fn with_what_may_be_meant(error: workspace::Error, to: &Switch) -> CommandError {
    match (error, to) {
        (error @ workspace::Error::Repo(Error::UnknownRevision { .. }), Switch::To(target)) => {
            let may_be_made = BranchName::new(target.to_string()).is_ok();
            let makes = may_be_made
                .then(|| format!("`coral switch -c {}` makes a branch of that name", quote::word(target)));
            makes
                .into_iter()
                .fold(CommandError::from(error), CommandError::hint)
                .hint("`coral restore PATH` drops the changes of files")
        }
        (error, _) => error.into(),
    }
}
