//! A change of a path, as it is told.

use super::json::At;
use super::output::Colour;
use crate::history::{Change, ChangeKind};
use schemars::JsonSchema;
use serde::Serialize;

/// A change as a letter, as a word, and its colour.
pub fn words(kind: ChangeKind) -> (char, &'static str, Colour) {
    let (word, colour) = match kind {
        ChangeKind::Added => ("new", Colour::Green),
        ChangeKind::Deleted => ("deleted", Colour::Red),
        ChangeKind::Modified => ("modified", Colour::Yellow),
        ChangeKind::TypeChanged => ("type changed", Colour::Yellow),
    };
    (kind.letter(), word, colour)
}

/// A change of a path.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeRow {
    #[serde(flatten)]
    at: At,
    /// What became of it
    #[schemars(extend("enum" = CHANGES))]
    change: &'static str,
}

impl From<&Change> for ChangeRow {
    fn from(change: &Change) -> Self {
        Self { at: (&change.path).into(), change: words(change.kind).1 }
    }
}

/// The rows of changes.
pub fn rows<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Vec<ChangeRow> {
    changes.into_iter().map(ChangeRow::from).collect()
}

/// The words for changes.
pub const CHANGES: [&str; 4] = ["new", "deleted", "modified", "type changed"];

/// What a file is that somebody writes.
pub const WRITTEN: &str = "being written";
/// What a file is whose writer was killed, or that was being written when the machine stopped.
pub const INTERRUPTED: &str = "interrupted";
