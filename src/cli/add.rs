use super::context::{Context, say_heard};
use super::error::Result;
use super::globs;
use super::json::At;
use super::output::{Colour, Output, note};
use super::progress::task;
use super::quote;
use crate::history::TreePath;
use crate::units::ByteSize;
use crate::workspace::AddRequest;
use crate::worktree::{Added, Addition, SkipReason, Skipped};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Take files and directories into the worktree
///
/// A file keeps its path relative to the repository's folder if it lies in it; otherwise it goes to the top of the
/// worktree under its own name. Its bytes and its name are durable when this returns. Sockets, pipes and devices in a
/// directory are left out, and so is every `.coral`, what `.coralignore` says, and other programs' folders such as `.git`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, directories or symbolic links; `*` and `?` fit names
    #[arg(value_name = "PATH", required_unless_present_any = ["all", "update"])]
    paths: Vec<PathBuf>,
    /// Everything in the repository's folder, from wherever; in a mounted worktree, all of which is there already. What the
    /// worktree has and the folder has not stays
    #[arg(short = 'A', long, conflicts_with_all = ["paths", "to"])]
    all: bool,
    /// Every file around the repository that the worktree has with other content
    #[arg(short, long, conflicts_with_all = ["all", "paths", "to"])]
    update: bool,
    /// Take what .coralignore leaves out as well
    #[arg(long)]
    no_ignore: bool,
    /// Name every file, also many on a terminal
    #[arg(short, long)]
    verbose: bool,
    /// Put them into this directory of the worktree
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What was taken into a worktree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Taken {
    branch: String,
    /// Files, links and directories
    added: Vec<AddedRow>,
}

/// Something that was taken.
#[derive(Debug, Serialize, JsonSchema)]
struct AddedRow {
    #[serde(flatten)]
    at: At,
    /// Of a file; 0 of a directory
    bytes: u64,
}

/// Files that are named one by one on a terminal.
const NAMED: usize = 20;

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let to = args.to.map(|to| TreePath::parse(to.as_os_str().as_encoded_bytes())).transpose()?;
    let paths = match args.update {
        true => {
            let worktree = place.worktree(&branch)?;
            let around = place.beside().around(&worktree, &worktree.snapshot(false)?)?;
            around.changed.iter().map(|path| place.beside().outside(path)).collect()
        }
        false if args.all && place.inside.is_none() => vec![place.folder.clone()],
        false => globs::on_disk(&place.surroundings, &args.paths)?,
    };
    let request = AddRequest { paths, to, no_ignore: args.no_ignore };
    if !args.update && place.adding().is_in_place(&branch, &request) {
        place.settle();
        for file in place.adding().check_saved(&place.worktree(&branch)?, &request.paths)? {
            let file = quote::path(&file);
            note(format!("`{file}` is still being written: commits take it when it is closed"));
        }
        place
            .merges()
            .decide_as_they_are(&place.worktree(&branch)?, place.paths().tree_paths(&request.paths)?)?;
        return out.line("already in the worktree: what is saved into a mounted worktree needs no `add`");
    }
    let (Addition { added, skipped }, heard) =
        place.adding().add(&place.worktree(&branch)?, &request, &task()?)?;
    say_heard(&heard);
    for Skipped { path, why } in &skipped {
        let path = quote::file(path);
        note(match why {
            SkipReason::NoFile => format!("left out `{path}`: neither a file, a directory nor a link"),
            SkipReason::ReservedName => format!("left out `{path}`: the name of a repository's own folder"),
        });
    }
    if out.json {
        let row = |file: &Added| AddedRow { at: (&file.path).into(), bytes: file.len };
        return out.value(&Taken { branch: branch.to_string(), added: added.iter().map(row).collect() });
    }
    if out.is_terminal() && !args.verbose && added.len() > NAMED {
        let bytes = ByteSize(added.iter().map(|file| file.len).sum());
        return out.line(format_args!("added {} files and folders, {bytes}; `-v` names them", added.len()));
    }
    for file in &added {
        out.line(out.paint(Colour::Green, format_args!("added {}", quote::path(&file.path))))?;
    }
    Ok(())
}
