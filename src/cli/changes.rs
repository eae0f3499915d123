//! What a commit changed, printed as somebody wants it: names, one line a file, counts of lines, or in full.

use super::change::words;
use super::context::Place;
use super::diff_text::{Style, file_text, stat_line};
use super::error::Result;
use super::output::Output;
use super::quote;
use crate::compare::{FileChange, Wanted};
use crate::history::DraftEntry;
use crate::task::Task;
use crate::workspace::{ChangeKinds, FileDiff, Pathspec, View};

/// How changes are printed.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ChangesArgs {
    /// What each changed, one line a file
    #[arg(long)]
    stat: bool,
    /// What each changed, in full
    #[arg(short, long, short_alias = 'u')]
    patch: bool,
    /// The paths that each changed
    #[arg(long)]
    name_only: bool,
    /// The paths that each changed, and how
    #[arg(long)]
    name_status: bool,
    /// How many lines came and went in each file, for programs; `-` where there are no lines
    #[arg(long)]
    numstat: bool,
    /// How many files and lines each changed
    #[arg(long)]
    shortstat: bool,
    /// Nothing of what each changed
    #[arg(short = 's', long)]
    no_patch: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Which changes of paths are meant.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FilterArgs {
    /// Only paths that were added (A), deleted (D), modified (M), renamed (R), or are of another type (T); small letters leave out
    #[arg(long, value_name = "LETTERS", value_parser = kinds)]
    diff_filter: Option<ChangeKinds>,
}

fn kinds(letters: &str) -> std::result::Result<ChangeKinds, String> {
    ChangeKinds::parse(letters)
        .ok_or_else(|| "it is some of the letters A, D, M, R and T, or small ones".to_owned())
}

impl FilterArgs {
    /// What is meant: all, if nothing is said.
    pub fn kinds(self) -> ChangeKinds {
        self.diff_filter.unwrap_or_default()
    }
}

/// What is printed of changes: of several that are asked for the one that says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    Names {
        with_status: bool,
    },
    Stat,
    Numbers,
    Short,
    Patch,
    /// One line a file, then in full.
    StatAndPatch,
}

impl ChangesArgs {
    /// What is wanted, if something is.
    pub fn wanted(self) -> Option<Changes> {
        let all = [
            (self.no_patch, None),
            (self.patch && self.stat, Some(Changes::StatAndPatch)),
            (self.patch, Some(Changes::Patch)),
            (self.stat, Some(Changes::Stat)),
            (self.numstat, Some(Changes::Numbers)),
            (self.shortstat, Some(Changes::Short)),
            (self.name_status, Some(Changes::Names { with_status: true })),
            (self.name_only, Some(Changes::Names { with_status: false })),
        ];
        all.into_iter().find(|(is_said, _)| *is_said).and_then(|(_, changes)| changes)
    }

    /// Which changes are meant.
    pub fn kinds(self) -> ChangeKinds {
        self.filter.kinds()
    }

    /// Whether it was said that nothing is.
    pub fn is_nothing(self) -> bool {
        self.no_patch
    }
}

/// Prints what differs between two trees, as far as it is meant.
pub fn print(
    place: &Place,
    out: &Output,
    (old, new): (&View, &View),
    paths: &Pathspec,
    changes: Changes,
    task: &Task,
) -> Result<()> {
    let mut counted = Counted::default();
    let style = Style { histogram: false, most: None };
    let mut later = Vec::new();
    for file in place.views().changes(old, new, paths, true)? {
        if let Changes::Names { with_status } = changes {
            print_name(out, &file, with_status)?;
            continue;
        }
        let is_file = |entry: &&DraftEntry| entry.node.is_file();
        let (before, after) =
            (file.change.old.as_ref().filter(is_file), file.change.new.as_ref().filter(is_file));
        let wanted = Wanted { names: &paths.tensors, numbers: true, same: false };
        let diff = place.views().diff_file((old, before), (new, after), wanted, task)?;
        counted.count(&diff);
        match changes {
            Changes::Stat => out.line(stat_line(out, &file, &diff))?,
            Changes::Numbers => out.line(numbers(&file, &diff))?,
            Changes::Short | Changes::Names { .. } => {}
            Changes::Patch => file_text(out, &file, &diff, style)?,
            Changes::StatAndPatch => {
                out.line(stat_line(out, &file, &diff))?;
                later.push((file, diff));
            }
        }
    }
    if !later.is_empty() {
        out.line("")?;
    }
    later.iter().try_for_each(|(file, diff)| file_text(out, file, diff, style))?;
    if changes == Changes::Short { counted.print(out) } else { Ok(()) }
}

fn print_name(out: &Output, file: &FileChange, with_status: bool) -> Result<()> {
    let (letter, _, colour) = words(file.change.kind);
    let path = quote::path(&file.change.path);
    match (with_status, &file.from) {
        (true, Some((from, _))) => {
            out.line(out.paint(colour, format_args!("R\t{}\t{path}", quote::path(from))))
        }
        (true, None) => out.line(out.paint(colour, format_args!("{letter}\t{path}"))),
        (false, _) => out.line(path),
    }
}

/// The lines that came and went in a file, as programs read them.
pub fn numbers(file: &FileChange, diff: &FileDiff) -> String {
    let path = quote::path(&file.change.path);
    let path = match &file.from {
        Some((from, _)) => format!("{} => {path}", quote::path(from)),
        None => path,
    };
    match &diff.lines {
        Some(lines) => format!("{}\t{}\t{path}", lines.added, lines.removed),
        None => format!("-\t-\t{path}"),
    }
}

/// How much differs.
#[derive(Debug, Default)]
pub struct Counted {
    files: usize,
    added: usize,
    removed: usize,
}

impl Counted {
    /// One more file.
    pub fn count(&mut self, diff: &FileDiff) {
        self.files += 1;
        self.added += diff.lines.as_ref().map_or(0, |lines| lines.added);
        self.removed += diff.lines.as_ref().map_or(0, |lines| lines.removed);
    }

    /// Says it, if it is something.
    pub fn print(&self, out: &Output) -> Result<()> {
        let count = |count: usize, what: &str| match count {
            0 => String::new(),
            1 => format!(", 1 {what}"),
            count => format!(", {count} {}", what.replacen("ion", "ions", 1)),
        };
        let Self { files, added, removed } = *self;
        if files == 0 {
            return Ok(());
        }
        let s = if files == 1 { "" } else { "s" };
        let (added, removed) = (count(added, "insertion(+)"), count(removed, "deletion(-)"));
        out.line(format_args!(" {files} file{s} changed{added}{removed}"))
    }
}
