//! `undo`, `redo` and `op log`: what was done to refs, taken back and done again.

use super::context::{Context, say_heard};
use super::error::Result;
use super::output::{Colour, Output, note, warn};
use super::progress::task;
use super::when;
use crate::history::{Operation, Touched, stacks};
use crate::workspace::Undone;
use serde_json::{Value, json};

/// Take back the last thing that was done to a branch, a tag or HEAD
///
/// A commit that is taken back leaves its files in the worktree, as changes. Repeated, it goes further back; `coral redo` does
/// again what was taken back.
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

pub fn undo(context: &Context, out: &Output, _: UndoArgs) -> Result<()> {
    let place = context.open()?;
    place.settle();
    told(out, "undid", "coral redo", place.operations().undo(&task()?)?)
}

pub fn redo(context: &Context, out: &Output, _: RedoArgs) -> Result<()> {
    let place = context.open()?;
    place.settle();
    told(out, "did again", "coral undo", place.operations().redo(&task()?)?)
}

fn told(out: &Output, what: &str, back: &str, undone: Undone) -> Result<()> {
    warn(&undone.warnings);
    say_heard(&undone.heard);
    let operation = &undone.operation;
    if out.json {
        return out.value(&json!({ what.replace(' ', "_"): operation_json(operation) }));
    }
    out.line(format_args!("{what}: {} ({})", operation.message, names(operation).join(", ")))?;
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
    };
    operation.touched().into_iter().map(name).collect()
}

fn operation_json(operation: &Operation) -> Value {
    json!({
        "operation": operation.number, "message": operation.message, "refs": names(operation),
        "who": operation.who.name, "time": when::rfc3339(operation.who.time),
    })
}

pub fn op(context: &Context, out: &Output, args: OpArgs) -> Result<()> {
    let Action::Log { max_count } = args.action;
    let place = context.open()?;
    let operations = place.repo.refs().logs().operations()?;
    let next = stacks(&operations).0.last().map(|operation| operation.number);
    let most = if max_count == 0 { usize::MAX } else { max_count };
    let shown = operations.iter().rev().take(most);
    if out.json {
        let rows: Vec<Value> = shown.map(operation_json).collect();
        return out.value(&json!({ "operations": rows, "next_undo": next }));
    }
    for operation in shown {
        let number = out.paint(Colour::Yellow, format_args!("{:>4}", operation.number));
        let mark = if Some(operation.number) == next { '@' } else { ' ' };
        let date = &when::date(operation.who.time, operation.who.offset_minutes)[..16];
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
