//! What was done to refs, move by move, whichever refs each was about: the log that undoing reads.
//!
//! `logs/operations` has a line for each change of refs: who, when and why as in other logs, then what each ref said before and
//! after, in hexadecimal digits; before these may stand that it lost files. It is written before the refs move and not synced: after a power cut the last lines may be
//! missing, or tell of what did not happen, as those of somebody who was stopped before the refs moved do. Whoever reads them leaves
//! these out, and whoever takes something back finds out, since refs must say what the line says.

use super::any_ref::AnyRef;
use super::commit::Signature;
use super::error::Result;
use super::ref_intent::Change;
use super::ref_name::{BranchName, TagName};
use super::reflog::LogEntry;
use crate::disk::Disk;
use crate::units::Timestamp;
use std::fmt::Write;
use std::path::Path;

/// One change of one or several refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number: the first one has 1.
    pub number: usize,
    /// Who, and when (to the second).
    pub who: Signature,
    /// Why.
    pub message: String,
    /// Whether it dropped files whose content was nowhere else and was not kept: nothing brings these back.
    pub lost_files: bool,
    pub(super) changes: Vec<Change>,
}

/// A ref that an operation changed, as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// HEAD.
    Head,
    /// A branch, and whether it was there before and is there after.
    Branch(BranchName, bool, bool),
    /// A tag.
    Tag(TagName),
    /// The files of a worktree, which were dropped and kept.
    Files,
}

impl Operation {
    /// The refs that it changed.
    pub fn touched(&self) -> Vec<Touched> {
        let touched = |change: &Change| match &change.which {
            AnyRef::Head => Touched::Head,
            AnyRef::Branch(name) => Touched::Branch(name.clone(), change.from.is_some(), change.to.is_some()),
            AnyRef::Tag(name) if name.is_kept() => Touched::Files,
            AnyRef::Tag(name) => Touched::Tag(name.clone()),
        };
        self.changes.iter().map(touched).collect()
    }

    /// The tags that it made, and what these said.
    pub(super) fn tags_made(&self) -> impl Iterator<Item = (&TagName, Option<&[u8]>)> {
        self.changes.iter().filter_map(|Change { which, from, to }| match (which, from) {
            (AnyRef::Tag(name), None) => Some((name, to.as_deref())),
            (AnyRef::Tag(_) | AnyRef::Branch(_) | AnyRef::Head, _) => None,
        })
    }

    /// Whether it moved a ref, and not only dropped files.
    pub fn moves_refs(&self) -> bool {
        self.changes.iter().any(|change| change.from != change.to)
    }

    /// The number of the operation that this one took back or did again, and whether it was taken back.
    pub fn of(&self) -> Option<(usize, bool)> {
        let (rest, is_undo) = match self.message.strip_prefix(UNDO) {
            Some(rest) => (rest, true),
            None => (self.message.strip_prefix(REDO)?, false),
        };
        Some((rest.split_once(':')?.0.parse().ok()?, is_undo))
    }
}

/// The field of a line that says of an operation that it dropped files whose content was nowhere else, and did not keep them.
const LOST_FILES: &str = "lost-files";

/// Earlier programs said so in the message, of these two.
fn said_that_files_are_lost(message: &str) -> bool {
    const DROPPING: &str = ", dropping files that no commit has";
    let what = message.strip_suffix(DROPPING);
    what.is_some_and(|what| what == "branch: deleted" || what.starts_with("reset: to "))
}

const UNDO: &str = "undo: operation ";
const REDO: &str = "redo: operation ";

/// What is said of taking an operation back, or of doing it again.
pub(super) fn message_of(operation: &Operation, is_undo: bool) -> String {
    let words = if is_undo { UNDO } else { REDO };
    format!("{words}{}: {}", operation.number, operation.message)
}

/// Which operations can be taken back and which can be done again, the next one last.
pub fn stacks(operations: &[Operation]) -> (Vec<&Operation>, Vec<&Operation>) {
    let (mut undo, mut redo): (Vec<&Operation>, Vec<&Operation>) = (Vec::new(), Vec::new());
    for operation in operations {
        let (from, to) = match operation.of() {
            Some((_, true)) => (&mut undo, &mut redo),
            Some((_, false)) => (&mut redo, &mut undo),
            None => {
                redo.clear();
                undo.push(operation);
                continue;
            }
        };
        // One that was in doubt may have been passed over.
        let number = operation.of().map(|(number, _)| number);
        if let Some(at) = from.iter().rposition(|one| Some(one.number) == number) {
            let moved = from.remove(at);
            to.push(moved);
        }
    }
    (undo, redo)
}

/// What a line says.
pub(super) struct SaidOfOperation<'a> {
    pub changes: &'a [Change],
    pub entry: &'a LogEntry,
    /// As [`Operation::lost_files`].
    pub lost_files: bool,
}

/// Appends a line.
pub(super) fn append(disk: &dyn Disk, path: &Path, said: &SaidOfOperation<'_>) -> Result<()> {
    let (file, is_new) = match disk.open(path, true) {
        Err(error) if error.is_absence() => (disk.create_new(path)?, true),
        opened => (opened?, false),
    };
    let end = file.len()?;
    let mut line = String::new();
    if end > 0 {
        let mut last = [0];
        file.read_exact_at(&mut last, end - 1)?;
        // A torn line swallows no other.
        if last != *b"\n" {
            line.push('\n');
        }
    }
    line += &format_line(said);
    file.write_all_at(line.as_bytes(), end)?;
    // What a power cut takes of it would leave files that were dropped where nobody finds them.
    if said.changes.iter().any(Change::keeps_files) {
        file.sync()?;
        if is_new && let Some(folder) = path.parent() {
            disk.sync_dir(folder)?;
        }
    }
    Ok(())
}

/// All operations, the first one first. Lines that are torn are passed over, and have no number.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<Operation>> {
    if disk.stat(path)?.is_none() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&disk.read(path)?).into_owned();
    let operations = text.lines().filter_map(parse_line).zip(1..);
    Ok(operations.map(|(operation, number)| Operation { number, ..operation }).collect())
}

/// Those that happened. One that was told of, and whose refs never moved because somebody was stopped in between, is left out:
/// what is now, with what each later one tells that was before it, is what it tells that was before itself. `now` tells what a
/// ref says.
pub(super) fn that_happened(
    operations: Vec<Operation>,
    mut now: impl FnMut(&AnyRef) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<Operation>> {
    let mut after: Vec<(AnyRef, Option<Vec<u8>>)> = Vec::new();
    let mut happened = Vec::with_capacity(operations.len());
    for operation in operations.into_iter().rev() {
        let mut never = !operation.changes.is_empty();
        for Change { which, from, to } in &operation.changes {
            let known = after.iter().find(|(known, _)| known == which).map(|(_, text)| text.clone());
            let text = known.map_or_else(|| now(which), Ok)?;
            never = never && text == *from && from != to;
        }
        if never {
            continue;
        }
        for Change { which, from, .. } in &operation.changes {
            match after.iter_mut().find(|(known, _)| known == which) {
                Some((_, text)) => text.clone_from(from),
                None => after.push((which.clone(), from.clone())),
            }
        }
        happened.push(operation);
    }
    happened.reverse();
    Ok(happened)
}

fn format_line(SaidOfOperation { changes, entry, lost_files }: &SaidOfOperation<'_>) -> String {
    let Signature { name, email, time, offset_minutes } = &entry.who;
    let plain = |text: &str| text.replace(['\n', '\r', '\t', '<', '>'], " ");
    let mut line = format!(
        "{} {offset_minutes} {} <{}>\t{}",
        time.seconds,
        plain(name),
        plain(email),
        plain(&entry.message)
    );
    if *lost_files {
        let _ = write!(line, "\t{LOST_FILES}");
    }
    for Change { which, from, to } in *changes {
        let folder = which.folder().map(|folder| format!("{folder}/")).unwrap_or_default();
        // Names of refs have neither tabs nor colons.
        let _ = write!(line, "\t{folder}{}:{}:{}", which.name(), hex(from), hex(to));
    }
    line.push('\n');
    line
}

fn hex(text: &Option<Vec<u8>>) -> String {
    match text {
        Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => "-".into(),
    }
}

fn unhex(text: &str) -> Option<Option<Vec<u8>>> {
    if text == "-" {
        return Some(None);
    }
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>())
}

fn parse_line(line: &str) -> Option<Operation> {
    let mut fields = line.split('\t');
    let (who, message) = (fields.next()?, fields.next()?);
    let (seconds, rest) = who.split_once(' ')?;
    let (offset, rest) = rest.split_once(' ')?;
    let (name, email) = rest.split_once(" <")?;
    let who = Signature {
        name: name.to_owned(),
        email: email.strip_suffix('>')?.to_owned(),
        time: Timestamp { seconds: seconds.parse().ok()?, nanoseconds: 0 },
        offset_minutes: offset.parse().ok()?,
    };
    let mut fields = fields.peekable();
    let lost_files = fields.next_if_eq(&LOST_FILES).is_some() || said_that_files_are_lost(message);
    let changes = fields.map(parse_change).collect::<Option<Vec<_>>>()?;
    Some(Operation { number: 0, who, message: message.to_owned(), lost_files, changes })
}

fn parse_change(field: &str) -> Option<Change> {
    let mut parts = field.split(':');
    let (name, from, to) = (parts.next()?, unhex(parts.next()?)?, unhex(parts.next()?)?);
    let which = match name.split_once('/') {
        None if name == "HEAD" => AnyRef::Head,
        Some((folder, name)) if folder == BranchName::FOLDER => AnyRef::Branch(BranchName::new(name).ok()?),
        Some((folder, name)) if folder == TagName::FOLDER => AnyRef::Tag(TagName::new(name).ok()?),
        _ => return None,
    };
    parts.next().is_none().then_some(Change { which, from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> LogEntry {
        let time = Timestamp { seconds: 1_700_000_000, nanoseconds: 0 };
        let who = Signature { name: "Ada".into(), email: "a@b".into(), time, offset_minutes: -90 };
        LogEntry { who, message: message.into() }
    }

    #[test]
    fn lines_read_back_as_they_were_written_and_torn_ones_are_passed_over() {
        let branch = AnyRef::Branch(BranchName::new("a/b").expect("valid"));
        let tag = AnyRef::Tag(TagName::new("v1").expect("valid"));
        let changes = vec![
            Change { which: AnyRef::Head, from: Some(b"ref: refs/heads/x\n".to_vec()), to: Some(vec![]) },
            Change { which: branch, from: None, to: Some(b"\xff\x00".to_vec()) },
            Change { which: tag, from: Some(b"t".to_vec()), to: None },
        ];
        let said = entry("why\tnot\nso");
        let line = |lost_files| format_line(&SaidOfOperation { changes: &changes, entry: &said, lost_files });
        assert!(parse_line(line(true).trim_end()).expect("whole").lost_files);
        let line = line(false);
        let parsed = parse_line(line.trim_end()).expect("whole");
        assert!(!parsed.lost_files);
        assert_eq!((&parsed.changes, parsed.message.as_str()), (&changes, "why not so"));
        assert_eq!((parsed.who.name.as_str(), parsed.who.offset_minutes), ("Ada", -90));
        for cut in [0, 5, line.find('\t').expect("a tab"), line.len() - 4] {
            assert_ne!(parse_line(&line[..cut]).map(|found| found.changes.len()), Some(3), "{cut}");
        }
    }

    #[test]
    fn that_files_are_lost_is_no_matter_of_how_a_commit_is_called() {
        let lost = |message: &str| {
            let line =
                format_line(&SaidOfOperation { changes: &[], entry: &entry(message), lost_files: false });
            parse_line(line.trim_end()).expect("whole").lost_files
        };
        let dropping = |what: &str| format!("{what}, dropping files that no commit has");
        assert!(
            lost(&dropping("reset: to HEAD~1")) && lost(&dropping("branch: deleted")),
            "as it was said once"
        );
        assert!(!lost(&dropping("commit: mind")) && !lost(&dropping("undo: operation 3: reset: to HEAD")));
    }

    #[test]
    fn what_was_told_of_and_never_happened_is_left_out() {
        let main = || AnyRef::Branch(BranchName::new("main").expect("valid"));
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let moved = |number, from: &str, to: &str| Operation {
            number,
            who: entry("").who,
            message: String::new(),
            lost_files: false,
            changes: vec![Change { which: main(), from: text(from), to: text(to) }],
        };
        let told = vec![moved(1, "a", "b"), moved(2, "b", "x"), moved(3, "b", "c"), moved(4, "c", "y")];
        let numbers = |now: &str| -> Vec<usize> {
            let happened = that_happened(told.clone(), |_| Ok(text(now))).expect("nothing fails");
            happened.into_iter().map(|operation| operation.number).collect()
        };
        assert_eq!(numbers("c"), [1, 3], "stopped twice, before each ref moved");
        assert_eq!(numbers("y"), [1, 3, 4]);
        // Somebody moved it without a word: what cannot be told is left in.
        assert_eq!(numbers("z"), [1, 3, 4]);
    }

    #[test]
    fn what_was_taken_back_can_be_done_again_until_something_else_is_done() {
        let operation = |number, message: &str| Operation {
            number,
            who: entry("").who,
            message: message.into(),
            lost_files: false,
            changes: Vec::new(),
        };
        let mut all = vec![operation(1, "commit: a"), operation(2, "commit: b")];
        let tops = |all: &[Operation]| {
            let (undo, redo) = stacks(all);
            (undo.last().map(|one| one.number), redo.last().map(|one| one.number))
        };
        assert_eq!(tops(&all), (Some(2), None));
        all.push(operation(3, &message_of(&all[1], true)));
        assert_eq!(tops(&all), (Some(1), Some(2)));
        all.push(operation(4, &message_of(&all[0], true)));
        assert_eq!(tops(&all), (None, Some(1)));
        all.push(operation(5, &message_of(&all[0], false)));
        assert_eq!(tops(&all), (Some(1), Some(2)));
        all.push(operation(6, "tag: v1"));
        assert_eq!(tops(&all), (Some(6), None));
    }
}
