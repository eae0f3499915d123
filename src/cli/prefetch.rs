use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::output::{Output, note};
use super::progress::task;
use super::quote;
use crate::daemons::{content_of, mounted_above};
use crate::history::{DraftDir, DraftNode, Node, Prefetched, prefetch};
use crate::id::RecipeId;
use crate::task::Unit;
use crate::units::ByteSize;
use crate::workspace::Located;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Make plain copies of files that are to be read soon
///
/// What a mount has a plain copy of is read as fast as a plain file, also the first time. Copies are made up to the bytes
/// that they may take (`core.plain_size`), in the order in which files are named; those that were used longest ago make room.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories in a mount, or REF or REF:PATH
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<OsString>,
}

/// A file that is wanted.
struct Wanted {
    name: String,
    recipe: RecipeId,
    len: u64,
}

/// How many of them there are, and their bytes.
#[derive(Default)]
struct Tally {
    files: u64,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Which files have plain copies now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Copied {
    /// Those that were copied
    made_files: u64,
    made_bytes: u64,
    /// Those that had a copy
    known_files: u64,
    known_bytes: u64,
    /// Those that are too short for one to be of use
    short_files: u64,
    /// Those for which there is no room
    left_files: u64,
    left_bytes: u64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for target in &args.targets {
        match in_mount(context, Path::new(target))? {
            Some(path) => below_mount(&path, &mut wanted)?,
            None => below(&place, target, &mut wanted)?,
        }
    }
    // What is named twice is one file.
    let mut seen = HashSet::new();
    wanted.retain(|file| seen.insert(file.recipe));
    let budget = place.repo.plain().budget();
    let task = task()?;
    let meter = task.begin("copying", Unit::Bytes, Some(wanted.iter().map(|file| file.len).sum()));
    let (mut made, mut known, mut short, mut left) =
        (Tally::default(), Tally::default(), Tally::default(), Tally::default());
    for file in &wanted {
        // More would push out what was copied just now.
        let came = match made.bytes + known.bytes + file.len > budget {
            true => Prefetched::NoRoom,
            false => prefetch(&place.repo, file.recipe, &task)?,
        };
        match came {
            Prefetched::Made => made.add(file.len),
            Prefetched::Known => known.add(file.len),
            Prefetched::Short => short.add(file.len),
            Prefetched::NoRoom => {
                if left.files == 0 {
                    note(format!("there is no room for a copy of `{}`, and maybe others", file.name));
                }
                left.add(file.len);
            }
        }
        meter.advance(file.len);
    }
    drop(meter);
    if out.json {
        return out.value(&Copied {
            made_files: made.files,
            made_bytes: made.bytes,
            known_files: known.files,
            known_bytes: known.bytes,
            short_files: short.files,
            left_files: left.files,
            left_bytes: left.bytes,
        });
    }
    out.line(format_args!(
        "{} copies made ({}), {} there already",
        made.files,
        ByteSize(made.bytes),
        known.files
    ))?;
    if left.files > 0 {
        let (files, bytes) = (left.files, ByteSize(left.bytes));
        note(format!(
            "{files} files ({bytes}) are read from the packs; `coral config set core.plain_size SIZE` gives more"
        ));
    }
    Ok(())
}

/// Where in a mount a path leads, if it leads into one.
fn in_mount(context: &Context, typed: &Path) -> Result<Option<PathBuf>> {
    let Ok(path) = context.absolute(typed).canonicalize() else { return Ok(None) };
    Ok(mounted_above(&path)?.map(|_| path))
}

/// The files at and below a path of a mount. What is not stored yet is a plain file as it is.
fn below_mount(top: &Path, wanted: &mut Vec<Wanted>) -> Result<()> {
    let failed =
        |path: &Path, error| CommandError::new(format!("`{}` cannot be read: {error}", quote::file(path)));
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let stat = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
        if stat.is_dir() {
            let mut inside = Vec::new();
            for entry in fs::read_dir(&path).map_err(|error| failed(&path, error))? {
                inside.push(entry.map_err(|error| failed(&path, error))?.path());
            }
            inside.sort();
            open.extend(inside.into_iter().rev());
        } else if stat.is_file()
            && let Some(id) = content_of(&path).map_err(|error| failed(&path, error))?
            && let Ok(recipe) = id.parse()
        {
            wanted.push(Wanted { name: quote::name(path.as_os_str().as_bytes()), recipe, len: stat.len() });
        }
    }
    Ok(())
}

/// The files at and below what a name of a commit, or of a path in it, means.
fn below(place: &Place, target: &OsString, wanted: &mut Vec<Wanted>) -> Result<()> {
    let Located { view, path, entry, .. } = place.views().locate(target.as_encoded_bytes())?;
    let mut add = |path: &crate::history::TreePath, node: &DraftNode| {
        if let DraftNode::Known(Node::File { recipe, len }) = node {
            wanted.push(Wanted { name: quote::path(path), recipe: *recipe, len: *len });
        }
    };
    let dir = match &entry.node {
        DraftNode::Dir(dir) => Some(*dir),
        DraftNode::Known(Node::Dir(tree)) => Some(DraftDir::Unchanged(*tree)),
        node => {
            add(&path, node);
            None
        }
    };
    for (below, entry) in dir.map(|dir| view.all_below(dir)).transpose()?.unwrap_or_default() {
        add(&below, &entry.node);
    }
    Ok(())
}
