use super::change::{ChangeRow, INTERRUPTED, WRITTEN, rows, words};
use super::context::Context;
use super::error::Result;
use super::json::{Id, PathOnly, plain};
use super::merged::{ConflictRow, KINDS, print_conflicts, tensors, under_way};
use super::output::{Colour, Output};
use super::quote;
use super::ways_in::ways_in;
use crate::history::{Change, Head, Tree, TreePath};
use crate::merge::Conflict;
use crate::units::ByteSize;
use crate::worktree::{Merging, Snapshot};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Show what the next commit would record
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these paths; `*` and `?` fit names
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One line a path, no explanations
    #[arg(short, long)]
    short: bool,
    /// The same, for programs
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true, value_parser = ["v1", "1"])]
    porcelain: Option<Option<String>>,
    /// With the branch on a line of its own, where it would not be told
    #[arg(short = 'b')]
    header: bool,
    /// `no` looks at no files beside the repository; what the worktree has is told in any case
    #[arg(short, long, value_name = "MODE", num_args = 0..=1, value_parser = ["no", "normal", "all"])]
    untracked_files: Option<Option<String>>,
    /// Also what .coralignore files leave out of this folder, which is in no worktree
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, value_parser = ["no", "traditional", "matching"])]
    ignored: Option<Option<String>>,
    /// The same; paths end with a NUL byte and are not quoted
    #[arg(short = 'z')]
    nul: bool,
    /// The branch, if not the current one; without a name the same as -b
    #[arg(short = 'B', long, value_name = "NAME", num_args = 0..=1)]
    branch: Option<Option<String>>,
}

/// What the next commit would record.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Status {
    /// The branch; null where HEAD is detached, and then there is nothing to record
    branch: Option<String>,
    /// The commit where HEAD is detached
    detached: Option<Id>,
    /// The last commit; null before the first one
    base: Option<Id>,
    /// What differs from it
    changes: Vec<ChangeRow>,
    /// Files that somebody writes: a commit takes them as they were when last closed
    still_open: Vec<PathOnly>,
    /// Files whose writer was killed, or that were being written when the machine stopped
    interrupted: Vec<PathOnly>,
    /// Files of whose bytes the disk kept not all
    lost: Vec<PathOnly>,
    /// With --ignored, what is left out of the folder around the repository; a folder stands for all that is in it
    ignored: Vec<PathOnly>,
    /// What is to be gone on with
    under_way: Option<UnderWay>,
    /// What is to be decided before that
    conflicts: Vec<ConflictRow>,
    /// Bytes of commits that are still as they were saved, and not yet made small
    waiting_bytes: u64,
    /// Bytes that whole files beside the packs take on the disk, which may go at any time
    plain_copy_bytes: u64,
    /// Bytes that they may take
    plain_copy_bytes_max: u64,
}

/// A merge, or what is like one, that is not at its end.
#[derive(Debug, Serialize, JsonSchema)]
struct UnderWay {
    #[schemars(extend("enum" = KINDS))]
    what: &'static str,
    /// The commit that is merged, made again or undone
    commit: Id,
}

impl From<&Merging> for UnderWay {
    fn from(merging: &Merging) -> Self {
        Self { what: merging.kind.words(), commit: merging.theirs.into() }
    }
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let is_short = args.short || args.porcelain.is_some();
    let has_header = args.header || args.branch == Some(None);
    let named = args.branch.clone().flatten();
    if let (None, Head::Detached(commit)) = (&named, place.repo.head()?) {
        return match out.json {
            true => out.value(&Status {
                detached: Some(commit.into()),
                base: Some(commit.into()),
                waiting_bytes: place.repo.store().attached_len(),
                plain_copy_bytes: place.repo.plain().usage()?.bytes,
                plain_copy_bytes_max: place.repo.plain().budget(),
                ..Status::default()
            }),
            false if has_header && is_short => out.line("## HEAD (no branch)"),
            false if is_short || args.nul => Ok(()),
            false => {
                out.line(format_args!("HEAD is detached at {commit}; `coral switch -c NAME` makes a branch"))
            }
        };
    }
    let branch = place.branch(named.as_deref())?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    let paths = place.paths().pathspec(&args.paths, &|path| Ok(worktree.names().resolve(path)?.is_some()))?;
    let mut snapshot = worktree.snapshot(false)?;
    for unfinished in [&mut snapshot.still_open, &mut snapshot.interrupted, &mut snapshot.lost] {
        unfinished.retain(|path| paths.means(path));
    }
    let base = match snapshot.base {
        Some(base) => place.repo.commit(base)?.tree,
        None => Tree::empty_id(),
    };
    let mut changes = snapshot.diff_from(base, &worktree)?;
    changes.retain(|change| paths.means(&change.path));
    let ignored = match args.ignored.as_ref().is_some_and(|mode| mode.as_deref() != Some("no")) {
        true => place.beside().ignored().into_iter().filter(|path| paths.means(path)).collect(),
        false => Vec::new(),
    };
    let merging = worktree.under_way().get()?;
    let mut undecided = match &merging {
        Some(merging) => merging.undecided(&place.repo, &snapshot)?,
        None => Vec::new(),
    };
    let is_decided = undecided.is_empty();
    undecided.retain(|conflict| paths.means(&conflict.path));
    let Snapshot { still_open, interrupted, lost, .. } = &snapshot;
    if out.json {
        return out.value(&Status {
            branch: Some(branch.to_string()),
            detached: None,
            base: snapshot.base.map(Id::from),
            changes: rows(&changes),
            still_open: plain(still_open),
            interrupted: plain(interrupted),
            lost: plain(lost),
            ignored: plain(&ignored),
            under_way: merging.as_ref().map(UnderWay::from),
            conflicts: undecided.iter().copied().map(ConflictRow::from).collect(),
            waiting_bytes: place.repo.store().attached_len(),
            plain_copy_bytes: place.repo.plain().usage()?.bytes,
            plain_copy_bytes_max: place.repo.plain().budget(),
        });
    }
    if args.nul {
        if has_header {
            out.bytes(format!("## {branch}\0").as_bytes())?;
        }
        return print_with_nul(out, &undecided, &changes, &snapshot, &ignored);
    }
    if is_short && has_header {
        let none_yet = if snapshot.base.is_none() { "no commits yet on " } else { "" };
        out.line(format_args!("## {none_yet}{}", out.paint(Colour::Green, &branch)))?;
    }
    if !is_short {
        out.line(format_args!("on branch {}", out.paint(Colour::Cyan, &branch)))?;
        match snapshot.base {
            Some(base) => out.line(format_args!("based on {}", &base.to_string()[..10]))?,
            None => out.line("no commits yet")?,
        }
    }
    if let (false, Some(merging)) = (is_short, &merging) {
        out.line(under_way(merging))?;
        if is_decided && !merging.conflicts.is_empty() {
            let verb = merging.kind.words();
            out.line(format_args!("  (everything is decided: `coral {verb} --continue` commits it)"))?;
        }
    }
    let explain = |list_is_empty: bool, legend: &str| match is_short || list_is_empty {
        true => Ok(()),
        false => out.line(format_args!("  ({legend})")),
    };
    let takes_a_side =
        "`coral checkout --ours PATH` or `--theirs PATH` takes a side, `coral add PATH` what is there";
    explain(undecided.is_empty(), takes_a_side)?;
    if is_short {
        print_conflicts(out, &undecided)?;
    } else {
        for conflict in &undecided {
            let line = format!("  {:<14}{}{}", "conflict", quote::path(&conflict.path), tensors(conflict));
            out.line(format_args!("{} ({})", out.paint(Colour::Red, line), conflict.kind.words()))?;
        }
    }
    explain(changes.is_empty(), "`coral commit -m TEXT` records these, `coral restore PATH` drops them")?;
    for change in &changes {
        let (letter, word, colour) = words(change.kind);
        let path = quote::path(&change.path);
        let line = if is_short { format!("{letter} {path}") } else { format!("  {word:<14}{path}") };
        out.line(out.paint(colour, line))?;
    }
    let unfinished = [
        ("W", WRITTEN, still_open, "commits take these as they were when last closed, if they ever were"),
        (
            "I",
            INTERRUPTED,
            interrupted,
            "whoever wrote these was killed, or the machine stopped: save them again, `coral commit --include-open` \
             takes them as they are, `coral restore PATH` drops them",
        ),
        ("L", "lost bytes", lost, "the disk did not keep these: save them again, or `coral restore PATH`"),
    ];
    for (letter, word, paths, legend) in unfinished {
        explain(paths.is_empty(), legend)?;
        for path in paths.iter().map(quote::path) {
            let line = if is_short { format!("{letter} {path}") } else { format!("  {word:<14}{path}") };
            out.line(out.paint(Colour::Yellow, line))?;
        }
    }
    explain(ignored.is_empty(), "`coral check-ignore -v PATH` tells why these are left out of the worktree")?;
    for path in ignored.iter().map(quote::path) {
        out.line(if is_short { format!("! {path}") } else { format!("  {:<14}{path}", "ignored") })?;
    }
    let at_rest =
        undecided.is_empty() && [still_open, interrupted, lost].iter().all(|paths| paths.is_empty());
    if !is_short && changes.is_empty() && at_rest && merging.is_none() {
        let where_meant = if paths.is_all() { "" } else { " there" };
        out.line(format_args!("nothing to commit{where_meant}"))?;
    }
    match place.repo.store().attached_len() {
        0 => {}
        _ if is_short => {}
        bytes => out.line(format_args!(
            "{} of commits are still as they were saved; a mount or `coral drain` makes them small",
            ByteSize(bytes)
        ))?,
    }
    let looks_around = args.untracked_files != Some(Some("no".into())) && args.paths.is_empty();
    if is_short || named.is_some() || !looks_around {
        return Ok(());
    }
    let ways = ways_in(&place.beside().around(&worktree, &snapshot)?);
    ways.iter().try_for_each(|way| out.line(format_args!("  ({way})")))
}

/// One letter and the bytes of a path each.
fn print_with_nul(
    out: &Output,
    undecided: &[&Conflict],
    changes: &[Change],
    snapshot: &Snapshot,
    ignored: &[TreePath],
) -> Result<()> {
    let Snapshot { still_open, interrupted, lost, .. } = snapshot;
    let conflicts = undecided.iter().map(|conflict| ('C', &conflict.path));
    let changes = changes.iter().map(|change| (words(change.kind).0, &change.path));
    let unfinished = [('W', still_open), ('I', interrupted), ('L', lost)].into_iter();
    let unfinished = unfinished.flat_map(|(letter, paths)| paths.iter().map(move |path| (letter, path)));
    let ignored = ignored.iter().map(|path| ('!', path));
    for (letter, path) in conflicts.chain(changes).chain(unfinished).chain(ignored) {
        out.bytes(&[format!("{letter} ").as_bytes(), &path.to_bytes(), b"\0"].concat())?;
    }
    Ok(())
}
