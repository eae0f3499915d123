use super::context::{Context, Place, say_heard};
use super::error::Result;
use super::output::{Colour, Output, note, warn};
use super::unsaved;
use crate::history::{BranchName, Head};
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
            let branch = BranchName::new(name.clone())?;
            let made = place.create_branch(&branch, &args.start)?;
            warn(&made.warnings);
            say_heard(&made.heard);
            let commit = made.commit;
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

fn delete(place: &Place, out: &Output, name: &str, force: bool) -> Result<()> {
    let branch = BranchName::new(name)?;
    let deleted = place.delete_branch(&branch, force)?;
    warn(&deleted.warnings);
    say_heard(&deleted.heard);
    let dropped = unsaved::told(deleted.dropped, &branch);
    let commit = deleted.commit.to_string();
    match out.json {
        true => out.value(&json!({ "deleted": name, "commit": commit, "dropped": unsaved::json(&dropped) })),
        false => {
            out.line(format_args!("deleted branch {name} (was {})", &commit[..10]))?;
            unsaved::say(&dropped, "nothing brings these back; its commits are still there:");
            note(format!("`coral branch {name} {}` brings it back", &commit[..10]));
            Ok(())
        }
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
