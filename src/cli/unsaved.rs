//! The words for what was dropped that no commit has.

use super::change;
use super::json::At;
use super::output::note;
use super::quote;
use crate::history::TreePath;
use crate::workspace::{Loss, Result, Unsaved};
use schemars::JsonSchema;
use serde::Serialize;

/// Files named one by one; of the others it is said how many there are.
const NAMED: usize = 10;

/// What was dropped, as far as it could be told; if not, that is said.
pub fn told(dropped: Result<Unsaved>, worktree_of: &dyn std::fmt::Display) -> Unsaved {
    dropped.unwrap_or_else(|error| {
        note(format!("could not tell what `{worktree_of}` had that no commit has: {error}"));
        Unsaved::default()
    })
}

/// Says what was dropped, and what can be got back; nothing if it is nothing.
pub fn say(unsaved: &Unsaved, way_back: &str) {
    let count = unsaved.files.len();
    if count == 0 {
        return;
    }
    let files = if count == 1 { "file" } else { "files" };
    note(format!("{count} {files} dropped that no commit has:"));
    for (path, loss) in unsaved.files.iter().take(NAMED) {
        note(format!("  {:<14}{}", word(*loss), quote::path(path)));
    }
    if count > NAMED {
        note(format!("  ... and {} more", count - NAMED));
    }
    note(way_back);
}

/// A file that was dropped and that no commit has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DroppedRow {
    #[serde(flatten)]
    at: At,
    /// What it was to the last commit, or that its writer was not done
    #[schemars(extend("enum" = ["new", "deleted", "modified", "type changed", change::WRITTEN, change::INTERRUPTED]))]
    was: &'static str,
}

/// A row for each of them.
pub fn rows(unsaved: &Unsaved) -> Vec<DroppedRow> {
    let row = |(path, loss): (&TreePath, &Loss)| DroppedRow { at: path.into(), was: word(*loss) };
    unsaved.files.iter().map(row).collect()
}

fn word(loss: Loss) -> &'static str {
    match loss {
        Loss::Changed(kind) => change::words(kind).1,
        Loss::BeingWritten => change::WRITTEN,
        Loss::Interrupted => change::INTERRUPTED,
    }
}
