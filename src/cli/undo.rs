//! `undo`, `redo` and `op log`: what was done to refs, taken back and done again.

use super::context::{Context, say_heard};
use super::error::Result;
use super::json::Time;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use super::when;
use crate::history::{Operation, Touched, stacks};
use crate::workspace::{Files, Undone};
use schemars::JsonSchema;
use serde::Serialize;

/// Take back the last thing that was done to a branch, a tag or HEAD, or that dropped files
///
/// A commit that is taken back leaves its files in the worktree, as changes. Files that `reset --hard`, `restore`, `clean`, `rm`
/// and `branch -D` dropped come back. Repeated, it goes further back; `coral redo` does again what was taken back.
#[derive(Debug, clap::Args)]
pub struct UndoArgs {}

/// Do again what was taken back last
#[derive(Debug, clap::Args)]
pub struct RedoArgs {}

/// Look at what was done to branches, tags and HEAD
#[derive(Debug, clap::Args)]
pub struct OpArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List it, newest first
    Log {
        /// At most so many; 0 for all
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        max_count: usize,
    },
}

/// What was taken back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenBack {
    undid: OperationRow,
}

/// What was done again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoneAgain {
    did_again: OperationRow,
}

/// What was done, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Operations {
    operations: Vec<OperationRow>,
    /// The one that `coral undo` takes back; null if there is none
    next_undo: Option<usize>,
}

/// Something that was done to refs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationRow {
    /// Whether it dropped files that were nowhere else and were not kept: taking it back does not bring these back
    lost_files: bool,
    /// Whether it dropped files that are kept: taking it back brings these back
    kept_files: bool,
    /// Its number: the first one has 1
    operation: usize,
    /// What was done
    message: String,
    /// What it was done to, in words
    refs: Vec<String>,
    /// The name of who did it
    who: String,
    time: Time,
}

pub fn undo(context: &Context, out: &Output, _: UndoArgs) -> Result<()> {
    let place = context.open()?;
    place.settle();
    let undone = place.operations().undo(&task()?)?;
    if out.json {
        return out.value(&TakenBack { undid: heard(undone) });
    }
    told(out, "undid", "coral redo", undone)
}

pub fn redo(context: &Context, out: &Output, _: RedoArgs) -> Result<()> {
    let place = context.open()?;
    place.settle();
    let done = place.operations().redo(&task()?)?;
    if out.json {
        return out.value(&DoneAgain { did_again: heard(done) });
    }
    told(out, "did again", "coral undo", done)
}

/// What went wrong afterwards is said in any case.
fn heard(undone: Undone) -> OperationRow {
    warn(&undone.warnings);
    say_heard(&undone.heard);
    (&undone.operation).into()
}

fn told(out: &Output, what: &str, back: &str, undone: Undone) -> Result<()> {
    warn(&undone.warnings);
    say_heard(&undone.heard);
    let operation = &undone.operation;
    // What only dropped files leaves nothing to be moved.
    let what = if operation.moves_refs() { what } else { "passed over" };
    out.line(format_args!("{what}: {} ({})", operation.message, names(operation).join(", ")))?;
    match undone.files {
        Files::None | Files::All => {}
        Files::Some => note("nothing brings back the files that were not complete when it dropped them"),
        Files::Lost => note("nothing brings back the files that it dropped"),
        Files::LetGo => {
            note("the files that it dropped are no longer kept: `core.keep_days` says for how long")
        }
    }
    note(format!("`{back}` takes that back"));
    Ok(())
}

fn names(operation: &Operation) -> Vec<String> {
    let name = |touched| match touched {
        Touched::Head => "HEAD".to_owned(),
        Touched::Branch(name, false, true) => format!("branch {name} was made"),
        Touched::Branch(name, true, false) => format!("branch {name} was deleted"),
        Touched::Branch(name, ..) => format!("branch {name}"),
        Touched::Tag(name) => format!("tag {name}"),
        Touched::Files => "files".to_owned(),
    };
    operation.touched().into_iter().map(name).collect()
}

impl From<&Operation> for OperationRow {
    fn from(operation: &Operation) -> Self {
        Self {
            lost_files: operation.lost_files,
            kept_files: operation.kept().is_some(),
            operation: operation.number,
            message: operation.message.clone(),
            refs: names(operation),
            who: operation.who.name.clone(),
            time: operation.who.time.into(),
        }
    }
}

pub fn op(context: &Context, out: &Output, args: OpArgs) -> Result<()> {
    let Action::Log { max_count } = args.action;
    let place = context.open()?;
    let operations = place.repo.refs().logs().operations()?;
    let next = stacks(&operations).0.last().map(|operation| operation.number);
    let most = if max_count == 0 { usize::MAX } else { max_count };
    let shown = operations.iter().rev().take(most);
    if out.json {
        let operations = shown.map(OperationRow::from).collect();
        return out.value(&Operations { operations, next_undo: next });
    }
    for operation in shown {
        let number = out.paint(Colour::Yellow, format_args!("{:>4}", operation.number));
        let mark = if Some(operation.number) == next { '@' } else { ' ' };
        let date = when::date(operation.who.time, operation.who.offset_minutes);
        out.line(format_args!(
            "{mark}{number} {date} {}  ({})",
            operation.message,
            names(operation).join(", ")
        ))?;
    }
    if operations.len() > most {
        note(format!("{} more: `-n 0` shows all", operations.len() - most));
    }
    Ok(())
}
