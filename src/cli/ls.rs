use super::context::{Context, Place};
use super::error::Result;
use super::output::Output;
use super::quote;
use super::when;
use crate::history::{DraftEntry, DraftNode, Node, TreePath, stored_len};
use crate::workspace::Located;
use serde_json::{Value, json};
use std::ffi::OsString;

/// List files of a revision, or of the worktree
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, REF:PATH, or :PATH for the worktree
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
    let Located { view, path, entry, .. } = place.views().locate(args.target.as_encoded_bytes())?;
    let found = match entry.node {
        DraftNode::Dir(dir) if args.recursive => view.all_below(dir)?,
        DraftNode::Dir(dir) => view.entries(dir)?.into_iter().map(|entry| (alone(&entry), entry)).collect(),
        DraftNode::Known(_) | DraftNode::Staged { .. } => {
            vec![(path.split_last().map(|(_, name)| name.clone()).into_iter().collect(), entry)]
        }
    };
    if out.json {
        let rows: Vec<Value> =
            found.iter().map(|(path, entry)| row(&place, path, entry)).collect::<Result<_>>()?;
        return out.value(&json!({ "entries": rows }));
    }
    for (path, entry) in &found {
        let shown = quote::path(path);
        let slash = if matches!(entry.node, DraftNode::Dir(_)) { "/" } else { "" };
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

/// The path of an entry that stands by itself.
fn alone(entry: &DraftEntry) -> TreePath {
    [entry.name.clone()].into_iter().collect()
}

/// Kind, length and stored bytes of an entry.
fn facts(place: &Place, entry: &DraftEntry) -> Result<(&'static str, u64, u64)> {
    Ok(match &entry.node {
        DraftNode::Dir(_) | DraftNode::Known(Node::Dir(_)) => ("directory", 0, 0),
        DraftNode::Known(Node::Symlink(target)) => ("link", target.len() as u64, 0),
        DraftNode::Known(Node::File { recipe, len }) => {
            ("-file", *len, stored_len(place.repo.store(), &*place.repo.recipe(*recipe)?)?)
        }
        DraftNode::Staged { len, .. } => ("-file", *len, 0),
    })
}

fn row(place: &Place, path: &TreePath, entry: &DraftEntry) -> Result<Value> {
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
