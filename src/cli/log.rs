use super::changes::ChangesArgs;
use super::commit_text::{self, LogRow, LookArgs, Printer};
use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::graph::Graph;
use super::output::{Output, note};
use super::progress::task;
use crate::history::{Order, Revisions, TreePath, is_glob};
use crate::workspace::{self, LogRequest, Pathspec, View};
use schemars::JsonSchema;
use serde::Serialize;
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
    /// At most so many, 10 if nothing is said; 0 for all
    #[arg(short = 'n', long, value_name = "COUNT")]
    max_count: Option<usize>,
    /// Leave out so many first
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    skip: usize,
    /// From all branches and tags
    #[arg(long, conflicts_with = "revisions")]
    all: bool,
    /// From all branches
    #[arg(long, conflicts_with = "revisions")]
    branches: bool,
    /// From all tags
    #[arg(long, conflicts_with = "revisions")]
    tags: bool,
    /// Where HEAD was, or the ref that is named, newest first, as `coral reflog`
    #[arg(short = 'g', long, conflicts_with_all = ["all", "branches", "tags", "graph", "follow"])]
    walk_reflogs: bool,
    /// Of one path, also before it was renamed
    #[arg(long, conflicts_with = "graph")]
    follow: bool,
    /// Draw which came of which
    #[arg(long, conflicts_with = "reverse")]
    graph: bool,
    #[command(flatten)]
    changes: ChangesArgs,
    #[command(flatten)]
    look: LookArgs,
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
    /// After which there is more or less of this text in a text file, or of tensors of this name
    #[arg(short = 'S', value_name = "TEXT")]
    texts: Vec<String>,
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

/// Commits that are shown if nothing is said.
const COUNT: usize = 10;

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

/// Commits, in the order that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    commits: Vec<LogRow>,
    /// Whether there are no more of them
    is_all: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let printer = Printer::new((&place, out), &args.look, &args.metrics, args.changes.wanted(), task()?)?;
    let most = match args.max_count {
        Some(0) => usize::MAX,
        Some(count) => count,
        None => COUNT,
    };
    if args.walk_reflogs {
        return reflogs(&place, out, &args, &printer, most);
    }
    let head = place.here_commit().and_then(|commit| place.views().view_of(commit, "HEAD"));
    let (revisions, behind) = revisions_and_paths(&place, &args)?;
    let is_there = |path: &TreePath| match &head {
        Ok(view) => Ok(view.find(path)?.is_some()),
        Err(_) => Ok(true),
    };
    let mut paths = place.paths().pathspec(&behind, &is_there)?;
    paths.kinds = args.changes.kinds();
    let order = if args.topo_order || args.graph { Order::Lines } else { Order::Date };
    let merges = if args.merges { Some(true) } else { args.no_merges.then_some(false) };
    let follow = match (args.follow, paths.only()) {
        (true, None) => {
            return Err(CommandError::usage("`--follow` is of one path").hint("`coral log --follow PATH`"));
        }
        (is_wanted, _) => is_wanted,
    };
    place.heed_names(revisions.iter().map(String::as_str));
    let mut log = place.log(LogRequest {
        revisions,
        branches: args.all || args.branches,
        tags: args.all || args.tags,
        first_parent: args.first_parent,
        order,
        since: args.since.clone(),
        until: args.until.clone(),
        grep: args.grep.clone(),
        author: args.author.clone(),
        ignore_case: args.regexp_ignore_case,
        merges,
        paths,
        texts: args.texts.clone(),
        follow,
    })?;
    let mut shown = Vec::new();
    let mut graph = args.graph.then(Graph::default);
    let mut found = Vec::new();
    printer.header()?;
    for _ in 0..args.skip {
        if log.next().transpose()?.is_none() {
            break;
        }
    }
    for _ in 0..most {
        let Some((id, commit)) = log.next().transpose()? else { break };
        match (out.json, args.reverse) {
            (true, _) => found.push(printer.row(id, &commit, log.paths())?),
            (false, true) => shown.push((id, commit, log.paths().clone())),
            (false, false) => printer.print((id, &commit), log.paths(), None, graph.as_mut())?,
        }
    }
    shown.iter().rev().try_for_each(|(id, commit, paths)| printer.print((*id, commit), paths, None, None))?;
    let is_all = log.next().is_none();
    if out.json {
        if args.reverse {
            found.reverse();
        }
        return out.value(&Logged { commits: found, is_all });
    }
    // Whoever says how many he wants knows that there may be more.
    if !is_all && args.max_count.is_none() {
        note(format!("there are older commits than these {most}: `-n COUNT` shows more, `-n 0` all"));
    }
    Ok(())
}

/// The commits where a ref was, the newest first.
fn reflogs(place: &Place, out: &Output, args: &Args, printer: &Printer<'_>, most: usize) -> Result<()> {
    let [] = args.paths.as_slice() else {
        return Err(
            CommandError::usage("a log of a ref has no paths").hint("`coral log -- PATH` is of commits")
        );
    };
    let name = match args.revisions.as_slice() {
        [] => "HEAD",
        [name] => name,
        _ => return Err(CommandError::usage("one log is shown at once").hint("`coral log -g REF`")),
    };
    let (_, lines) = Revisions::of(&place.repo).moves_of(name)?;
    let mut wanted: Vec<_> = lines.iter().enumerate().skip(args.skip).take(most).collect();
    if args.reverse {
        wanted.reverse();
    }
    let mut found = Vec::new();
    for (number, line) in wanted {
        // Where it was deleted there is nothing to show.
        let Some(id) = line.new else { continue };
        let commit = place.repo.commit(id)?;
        let who = format!("{} <{}>", line.who.name, line.who.email);
        let logged =
            commit_text::Logged { name: format!("{name}@{{{number}}}"), who, why: line.message.clone() };
        match out.json {
            true => found.push(printer.row(id, &commit, &Pathspec::default())?),
            false => printer.print((id, &commit), &Pathspec::default(), Some(&logged), None)?,
        }
    }
    let is_all = lines.len() <= args.skip.saturating_add(most);
    if out.json { out.value(&Logged { commits: found, is_all }) } else { Ok(()) }
}
