use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use super::quote;
use crate::history::TreePath;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Rename files and directories of the worktree
///
/// With several, or if the last one is a directory, they go into it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What, and where to
    #[arg(value_name = "PATH", required = true, num_args = 2..)]
    paths: Vec<PathBuf>,
    /// Take the place of a file that is there
    #[arg(short, long)]
    force: bool,
    /// Only tell what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What was renamed, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Renamed {
    branch: String,
    renamed: Vec<RenamedRow>,
}

/// A path before and after.
#[derive(Debug, Serialize, JsonSchema)]
struct RenamedRow {
    from: String,
    to: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let worktree = place.worktree(&branch)?;
    let mut paths =
        args.paths.iter().map(|path| Ok(place.paths().tree_path(path)?)).collect::<Result<Vec<_>>>()?;
    let to = paths.pop().unwrap_or_default();
    let into = worktree.edits().is_dir(&to)?;
    if paths.len() > 1 && !into {
        return Err(CommandError::new(format!("`{}` is not a directory", quote::path(&to))));
    }
    let moves: Vec<(TreePath, TreePath)> = paths
        .into_iter()
        .map(|from| {
            let name = from.split_last().map(|(_, name)| name.clone());
            let to = if into { name.map_or(to.clone(), |name| to.join(name)) } else { to.clone() };
            (from, to)
        })
        .collect();
    if !args.dry_run {
        worktree.edits().rename(&moves, args.force, place.now())?;
        place.announce();
    }
    if out.json {
        let rows: Vec<_> = moves
            .iter()
            .map(|(from, to)| RenamedRow { from: from.to_string(), to: to.to_string() })
            .collect();
        return out.value(&Renamed { branch: branch.to_string(), renamed: rows });
    }
    moves.iter().try_for_each(|(from, to)| {
        out.line(format_args!("renamed {} -> {}", quote::path(from), quote::path(to)))
    })
}
