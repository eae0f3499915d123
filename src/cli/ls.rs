use super::context::{Context, Place};
use super::error::Result;
use super::output::Output;
use super::quote;
use super::when;
use crate::history::{Entry, Node, TreePath, split_target};
use crate::id::TreeId;
use serde_json::{Value, json};
use std::ffi::OsString;

/// List files of a revision
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, or REF:PATH
    #[arg(value_name = "TARGET", default_value = "HEAD")]
    target: OsString,
    /// Mode, size, stored bytes and time as well
    #[arg(short, long)]
    long: bool,
    /// Everything below
    #[arg(short, long)]
    recursive: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let target = split_target(args.target.as_encoded_bytes())?;
    let commit = place.repo.resolve(&target.revision, place.now())?;
    let entry = place.repo.entry_at(commit, &target.revision, &target.path)?;
    let found = match &entry.node {
        Node::Dir(tree) => list(&place, *tree, args.recursive)?,
        Node::File { .. } | Node::Symlink(_) => {
            vec![(target.path.split_last().map(|(_, name)| name.clone()).into_iter().collect(), entry)]
        }
    };
    if out.json {
        let rows = found.iter().map(|(path, entry)| row(&place, path, entry)).collect::<Result<_>>()?;
        return out.value(&Value::Array(rows));
    }
    for (path, entry) in &found {
        let shown = quote::path(path);
        let slash = if matches!(entry.node, Node::Dir(_)) { "/" } else { "" };
        match args.long {
            false => out.line(format_args!("{shown}{slash}"))?,
            true => {
                let (kind, len, stored) = facts(&place, entry)?;
                let time = when::date(entry.attributes.modified, 0);
                out.line(format_args!(
                    "{}{:04o} {len:>12} {stored:>12} {} {shown}{slash}",
                    &kind[..1],
                    entry.attributes.mode,
                    &time[..19],
                ))?;
            }
        }
    }
    Ok(())
}

fn list(place: &Place, tree: TreeId, recursive: bool) -> Result<Vec<(TreePath, Entry)>> {
    if recursive {
        return place.repo.walk_tree(tree).map(|step| Ok(step?)).collect();
    }
    let alone = |entry: &Entry| ([entry.name.clone()].into_iter().collect(), entry.clone());
    Ok(place.repo.tree(tree)?.entries().iter().map(alone).collect())
}

/// Kind, length and stored bytes of an entry.
fn facts(place: &Place, entry: &Entry) -> Result<(&'static str, u64, u64)> {
    Ok(match &entry.node {
        Node::Dir(_) => ("directory", 0, 0),
        Node::Symlink(target) => ("link", target.len() as u64, 0),
        Node::File { recipe, len } => ("-file", *len, place.repo.stored_len(&*place.repo.recipe(*recipe)?)?),
    })
}

fn row(place: &Place, path: &TreePath, entry: &Entry) -> Result<Value> {
    let (kind, len, stored) = facts(place, entry)?;
    let mut row = json!({
        "path": null,
        "type": kind.trim_start_matches('-'),
        "mode": format!("{:04o}", entry.attributes.mode),
        "bytes": len,
        "stored_bytes": stored,
        "modified": when::rfc3339(entry.attributes.modified),
    });
    quote::put_path(&mut row, path);
    Ok(row)
}
