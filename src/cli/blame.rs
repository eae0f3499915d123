use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{At, Id, Time};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use super::when;
use crate::id::CommitId;
use crate::quote::clipped;
use crate::workspace::Rows;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::num::NonZeroU64;

/// Tell which commit last changed each tensor, or each line, of a file
///
/// Tensors are compared by what they are stored as; nothing of them is read without --rows. A file that was renamed is followed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PATH in the last commit, REF:PATH, or REF:PATH#TENSOR with `*` and `?`
    #[arg(value_name = "TARGET", required_unless_present = "path")]
    target: Option<OsString>,
    /// The path, where TARGET is a revision, as git has it
    #[arg(value_name = "PATH", hide = true)]
    more: Option<OsString>,
    /// The same
    #[arg(last = true, hide = true)]
    path: Option<OsString>,
    /// Only these tensors
    #[arg(short = 't', long, value_name = "NAME")]
    tensor: Option<String>,
    /// Of each block of so many rows of the tensors; without a number there are some tens of blocks of each. Only what is not the
    /// same object in both commits is read
    #[arg(long, value_name = "COUNT", num_args = 0..=1, require_equals = true)]
    rows: Option<Option<NonZeroU64>>,
}

/// Which commit last changed each piece of a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Blame {
    #[serde(flatten)]
    at: At,
    pieces: Vec<PieceRow>,
}

/// A piece with the commit that last changed it.
#[derive(Debug, Serialize, JsonSchema)]
struct PieceRow {
    /// The name of a tensor, a line, or with --rows a tensor and its rows: `wte [0..64]`
    piece: String,
    commit: Id,
    /// The name of who made the change
    author: String,
    /// When
    time: Time,
    /// The first line of the commit's message
    subject: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let in_commit = |commit: CommitId, path: &OsString| {
        let path = place.paths().tree_path(path.as_ref())?.to_bytes();
        Ok::<_, CommandError>(place.views().locate([commit.to_string().as_bytes(), b":", &path].concat())?)
    };
    let of_revision = |said: &OsString| {
        let said = said.to_string_lossy();
        place.heed_names([&*said]);
        place.repo.resolve(&said, place.now())
    };
    let mut found = match (&args.target, args.path.as_ref().or(args.more.as_ref())) {
        (Some(revision), Some(path)) => in_commit(of_revision(revision)?, path)?,
        (Some(place_in_tree), None) if place_in_tree.as_encoded_bytes().contains(&b':') => {
            place.views().locate(place_in_tree.as_encoded_bytes())?
        }
        (Some(path), None) | (None, Some(path)) => in_commit(place.here_commit()?, path)?,
        (None, None) => return Err(CommandError::usage("no file was named").hint("`coral blame PATH`")),
    };
    found.tensor = args.tensor.or(found.tensor);
    let rows = args.rows.map(|count| count.map_or(Rows::Some, Rows::Of));
    let blamed = place.blame(&found, rows, &task()?)?;
    let mut rows = Vec::new();
    for row in &blamed {
        let commit = place.repo.commit(row.commit)?;
        let short = row.commit.to_string()[..10].to_owned();
        if out.json {
            rows.push(PieceRow {
                piece: row.piece.clone(),
                commit: row.commit.into(),
                author: commit.author.name.clone(),
                time: commit.author.time.into(),
                subject: commit.subject().to_owned(),
            });
            continue;
        }
        let date = &when::date(commit.author.time, commit.author.offset_minutes)[..10];
        let (who, subject) = (clipped(&commit.author.name, 12), clipped(commit.subject(), 24));
        let short = out.paint(Colour::Yellow, short);
        out.line(format_args!("{short} {date} {who:<16} {subject:<28} {}", quote::text(&row.piece)))?;
    }
    if out.json { out.value(&Blame { at: (&found.path).into(), pieces: rows }) } else { Ok(()) }
}
