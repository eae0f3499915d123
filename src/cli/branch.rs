use super::chosen::ChosenArgs;
use super::context::{Context, Place, say_heard};
use super::error::{CommandError, Result};
use super::json::Id;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use super::quote;
use super::unsaved::{self, DroppedRow, KeepArgs};
use crate::history::{BranchName, Head, glob};
use crate::id::CommitId;
use crate::workspace::{self, ResetBranch, Switch};
use crate::worktree::{self, Branches, Keeps};
use clap::ArgAction;
use schemars::JsonSchema;
use serde::Serialize;

/// List, create, rename, copy, move or delete branches
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make a branch of this name; with -d, -l, -m and -c what they are about
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it starts
    #[arg(value_name = "REF", requires = "name")]
    start: Option<String>,
    /// More names, for -d and -l
    #[arg(value_name = "NAME", hide = true)]
    more: Vec<String>,
    /// Delete the branches that are named, if another ref reaches their commits
    #[arg(short = 'd', long, requires = "name")]
    delete: bool,
    /// Delete them, their commits and what their worktrees have, whatever is lost
    #[arg(short = 'D', requires = "name", conflicts_with = "delete")]
    force_delete: bool,
    /// Give a branch another name: `-m [OLD] NEW`
    #[arg(short = 'm', long = "move", requires = "name", conflicts_with_all = ["delete", "force_delete"])]
    rename: bool,
    /// The same, also if there is a branch of that name, which is deleted with its commits
    #[arg(short = 'M', requires = "name", conflicts_with_all = ["delete", "force_delete", "copy"])]
    force_rename: bool,
    /// Make a branch where another one is: `-c [OLD] NEW`
    #[arg(short = 'c', long, requires = "name", conflicts_with = "rename")]
    copy: bool,
    /// Move the branch if it exists; its worktree goes along if it has no changes
    #[arg(short, long, requires = "name")]
    force: bool,
    #[command(flatten)]
    keep: KeepArgs,
    /// List branches, which is also what no argument does; NAME may have `*` and `?`
    #[arg(short, long)]
    list: bool,
    /// Accepted for git's sake: commits and subjects are shown in any case
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Accepted for git's sake: all branches are here
    #[arg(short, long)]
    all: bool,
    /// Branches of other repositories, of which there are none
    #[arg(short, long, conflicts_with_all = ["delete", "force_delete"])]
    remotes: bool,
    /// The name of the current branch alone
    #[arg(long)]
    show_current: bool,
    #[command(flatten)]
    chosen: ChosenArgs,
    /// `name`, or `date` for the newest first; git's `refname` and `-committerdate` are the same
    #[arg(long, value_name = "KEY", default_value = "name", allow_hyphen_values = true, value_parser = sorting)]
    sort: Sorting,
}

/// An order of branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sorting {
    Name,
    Oldest,
    Newest,
}

fn sorting(key: &str) -> std::result::Result<Sorting, String> {
    match key {
        "name" | "refname" => Ok(Sorting::Name),
        "date" | "-date" | "-committerdate" => Ok(Sorting::Newest),
        "committerdate" => Ok(Sorting::Oldest),
        _ => Err("branches are ordered by `name` or by `date`".into()),
    }
}

impl Args {
    /// Whether it only lists.
    pub fn only_looks(&self) -> bool {
        let lists = self.list || self.remotes || self.chosen.is_said();
        lists || self.show_current || self.name.is_none()
    }

    /// All that are named.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.name.iter().chain(&self.start).chain(&self.more)
    }
}

/// Branches, in the order that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    branches: Vec<BranchRow>,
    /// The branch that HEAD names, which has no commit before the first one; null where HEAD is detached
    current: Option<String>,
    /// The commit where HEAD is detached
    detached: Option<Id>,
}

/// A branch.
#[derive(Debug, Serialize, JsonSchema)]
struct BranchRow {
    branch: String,
    commit: Id,
    /// Whether HEAD names it
    current: bool,
}

/// The current branch.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Current {
    branch: String,
}

/// A branch that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    branch: String,
    commit: Id,
}

/// A branch that has another name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Renamed {
    branch: String,
    /// The name that it had
    was: String,
}

/// A branch that is elsewhere.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moved {
    branch: String,
    commit: Id,
    /// The commit that it named before
    was: Id,
}

/// Branches that were deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedBranches {
    branches: Vec<DeletedBranch>,
}

/// A branch that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedBranch {
    deleted: String,
    /// What it named
    commit: Id,
    /// What no commit has
    dropped: Vec<DroppedRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    if args.show_current {
        let current = place.repo.head()?.into_branch()?;
        return match out.json {
            true => out.value(&Current { branch: current.to_string() }),
            false => out.line(current),
        };
    }
    if args.delete || args.force_delete {
        let force = args.force_delete || args.force;
        let values = args
            .names()
            .map(|name| delete(&place, out, name, (force, args.keep)))
            .collect::<Result<Vec<_>>>()?;
        return match (out.json, values.as_slice()) {
            (false, _) => Ok(()),
            (true, [only]) => out.value(only),
            (true, _) => out.value(&DeletedBranches { branches: values }),
        };
    }
    if let (Some(odd), false) = (args.more.first(), args.only_looks()) {
        return Err(CommandError::usage(format!("`coral branch` takes no `{odd}` there"))
            .hint("`coral branch NAME [REF]` makes one branch, `-d NAME...` deletes several"));
    }
    match (&args.name, args.rename || args.force_rename, args.copy) {
        (Some(_), true, _) => rename(&place, out, &args),
        (Some(name), _, true) => {
            let (from, to) = match &args.start {
                Some(to) => (name.as_str(), to),
                None => ("HEAD", name),
            };
            create(&place, out, to, from)
        }
        (Some(name), ..) if !args.only_looks() => match args.force {
            true => move_to(&place, out, name, args.start.as_deref().unwrap_or("HEAD")),
            false => create(&place, out, name, args.start.as_deref().unwrap_or("HEAD")),
        },
        _ => list(&place, out, &args),
    }
}

fn create(place: &Place, out: &Output, name: &str, start: &str) -> Result<()> {
    let branch = BranchName::new(name)?;
    let made = place.naming().create_branch(&branch, start)?;
    warn(&made.warnings);
    say_heard(&made.heard);
    let commit = made.commit;
    place.heed_names([name]);
    match out.json {
        true => out.value(&Made { branch: name.to_owned(), commit: commit.into() }),
        false => out.line(format_args!("branch {name} starts at {}", &commit.to_string()[..10])),
    }
}

fn rename(place: &Place, out: &Output, args: &Args) -> Result<()> {
    let name = args.name.clone().unwrap_or_default();
    let (from, to) = match &args.start {
        Some(to) => (BranchName::new(name)?, BranchName::new(to.clone())?),
        None => (place.branch(None)?, BranchName::new(name)?),
    };
    if args.force_rename && from != to && place.repo.refs().branch(&to)?.is_some() {
        // Whoever renames what is not there deletes nothing.
        place.repo.refs().existing_branch(&from)?;
        delete(place, out, to.as_str(), (true, args.keep))?;
    }
    if from == to && place.repo.refs().branch(&from)?.is_none() && args.start.is_none() {
        // It is called so, and has no commit.
    } else if place.repo.refs().branch(&from)?.is_none() && args.start.is_none() {
        // Before the first commit the branch is a name alone.
        let moved = place.naming().switch(&Switch::New { branch: to.clone(), start: None })?;
        warn(&moved.warnings);
        say_heard(&moved.heard);
    } else {
        warn(&Branches::of(&place.repo).rename(&from, &to, &place.signature())?);
        place.announce();
    }
    match out.json {
        true => out.value(&Renamed { branch: to.to_string(), was: from.to_string() }),
        false => out.line(format_args!("branch {from} is {to} now")),
    }
}

/// Lets a branch that is there go elsewhere, with its worktree if that has no changes.
pub fn moved(place: &Place, branch: &BranchName, to: &str) -> Result<ResetBranch> {
    let worktree = place.worktree(branch)?;
    let reset =
        place.reset(&worktree, to, Keeps::Unchanged, false, &task()?).map_err(|error| match error {
            workspace::Error::Worktree(worktree::Error::UncommittedChanges(_)) => CommandError::from(error)
                .hint(format!(
                    "`coral reset -B {} {}` moves it and keeps them",
                    quote::word(branch.as_str()),
                    quote::word(to)
                )),
            other => other.into(),
        })?;
    warn(&reset.warnings);
    say_heard(&reset.heard);
    Ok(reset)
}

/// Lets a branch go elsewhere; one that is not there is made.
fn move_to(place: &Place, out: &Output, name: &str, to: &str) -> Result<()> {
    let branch = BranchName::new(name)?;
    if place.repo.refs().branch(&branch)?.is_none() {
        return create(place, out, name, to);
    }
    let reset = moved(place, &branch, to)?;
    let (was, is) = (reset.was.to_string(), reset.is.to_string());
    match out.json {
        true => {
            let (commit, was) = (reset.is.into(), reset.was.into());
            out.value(&Moved { branch: name.to_owned(), commit, was })
        }
        false => out.line(format_args!("branch {name} is at {} (was {})", &is[..10], &was[..10])),
    }
}

fn delete(place: &Place, out: &Output, name: &str, (force, keep): (bool, KeepArgs)) -> Result<DeletedBranch> {
    let branch = BranchName::new(name)?;
    let task = task()?;
    let deleted = place.drops().delete_branch(&branch, force, keep.task(&task))?;
    warn(&deleted.warnings);
    say_heard(&deleted.heard);
    let dropped = unsaved::told(deleted.dropped, &branch);
    let commit = deleted.commit.to_string();
    if !out.json {
        out.line(format_args!("deleted branch {name} (was {})", &commit[..10]))?;
        unsaved::say(&dropped, "nothing brings these back; its commits are still there:");
        note(format!("`coral branch {} {}` brings it back", quote::word(name), &commit[..10]));
    }
    let (commit, dropped) = (deleted.commit.into(), unsaved::rows(&dropped));
    Ok(DeletedBranch { deleted: name.to_owned(), commit, dropped })
}

/// Whether a branch is one of those that are wanted.
fn is_wanted(place: &Place, args: &Args, name: &BranchName, tip: CommitId) -> Result<bool> {
    let fits = args.name.is_none() || args.names().any(|pattern| glob(pattern, name.as_str()));
    Ok(fits && args.chosen.takes(place, tip)?)
}

fn list(place: &Place, out: &Output, args: &Args) -> Result<()> {
    let refs = place.repo.refs();
    let head = place.repo.head()?;
    let mut found = Vec::new();
    for (name, id) in refs.branches()?.into_iter().filter(|_| !args.remotes) {
        if is_wanted(place, args, &name, id)? {
            found.push((name, id, place.repo.commit(id)?));
        }
    }
    match args.sort {
        Sorting::Name => {}
        Sorting::Oldest => found.sort_by_key(|(_, _, commit)| commit.committer.time),
        Sorting::Newest => found.sort_by_key(|(_, _, commit)| std::cmp::Reverse(commit.committer.time)),
    }
    let mut rows = Vec::new();
    for (name, id, commit) in &found {
        let current = head == Head::Branch(name.clone());
        if out.json {
            rows.push(BranchRow { branch: name.to_string(), commit: (*id).into(), current });
            continue;
        }
        let shown = if current { out.paint(Colour::Green, name) } else { name.to_string() };
        let mark = if current { '*' } else { ' ' };
        out.line(format_args!("{mark} {shown} {} {}", &id.to_string()[..10], commit.subject()))?;
    }
    match (out.json, head) {
        (true, head) => {
            let (current, detached) = match head {
                Head::Branch(name) => (Some(name.to_string()), None),
                Head::Detached(id) => (None, Some(id.into())),
            };
            out.value(&Listed { branches: rows, current, detached })
        }
        (false, Head::Detached(id)) => out.line(format_args!("* (detached at {})", &id.to_string()[..10])),
        (false, Head::Branch(name)) if refs.branch(&name)?.is_none() => {
            out.line(format_args!("* {} (no commits yet)", out.paint(Colour::Green, &name)))
        }
        (false, Head::Branch(_)) => Ok(()),
    }
}
