use super::context::{Context, Place};
use super::error::Result;
use super::json::{At, Time};
use super::output::Output;
use super::quote;
use super::when;
use crate::history::{DraftEntry, DraftNode, Node, TreePath, stored_len};
use crate::workspace::Located;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// List files of a revision, or of the worktree
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, REF:PATH, :PATH for the worktree, or a path of the last commit
    #[arg(value_name = "TARGET", default_value = "HEAD")]
    target: OsString,
    /// Only these paths of the revision
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Mode, size, stored bytes and time as well
    #[arg(short, long)]
    long: bool,
    /// Everything below
    #[arg(short, long)]
    recursive: bool,
    /// Paths end with a NUL byte and are not quoted
    #[arg(short = 'z')]
    nul: bool,
}

/// What is in a directory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entries {
    entries: Vec<EntryRow>,
}

/// A file, a link or a directory.
#[derive(Debug, Serialize, JsonSchema)]
struct EntryRow {
    #[serde(flatten)]
    at: At,
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["file", "link", "directory"]))]
    kind: String,
    /// Permissions as four octal digits
    #[schemars(regex(pattern = r"^[0-7]{4}$"))]
    mode: String,
    /// Of the file, or of the link's target; 0 of a directory
    bytes: u64,
    /// What the file takes in packs, as far as it is stored
    stored_bytes: u64,
    modified: Time,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let mut found = Vec::new();
    for located in targets(&place, &args)? {
        found.extend(listed(located, args.recursive)?);
    }
    if out.json {
        let entries = found.iter().map(|(path, entry)| row(&place, path, entry)).collect::<Result<_>>()?;
        return out.value(&Entries { entries });
    }
    for (path, entry) in &found {
        if args.nul {
            out.bytes(&[&path.to_bytes()[..], b"\0"].concat())?;
            continue;
        }
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

/// What is to be listed: a target that is no revision may be a path of the last commit.
fn targets(place: &Place, args: &Args) -> Result<Vec<Located>> {
    let target = args.target.as_encoded_bytes();
    if !args.paths.is_empty() {
        let of = |path: &PathBuf| [target, b":./", path.as_os_str().as_bytes()].concat();
        return Ok(args
            .paths
            .iter()
            .map(|path| place.views().locate(of(path)))
            .collect::<std::result::Result<_, _>>()?);
    }
    match place.views().locate(target) {
        Ok(located) => Ok(vec![located]),
        Err(error) => match place.views().locate([b"HEAD:./", target].concat()) {
            Ok(located) => Ok(vec![located]),
            Err(_) => Err(error.into()),
        },
    }
}

/// What is in a directory, or the file itself.
fn listed(located: Located, recursive: bool) -> Result<Vec<(TreePath, DraftEntry)>> {
    let Located { view, path, entry, .. } = located;
    Ok(match entry.node {
        DraftNode::Dir(dir) if recursive => view.all_below(dir)?,
        DraftNode::Dir(dir) => view.entries(dir)?.into_iter().map(|entry| (alone(&entry), entry)).collect(),
        DraftNode::Known(_) | DraftNode::Staged { .. } => {
            vec![(path.split_last().map(|(_, name)| name.clone()).into_iter().collect(), entry)]
        }
    })
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

fn row(place: &Place, path: &TreePath, entry: &DraftEntry) -> Result<EntryRow> {
    let (kind, bytes, stored_bytes) = facts(place, entry)?;
    Ok(EntryRow {
        at: path.into(),
        kind: kind.trim_start_matches('-').to_owned(),
        mode: format!("{:04o}", entry.attributes.mode),
        bytes,
        stored_bytes,
        modified: entry.attributes.modified.into(),
    })
}
