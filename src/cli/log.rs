use super::context::{Context, Place};
use super::error::Result;
use super::output::{Colour, Output};
use super::when;
use crate::history::{Commit, Order, Signature, Walk, WalkRequest};
use crate::id::CommitId;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Show commits, newest first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to start
    #[arg(value_name = "REF", default_value = "HEAD")]
    revision: String,
    /// At most so many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    max_count: usize,
    /// One line each
    #[arg(long)]
    oneline: bool,
    /// From all branches and tags
    #[arg(long, conflicts_with = "revision")]
    all: bool,
    /// Of merges only what their first parents lead to
    #[arg(long)]
    first_parent: bool,
    /// No commit before all that follow it, those of one line of history together, whatever their clocks said
    #[arg(long)]
    topo_order: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let refs = place.repo.refs();
    let names = names_of_commits(&place)?;
    let tips = match (args.all, &place.inside) {
        (true, _) => names.keys().copied().collect(),
        (false, Some((branch, _))) if args.revision == "HEAD" => vec![refs.existing_branch(branch)?],
        (false, _) => vec![place.repo.resolve(&args.revision, place.now())?],
    };
    let order = if args.topo_order { Order::Lines } else { Order::Date };
    let request = WalkRequest { tips, first_parent: args.first_parent, order, ..WalkRequest::default() };
    let mut rows = Vec::new();
    for step in Walk::of(&place.repo, request)?.take(args.max_count) {
        let (id, commit) = step?;
        let names = names.get(&id).map(Vec::as_slice).unwrap_or_default();
        match (out.json, args.oneline) {
            (true, _) => rows.push(commit_json(id, &commit, names)),
            (false, true) => out.line(oneline(out, id, &commit, names))?,
            (false, false) => print_commit(out, id, &commit, names)?,
        }
    }
    if out.json { out.value(&Value::Array(rows)) } else { Ok(()) }
}

/// What refs call commits.
pub fn names_of_commits(place: &Place) -> Result<BTreeMap<CommitId, Vec<String>>> {
    let refs = place.repo.refs();
    let mut names: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
    // A ref that cannot be read names no commit here; `coral fsck` tells of it.
    for (name, id) in refs.each_branch()?.into_iter().filter_map(|(name, id)| Some((name, id.ok()?))) {
        names.entry(id).or_default().push(name.to_string());
    }
    for (name, tag) in refs.each_tag()?.into_iter().filter_map(|(name, tag)| Some((name, tag.ok()?))) {
        names.entry(tag.commit).or_default().push(format!("tag: {name}"));
    }
    Ok(names)
}

fn oneline(out: &Output, id: CommitId, commit: &Commit, names: &[String]) -> String {
    let id = out.paint(Colour::Yellow, &id.to_string()[..10]);
    format!("{id}{} {}", decoration(out, names), commit.subject())
}

fn decoration(out: &Output, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" ({})", out.paint(Colour::Cyan, names.join(", "))),
    }
}

/// Prints a commit's headers and message, and an empty line.
pub fn print_commit(out: &Output, id: CommitId, commit: &Commit, names: &[String]) -> Result<()> {
    out.line(format_args!(
        "{}{}",
        out.paint(Colour::Yellow, format_args!("commit {id}")),
        decoration(out, names)
    ))?;
    if commit.parents.len() > 1 {
        let parents: Vec<String> = commit.parents.iter().map(|id| id.to_string()[..10].to_owned()).collect();
        out.line(format_args!("Merge:  {}", parents.join(" ")))?;
    }
    out.line(format_args!("Author: {}", person(&commit.author)))?;
    out.line(format_args!("Date:   {}", when::date(commit.author.time, commit.author.offset_minutes)))?;
    for (key, value) in &commit.metadata {
        out.line(format_args!("{key}: {value}"))?;
    }
    out.line("")?;
    commit.message.lines().try_for_each(|line| out.line(format_args!("    {line}")))?;
    out.line("")
}

fn person(who: &Signature) -> String {
    if who.email.is_empty() { who.name.clone() } else { format!("{} <{}>", who.name, who.email) }
}

/// A commit as JSON.
pub fn commit_json(id: CommitId, commit: &Commit, names: &[String]) -> Value {
    let who =
        |who: &Signature| json!({ "name": who.name, "email": who.email, "time": when::rfc3339(who.time) });
    json!({
        "commit": id.to_string(),
        "parents": commit.parents.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tree": commit.tree.to_string(),
        "author": who(&commit.author),
        "committer": who(&commit.committer),
        "message": commit.message,
        "metadata": commit.metadata,
        "refs": names,
    })
}
