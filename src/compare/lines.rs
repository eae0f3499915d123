//! What differs between two texts, line by line, in hunks with a few lines around each.

use similar::{ChangeTag, TextDiff};

/// Lines of a hunk before and behind what differs.
const CONTEXT: usize = 3;
/// Bytes without a line's end that are still looked at as text; more is no text for people.
const LINE_MAX: usize = 1 << 16;

/// A line of a hunk, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Where the hunk is: `@@ -1,3 +1,4 @@`.
    Hunk(String),
    /// On both sides.
    Same(String),
    /// Only on the old one.
    Removed(String),
    /// Only on the new one.
    Added(String),
}

/// What differs between two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineDiff {
    /// The hunks, one behind the other.
    pub lines: Vec<Line>,
    /// Lines that are only on the new side.
    pub added: usize,
    /// Lines that are only on the old side.
    pub removed: usize,
}

/// Compares two texts; `None` if one of them is none.
pub fn line_diff(old: &[u8], new: &[u8]) -> Option<LineDiff> {
    let (old, new) = (text(old)?, text(new)?);
    let diff = TextDiff::from_lines(old, new);
    let mut found = LineDiff::default();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        found.lines.push(Line::Hunk(hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches(['\n', '\r']).to_owned();
            found.lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same(line),
                ChangeTag::Delete => {
                    found.removed += 1;
                    Line::Removed(line)
                }
                ChangeTag::Insert => {
                    found.added += 1;
                    Line::Added(line)
                }
            });
        }
    }
    Some(found)
}

/// For each line of a newer text the line of the older one that it is, if it is one; nothing if one of them is no text.
pub fn same_lines(old: &[u8], new: &[u8]) -> Vec<Option<usize>> {
    let (Some(old), Some(new)) = (text(old), text(new)) else { return Vec::new() };
    let diff = TextDiff::from_lines(old, new);
    let mut same = Vec::new();
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => same.push(change.old_index()),
            ChangeTag::Insert => same.push(None),
            ChangeTag::Delete => {}
        }
    }
    same
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_text = !text.contains('\0') && text.split('\n').all(|line| line.len() <= LINE_MAX);
    is_text.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_have_what_changed_and_a_little_around_it() {
        let old: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 10\n", "line ten\nand more\n");
        let found = line_diff(old.as_bytes(), new.as_bytes()).expect("texts");
        assert_eq!((found.added, found.removed), (2, 1));
        assert_eq!(found.lines[0], Line::Hunk("@@ -7,7 +7,8 @@".into()));
        assert_eq!(found.lines[4], Line::Removed("line 10".into()));
        assert_eq!(found.lines[5..7], [Line::Added("line ten".into()), Line::Added("and more".into())]);
        assert_eq!(found.lines.len(), 1 + 3 + 3 + 3);
        assert_eq!(line_diff(b"same", b"same"), Some(LineDiff::default()));
    }

    #[test]
    fn what_is_no_text_is_not_shown_as_one() {
        assert_eq!(line_diff(b"a\0b", b"a"), None);
        assert_eq!(line_diff(b"a", b"\xff"), None);
        assert_eq!(line_diff(b"a", &vec![b'x'; LINE_MAX + 1]), None);
    }
}
