use super::change::words;
use super::changes::{Counted, FilterArgs, numbers};
use super::context::{Context, Place};
use super::diff_text::{Style, classes, file_text, stat_line};
use super::error::{CommandError, Result};
use super::json::{At, Key, Ordered, Real};
use super::merged::{ConflictRow, tensors};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::compare::{FileChange, TensorChange, TensorKind, Wanted};
use crate::history::{
    BranchName, Change, ChangeKind, CommitGraph, DraftEntry, Range, Revision, Revisions, TreePath,
};
use crate::id::ObjectKey;
use crate::merge::Conflict;
use crate::recipe::TensorInfo;
use crate::task::Task;
use crate::tensor::Difference;
use crate::workspace::{FileDiff, Located, Pathspec, View};
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what differs between commits, or between a commit and the worktree
///
/// Without a revision: what the worktree has that its last commit has not. With one: from there to the worktree; with two,
/// or A..B: from one to the other; A...B: from where they parted to B. Two times REF:PATH compares two files or two directories; one
/// of them may be a path of the worktree, or :PATH. Of files with tensors each tensor is compared with the one of its name: the share of its numbers that
/// changed, the norm of the difference (L2), the same in parts of the old norm (rel), the largest difference, the cosine.
/// Tensors that are stored as the same object are the same and never read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Revisions or ranges, then paths
    #[arg(value_name = "REVISION|PATH")]
    what: Vec<OsString>,
    /// Only these paths; `*` and `?` fit names, FILE#NAME means tensors of a file
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only these tensors; `*` and `?` fit anything
    #[arg(short = 't', long = "tensor", value_name = "NAME")]
    tensors: Vec<String>,
    /// One line a file: how many tensors differ and by how much
    #[arg(long)]
    stat: bool,
    /// In full, which is the default; with --stat both
    #[arg(short, long, short_alias = 'u')]
    patch: bool,
    /// How many lines came and went in each file, for programs; `-` where there are no lines
    #[arg(long, conflicts_with = "stat")]
    numstat: bool,
    /// How many files and lines differ
    #[arg(long, conflicts_with_all = ["stat", "numstat"])]
    shortstat: bool,
    /// Only the paths
    #[arg(long, conflicts_with_all = ["stat", "numstat", "shortstat"])]
    name_only: bool,
    /// Only the paths, and how each differs
    #[arg(long, conflicts_with_all = ["stat", "numstat", "shortstat", "name_only"])]
    name_status: bool,
    /// How many numbers are how far apart, counted in representable numbers between them
    #[arg(long)]
    histogram: bool,
    /// Order tensors by name, changed, l2, rel, max or cosine, the most different first
    #[arg(long, value_name = "KEY", value_parser = ["name", "changed", "l2", "rel", "max", "cosine"])]
    sort: Option<String>,
    /// At most so many tensors of a file
    #[arg(short = 'n', long, value_name = "COUNT")]
    max_count: Option<usize>,
    /// From the second to the first
    #[arg(short = 'R', long)]
    reverse: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// A file that went and one that came are two, whatever they have in common
    #[arg(long)]
    no_renames: bool,
    /// Paths end with a NUL byte and are not quoted
    #[arg(short = 'z')]
    nul: bool,
    /// End with 1 if something differs
    #[arg(long)]
    exit_code: bool,
    /// Print nothing, and end with 1 if something differs
    #[arg(short, long)]
    quiet: bool,
    /// Accepted for git's sake: the worktree is what the next commit takes
    #[arg(long, visible_alias = "staged")]
    cached: bool,
    /// The branch whose worktree is meant, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What is compared.
enum Sides {
    Trees(Box<(View, View)>),
    /// A tree and a worktree, and the branch whose it is.
    Worktree(Box<(View, View)>, BranchName),
    Files(Box<(Located, Located)>),
}

impl Args {
    /// Whether it ends with 1 to say that something differs.
    pub fn answers(&self) -> bool {
        self.exit_code || self.quiet
    }
}

/// What differs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Differing {
    /// What was compared, in words
    old: String,
    new: String,
    /// Paths that are to be decided before what is under way can go on
    unmerged: Vec<ConflictRow>,
    files: Vec<FileDiffRow>,
}

/// Which paths differ.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DifferingNames {
    /// Paths that are to be decided before what is under way can go on
    unmerged: Vec<ConflictRow>,
    files: Vec<FileRow>,
}

/// A path that differs.
#[derive(Debug, Serialize, JsonSchema)]
struct FileRow {
    #[serde(flatten)]
    at: At,
    #[schemars(extend("enum" = ["new", "deleted", "modified", "type changed", "renamed"]))]
    change: &'static str,
    /// Where it was, if it was renamed
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Per cent of the bytes that both have, if it was renamed
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    similarity: Option<u8>,
    /// Null where there was none
    old_bytes: Option<u64>,
    /// Null where there is none any more
    new_bytes: Option<u64>,
}

/// A path that differs, with its tensors and lines.
#[derive(Debug, Serialize, JsonSchema)]
struct FileDiffRow {
    #[serde(flatten)]
    file: FileRow,
    /// Tensors that differ
    tensors: Vec<TensorDiffRow>,
    /// How many are the same
    same_tensors: usize,
    /// Of a text
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_added: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_removed: Option<usize>,
}

/// A tensor that differs.
#[derive(Debug, Serialize, JsonSchema)]
struct TensorDiffRow {
    name: String,
    #[schemars(extend("enum" = KINDS.map(kind_word)))]
    change: &'static str,
    /// Null where there was none
    old: Option<SideRow>,
    /// Null where there is none any more
    new: Option<SideRow>,
    /// Null where there are no two numbers to compare
    numbers: Option<NumbersRow>,
}

/// A tensor on one side.
#[derive(Debug, Serialize, JsonSchema)]
struct SideRow {
    name: String,
    /// The type of its elements, as its file calls it
    dtype: String,
    /// Elements along each axis, as its file says
    shape: Vec<u64>,
    /// Its object
    id: Key,
}

/// How far numbers are apart.
#[derive(Debug, Serialize, JsonSchema)]
struct NumbersRow {
    /// Numbers on each side
    elements: u64,
    /// Those that changed
    changed: u64,
    /// The same in parts of all, from 0 to 1
    changed_share: Real,
    /// Pairs with a number that is not finite, which count nowhere below
    non_finite: u64,
    /// The norm of the difference
    l2: Real,
    /// The root of the mean squared difference
    rmse: Real,
    /// The norm of the difference in parts of the old norm
    relative: Real,
    /// The largest absolute difference
    max: Real,
    /// From -1 to 1
    cosine: Real,
    old_norm: Real,
    new_norm: Real,
    /// How many pairs have how many representable numbers between them, by the least of each class: 0, 1, 2, 4, 8 and so on
    ulps: Ordered<u64>,
}

/// All kinds of changes of tensors.
const KINDS: [TensorKind; 6] = [
    TensorKind::Changed,
    TensorKind::Reshaped,
    TensorKind::Renamed,
    TensorKind::Added,
    TensorKind::Removed,
    TensorKind::Same,
];

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let task = task()?;
    let (sides, mut paths) = sides(&place, &args)?;
    paths.tensors.extend(args.tensors.iter().cloned());
    paths.kinds = args.filter.kinds();
    let unmerged = match &sides {
        Sides::Worktree(_, branch) => unmerged(&place, branch, &paths)?,
        Sides::Trees(_) | Sides::Files(_) => Vec::new(),
    };
    let (old, new, files) = match sides {
        Sides::Trees(both) | Sides::Worktree(both, _) => {
            let (old, new) = *both;
            let files = place.views().changes(&old, &new, &paths, !args.no_renames)?;
            (old, new, files)
        }
        Sides::Files(both) => {
            let (old, new) = *both;
            paths.tensors.extend(old.tensor.iter().chain(&new.tensor).cloned());
            let files = file_pair(&old, &new);
            (old.view, new.view, files)
        }
    };
    let files = match paths.tensors.is_empty() {
        true => files,
        false => place.views().with_tensors((&old, &new), files, &paths.tensors, &task)?,
    };
    let differs = !files.is_empty() || !unmerged.is_empty();
    let ended = || match differs && args.answers() {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    };
    if args.quiet {
        return Ok(ended());
    }
    if args.name_only || args.name_status {
        names(out, &unmerged, &files, &args)?;
        return Ok(ended());
    }
    if !out.json && !args.numstat && !args.shortstat {
        for conflict in &unmerged {
            let line = format!("unmerged {}", quote::path(&conflict.path));
            let line = out.paint(Colour::Red, line);
            out.line(format_args!("{line}  ({}{})", conflict.kind.words(), tensors(conflict)))?;
        }
    }
    print(&place, out, (&old, &new), (&unmerged, &files), &paths, &args, &task)?;
    Ok(ended())
}

/// What is to be decided on a branch, as far as it is meant.
fn unmerged(place: &Place, branch: &BranchName, paths: &Pathspec) -> Result<Vec<Conflict>> {
    let worktree = place.worktree(branch)?;
    let Some(merging) = worktree.under_way().get()? else { return Ok(Vec::new()) };
    let snapshot = worktree.snapshot(false)?;
    let left = merging.undecided(&place.repo, &snapshot)?.into_iter();
    Ok(left.filter(|conflict| paths.means(&conflict.path)).cloned().collect())
}

/// What the arguments mean.
fn sides(place: &Place, args: &Args) -> Result<(Sides, Pathspec)> {
    if let [one, other] = args.what.as_slice()
        && args.paths.is_empty()
        && (names_place(one) || names_place(other))
    {
        return Ok((pair(place, args, one, other)?, Pathspec::default()));
    }
    let mut views: Vec<View> = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (at, said) in args.what.iter().enumerate() {
        if names_place(said) {
            return Err(CommandError::usage(
                "a place in a tree is compared with another one: two are needed, and nothing else",
            )
            .hint("`coral diff REF -- PATH` compares a path with the worktree's"));
        }
        match revisions(place, &said.to_string_lossy()) {
            Ok(mut found) => {
                place.heed_names([&*said.to_string_lossy()]);
                views.append(&mut found);
            }
            // What is no revision is a path, if there is one; and then all behind it are.
            Err(error) => {
                paths.extend(args.what[at..].iter().map(PathBuf::from));
                let known = |path: &TreePath| is_known(place, &views, path);
                if !known(&place.paths().tree_path(said.as_ref())?)?
                    && !said.to_string_lossy().contains(['*', '?', '#'])
                {
                    return Err(error.hint("`--` stands before paths"));
                }
                break;
            }
        }
    }
    paths.extend(args.paths.iter().cloned());
    let sides = trees(place, views, args)?;
    let is_there = |path: &TreePath| match &sides {
        Sides::Trees(both) | Sides::Worktree(both, _) => {
            Ok(both.0.find(path)?.is_some() || both.1.find(path)?.is_some())
        }
        Sides::Files(_) => Ok(false),
    };
    let paths = place.paths().pathspec(&paths, &is_there)?;
    Ok((sides, paths))
}

/// Whether a word is `REF:PATH` or `:PATH`.
fn names_place(said: &OsString) -> bool {
    let bytes = said.as_encoded_bytes();
    bytes.contains(&b':') && !bytes.starts_with(b":/")
}

/// Two files, or two directories, of whatever trees.
fn pair(place: &Place, args: &Args, one: &OsString, other: &OsString) -> Result<Sides> {
    place.heed_names([one, other].into_iter().filter_map(|said| said.to_str()));
    let locate = |said: &OsString| match names_place(said) {
        true => place.views().locate(said.as_encoded_bytes()),
        false => place.views().locate_typed(said.as_ref()),
    };
    let (one, other) = (locate(one)?, locate(other)?);
    let (old, new) = if args.reverse { (other, one) } else { (one, other) };
    match (old.into_dir(), new.into_dir()) {
        (Ok(old), Ok(new)) => Ok(Sides::Trees(Box::new((old, new)))),
        (Err(old), Err(new)) => Ok(Sides::Files(Box::new((*old, *new)))),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => {
            Err(CommandError::usage("a directory is compared with another one, and a file with a file"))
        }
    }
}

fn is_known(place: &Place, views: &[View], path: &TreePath) -> Result<bool> {
    for view in views {
        if view.find(path)?.is_some() {
            return Ok(true);
        }
    }
    let worktree = place.branch(None).and_then(|branch| place.views().view_worktree(&branch));
    let is_in = |view: View| Ok::<_, CommandError>(view.find(path)?.is_some());
    Ok(worktree.map_err(CommandError::from).and_then(is_in).unwrap_or(false)
        || place.views().view("HEAD").map_err(CommandError::from).and_then(is_in).unwrap_or(false))
}

/// The trees that a revision or a range means.
fn revisions(place: &Place, text: &str) -> Result<Vec<View>> {
    let view = |revision: &Revision| -> Result<View> {
        let id = Revisions::of(&place.repo).resolve(revision, place.now())?;
        Ok(place.views().view_of(id, &revision.text)?)
    };
    match Range::parse(text) {
        Some(Range::Between(from, to)) => Ok(vec![view(&from)?, view(&to)?]),
        Some(Range::Apart(one, other)) => {
            let of = |revision| Revisions::of(&place.repo).resolve(revision, place.now());
            let bases = CommitGraph::of(&place.repo).merge_bases(of(&one)?, of(&other)?)?;
            let base = bases.first().ok_or_else(|| {
                CommandError::new(format!("`{}` and `{}` have no commit in common", one.text, other.text))
            })?;
            Ok(vec![place.views().view_of(*base, &base.to_string()[..10])?, view(&other)?])
        }
        Some(Range::Itself(one)) => {
            let id = Revisions::of(&place.repo).resolve(&one, place.now())?;
            let parent = place.repo.commit(id)?.parents.first().copied();
            let before = match parent {
                Some(parent) => place.views().view_of(parent, &parent.to_string()[..10])?,
                None => place.views().view_nothing(),
            };
            Ok(vec![before, view(&one)?])
        }
        Some(Range::Only(_) | Range::Without(_) | Range::Parents(_) | Range::Since(..)) | None => {
            Ok(vec![place.views().view(text)?])
        }
    }
}

/// Two trees; or one, or the last commit, and the worktree of a branch.
fn trees(place: &Place, mut views: Vec<View>, args: &Args) -> Result<Sides> {
    if views.len() > 2 {
        return Err(CommandError::usage(format!("{} trees were named, and two are compared", views.len())));
    }
    let mut views = views.drain(..);
    let (old, new, branch) = match (views.next(), views.next()) {
        (Some(old), Some(new)) => (old, new, None),
        (old, _) => {
            let branch = place.branch(args.branch.as_deref())?;
            place.settle();
            let old = match (old, place.repo.refs().branch(&branch)?) {
                (Some(old), _) => old,
                (None, Some(tip)) => place.views().view_of(tip, branch.as_str())?,
                (None, None) => place.views().view_nothing(),
            };
            (old, place.views().view_worktree(&branch)?, Some(branch))
        }
    };
    let both = Box::new(if args.reverse { (new, old) } else { (old, new) });
    Ok(match branch {
        Some(branch) => Sides::Worktree(both, branch),
        None => Sides::Trees(both),
    })
}

/// Two files as a change; none if they are the same.
fn file_pair(old: &Located, new: &Located) -> Vec<FileChange> {
    if old.entry.node == new.entry.node {
        return Vec::new();
    }
    let change = Change {
        path: new.path.clone(),
        kind: ChangeKind::Modified,
        old: Some(old.entry.clone()),
        new: Some(new.entry.clone()),
    };
    let from = (old.path != new.path).then(|| (old.path.clone(), 0));
    vec![FileChange { change, from }]
}

fn letter(file: &FileChange) -> char {
    if file.from.is_some() { 'R' } else { words(file.change.kind).0 }
}

fn names(out: &Output, unmerged: &[Conflict], files: &[FileChange], args: &Args) -> Result<()> {
    if out.json {
        let (unmerged, files) = (rows(unmerged), files.iter().map(FileRow::from).collect());
        return out.value(&DifferingNames { unmerged, files });
    }
    for Conflict { path, .. } in unmerged {
        match (args.nul, args.name_status) {
            (true, true) => out.bytes(&[b"U\0", &path.to_bytes()[..], b"\0"].concat())?,
            (true, false) => out.bytes(&[&path.to_bytes()[..], b"\0"].concat())?,
            (false, true) => out.line(format_args!("U\t{}", quote::path(path)))?,
            (false, false) => out.line(quote::path(path))?,
        }
    }
    for file in files {
        let paths =
            file.from.iter().map(|(from, _)| from).filter(|_| args.name_status).chain([&file.change.path]);
        if args.nul {
            let status = if args.name_status { format!("{}\0", letter(file)) } else { String::new() };
            let mut bytes = status.into_bytes();
            paths.for_each(|path| bytes.extend([path.to_bytes(), vec![0]].concat()));
            out.bytes(&bytes)?;
            continue;
        }
        let paths: Vec<String> = paths.map(quote::path).collect();
        match args.name_status {
            true => out.line(format_args!("{}\t{}", letter(file), paths.join("\t")))?,
            false => out.line(paths.join("\t"))?,
        }
    }
    Ok(())
}

fn rows(unmerged: &[Conflict]) -> Vec<ConflictRow> {
    unmerged.iter().map(ConflictRow::from).collect()
}

fn print(
    place: &Place,
    out: &Output,
    (old, new): (&View, &View),
    (unmerged, files): (&[Conflict], &[FileChange]),
    paths: &Pathspec,
    args: &Args,
    task: &Task,
) -> Result<()> {
    let wanted = Wanted { names: &paths.tensors, numbers: true, same: false };
    let style = Style { histogram: args.histogram, most: args.max_count };
    let mut shown = Vec::new();
    let mut counted = Counted::default();
    let mut later = Vec::new();
    for file in files {
        let entry = |entry: &'_ Option<DraftEntry>| entry.clone().filter(|entry| entry.node.is_file());
        let (before, after) = (entry(&file.change.old), entry(&file.change.new));
        let mut diff =
            place.views().diff_file((old, before.as_ref()), (new, after.as_ref()), wanted, task)?;
        if let Some(key) = &args.sort {
            sort(&mut diff.tensors.tensors, key);
        }
        counted.count(&diff);
        match (out.json, args.stat) {
            (true, _) => shown.push(diff_row(file, &diff)),
            (false, true) => {
                out.line(stat_line(out, file, &diff))?;
                if args.patch {
                    later.push((file, diff));
                }
            }
            (false, false) if args.numstat => out.line(numbers(file, &diff))?,
            (false, false) if args.shortstat => {}
            (false, false) => file_text(out, file, &diff, style)?,
        }
    }
    match (out.json, args.stat && !files.is_empty()) {
        (true, _) => {
            let (old, new, unmerged) = (old.to_string(), new.to_string(), rows(unmerged));
            out.value(&Differing { old, new, unmerged, files: shown })
        }
        (false, true) => {
            let s = if files.len() == 1 { "" } else { "s" };
            out.line(format_args!(" {} path{s} changed", files.len()))?;
            if !later.is_empty() {
                out.line("")?;
            }
            later.iter().try_for_each(|(file, diff)| file_text(out, file, diff, style))
        }
        (false, false) if args.shortstat => counted.print(out),
        (false, false) => Ok(()),
    }
}

/// The most different first.
fn sort(tensors: &mut [TensorChange], key: &str) {
    let by = |tensor: &TensorChange| {
        tensor.difference.as_ref().map_or(f64::NEG_INFINITY, |difference| match key {
            "changed" => difference.changed_share(),
            "l2" => difference.l2(),
            "rel" => difference.relative(),
            "max" => difference.max,
            _ => -difference.cosine(),
        })
    };
    match key {
        "name" => tensors.sort_by(|a, b| a.name.cmp(&b.name)),
        _ => tensors.sort_by(|a, b| by(b).total_cmp(&by(a)).then_with(|| a.name.cmp(&b.name))),
    }
}

impl From<&FileChange> for FileRow {
    fn from(FileChange { change, from }: &FileChange) -> Self {
        let len = |entry: &Option<DraftEntry>| entry.as_ref().map(|entry| entry.node.len());
        Self {
            at: (&change.path).into(),
            change: if from.is_some() { "renamed" } else { words(change.kind).1 },
            from: from.as_ref().map(|(from, _)| from.to_string()),
            similarity: from.as_ref().map(|(_, share)| *share),
            old_bytes: len(&change.old),
            new_bytes: len(&change.new),
        }
    }
}

fn diff_row(file: &FileChange, diff: &FileDiff) -> FileDiffRow {
    FileDiffRow {
        file: file.into(),
        tensors: diff.tensors.tensors.iter().map(TensorDiffRow::from).collect(),
        same_tensors: diff.tensors.same,
        lines_added: diff.lines.as_ref().map(|lines| lines.added),
        lines_removed: diff.lines.as_ref().map(|lines| lines.removed),
    }
}

/// The word for how a tensor differs.
pub fn kind_word(kind: TensorKind) -> &'static str {
    match kind {
        TensorKind::Changed => "changed",
        TensorKind::Reshaped => "reshaped",
        TensorKind::Renamed => "renamed",
        TensorKind::Added => "added",
        TensorKind::Removed => "removed",
        TensorKind::Same => "same",
    }
}

impl From<&TensorChange> for TensorDiffRow {
    fn from(tensor: &TensorChange) -> Self {
        Self {
            name: tensor.name.clone(),
            change: kind_word(tensor.kind),
            old: tensor.old.as_ref().map(SideRow::from),
            new: tensor.new.as_ref().map(SideRow::from),
            numbers: tensor.difference.as_ref().map(NumbersRow::from),
        }
    }
}

impl From<&(TensorInfo, ObjectKey)> for SideRow {
    fn from((info, key): &(TensorInfo, ObjectKey)) -> Self {
        Self {
            name: info.name.clone(),
            dtype: info.shown_dtype(),
            shape: info.shown_shape().to_vec(),
            id: (*key).into(),
        }
    }
}

impl From<&Difference> for NumbersRow {
    fn from(found: &Difference) -> Self {
        Self {
            elements: found.elements,
            changed: found.changed,
            changed_share: Real(found.changed_share()),
            non_finite: found.non_finite,
            l2: Real(found.l2()),
            rmse: Real(found.rms()),
            relative: Real(found.relative()),
            max: Real(found.max),
            cosine: Real(found.cosine()),
            old_norm: Real(found.old_norm()),
            new_norm: Real(found.new_norm()),
            ulps: classes(&found.ulps).map(|(from, count)| (from.to_string(), count)).collect(),
        }
    }
}
