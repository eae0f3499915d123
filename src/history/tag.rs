//! A tag's file: the commit that it names and what is said about it, as text.

use crate::id::CommitId;
use std::collections::BTreeMap;

/// A tag: a commit with a name for good, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The commit.
    pub commit: CommitId,
    /// Free text; may be empty.
    pub description: String,
    /// Measured facts, by name.
    pub metrics: BTreeMap<String, String>,
}

impl Tag {
    /// The file's text: the commit, then `description` and `metric` lines with backslash escapes.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.commit);
        if !self.description.is_empty() {
            text += &format!("description {}\n", escape(&self.description));
        }
        for (name, value) in &self.metrics {
            text += &format!("metric {}={}\n", escape(name), escape(value));
        }
        text
    }

    /// Reads a file's text; `None` if it is no tag's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let commit = lines.next()?.parse().ok()?;
        let mut tag = Tag { commit, description: String::new(), metrics: BTreeMap::new() };
        for line in lines {
            match line.split_once(' ')? {
                ("description", text) => tag.description = unescape(text),
                ("metric", text) => {
                    let (name, value) = text.split_once('=')?;
                    tag.metrics.insert(unescape(name), unescape(value));
                }
                _ => return None,
            }
        }
        Some(tag)
    }
}

/// A text on one line, without `=`.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('=', "\\e")
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => plain.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('e') => '=',
                Some(other) => other,
                None => '\\',
            }),
            (c, false) => plain.push(c),
        }
    }
    plain
}
