//! The words for what was dropped that no commit has.

use super::change;
use super::json::At;
use super::output::note;
use super::quote;
use crate::history::TreePath;
use crate::task::Task;
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

/// Whether what is dropped is kept, so that it can be brought back.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct KeepArgs {
    /// Do not keep what is dropped and in no commit: `coral undo` cannot bring it back
    #[arg(long)]
    no_keep: bool,
}

impl KeepArgs {
    /// With what it is kept, if it is.
    pub fn task(self, task: &Task) -> Option<&Task> {
        (!self.no_keep).then_some(task)
    }
}

/// Says what was dropped, and that `coral undo` brings it back, or else what does.
pub fn say(unsaved: &Unsaved, way_back: &str) {
    let count = unsaved.files.len();
    if count == 0 {
        return;
    }
    let files = if count == 1 { "file" } else { "files" };
    note(format!("{count} {files} dropped that no commit has:"));
    for (path, loss) in unsaved.files.iter().take(NAMED) {
        let gone = if !unsaved.kept.is_empty() && !unsaved.kept.contains(path) { " (not kept)" } else { "" };
        note(format!("  {:<14}{}{gone}", word(*loss), quote::path(path)));
    }
    if count > NAMED {
        note(format!("  ... and {} more", count - NAMED));
    }
    match unsaved.kept.len() {
        0 => note(way_back),
        kept if kept == count => note("`coral undo` brings these back"),
        _ => note("`coral undo` brings back those that were complete, and nothing the rest"),
    }
}

/// A file that was dropped and that no commit has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DroppedRow {
    #[serde(flatten)]
    at: At,
    /// What it was to the last commit, or that its writer was not done
    #[schemars(extend("enum" = ["new", "deleted", "modified", "type changed", change::WRITTEN, change::INTERRUPTED]))]
    was: &'static str,
    /// Whether `coral undo` brings it back
    kept: bool,
}

/// A row for each of them.
pub fn rows(unsaved: &Unsaved) -> Vec<DroppedRow> {
    let row = |(path, loss): (&TreePath, &Loss)| DroppedRow {
        at: path.into(),
        was: word(*loss),
        kept: unsaved.kept.contains(path),
    };
    unsaved.files.iter().map(row).collect()
}

fn word(loss: Loss) -> &'static str {
    match loss {
        Loss::Changed(kind) => change::words(kind).1,
        Loss::BeingWritten => change::WRITTEN,
        Loss::Interrupted => change::INTERRUPTED,
    }
}
