use super::change::{ChangeRow, rows, words};
use super::changes::ChangesArgs;
use super::commit_text::{CommitRow, LookArgs, Printer, names_of_commits};
use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::json::{At, Id, hex};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use super::show_tensor::{self, TensorsShown};
use super::tensor_names::TensorRow;
use crate::history::{
    BranchName, DraftNode, Error, Node, Range, Revisions, Selection, Tag, TagName, Tree, TreePath, Walk,
    WalkRequest, stored_len,
};
use crate::id::{CommitId, ObjectKey};
use crate::recipe::{Recipe, TensorInfo};
use crate::store::ObjectInfo;
use crate::units::ByteSize;
use crate::workspace::{Located, Pathspec};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Show a commit, a tag, a directory, a file, or tensors
///
/// REF shows the commit and what it changed, A..B each that leads to B and not to A; REF:PATH a directory, or a file with its tensors or its text; :PATH the same of
/// the worktree; REF:PATH#NAME, or the name of a tensor alone, its numbers. Names of tensors may have `*` and `?`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, REF:PATH, :PATH, REF:PATH#TENSOR, or the name of a tensor
    #[arg(value_name = "TARGET", default_value = "HEAD")]
    targets: Vec<OsString>,
    /// Look for the tensor in this commit
    #[arg(short, long, value_name = "REF", default_value = "HEAD")]
    commit: String,
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    changes: ChangesArgs,
    /// Of what commits changed only these paths; `*` and `?` fit names
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// What everything is shown with.
struct Shower<'a> {
    place: &'a Place,
    out: &'a Output,
    args: &'a Args,
    printer: Printer<'a>,
    paths: Pathspec,
}

/// Files that are shown as text are at most so long, in bytes.
const TEXT_MAX: u64 = 64 << 10;

/// Several things.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ManyShown {
    /// In the order in which they were named
    shown: Vec<Shown>,
}

/// One thing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Shown {
    Commit(Box<CommitShown>),
    Directory(DirectoryShown),
    Link(LinkShown),
    File(FileShown),
    Tensors(TensorsShown),
}

/// A commit with what it changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CommitShown {
    #[serde(flatten)]
    commit: CommitRow,
    /// Against its first parent
    changes: Vec<ChangeRow>,
    /// The tag by which it was named, if it was
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<TagFacts>,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
struct TagFacts {
    name: String,
    /// May be empty
    description: String,
    /// What was measured: finite numbers, as they were written
    metrics: BTreeMap<String, String>,
}

/// A directory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DirectoryShown {
    #[serde(flatten)]
    at: At,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "directory"))]
    kind: &'static str,
    /// The names in it
    entries: Vec<String>,
}

/// A symbolic link.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkShown {
    #[serde(flatten)]
    at: At,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "symlink"))]
    kind: &'static str,
    /// Where it leads. Bytes that are no UTF-8 are U+FFFD
    target: String,
}

/// A file with its tensors.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileShown {
    #[serde(flatten)]
    at: At,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "file"))]
    kind: &'static str,
    /// What names its content; null of a file that is not stored yet
    id: Option<Id>,
    bytes: u64,
    /// What it takes in packs; null of a file that is not stored yet
    stored_bytes: Option<u64>,
    /// The BLAKE3 of its bytes
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    blake3: String,
    /// In the order of the file
    tensors: Vec<TensorRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let printer = Printer::new((&place, out), &args.look, &[], args.changes.wanted(), task()?)?;
    let head = place.here_commit().and_then(|commit| place.views().view_of(commit, "HEAD"));
    let is_there = |path: &TreePath| match &head {
        Ok(view) => Ok(view.find(path)?.is_some()),
        Err(_) => Ok(true),
    };
    let mut paths = place.paths().pathspec(&args.paths, &is_there)?;
    paths.kinds = args.changes.kinds();
    let shower = Shower { place: &place, out, args: &args, printer, paths };
    let mut targets = Vec::new();
    for target in &args.targets {
        match shower.of_range(target)? {
            Some(commits) => targets.extend(commits),
            None => targets.push(target.clone()),
        }
    }
    if let ([target], true) = (targets.as_slice(), out.json) {
        let shown = shower.show(target)?;
        return shown.map_or(Ok(()), |shown| out.value(&shown));
    }
    let shown: Vec<Option<Shown>> =
        targets.iter().map(|target| shower.show(target)).collect::<Result<_>>()?;
    if out.json { out.value(&ManyShown { shown: shown.into_iter().flatten().collect() }) } else { Ok(()) }
}

impl Shower<'_> {
    /// The commits of a range, the newest first; `None` of what is none.
    fn of_range(&self, target: &OsString) -> Result<Option<Vec<OsString>>> {
        let text = target.to_string_lossy();
        let is_range = !text.contains(':')
            && matches!(
                Range::parse(&text),
                Some(
                    Range::Between(..)
                        | Range::Apart(..)
                        | Range::Itself(_)
                        | Range::Parents(_)
                        | Range::Since(..)
                )
            );
        if !is_range {
            return Ok(None);
        }
        let Selection { tips, hidden } =
            Revisions::of(&self.place.repo).select([&*text], self.place.now())?;
        let walk = Walk::of(&self.place.repo, WalkRequest { tips, hidden, ..WalkRequest::default() })?;
        walk.map(|step| Ok(OsString::from(step?.0.to_string()))).collect::<Result<_>>().map(Some)
    }

    /// Shows one thing; as a value if that is wanted, and none if it was printed.
    fn show(&self, target: &OsString) -> Result<Option<Shown>> {
        let (place, out, commit) = (self.place, self.out, self.args.commit.as_str());
        let bytes = target.as_encoded_bytes();
        let text = target.to_string_lossy();
        let is_path = bytes.contains(&b':') && !bytes.starts_with(b":/");
        if is_path || bytes.ends_with(b"^{tree}") {
            place.heed_names([&*text]);
            return match place.views().locate(bytes) {
                Ok(found) => show_located(place, out, &quote::name(bytes), &found),
                // The names of tensors may have colons too.
                Err(error) => show_named(place, out, commit, &text, error.into()),
            };
        }
        match place.repo.resolve(&text, place.now()) {
            Ok(id) => {
                place.heed_names([&*text]);
                let is_branch = match BranchName::new(&*text) {
                    Ok(branch) => place.repo.refs().branch(&branch)?.is_some(),
                    Err(_) => false,
                };
                let tag =
                    TagName::new(text.strip_prefix("tags/").unwrap_or(&text)).ok().filter(|_| !is_branch);
                let tag = tag.map(|name| Ok::<_, Error>(Some((name.clone(), place.repo.refs().tag(&name)?))));
                match tag.transpose()?.flatten() {
                    Some((name, Some(tag))) if tag.commit == id => self.show_tag(&name, &tag),
                    Some(_) | None => Ok(self.show_commit(id)?.map(|commit| Shown::Commit(commit.into()))),
                }
            }
            Err(error @ (Error::UnknownRevision { .. } | Error::TooShort { .. })) => {
                show_named(place, out, commit, &text, error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn show_tag(&self, name: &TagName, tag: &Tag) -> Result<Option<Shown>> {
        let out = self.out;
        if out.json {
            let facts = TagFacts {
                name: name.to_string(),
                description: tag.description.clone(),
                metrics: tag.metrics.clone(),
            };
            let commit = self.show_commit(tag.commit)?;
            return Ok(commit.map(|commit| Shown::Commit(CommitShown { tag: Some(facts), ..commit }.into())));
        }
        out.line(out.paint(Colour::Yellow, format_args!("tag {name}")))?;
        for (key, value) in &tag.metrics {
            out.line(format_args!("{key}: {value}"))?;
        }
        if !tag.description.is_empty() {
            out.line("")?;
            tag.description.lines().try_for_each(|line| out.line(format_args!("    {line}")))?;
        }
        out.line("")?;
        Ok(self.show_commit(tag.commit)?.map(|commit| Shown::Commit(commit.into())))
    }

    fn show_commit(&self, id: CommitId) -> Result<Option<CommitShown>> {
        let (place, out) = (self.place, self.out);
        let commit = place.repo.commit(id)?;
        let before = match commit.parents.first() {
            Some(&parent) => place.repo.commit(parent)?.tree,
            None => Tree::empty_id(),
        };
        let changes = place.repo.diff_trees(before, commit.tree)?;
        let changes: Vec<_> = changes
            .iter()
            .filter(|change| self.paths.means(&change.path) && self.paths.kinds.takes_kind(change.kind))
            .collect();
        if out.json {
            let names = names_of_commits(place)?;
            let names = names.get(&id).map(Vec::as_slice).unwrap_or_default();
            let commit = CommitRow::of(id, &commit, names);
            return Ok(Some(CommitShown { commit, changes: rows(changes), tag: None }));
        }
        self.printer.print((id, &commit), &self.paths, None, None)?;
        if self.args.changes.wanted().is_some() || self.args.changes.is_nothing() {
            return Ok(None);
        }
        for change in changes {
            let (letter, _, colour) = words(change.kind);
            out.line(out.paint(colour, format_args!("{letter} {}", quote::path(&change.path))))?;
        }
        Ok(None)
    }
}

/// Shows the tensors of a name in whatever file of a commit they are; if there are none, what was wrong before is wrong.
fn show_named(
    place: &Place,
    out: &Output,
    commit: &str,
    name: &str,
    unknown: CommandError,
) -> Result<Option<Shown>> {
    match place.views().view(commit) {
        Ok(view) => {
            let found = show_tensor::named(place, out, &view, name)?.ok_or(unknown)?;
            Ok(found.map(Shown::Tensors))
        }
        Err(_) => Err(unknown),
    }
}

fn show_located(place: &Place, out: &Output, shown_as: &str, found: &Located) -> Result<Option<Shown>> {
    if let Some(pattern) = &found.tensor {
        return Ok(show_tensor::of_file(place, out, found, pattern)?.map(Shown::Tensors));
    }
    match &found.entry.node {
        DraftNode::Dir(dir) => {
            let entries = found.view.entries(*dir)?;
            let names = entries.iter().map(|entry| &entry.name);
            if out.json {
                let (at, entries) = ((&found.path).into(), names.map(ToString::to_string).collect());
                return Ok(Some(Shown::Directory(DirectoryShown { at, kind: "directory", entries })));
            }
            names.into_iter().try_for_each(|name| out.line(quote::name(name.as_bytes())))?;
        }
        DraftNode::Known(Node::Symlink(target)) => {
            if out.json {
                let target = String::from_utf8_lossy(target).into_owned();
                let at = (&found.path).into();
                return Ok(Some(Shown::Link(LinkShown { at, kind: "symlink", target })));
            }
            out.line(format_args!("{shown_as} -> {}", quote::name(target)))?;
        }
        DraftNode::Known(Node::File { .. } | Node::Dir(_)) | DraftNode::Staged { .. } => {
            return show_file(place, out, shown_as, found);
        }
    }
    Ok(None)
}

fn show_file(place: &Place, out: &Output, shown_as: &str, found: &Located) -> Result<Option<Shown>> {
    let node = &found.entry.node;
    let content = found.view.content(node)?.expect("a file has content");
    let (recipe, len) = (content.recipe(), node.len());
    let (id, stored) = match node {
        DraftNode::Known(Node::File { recipe: id, .. }) => {
            (Some(Id::from(*id)), Some(stored_len(place.repo.store(), recipe)?))
        }
        _ => (None, None),
    };
    let rows = tensors(place, recipe, id.is_some())?;
    if out.json {
        let tensors = rows.iter().map(|(tensor, info, len)| TensorRow::of(tensor, *len, info.as_ref()));
        return Ok(Some(Shown::File(FileShown {
            at: (&found.path).into(),
            kind: "file",
            id,
            bytes: len,
            stored_bytes: stored,
            blake3: hex(recipe.blake3()),
            tensors: tensors.collect(),
        })));
    }
    let stored = stored.map_or("not stored yet".into(), |stored| format!("{} stored", ByteSize(stored)));
    out.line(shown_as)?;
    out.line(format_args!("  {} ({len} bytes), {stored}", ByteSize(len)))?;
    out.line(format_args!("  BLAKE3 {}", hex(recipe.blake3())))?;
    for (tensor, info, len) in &rows {
        out.line(format_args!("  {}", tensor_line(tensor, *len, info.as_ref(), id.is_some())))?;
    }
    if let (true, Some(text)) = (rows.is_empty(), content.read_short(TEXT_MAX)?.and_then(text)) {
        out.line("")?;
        text.lines().try_for_each(|line| out.line(line))?;
    }
    Ok(None)
}

/// Bytes as text, if they are some.
fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The tensors of a file, with what the store knows of them if it has them.
fn tensors(
    place: &Place,
    recipe: &Recipe,
    is_stored: bool,
) -> Result<Vec<(TensorInfo, Option<ObjectInfo>, u64)>> {
    let mut rows = Vec::new();
    for tensor in recipe.table() {
        let (key, (_, len), tensor) = (recipe.key_of(tensor), recipe.range_of(tensor), &tensor.info);
        let info = key.map(|key| place.repo.store().info(key)).transpose()?.flatten();
        if let (None, Some(key), true) = (&info, key, is_stored) {
            return Err(CommandError::new(format!("object {key} of `{}` is missing", tensor.name)));
        }
        rows.push((tensor.clone(), info, len));
    }
    Ok(rows)
}

fn tensor_line(tensor: &TensorInfo, len: u64, info: Option<&ObjectInfo>, is_stored: bool) -> String {
    let stored = match info {
        Some(info) => {
            let base = info.base.map(|base| format!(" on {}", short(base))).unwrap_or_default();
            format!("{:>10} stored, depth {}{base}", ByteSize(info.stored_len).to_string(), info.depth)
        }
        None if is_stored => "in parts".into(),
        None => "not stored yet".into(),
    };
    format!(
        "{:<8} {:<20} {:>10} {stored}  {}",
        tensor.shown_dtype(),
        format!("{:?}", tensor.shown_shape()),
        ByteSize(len).to_string(),
        quote::text(&tensor.name),
    )
}

fn short(key: ObjectKey) -> String {
    key.to_string()[..8].to_owned()
}
