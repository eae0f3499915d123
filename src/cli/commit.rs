use super::change::{ChangeRow, rows, words};
use super::changes::{self, Changes};
use super::context::{Context, Place};
use super::editor;
use super::error::{CommandError, Result};
use super::globs;
use super::hooks::{self, Told};
use super::json::{Id, PathOnly, plain};
use super::message::{self, MessageArgs};
use super::output::{Output, note, warn};
use super::progress::task;
use super::quote;
use super::ways_in::ways_in;
use crate::codec::Level;
use crate::history::{
    self, BranchName, Change, Commit, Repo, Signature, TagName, TreePath, metadata_pair, parse_time,
};
use crate::id::TreeId;
use crate::units::Timestamp;
use crate::workspace::{Around, Pathspec, Shut};
use crate::worktree::{Coding, CommitRequest, Committed, Error, Worktree};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Record the worktree as the next commit of its branch
///
/// Takes every file as it was when last closed, at one instant. When this returns, the commit is durable and
/// `branches/NAME` of a mount shows it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    message: MessageArgs,
    /// Take the place of the last commit: its message, author and facts stay unless others are given
    #[arg(long)]
    amend: bool,
    /// Keep the message as it is: without it an editor opens with that of an amended commit, where there is one
    #[arg(long)]
    no_edit: bool,
    /// Open an editor with the message, whatever it is
    #[arg(short, long, conflicts_with = "no_edit")]
    edit: bool,
    /// Show in the editor what the commit changes
    #[arg(short, long)]
    verbose: bool,
    /// Take the message, the author and the date of another commit. Also -C behind the verb, unless a folder is called so
    #[arg(long, value_name = "REF", conflicts_with_all = ["messages", "file"])]
    reuse_message: Option<String>,
    /// The same, and open an editor with the message
    #[arg(short = 'c', long, value_name = "REF", conflicts_with_all = ["messages", "file", "reuse_message", "no_edit"])]
    reedit_message: Option<String>,
    /// The message says that it belongs to that commit: `fixup! ` and its subject
    #[arg(long, value_name = "REF", conflicts_with_all = ["file", "amend", "reuse_message", "reedit_message"])]
    fixup: Option<String>,
    /// The same with `squash! `, and what -m says below it
    #[arg(long, value_name = "REF", conflicts_with_all = ["file", "amend", "fixup", "reuse_message", "reedit_message"])]
    squash: Option<String>,
    /// Who commits is the author, and the date is now, also where another commit has said others
    #[arg(long, conflicts_with_all = ["author", "email"])]
    reset_author: bool,
    /// When the change was made: `yesterday`, `2026-11-23 07:31`, or what RFC 3339 has
    #[arg(long, value_name = "TIME")]
    date: Option<String>,
    /// Accepted for git's sake: every change of the worktree is committed
    #[arg(short, long)]
    all: bool,
    /// Only what is at and below these paths; `*` and `?` fit names. What else differs stays a change
    #[arg(value_name = "PATH", conflicts_with = "amend")]
    paths: Vec<PathBuf>,
    /// Say what would be committed, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask the hook `pre-commit`
    #[arg(short = 'n', long)]
    no_verify: bool,
    /// Add a line `Signed-off-by` with who commits to the message
    #[arg(short, long)]
    signoff: bool,
    /// Who made the change, if not who commits
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// The author's address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Name the commit
    #[arg(short, long, value_name = "NAME")]
    tag: Option<String>,
    /// A fact about the snapshot, such as a step or a metric
    #[arg(short = 'd', long = "metadata", value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Take files that are being written with the bytes that they have now
    #[arg(long)]
    include_open: bool,
    /// Commit although nothing changed
    #[arg(long)]
    allow_empty: bool,
    /// Commit although the message says nothing
    #[arg(long)]
    allow_empty_message: bool,
    /// Time to spend for a smaller store on what this commit stores: fast, default or max
    #[arg(long, value_name = "LEVEL", value_parser = Level::from_name)]
    level: Option<Level>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
    /// Leave large files as they were saved, to be made small by a mount or by `coral drain`. So it is where a mount is
    /// at work
    #[arg(long)]
    no_pack: bool,
}

/// Unfinished files that are named one by one.
const NAMED: usize = 10;

/// What was committed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    branch: String,
    commit: Id,
    /// Paths that it changed
    changed: usize,
    /// Files that somebody writes: the commit has them as they were when last closed, if they ever were
    still_open: Vec<PathOnly>,
    /// Files whose writer was killed: the commit has them as they were before
    interrupted: Vec<PathOnly>,
}

/// What a commit would record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Foretold {
    branch: String,
    /// There is none
    commit: (),
    changes: Vec<ChangeRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let tag = args.tag.as_deref().map(TagName::new).transpose()?;
    let worktree = place.worktree(&branch)?;
    let only = globs::in_worktree(&place, &worktree, &args.paths)?;
    if args.dry_run {
        return foretell(&place, out, &branch, &worktree, &only);
    }
    let amend = args.amend.then(|| place.repo.refs().existing_branch(&branch)).transpose()?;
    let before = amend.map(|tip| place.repo.commit(tip)).transpose()?;
    let reused = match args.reuse_message.as_ref().or(args.reedit_message.as_ref()) {
        Some(said) => Some(place.repo.commit(place.repo.resolve(said, place.now())?)?),
        None => None,
    };
    let message = message_of(&place, &worktree, &args, &only, (before.as_deref(), reused.as_deref()))?;
    if message.trim().is_empty() && !args.allow_empty_message {
        return Err(CommandError::new("the message is empty, nothing was committed")
            .hint("`-m TEXT` says why; `--allow-empty-message` commits without"));
    }
    let committer = committer(&place)?;
    let message = if args.signoff { committer.signed_off(&message) } else { message };
    let author = author(&place, &worktree, &args, &committer, reused.as_deref().or(before.as_deref()))?;
    check_person(&author)?;
    let mut metadata = before.map(|before| before.metadata.clone()).unwrap_or_default();
    metadata.extend(key_values(&args.metadata)?);
    let request = CommitRequest {
        author,
        committer,
        message,
        metadata,
        include_open: args.include_open,
        allow_empty: args.allow_empty,
        level: args.level,
        tag,
        amend,
        coding: Coding::Now,
        only,
    };
    let task = task()?;
    if !args.no_verify {
        let changes = changed(&place, &worktree, &request.only)?;
        let (branch, message) = (branch.to_string(), request.message.clone());
        hooks::before(&place, Told::PreCommit { branch, message, changes: rows(&changes) }, &task)?;
    }
    // A mount makes small what it finds afterwards.
    let later = (place.begin_commit() || args.no_pack) && !request.include_open;
    if !later {
        place.drain(&task);
        if let Err(error) = place.code_attached(&task) {
            task.check().map_err(history::Error::from)?;
            // What is damaged costs what it alone has.
            note(format!("files of earlier commits stay as they were saved: {error}"));
        }
    }
    let request = CommitRequest { coding: if later { Coding::Later } else { Coding::Now }, ..request };
    let committed = worktree.commit(&request, &task).map_err(|error| match error {
        Error::History(history::Error::RefExists { .. }) => {
            CommandError::new(error).hint("nothing was committed")
        }
        Error::NothingToCommit { ref still_open, .. }
            if still_open.is_empty() && place.mounts().shut().is_some() =>
        {
            shut(&place, error)
        }
        nothing @ Error::NothingToCommit { .. } => {
            let around = worktree.snapshot(false).map_err(CommandError::from);
            let around = around
                .and_then(|snapshot| Ok(place.beside().around(&worktree, &snapshot)?))
                .unwrap_or_default();
            ways_in(&around).iter().fold(CommandError::from(nothing), CommandError::hint)
        }
        other => other.into(),
    })?;
    warn(&committed.warnings);
    place.announce();
    let message = request.message.clone();
    let what = Told::PostCommit { branch: branch.to_string(), commit: committed.id.into(), message };
    hooks::after(&place, what, &task);
    report(&place.repo, out, &branch, &committed, &request)?;
    if !out.json && args.branch.is_none() {
        say_around(&place, &worktree);
    }
    Ok(())
}

/// Says that plain files around the repository have something else than what was committed: who saves there may think that it
/// is in the commit. That it cannot be known is no reason to say that the commit failed.
fn say_around(place: &Place, worktree: &Worktree) {
    let around = worktree.snapshot(false).map_err(CommandError::from);
    let around = around.and_then(|snapshot| Ok(place.beside().around(worktree, &snapshot)?));
    let changed = around.map(|around| around.changed).unwrap_or_default();
    ways_in(&Around { changed, new: 0 }).iter().for_each(note);
}

/// Says why nothing could be saved, where nobody can, and the ways out.
fn shut(place: &Place, nothing: Error) -> CommandError {
    let plain = CommandError::without_hint(nothing);
    match place.mounts().shut() {
        Some(Shut::Mount(mount)) => {
            let shown = quote::file_argument(&mount);
            plain
                .hint(format!("the mount at {} is read-only, so that nothing is saved there", quote::file(&mount)))
                .hint(format!(
                    "`coral umount {shown}`, then `coral mount {} {shown}` mounts it writable; `coral add FILE` takes files \
                     without a mount",
                    quote::file_argument(&place.folder)
                ))
        }
        _ => plain.hint(format!(
            "{} cannot be written here, nor can what is mounted of it; looking at history works all the same",
            quote::file(place.repo.root())
        )),
    }
}

/// What the commit says: what is given, what it said before, what was prepared for it, or what an editor asks for.
fn message_of(
    place: &Place,
    worktree: &Worktree,
    args: &Args,
    only: &[TreePath],
    (before, reused): (Option<&Commit>, Option<&Commit>),
) -> Result<String> {
    let given = args.message.given()?;
    let prepared = worktree.under_way().get()?.map(|merging| merging.message);
    let given = match (marked(place, args)?, given) {
        (Some(mark), Some(given)) => Some(format!("{mark}\n\n{given}")),
        (mark, given) => mark.or(given),
    };
    // Whoever amends without a word is asked, if he can be.
    let may_ask = !args.no_edit && editor::is_there(&place.surroundings);
    let (begin, asks) = match (given, reused, before, prepared) {
        (Some(given), ..) => (given, false),
        (None, Some(reused), ..) => (reused.message.clone(), args.reedit_message.is_some()),
        (None, None, Some(before), _) => (before.message.clone(), may_ask),
        (None, None, None, Some(prepared)) => (prepared, false),
        (None, None, None, None) => (String::new(), true),
    };
    if !(asks || args.edit) {
        return Ok(begin);
    }
    let looked_at = match args.verbose {
        true => Some(changes_in_full(place, worktree, only, before)?),
        false => None,
    };
    message::edit(place, &begin, looked_at.as_deref())
}

/// The first line of a message that says which commit it belongs to. One that belongs to such a commit belongs to the same.
fn marked(place: &Place, args: &Args) -> Result<Option<String>> {
    let (word, said) = match (&args.fixup, &args.squash) {
        (Some(said), _) => ("fixup!", said),
        (None, Some(said)) => ("squash!", said),
        (None, None) => return Ok(None),
    };
    let commit = place.repo.commit(place.repo.resolve(said, place.now())?)?;
    let mut subject = commit.subject();
    while let Some(rest) = ["fixup! ", "squash! "].iter().find_map(|mark| subject.strip_prefix(mark)) {
        subject = rest;
    }
    Ok(Some(format!("{word} {subject}")))
}

/// What a commit of some paths, or of everything, would change, as `coral diff` says it.
fn changes_in_full(
    place: &Place,
    worktree: &Worktree,
    only: &[TreePath],
    before: Option<&Commit>,
) -> Result<String> {
    place.settle();
    let base = match before {
        Some(amended) => amended.parents.first().copied(),
        None => place.repo.refs().branch(worktree.branch())?,
    };
    let old = place.views().view_tree(place.repo.tree_of(base)?, "the commit before");
    let new = place.views().view_worktree(worktree.branch())?;
    let paths = Pathspec::below(only.iter().cloned());
    Output::kept(|out| changes::print(place, out, (&old, &new), &paths, Changes::Patch, &task()?))
}

/// Who made the change: who is given, who it was before, or who commits.
fn author(
    place: &Place,
    worktree: &Worktree,
    args: &Args,
    committer: &Signature,
    before: Option<&Commit>,
) -> Result<Signature> {
    let picked = worktree.under_way().get()?.and_then(|merging| merging.author);
    let before = before.filter(|_| !args.reset_author);
    let picked = picked.filter(|_| !args.reset_author);
    let known = before.map(|before| before.author.clone()).or(picked).unwrap_or_else(|| committer.clone());
    let variable = place.surroundings.variable("CORAL_AUTHOR_DATE").filter(|_| before.is_none());
    let said = args.date.clone().or(variable.map(|said| said.to_string_lossy().into_owned()));
    let (time, offset_minutes) = match said {
        Some(said) => (time_of(place, &said)?, committer.offset_minutes),
        None => (known.time, known.offset_minutes),
    };
    // `Ada <a@b>` has both, as in git.
    let (name, email) = match args.author.as_deref().map(|author| (author, author.strip_suffix('>'))) {
        Some((author, Some(whole))) => match whole.split_once(" <") {
            Some((name, email)) => (Some(name.to_owned()), Some(email.to_owned())),
            None => (Some(author.to_owned()), None),
        },
        Some((author, None)) => (Some(author.to_owned()), None),
        None => (None, None),
    };
    Ok(Signature {
        name: name.unwrap_or(known.name),
        email: args.email.clone().or(email).unwrap_or(known.email),
        time,
        offset_minutes,
    })
}

/// Who commits, and when: now, if the environment says nothing else.
fn committer(place: &Place) -> Result<Signature> {
    let plain = place.signature();
    let surroundings = &place.surroundings;
    let said = surroundings.variable("CORAL_COMMITTER_DATE");
    // Whoever makes something that can be made again says it in seconds.
    let epoch = surroundings.variable("SOURCE_DATE_EPOCH").map(|said| format!("@{}", said.to_string_lossy()));
    match said.map(|said| said.to_string_lossy().into_owned()).or(epoch) {
        Some(said) => Ok(Signature { time: time_of(place, &said)?, ..plain }),
        None => Ok(plain),
    }
}

fn time_of(place: &Place, said: &str) -> Result<Timestamp> {
    let seconds = said.strip_prefix('@').and_then(|seconds| seconds.parse().ok());
    let time = seconds.map(|seconds| Timestamp { seconds, nanoseconds: 0 }).or(parse_time(said, place.now()));
    time.ok_or_else(|| history::Error::UnknownTime(said.to_owned()).into())
}

/// What a commit of some paths, or of everything, would record.
fn changed(place: &Place, worktree: &Worktree, only: &[TreePath]) -> Result<Vec<Change>> {
    let snapshot = worktree.snapshot(false)?;
    snapshot.check_known(worktree, only)?;
    let mut changes = snapshot.diff_from(place.repo.tree_of(snapshot.base)?, worktree)?;
    let pathspec = Pathspec::below(only.iter().cloned());
    let is_meant = |path: &TreePath| pathspec.means(path) || only.iter().any(|meant| meant.starts_with(path));
    changes.retain(|change| is_meant(&change.path));
    Ok(changes)
}

/// Says what a commit would record.
fn foretell(
    place: &Place,
    out: &Output,
    branch: &BranchName,
    worktree: &Worktree,
    only: &[TreePath],
) -> Result<()> {
    place.settle();
    let changes = changed(place, worktree, only)?;
    if out.json {
        return out.value(&Foretold { branch: branch.to_string(), commit: (), changes: rows(&changes) });
    }
    for change in &changes {
        let (letter, _, colour) = words(change.kind);
        out.line(out.paint(colour, format_args!("{letter} {}", quote::path(&change.path))))?;
    }
    Ok(())
}

fn report(
    repo: &Repo,
    out: &Output,
    branch: &BranchName,
    committed: &Committed,
    request: &CommitRequest,
) -> Result<()> {
    if out.json {
        return out.value(&Done {
            branch: branch.to_string(),
            commit: committed.id.into(),
            changed: committed.changed,
            still_open: plain(&committed.still_open),
            interrupted: plain(&committed.interrupted),
        });
    }
    let tree = repo.commit(committed.id)?.tree;
    say_unfinished(repo, tree, &committed.still_open, "is still being written", "")?;
    let way_out = "; `--include-open` takes it as it is";
    say_unfinished(repo, tree, &committed.interrupted, "was not finished by who wrote it", way_out)?;
    let root = if committed.is_root { " (root-commit)" } else { "" };
    let subject = request.message.lines().next().unwrap_or_default();
    out.line(format_args!("[{branch}{root} {}] {subject}", &committed.id.to_string()[..8]))?;
    let s = if committed.changed == 1 { "" } else { "s" };
    out.line(format_args!(" {} path{s} changed", committed.changed))
}

/// Says of files that are not whole what the commit has of them.
fn say_unfinished(repo: &Repo, tree: TreeId, paths: &[TreePath], what: &str, way_out: &str) -> Result<()> {
    for path in paths.iter().take(NAMED) {
        let stands = match repo.find_in_tree(tree, path)? {
            Some(_) => "stands in the commit as it was before",
            None => "is not in the commit",
        };
        note(format!("`{}` {what} and {stands}{way_out}", quote::path(path)));
    }
    if paths.len() > NAMED {
        note(format!("... and {} more; `coral status` lists them", paths.len() - NAMED));
    }
    Ok(())
}

/// Refuses a name or an address that would look like something else in a log.
fn check_person(who: &Signature) -> Result<()> {
    match who.misleading() {
        Some(text) => Err(CommandError::usage(format!("`{}` is no name or address", quote::text(text)))
            .hint("it is one line without `<` and `>`")),
        None => Ok(()),
    }
}

/// `KEY=VALUE` pairs, each key once.
pub fn key_values(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let split = |pair: &String| {
        metadata_pair(pair).ok_or_else(|| CommandError::usage(format!("`{pair}` is not KEY=VALUE")))
    };
    let mut found = BTreeMap::new();
    for pair in pairs {
        let (key, value) = split(pair)?;
        if let Some(other) = found.insert(key.clone(), value) {
            return Err(CommandError::usage(format!("`{key}` is given twice, once as `{other}`")));
        }
    }
    Ok(found)
}
