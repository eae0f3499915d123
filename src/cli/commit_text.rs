//! A commit as it is printed, for people or as a JSON object, with what it changed.

use super::change::{ChangeRow, rows};
use super::changes::{self, Changes};
use super::context::Place;
use super::error::{CommandError, Result};
use super::graph::{Drawn, Graph};
use super::json::{Id, Person};
use super::log_format::{Form, Printed, headers, placeholders};
use super::output::{Colour, Output};
use super::quote;
use super::when::DateStyle;
use crate::history::{Commit, TagName};
use crate::id::CommitId;
use crate::task::Task;
use crate::workspace::{Pathspec, is_of_its_own};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// How commits are printed.
#[derive(Debug, Clone, clap::Args)]
pub struct LookArgs {
    /// One line each
    #[arg(long)]
    oneline: bool,
    /// `oneline`, `short`, `medium`, `full`, `fuller`, or a text with placeholders: %H %h %P %an %ae %ad %aI %s %b %d %(NAME) %n
    /// %x09 %C(red) %Creset
    #[arg(long, visible_alias = "pretty", value_name = "FORMAT")]
    format: Option<String>,
    /// `iso`, `local`, `short`, `relative` or `unix`
    #[arg(long, value_name = "STYLE", default_value = "iso")]
    date: String,
    /// The branches and tags that name each, which is the default; `no` leaves them out
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true, overrides_with = "no_decorate")]
    decorate: Option<Option<String>>,
    /// Without the branches and tags that name each
    #[arg(long)]
    no_decorate: bool,
}

impl LookArgs {
    /// The style of dates.
    pub fn dates(&self, place: &Place) -> Result<DateStyle> {
        DateStyle::from_name(&self.date, place.now()).ok_or_else(|| {
            CommandError::usage(format!("`{}` is no style of dates", self.date))
                .hint("they are iso, local, short, relative and unix")
        })
    }

    /// How each is printed.
    fn form(&self) -> Result<Form> {
        let Some(format) = &self.format else {
            return Ok(if self.oneline { Form::Oneline } else { Form::Medium });
        };
        Form::parse(format).map_err(|why| {
            CommandError::usage(quote::text(&why))
                .hint("forms are oneline, short, medium, full and fuller, or a text with placeholders")
                .hint(format!("placeholders are {} %n %% %xHH %C(COLOUR) %(NAME)", placeholders()))
        })
    }

    fn is_decorated(&self) -> bool {
        !self.no_decorate && !matches!(&self.decorate, Some(Some(style)) if style == "no")
    }
}

/// What commits are printed with.
pub struct Printer<'a> {
    place: &'a Place,
    out: &'a Output,
    look: &'a LookArgs,
    form: Form,
    metrics: &'a [String],
    names: BTreeMap<CommitId, Vec<String>>,
    dates: DateStyle,
    changes: Option<Changes>,
    task: Task,
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

/// A commit of a log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LogRow {
    #[serde(flatten)]
    commit: CommitRow,
    /// What it changed of the paths that are meant, where `--name-only`, `--name-status`, `--stat` or `--patch` ask for it
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeRow>>,
}

/// Why a ref was somewhere.
pub struct Logged {
    /// `HEAD@{1}`.
    pub name: String,
    pub who: String,
    pub why: String,
}

impl<'a> Printer<'a> {
    /// Prints commits as somebody wants them.
    pub fn new(
        (place, out): (&'a Place, &'a Output),
        look: &'a LookArgs,
        metrics: &'a [String],
        changes: Option<Changes>,
        task: Task,
    ) -> Result<Self> {
        let (names, dates, form) = (names_of_commits(place)?, look.dates(place)?, look.form()?);
        Ok(Self { place, out, look, form, metrics, names, dates, changes, task })
    }

    /// What the columns are, if there are some.
    pub fn header(&self) -> Result<()> {
        if self.metrics.is_empty() || self.out.json || self.look.format.is_some() {
            return Ok(());
        }
        let columns: String = self.metrics.iter().map(|name| format!(" {name:>12}")).collect();
        self.out.line(format_args!("{:<10}{columns}  subject", "commit"))
    }

    /// Prints a commit with what it changed of some paths. `logged` is what brought somebody there by a log: its name, who
    /// it was and why.
    pub fn print(
        &self,
        (id, commit): (CommitId, &Commit),
        paths: &Pathspec,
        logged: Option<&Logged>,
        graph: Option<&mut Graph>,
    ) -> Result<()> {
        let drawn = match graph {
            Some(graph) => graph.draw(id, &commit.parents),
            None => Drawn { first: String::new(), between: Vec::new(), rest: String::new() },
        };
        let mut lines = self.commit_lines(id, commit, logged);
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
        self.print_changes(commit, paths)
    }

    /// Whether whole messages are printed.
    fn is_full(&self) -> bool {
        self.form.has_message() && self.metrics.is_empty()
    }

    fn commit_lines(&self, id: CommitId, commit: &Commit, logged: Option<&Logged>) -> Vec<String> {
        let names = self.names_of(id);
        let (dates, now, is_painted) = (self.dates, self.place.now(), self.out.paints());
        let printed = Printed { id, commit, names, dates, now, is_painted };
        let short = self.out.paint(Colour::Yellow, &id.to_string()[..10]);
        if !self.metrics.is_empty() {
            let value = |name: &String| commit.metadata.get(name).map(String::as_str).unwrap_or("-");
            let columns: String = self.metrics.iter().map(|name| format!(" {:>12}", value(name))).collect();
            return vec![format!("{short}{columns}  {}{}", commit.subject(), decoration(self.out, names))];
        }
        let said =
            logged.map_or(commit.subject().to_owned(), |logged| format!("{}: {}", logged.name, logged.why));
        match &self.form {
            Form::Oneline => vec![format!("{short}{} {said}", decoration(self.out, names))],
            Form::Own(format) => format.filled(&printed).split('\n').map(str::to_owned).collect(),
            form @ (Form::Short | Form::Medium | Form::Full | Form::Fuller) => {
                let mut lines = full(self.out, &printed, form);
                let told = logged.map(|Logged { name, who, why }| {
                    [format!("Reflog: {name} ({who})"), format!("Reflog message: {why}")]
                });
                lines.splice(1..1, told.into_iter().flatten());
                lines
            }
        }
    }

    fn print_changes(&self, commit: &Commit, paths: &Pathspec) -> Result<()> {
        let Some(changes) = self.changes else { return Ok(()) };
        let old = match commit.parents.first() {
            Some(&parent) => self.place.views().view_of(parent, "parent")?,
            None => self.place.views().view_nothing(),
        };
        let new = self.place.views().view_tree(commit.tree, "commit");
        changes::print(self.place, self.out, (&old, &new), paths, changes, &self.task)?;
        self.out.line("")
    }

    fn names_of(&self, id: CommitId) -> &[String] {
        let names = self.names.get(&id).map(Vec::as_slice);
        names.filter(|_| self.look.is_decorated()).unwrap_or_default()
    }

    /// The same as a value.
    pub fn row(&self, id: CommitId, commit: &Commit, paths: &Pathspec) -> Result<LogRow> {
        let names = self.names.get(&id).map(Vec::as_slice).unwrap_or_default();
        let row = CommitRow::of(id, commit, names);
        if self.changes.is_none() {
            return Ok(LogRow { commit: row, changes: None });
        }
        let before = commit.parents.first().copied();
        let changes = self.place.repo.diff_trees(self.place.repo.tree_of(before)?, commit.tree)?;
        let meant =
            changes.iter().filter(|change| paths.means(&change.path) && paths.kinds.takes_kind(change.kind));
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
fn full(out: &Output, printed: &Printed<'_>, form: &Form) -> Vec<String> {
    let id = out.paint(Colour::Yellow, format_args!("commit {}", printed.id));
    let mut lines = vec![format!("{id}{}", decoration(out, printed.names))];
    lines.extend(headers(printed, form));
    lines.push(String::new());
    let most = if form.has_message() { usize::MAX } else { 1 };
    lines.extend(printed.commit.message.lines().take(most).map(|line| format!("    {line}")));
    lines.push(String::new());
    lines
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
