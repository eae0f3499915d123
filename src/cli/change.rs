//! A change of a path, as it is told.

use super::output::Colour;
use super::quote;
use crate::history::{Change, ChangeKind};
use serde_json::{Value, json};

/// A change as a letter, as a word, and its colour.
pub fn words(kind: ChangeKind) -> (char, &'static str, Colour) {
    match kind {
        ChangeKind::Added => ('A', "new", Colour::Green),
        ChangeKind::Deleted => ('D', "deleted", Colour::Red),
        ChangeKind::Modified => ('M', "modified", Colour::Yellow),
        ChangeKind::TypeChanged => ('T', "type changed", Colour::Yellow),
    }
}

/// A change as JSON.
pub fn change_json(change: &Change) -> Value {
    let mut facts = json!({ "path": null, "change": words(change.kind).1 });
    quote::put_path(&mut facts, &change.path);
    facts
}

/// What a file is that somebody writes.
pub const WRITTEN: &str = "being written";
/// What a file is whose writer was killed, or that was being written when the machine stopped.
pub const INTERRUPTED: &str = "interrupted";
