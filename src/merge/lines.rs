//! Texts of which both sides changed lines, made one that has the lines of both.
//!
//! Nothing is a conflict here: that is for lists to which everybody adds, not for what has to be read as a whole.

use super::tensors::three_way;
use crate::history::{FileContent, IngestFile, Intake, Repo, Result};
use crate::id::RecipeId;
use crate::store::Ingest;
use crate::task::Task;
use similar::{DiffOp, TextDiff};
use std::ops::Range;

/// Longer texts are no lists that people write, in bytes: they are held in memory.
const TEXT_MAX: u64 = 8 << 20;

/// Merges two files that both differ from a third by their lines; `None` if one of them is no text.
pub(super) fn merge_lines(
    repo: &Repo,
    ingest: &Ingest,
    base: Option<RecipeId>,
    (ours, theirs): (RecipeId, RecipeId),
    task: &Task,
) -> Result<Option<(RecipeId, u64)>> {
    let before = match base {
        Some(base) => text(repo, base)?,
        None => Some(String::new()),
    };
    let (Some(before), Some(here), Some(there)) = (before, text(repo, ours)?, text(repo, theirs)?) else {
        return Ok(None);
    };
    let merged = union(&before, &here, &there).into_bytes();
    let file = IngestFile { shown_as: "a merged text".into(), parent: Some(ours), ..IngestFile::default() };
    repo.ingest(ingest, &merged, &file, &Intake::begin(task, merged.len() as u64)).map(Some)
}

fn text(repo: &Repo, file: RecipeId) -> Result<Option<String>> {
    let bytes = FileContent::of(repo, file)?.read_short(TEXT_MAX)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.contains('\0')))
}

/// The lines of a text, each with its end.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// What both sides have where only one changed something, and the lines of both where both did.
fn union(base: &str, ours: &str, theirs: &str) -> String {
    let (before, here, there) = (lines(base), lines(ours), lines(theirs));
    let (in_ours, in_theirs) = (places(&before, &here), places(&before, &there));
    let mut merged = String::new();
    let (mut at, mut at_here, mut at_there) = (0, 0, 0);
    // From one line that all three have to the next, and to the end.
    for line in 0..=before.len() {
        let (next_here, next_there) = match (in_ours.get(line), in_theirs.get(line)) {
            (Some(Some(here)), Some(Some(there))) => (*here, *there),
            (None, None) => (here.len(), there.len()),
            _ => continue,
        };
        let piece = (&before[at..line], &here[at_here..next_here], &there[at_there..next_there]);
        piece_of_both(&mut merged, piece);
        if let Some(same) = before.get(line) {
            push(&mut merged, same);
        }
        (at, at_here, at_there) = (line + 1, next_here + 1, next_there + 1);
    }
    merged
}

fn piece_of_both(merged: &mut String, (before, here, there): (&[&str], &[&str], &[&str])) {
    if let Some(lines) = three_way(Some(before), here, there) {
        return lines.iter().for_each(|line| push(merged, line));
    }
    let diff = TextDiff::from_slices(here, there);
    let mut put =
        |lines: &[&str], range: Range<usize>| lines[range].iter().for_each(|line| push(merged, line));
    for op in diff.ops() {
        put(here, op.old_range());
        if !matches!(op, DiffOp::Equal { .. }) {
            put(there, op.new_range());
        }
    }
}

/// For each line of a text where it is in another one, if it is there.
fn places(base: &[&str], other: &[&str]) -> Vec<Option<usize>> {
    let mut places = vec![None; base.len()];
    for op in TextDiff::from_slices(base, other).ops() {
        if let DiffOp::Equal { old_index, new_index, len } = *op {
            (0..len).for_each(|at| places[old_index + at] = Some(new_index + at));
        }
    }
    places
}

/// A last line without an end gets one when another comes behind it.
fn push(merged: &mut String, line: &str) {
    if !merged.is_empty() && !merged.ends_with('\n') {
        merged.push('\n');
    }
    merged.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_ends_with_its_line_feed_whatever_else_is_in_it() {
        assert_eq!(union("a\rb\n", "a\rb\nx\n", "a\rb\ny\n"), "a\rb\nx\ny\n");
        assert_eq!(union("a\nb\nc\n", "p\rq\na\nb\nc\n", "a\nb\nX\n"), "p\rq\na\nb\nX\n");
    }

    #[test]
    fn lines_of_both_are_kept_and_what_only_one_changed_is_his() {
        assert_eq!(union("a\nb\nc\n", "a\nours\nb\nc\n", "a\nb\ntheirs\nc\n"), "a\nours\nb\ntheirs\nc\n");
        assert_eq!(union("a\nc\n", "a\nours\nc\n", "a\ntheirs\nc\n"), "a\nours\ntheirs\nc\n");
        assert_eq!(union("a\nb\nc\n", "a\nc\n", "a\nb\nc\nd\n"), "a\nc\nd\n");
        assert_eq!(union("", "x\nboth\n", "both\ny\n"), "x\nboth\ny\n");
        // Nothing becomes one line with another.
        assert_eq!(union("a", "a\nours", "a\ntheirs"), "a\nours\ntheirs");
        // What one side removed right beside what the other made stays.
        assert_eq!(union("a\n", "", "a\nb"), "a\nb");
    }

    proptest! {
        #[test]
        fn one_side_that_changed_nothing_changes_nothing(base in "[ab\n]{0,12}", other in "[ab\n]{0,12}") {
            prop_assert_eq!(&union(&base, &base, &other), &other);
            prop_assert_eq!(&union(&base, &other, &base), &other);
            prop_assert_eq!(&union(&base, &other, &other), &other);
        }

        #[test]
        fn no_line_that_one_side_made_is_lost(base in "([ab]\n){0,6}", ours in "([abx]\n){0,6}", theirs in "([aby]\n){0,6}") {
            let merged = union(&base, &ours, &theirs);
            let count = |text: &str, line: &str| text.lines().filter(|one| *one == line).count();
            prop_assert_eq!(count(&merged, "x"), count(&ours, "x"));
            prop_assert_eq!(count(&merged, "y"), count(&theirs, "y"));
        }
    }
}
