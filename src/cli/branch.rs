use super::context::{Context, Place};
use super::error::Result;
use super::output::{Colour, Output};
use crate::id::CommitId;
use crate::repo::{BranchName, Error, Head, LogEntry};
use serde_json::{Value, json};

/// List, create or delete branches
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make a branch of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it starts
    #[arg(value_name = "REF", default_value = "HEAD", requires = "name")]
    start: String,
    /// Delete a branch whose commits another ref reaches
    #[arg(short = 'd', long, value_name = "NAME", conflicts_with = "name")]
    delete: Option<String>,
    /// Delete a branch, its commits and what its worktree has, whatever is lost
    #[arg(short = 'D', value_name = "NAME", conflicts_with_all = ["name", "delete"])]
    force_delete: Option<String>,
    /// List branches, which is also what no argument does
    #[arg(short, long)]
    list: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    match (args.name, args.delete, args.force_delete) {
        (Some(name), _, _) if !args.list => {
            let commit = create(&place, &name, &args.start)?;
            place.announce();
            match out.json {
                true => out.value(&json!({ "branch": name, "commit": commit.to_string() })),
                false => out.line(format_args!("branch {name} starts at {}", &commit.to_string()[..10])),
            }
        }
        (_, Some(name), _) => delete(&place, out, &name, false),
        (_, _, Some(name)) => delete(&place, out, &name, true),
        (_, None, None) => list(&place, out),
    }
}

/// Makes a branch that starts at a revision.
pub fn create(place: &Place, name: &str, start: &str) -> Result<CommitId> {
    let branch = BranchName::new(name)?;
    let refs = place.repo.refs();
    if refs.branch(&branch)?.is_some() {
        return Err(Error::RefExists { kind: BranchName::KIND, name: name.to_owned() }.into());
    }
    let commit = place.repo.resolve(start, place.now())?;
    let entry = LogEntry { who: place.signature(), message: format!("branch: created from {start}") };
    refs.update_branch(&branch, None, place.repo.store().durable(commit)?, &entry)?;
    Ok(commit)
}

fn delete(place: &Place, out: &Output, name: &str, force: bool) -> Result<()> {
    let branch = BranchName::new(name)?;
    let refs = place.repo.refs();
    let tip = refs.existing_branch(&branch)?;
    if !force {
        let mut others: Vec<CommitId> =
            refs.branches()?.into_iter().filter(|(other, _)| *other != branch).map(|(_, id)| id).collect();
        others.extend(refs.tags()?.into_iter().map(|(_, tag)| tag.commit));
        if let Head::Detached(commit) = refs.head()? {
            others.push(commit);
        }
        let mut kept = false;
        for other in others {
            kept = kept || place.repo.is_ancestor(tip, other)?;
        }
        if !kept {
            return Err(Error::NotMerged(name.to_owned()).into());
        }
        if place.repo.has_worktree(&branch)? {
            let worktree = place.worktree(&branch)?;
            let snapshot = worktree.snapshot(false)?;
            let tree = place.repo.commit(tip)?.tree;
            if !snapshot.still_open.is_empty() || !worktree.diff_from(tree, &snapshot)?.is_empty() {
                return Err(Error::UncommittedChanges(name.to_owned()).into());
            }
        }
    }
    let entry = LogEntry { who: place.signature(), message: "branch: deleted".into() };
    refs.delete_branch(&branch, tip, &entry)?;
    place.repo.delete_worktree(&branch)?;
    place.announce();
    match out.json {
        true => out.value(&json!({ "deleted": name, "commit": tip.to_string() })),
        false => out.line(format_args!("deleted branch {name} (was {})", &tip.to_string()[..10])),
    }
}

fn list(place: &Place, out: &Output) -> Result<()> {
    let refs = place.repo.refs();
    let head = refs.head()?;
    let mut rows = Vec::new();
    for (name, id) in refs.branches()? {
        let current = head == Head::Branch(name.clone());
        let subject = place.repo.commit(id)?.subject().to_owned();
        if out.json {
            rows.push(json!({ "branch": name.as_str(), "commit": id.to_string(), "current": current }));
            continue;
        }
        let shown = if current { out.paint(Colour::Green, &name) } else { name.to_string() };
        let mark = if current { '*' } else { ' ' };
        out.line(format_args!("{mark} {shown} {} {subject}", &id.to_string()[..10]))?;
    }
    match (out.json, head) {
        (true, _) => out.value(&Value::Array(rows)),
        (false, Head::Detached(id)) => out.line(format_args!("* (detached at {})", &id.to_string()[..10])),
        (false, Head::Branch(name)) if refs.branch(&name)?.is_none() => {
            out.line(format_args!("* {} (no commits yet)", out.paint(Colour::Green, &name)))
        }
        (false, Head::Branch(_)) => Ok(()),
    }
}
