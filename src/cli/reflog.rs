use super::context::Context;
use super::error::Result;
use super::json::{Id, Person};
use super::output::{Colour, Output};
use super::when;
use crate::history::{LogLine, Revisions};
use schemars::JsonSchema;
use serde::Serialize;

/// Show where HEAD, a branch or a tag was, newest first
///
/// Each line has the name that brings one back there, such as `HEAD@{1}`. Refs that were deleted have a log as well.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// HEAD, a branch or a tag
    #[arg(value_name = "REF", default_value = "HEAD")]
    name: String,
    /// At most so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    max_count: Option<usize>,
}

/// Where a ref was, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moves {
    /// Its name
    #[serde(rename = "ref")]
    of: String,
    moves: Vec<MoveRow>,
}

/// A move of a ref.
#[derive(Debug, Serialize, JsonSchema)]
struct MoveRow {
    /// What brings one back there, such as `HEAD@{1}`
    name: String,
    /// Where it was before; null if it was not there
    old: Option<Id>,
    /// Where it was from then on; null if it was deleted
    new: Option<Id>,
    who: Person,
    /// Why
    message: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let (of, lines) = Revisions::of(&place.repo).moves_of(&args.name)?;
    let lines = lines.iter().enumerate().take(args.max_count.unwrap_or(usize::MAX));
    if out.json {
        let moves = lines.map(|(number, line)| row(&of, number, line)).collect();
        return out.value(&Moves { of, moves });
    }
    for (number, line) in lines {
        let id = line.new.map_or("deleted".to_owned(), |id| id.to_string()[..10].to_owned());
        let id = out.paint(Colour::Yellow, id);
        let name = args.name.as_str();
        out.line(format_args!(
            "{id} {name}@{{{number}}} {} {}",
            when::date(line.who.time, line.who.offset_minutes),
            line.message
        ))?;
    }
    Ok(())
}

fn row(of: &str, number: usize, line: &LogLine) -> MoveRow {
    MoveRow {
        name: format!("{of}@{{{number}}}"),
        old: line.old.map(Id::from),
        new: line.new.map(Id::from),
        who: Person::in_utc(&line.who),
        message: line.message.clone(),
    }
}
