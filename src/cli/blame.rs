use super::context::Context;
use super::error::Result;
use super::json::{At, Id, Time};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use super::when;
use crate::quote::clipped;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;

/// Tell which commit last changed each tensor, or each line, of a file
///
/// Tensors are compared by what they are stored as; nothing is read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PATH in the last commit, REF:PATH, or REF:PATH#TENSOR with `*` and `?`
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Only these tensors
    #[arg(short = 't', long, value_name = "NAME")]
    tensor: Option<String>,
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
    /// The name of a tensor, or a line
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
    let bytes = args.target.as_encoded_bytes();
    let mut found = match bytes.contains(&b':') {
        true => place.views().locate(bytes)?,
        false => {
            let commit = place.here_commit()?;
            let path = place.paths().tree_path(args.target.as_ref())?.to_bytes();
            place.views().locate([commit.to_string().as_bytes(), b":", &path].concat())?
        }
    };
    found.tensor = args.tensor.or(found.tensor);
    let blamed = place.blame(&found, &task()?)?;
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
