use super::context::{Context, FOLDER, Place, root_of};
use super::daemon;
use super::error::{CommandError, Result};
use super::output::{Colour, Output, note};
use super::progress::task;
use super::quote;
use crate::daemons::{Mounted, mounted};
use crate::history::{BranchName, Error, TreePath};
use crate::worktree::{Added, Addition, Fence, SkipReason, Skipped, ToAdd};
use serde_json::json;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Take files and directories into the worktree
///
/// A file keeps its path relative to the repository's folder if it lies in it; otherwise it goes to the top of the
/// worktree under its own name. Its bytes and its name are durable when this returns. Sockets, pipes and devices in a
/// directory are left out, and so is every `.coral`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, directories or symbolic links
    #[arg(value_name = "PATH", required_unless_present = "all")]
    paths: Vec<PathBuf>,
    /// Everything in the mounted worktree, which is there already
    #[arg(short = 'A', long, conflicts_with_all = ["paths", "to"])]
    all: bool,
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
        check_there(context, &place, &branch, &args.paths)?;
        return out.line("already in the worktree: what is saved into a mounted worktree needs no `add`");
    }
    if args.all {
        return Err(CommandError::usage("`-A` means the mounted worktree, and this is none").hint(
            "what is saved below worktree/ of a mount needs no `add`; `coral add .` takes the files of this folder",
        ));
    }
    let to = args.to.map(|to| TreePath::parse(to.as_os_str().as_encoded_bytes())).transpose()?;
    let mounts = own_mounts(&place);
    let (mut items, mut history) = (Vec::new(), HashSet::new());
    for typed in &args.paths {
        let from = context.absolute(typed);
        if check_mounts(&mounts, &from)? {
            history.insert(from.clone());
        }
        let to = match &to {
            Some(dir) => dir.concat(&own_name(&from)?),
            None => match from.strip_prefix(&place.folder) {
                Ok(below) => TreePath::parse(below.as_os_str().as_encoded_bytes())?,
                Err(_) => own_name(&from)?,
            },
        };
        to.check()?;
        items.push(ToAdd { from, to });
    }
    let worktree = place.worktree(&branch)?;
    let fence = Fence { mounts: mounts.iter().map(|mounted| mounted.device).collect(), history };
    let Addition { added, skipped } = worktree.add(&items, &fence, place.now(), &task()?)?;
    place.announce();
    for Skipped { path, why } in &skipped {
        let path = quote::file(path);
        note(match why {
            SkipReason::NoFile => format!("left out `{path}`: neither a file, a directory nor a link"),
            SkipReason::ReservedName => format!("left out `{path}`: the name of a repository's own folder"),
        });
    }
    if out.json {
        let row = |file: &Added| {
            let mut row = json!({ "path": null, "bytes": file.len });
            quote::put_path(&mut row, &file.path);
            row
        };
        let rows: Vec<_> = added.iter().map(row).collect();
        return out.value(&json!({ "branch": branch.as_str(), "added": rows }));
    }
    for file in &added {
        out.line(out.paint(Colour::Green, format_args!("added {}", quote::path(&file.path))))?;
    }
    Ok(())
}

/// Makes sure that files are in the worktree that a command runs in, and whole.
fn check_there(context: &Context, place: &Place, branch: &BranchName, typed: &[PathBuf]) -> Result<()> {
    daemon::settle(place.repo.root());
    let snapshot = place.worktree(branch)?.snapshot(false)?;
    for typed in typed {
        let shown = quote::file(typed);
        if context.absolute(typed).symlink_metadata().is_err() {
            return Err(CommandError::new(format!("no `{shown}` here, which is the worktree of `{branch}`"))
                .hint("what is elsewhere is added by its absolute path, or with `--to DIR`"));
        }
        let path = place.tree_path(typed)?;
        let find = |paths: &[TreePath]| paths.iter().find(|file| file.starts_with(&path)).map(quote::path);
        if let Some(file) = find(&snapshot.interrupted) {
            return Err(CommandError::new(format!("`{file}` was not finished by who wrote it"))
                .hint("save it again; `coral commit --include-open` takes it as it is"));
        }
        if let Some(file) = find(&snapshot.still_open) {
            note(format!("`{file}` is still being written: commits take it when it is closed"));
        }
    }
    Ok(())
}

/// The mounts of the repository itself.
fn own_mounts(place: &Place) -> Vec<Mounted> {
    let own = place.repo.root().canonicalize().ok();
    let same = |mounted: &Mounted| {
        mounted.repository == place.folder || (own.is_some() && root_of(&mounted.repository).ok() == own)
    };
    // Where the kernel does not tell, there is nothing to compare with.
    mounted().unwrap_or_default().into_iter().filter(same).collect()
}

/// Refuses what is in a mount of the repository itself, but for single files of its history: whether it is one of those.
fn check_mounts(mounts: &[Mounted], from: &Path) -> Result<bool> {
    let Some(Ok(around)) = from.parent().map(Path::canonicalize) else { return Ok(false) };
    let whole = around.join(from.file_name().unwrap_or_default());
    let above = mounts.iter().filter(|mounted| whole.starts_with(&mounted.mount_point));
    let Some(mounted) = above.max_by_key(|mounted| mounted.mount_point.components().count()) else {
        return Ok(false);
    };
    let is_file = whole.symlink_metadata().is_ok_and(|found| found.is_file());
    let below = whole.strip_prefix(&mounted.mount_point).unwrap_or(&whole);
    match is_file && is_history(mounts, mounted, below) {
        true => Ok(true),
        false => Err(Error::OwnMount(from.to_owned()).into()),
    }
}

/// Whether what is below a mount point belongs to a branch, tag, commit or tensor.
fn is_history(mounts: &[Mounted], mounted: &Mounted, below: &Path) -> bool {
    // A part of the file system can be bound elsewhere; only where the whole is can be read what it shows.
    let whole = mounts.iter().find(|other| other.device == mounted.device && other.root == Path::new("/"));
    let Some(whole) = whole else { return false };
    let shows = std::fs::read(whole.mount_point.join(FOLDER).join("worktree"));
    let path = mounted.root.join(below);
    let top = path.strip_prefix("/").unwrap_or(&path).components().next();
    let top = top.map(|top| top.as_os_str().to_owned()).unwrap_or_default();
    shows.is_ok_and(|shows| shows.trim_ascii().is_empty()) && top != "worktree" && top != FOLDER
}

fn own_name(path: &Path) -> Result<TreePath> {
    match path.file_name() {
        Some(name) => Ok(TreePath::parse(name.as_encoded_bytes())?),
        None => Err(CommandError::usage(format!("`{}` has no name of its own", path.display()))
            .hint("`--to DIR` says where its files go")),
    }
}
