use super::context::Context;
use super::error::{CommandError, Result};
use super::output::{Colour, Output};
use crate::repo::{ToAdd, TreePath};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Take files and directories into the worktree
///
/// A file keeps its path relative to the repository's folder if it lies in it; otherwise it goes to the top of the
/// worktree under its own name. Its bytes are in the store, durably, when this returns.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, directories or symbolic links
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Put them into this directory of the worktree
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    if let Some((inside, _)) = &place.inside
        && *inside == branch
        && args.to.is_none()
        && args.paths.iter().all(|path| path.is_relative())
    {
        return out.line("already in the worktree: what is saved into a mounted worktree needs no `add`");
    }
    let to = args.to.map(|to| TreePath::parse(to.as_os_str().as_encoded_bytes())).transpose()?;
    let mut items = Vec::new();
    for typed in &args.paths {
        let from = context.absolute(typed);
        let to = match &to {
            Some(dir) => dir.concat(&own_name(&from)?),
            None => match from.strip_prefix(&place.folder) {
                Ok(below) => TreePath::parse(below.as_os_str().as_encoded_bytes())?,
                Err(_) => own_name(&from)?,
            },
        };
        items.push(ToAdd { from, to });
    }
    let worktree = place.worktree(&branch)?;
    let added = worktree.add(&items, place.now())?;
    place.announce();
    if out.json {
        let rows: Vec<_> =
            added.iter().map(|file| json!({ "path": file.path.to_string(), "bytes": file.len })).collect();
        return out.value(&json!({ "branch": branch.as_str(), "added": rows }));
    }
    for file in &added {
        out.line(out.paint(Colour::Green, format_args!("added {}", file.path)))?;
    }
    Ok(())
}

fn own_name(path: &Path) -> Result<TreePath> {
    match path.file_name() {
        Some(name) => Ok(TreePath::parse(name.as_encoded_bytes())?),
        None => Err(CommandError::usage(format!("`{}` has no name of its own", path.display()))
            .hint("`--to DIR` says where its files go")),
    }
}
