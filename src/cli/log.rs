use super::change::{ChangeRow, rows, words};
use super::context::{Context, Place};
use super::diff_text::{Style, file_text, stat_line};
use super::error::{CommandError, Result};
use super::graph::{Drawn, Graph};
use super::json::{Id, Person};
use super::log_format::{Printed, filled, headers};
use super::output::{Colour, Output, note};
use super::progress::task;
use super::quote;
use super::when::DateStyle;
use crate::compare::Wanted;
use crate::history::{Commit, Order, Revisions, TagName, TreePath, is_glob};
use crate::id::CommitId;
use crate::task::Task;
use crate::units::Timestamp;
use crate::workspace::{self, LogRequest, Pathspec, View, is_of_its_own};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Show commits, newest first
///
/// Without a revision those that lead to HEAD. A..B are those that lead to B and not to A, A...B those that lead to one of
/// them only, ^A leaves out what leads to A. With paths, only commits that changed one of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to start, or ranges; then paths, if they are there
    #[arg(value_name = "REVISION|PATH")]
    revisions: Vec<String>,
    /// Only commits that changed these; `*` and `?` fit names
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// At most so many; 0 for all
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    max_count: usize,
    /// Leave out so many first
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    skip: usize,
    /// One line each
    #[arg(long)]
    oneline: bool,
    /// From all branches and tags
    #[arg(long, conflicts_with = "revisions")]
    all: bool,
    /// Draw which came of which
    #[arg(long, conflicts_with = "reverse")]
    graph: bool,
    /// What each changed, one line a file
    #[arg(long)]
    stat: bool,
    /// What each changed, in full
    #[arg(short, long)]
    patch: bool,
    /// The paths that each changed
    #[arg(long)]
    name_only: bool,
    /// The paths that each changed, and how
    #[arg(long)]
    name_status: bool,
    /// `oneline`, `short`, `medium`, `full`, or a text with placeholders: %H %h %P %an %ae %ad %aI %s %b %d %(NAME) %n
    #[arg(long, visible_alias = "pretty", value_name = "FORMAT")]
    format: Option<String>,
    /// `iso`, `local`, `short`, `relative` or `unix`
    #[arg(long, value_name = "STYLE", default_value = "iso")]
    date: String,
    /// A column with what the commits say by this name, such as a loss
    #[arg(short = 'm', long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// Nothing older: `yesterday`, `2 weeks ago`, `2026-11-23`
    #[arg(long, visible_alias = "after", value_name = "TIME")]
    since: Option<String>,
    /// Nothing newer
    #[arg(long, visible_alias = "before", value_name = "TIME")]
    until: Option<String>,
    /// Messages that have this text
    #[arg(long, value_name = "TEXT")]
    grep: Vec<String>,
    /// Authors whose name or address has this text
    #[arg(long, value_name = "TEXT")]
    author: Vec<String>,
    /// Letters may be large or small in --grep and --author
    #[arg(short = 'i', long)]
    regexp_ignore_case: bool,
    /// Only merges
    #[arg(long, conflicts_with = "no_merges")]
    merges: bool,
    /// No merges
    #[arg(long)]
    no_merges: bool,
    /// Of merges only what their first parents lead to
    #[arg(long)]
    first_parent: bool,
    /// No commit before all that follow it, those of one line of history together, whatever their clocks said
    #[arg(long)]
    topo_order: bool,
    /// The oldest first
    #[arg(long)]
    reverse: bool,
}

/// What is printed of the changes of a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changes {
    None,
    Names { with_status: bool },
    Stat,
    Patch,
}

/// What all commits of a log are printed with.
struct Printer<'a> {
    place: &'a Place,
    out: &'a Output,
    args: &'a Args,
    paths: &'a Pathspec,
    names: BTreeMap<CommitId, Vec<String>>,
    dates: DateStyle,
    changes: Changes,
    task: Task,
}

/// What was said without `--`: what is no revision is a path, if there is one, and then all behind it are.
fn revisions_and_paths(place: &Place, args: &Args) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let mut revisions = args.revisions.clone();
    let mut paths = Vec::new();
    for (at, said) in args.revisions.iter().enumerate() {
        let Err(error) = Revisions::of(&place.repo).select([said.as_str()], place.now()) else { continue };
        if !is_path(place, said)? {
            let error = CommandError::from(error);
            let is_said_as_one = said.contains(['~', '^', '@']);
            return Err(match is_said_as_one {
                true => error,
                false => error.hint("`--` stands before paths that are not there any more"),
            });
        }
        paths.extend(revisions.drain(at..).map(PathBuf::from));
        break;
    }
    paths.extend(args.paths.iter().cloned());
    Ok((revisions, paths))
}

/// Whether a word is a pattern, or a path of the worktree or of HEAD, perhaps with the names of tensors behind it.
fn is_path(place: &Place, said: &str) -> Result<bool> {
    let path = place.paths().tree_path(said.split('#').next().unwrap_or(said).as_ref())?;
    let head = place.here_commit().and_then(|commit| place.views().view_of(commit, "HEAD"));
    let worktree = place.branch(None).and_then(|branch| place.views().view_worktree(&branch));
    let is_in = |view: workspace::Result<View>| {
        view.and_then(|view| view.find(&path)).is_ok_and(|found| found.is_some())
    };
    Ok(is_glob(said) || is_in(head) || is_in(worktree))
}

/// A commit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CommitRow {
    commit: Id,
    /// The commits that it came from: none of a first one, several of a merge, of which the first is the branch's
    parents: Vec<Id>,
    /// The files
    tree: Id,
    /// Who made the change
    author: Person,
    /// Who made the commit
    committer: Person,
    message: String,
    /// Facts such as step and metrics, all as texts
    metadata: BTreeMap<String, String>,
    /// The branches and tags that name it
    refs: Vec<RefRow>,
}

/// A ref that names a commit.
#[derive(Debug, Serialize, JsonSchema)]
struct RefRow {
    #[schemars(extend("enum" = ["branch", "tag"]))]
    kind: &'static str,
    name: String,
}

/// Commits, in the order that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    commits: Vec<LogRow>,
    /// Whether there are no more of them
    is_all: bool,
}

/// A commit of a log.
#[derive(Debug, Serialize, JsonSchema)]
struct LogRow {
    #[serde(flatten)]
    commit: CommitRow,
    /// What it changed of the paths that are meant, where `--name-only`, `--name-status`, `--stat` or `--patch` ask for it
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeRow>>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let dates = DateStyle::from_name(&args.date, place.now()).ok_or_else(|| {
        CommandError::usage(format!("`{}` is no style of dates", args.date))
            .hint("they are iso, local, short, relative and unix")
    })?;
    let head = place.here_commit().and_then(|commit| place.views().view_of(commit, "HEAD"));
    let (revisions, behind) = revisions_and_paths(&place, &args)?;
    let is_there = |path: &TreePath| match &head {
        Ok(view) => Ok(view.find(path)?.is_some()),
        Err(_) => Ok(true),
    };
    let paths = place.paths().pathspec(&behind, &is_there)?;
    let order = if args.topo_order || args.graph { Order::Lines } else { Order::Date };
    let merges = if args.merges { Some(true) } else { args.no_merges.then_some(false) };
    place.heed_names(revisions.iter().map(String::as_str));
    let mut log = place.log(LogRequest {
        revisions,
        all: args.all,
        first_parent: args.first_parent,
        order,
        since: args.since.clone(),
        until: args.until.clone(),
        grep: args.grep.clone(),
        author: args.author.clone(),
        ignore_case: args.regexp_ignore_case,
        merges,
        paths: paths.clone(),
    })?;
    let most = if args.max_count == 0 { usize::MAX } else { args.max_count };
    let changes = match (args.patch, args.stat, args.name_status, args.name_only) {
        (true, ..) => Changes::Patch,
        (_, true, ..) => Changes::Stat,
        (_, _, with_status, name_only) if with_status || name_only => Changes::Names { with_status },
        _ => Changes::None,
    };
    let names = names_of_commits(&place)?;
    let printer =
        Printer { place: &place, out, args: &args, paths: &paths, names, dates, changes, task: task()? };
    let mut shown = Vec::new();
    let mut graph = args.graph.then(Graph::default);
    let mut found = Vec::new();
    printer.header()?;
    for step in log.by_ref().skip(args.skip).take(most) {
        let (id, commit) = step?;
        match (out.json, args.reverse) {
            (true, _) => found.push(printer.row(id, &commit)?),
            (false, true) => shown.push((id, commit)),
            (false, false) => printer.print(id, &commit, graph.as_mut())?,
        }
    }
    shown.iter().rev().try_for_each(|(id, commit)| printer.print(*id, commit, None))?;
    let is_all = log.next().is_none();
    if out.json {
        if args.reverse {
            found.reverse();
        }
        return out.value(&Logged { commits: found, is_all });
    }
    if !is_all {
        note(format!("there are older commits than these {most}: `-n COUNT` shows more, `-n 0` all"));
    }
    Ok(())
}

impl Printer<'_> {
    /// What the columns are, if there are some.
    fn header(&self) -> Result<()> {
        if self.args.metrics.is_empty() || self.out.json || self.args.format.is_some() {
            return Ok(());
        }
        let columns: String = self.args.metrics.iter().map(|name| format!(" {name:>12}")).collect();
        self.out.line(format_args!("{:<10}{columns}  subject", "commit"))
    }

    fn print(&self, id: CommitId, commit: &Commit, graph: Option<&mut Graph>) -> Result<()> {
        let drawn = match graph {
            Some(graph) => graph.draw(id, &commit.parents),
            None => Drawn { first: String::new(), between: Vec::new(), rest: String::new() },
        };
        let mut lines = self.commit_lines(id, commit);
        if let (true, Some(note)) = (self.is_full(), self.place.notes().of(id)?) {
            lines.push("Notes:".into());
            lines.extend(note.lines().map(|line| format!("    {line}")));
            lines.push(String::new());
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        self.out.line(format_args!("{}{first}", drawn.first))?;
        drawn.between.iter().try_for_each(|line| self.out.line(line))?;
        for line in lines {
            self.out.line(format!("{}{line}", drawn.rest).trim_end())?;
        }
        self.print_changes(commit)
    }

    /// Whether whole messages are printed.
    fn is_full(&self) -> bool {
        let is_full = matches!(self.args.format.as_deref(), None | Some("medium" | "full"));
        is_full && !self.args.oneline && self.args.metrics.is_empty()
    }

    fn commit_lines(&self, id: CommitId, commit: &Commit) -> Vec<String> {
        let names = self.names.get(&id).map(Vec::as_slice).unwrap_or_default();
        let printed = Printed { id, commit, names, dates: self.dates, now: self.place.now() };
        let short = self.out.paint(Colour::Yellow, &id.to_string()[..10]);
        if !self.args.metrics.is_empty() {
            let value = |name: &String| commit.metadata.get(name).map(String::as_str).unwrap_or("-");
            let columns: String =
                self.args.metrics.iter().map(|name| format!(" {:>12}", value(name))).collect();
            return vec![format!("{short}{columns}  {}{}", commit.subject(), decoration(self.out, names))];
        }
        let oneline = || vec![format!("{short}{} {}", decoration(self.out, names), commit.subject())];
        match self.args.format.as_deref() {
            None if self.args.oneline => oneline(),
            Some("oneline") => oneline(),
            None | Some("medium") => full(self.out, &printed, false, true),
            Some("short") => full(self.out, &printed, false, false),
            Some("full") => full(self.out, &printed, true, true),
            Some(format) => {
                let format =
                    format.strip_prefix("format:").or(format.strip_prefix("tformat:")).unwrap_or(format);
                filled(format, &printed).split('\n').map(str::to_owned).collect()
            }
        }
    }

    fn print_changes(&self, commit: &Commit) -> Result<()> {
        if self.changes == Changes::None {
            return Ok(());
        }
        let old = match commit.parents.first() {
            Some(&parent) => self.place.views().view_of(parent, "parent")?,
            None => self.place.views().view_nothing(),
        };
        let new = self.place.views().view_tree(commit.tree, "commit");
        for file in self.place.views().changes(&old, &new, self.paths, true)? {
            if let Changes::Names { with_status } = self.changes {
                let (letter, _, colour) = words(file.change.kind);
                let path = quote::path(&file.change.path);
                self.out.line(match with_status {
                    true => self.out.paint(colour, format_args!("{letter}\t{path}")),
                    false => path,
                })?;
                continue;
            }
            let is_file = |entry: &&crate::history::DraftEntry| entry.node.is_file();
            let (before, after) =
                (file.change.old.as_ref().filter(is_file), file.change.new.as_ref().filter(is_file));
            let wanted = Wanted { names: &self.paths.tensors, numbers: true, same: false };
            let diff = self.place.views().diff_file((&old, before), (&new, after), wanted, &self.task)?;
            match self.changes {
                Changes::Stat => self.out.line(stat_line(self.out, &file, &diff))?,
                _ => file_text(self.out, &file, &diff, Style { histogram: false, most: None })?,
            }
        }
        self.out.line("")
    }

    fn row(&self, id: CommitId, commit: &Commit) -> Result<LogRow> {
        let names = self.names.get(&id).map(Vec::as_slice).unwrap_or_default();
        let row = CommitRow::of(id, commit, names);
        if self.changes == Changes::None {
            return Ok(LogRow { commit: row, changes: None });
        }
        let before = commit.parents.first().copied();
        let changes = self.place.repo.diff_trees(self.place.repo.tree_of(before)?, commit.tree)?;
        let meant = changes.iter().filter(|change| self.paths.means(&change.path));
        Ok(LogRow { commit: row, changes: Some(rows(meant)) })
    }
}

/// What refs call commits.
pub fn names_of_commits(place: &Place) -> Result<BTreeMap<CommitId, Vec<String>>> {
    let refs = place.repo.refs();
    let mut names: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
    // A ref that cannot be read names no commit here; `coral fsck` tells of it.
    for (name, id) in refs.each_branch()?.into_iter().filter_map(|(name, id)| Some((name, id.ok()?))) {
        names.entry(id).or_default().push(name.to_string());
    }
    let is_shown = |name: &TagName| !is_of_its_own(name);
    for (name, tag) in refs.each_tag()?.into_iter().filter_map(|(name, tag)| Some((name, tag.ok()?))) {
        if is_shown(&name) {
            names.entry(tag.commit).or_default().push(format!("tag: {name}"));
        }
    }
    Ok(names)
}

fn decoration(out: &Output, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" ({})", out.paint(Colour::Cyan, names.join(", "))),
    }
}

/// A commit with its headers and its message, and an empty line.
fn full(out: &Output, printed: &Printed<'_>, with_committer: bool, with_body: bool) -> Vec<String> {
    let id = out.paint(Colour::Yellow, format_args!("commit {}", printed.id));
    let mut lines = vec![format!("{id}{}", decoration(out, printed.names))];
    lines.extend(headers(printed, with_committer));
    lines.push(String::new());
    let most = if with_body { usize::MAX } else { 1 };
    lines.extend(printed.commit.message.lines().take(most).map(|line| format!("    {line}")));
    lines.push(String::new());
    lines
}

/// Prints a commit's headers and message, and an empty line.
pub fn print_commit(out: &Output, id: CommitId, commit: &Commit, names: &[String]) -> Result<()> {
    let printed = Printed { id, commit, names, dates: DateStyle::Iso, now: Timestamp::EPOCH };
    full(out, &printed, false, true).into_iter().try_for_each(|line| out.line(line))
}

impl From<&String> for RefRow {
    fn from(name: &String) -> Self {
        match name.strip_prefix("tag: ") {
            Some(tag) => Self { kind: "tag", name: tag.to_owned() },
            None => Self { kind: "branch", name: name.clone() },
        }
    }
}

impl CommitRow {
    /// A commit with what refs call it.
    pub fn of(id: CommitId, commit: &Commit, names: &[String]) -> Self {
        Self {
            commit: id.into(),
            parents: commit.parents.iter().copied().map(Id::from).collect(),
            tree: commit.tree.into(),
            author: Person::there(&commit.author),
            committer: Person::there(&commit.committer),
            message: commit.message.clone(),
            metadata: commit.metadata.clone(),
            refs: names.iter().map(RefRow::from).collect(),
        }
    }
}
