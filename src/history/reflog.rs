//! Where a ref pointed, line by line: git's reflog, in git's format with 64-digit ids.
//!
//! `<old> <new> <name> <email> <seconds> <+hhmm>\t<message>`. A line is durable before the move that it tells of, so
//! that no move is without one. The move may then not happen: a line is void if what comes after it, the next line or
//! the ref itself, starts where it started. Void and torn lines are passed over: the log is a record of the past, not the
//! truth about the present.

use super::commit::Signature;
use super::error::Result;
use crate::disk::Disk;
use crate::id::CommitId;
use crate::units::Timestamp;
use std::path::Path;

/// Who moves a ref, and why.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Who, and when.
    pub who: Signature,
    /// Why, in one line: `commit: subject`.
    pub message: String,
}

/// One move of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it pointed before; `None` if it did not exist.
    pub old: Option<CommitId>,
    /// Where it points since; `None` if it was deleted.
    pub new: Option<CommitId>,
    /// Who moved it, and when (to the second).
    pub who: Signature,
    /// Why.
    pub message: String,
}

/// Appends a line. The folder must exist. After an error there may be a torn line or a void one. A line that another log
/// tells as well need not be `durable`.
pub(super) fn append(
    disk: &dyn Disk,
    path: &Path,
    (old, new): (Option<CommitId>, Option<CommitId>),
    entry: &LogEntry,
    durable: bool,
) -> Result<()> {
    let file = match disk.open(path, true) {
        Err(error) if error.is_absence() => disk.create_new(path)?,
        opened => opened?,
    };
    let end = file.len()?;
    // Its name is durable before the first byte is in it: who finds a byte need not see to that.
    if let Some(folder) = path.parent().filter(|_| end == 0 && durable) {
        disk.sync_dir(folder)?;
    }
    let mut line = String::new();
    if end > 0 {
        let mut last = [0];
        file.read_exact_at(&mut last, end - 1)?;
        // A torn line from a crash: end it, so that it swallows no other.
        if last != *b"\n" {
            line.push('\n');
        }
    }
    line += &format_line(old, new, entry);
    file.write_all_at(line.as_bytes(), end)?;
    if durable { Ok(file.sync()?) } else { Ok(()) }
}

/// The moves that happened, oldest first, of a ref that names `now`.
pub(super) fn read(disk: &dyn Disk, path: &Path, now: Option<CommitId>) -> Result<Vec<LogLine>> {
    if disk.stat(path)?.is_none() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&disk.read(path)?).into_owned();
    Ok(without_void(text.lines().filter_map(parse_line).collect(), now))
}

/// Drops the lines whose move did not happen.
fn without_void(lines: Vec<LogLine>, now: Option<CommitId>) -> Vec<LogLine> {
    let starts: Vec<_> = lines.iter().skip(1).map(|next| next.old).chain([now]).collect();
    let happened = |line: &LogLine, next: Option<CommitId>| line.old == line.new || next != line.old;
    lines.into_iter().zip(starts).filter(|(line, next)| happened(line, *next)).map(|(line, _)| line).collect()
}

fn format_line(old: Option<CommitId>, new: Option<CommitId>, entry: &LogEntry) -> String {
    let id = |id: Option<CommitId>| id.unwrap_or(NO_COMMIT);
    let Signature { name, email, time, offset_minutes } = &entry.who;
    let plain = |text: &str| text.replace(['\n', '\t', '<', '>'], " ");
    let (sign, minutes) = (if *offset_minutes < 0 { '-' } else { '+' }, offset_minutes.unsigned_abs());
    format!(
        "{} {} {} <{}> {} {sign}{:02}{:02}\t{}\n",
        id(old),
        id(new),
        plain(name),
        plain(email),
        time.seconds,
        minutes / 60,
        minutes % 60,
        plain(&entry.message)
    )
}

/// Stands for "no commit" in a line.
const NO_COMMIT: CommitId = CommitId::from_bytes([0; 32]);

fn parse_line(line: &str) -> Option<LogLine> {
    let (fields, message) = line.split_once('\t')?;
    let (old, rest) = fields.split_once(' ')?;
    let (new, rest) = rest.split_once(' ')?;
    let (who, rest) = rest.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let (seconds, offset) = rest.split_once(' ')?;
    let id = |text: &str| text.parse().ok().map(|id: CommitId| (id != NO_COMMIT).then_some(id));
    let (sign, digits) = offset.split_at_checked(1)?;
    let (hours, minutes): (i16, i16) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let offset_minutes = if sign == "-" { minutes.checked_neg()? } else { minutes };
    let time = Timestamp { seconds: seconds.parse().ok()?, nanoseconds: 0 };
    Some(LogLine {
        old: id(old)?,
        new: id(new)?,
        who: Signature { name: who.to_owned(), email: email.to_owned(), time, offset_minutes },
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_as_they_were_written_and_torn_ones_are_passed_over() {
        let who = Signature {
            name: "Ada <L>".into(),
            email: "ada@example.org".into(),
            time: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
            offset_minutes: -150,
        };
        let new = CommitId::from_bytes([7; 32]);
        let entry = LogEntry { who: who.clone(), message: "commit: first\nsecond".into() };
        let line = format_line(None, Some(new), &entry);
        let parsed = parse_line(line.trim_end()).expect("whole");
        assert_eq!((parsed.old, parsed.new), (None, Some(new)));
        assert_eq!((parsed.who.name.as_str(), parsed.who.offset_minutes), ("Ada  L ", -150));
        assert_eq!(parsed.message, "commit: first second");
        for cut in 1..line.find('\t').expect("a tab") {
            assert_eq!(parse_line(&line[..cut]), None);
        }
    }

    #[test]
    fn lines_of_moves_that_did_not_happen_are_passed_over() {
        let who = Signature {
            name: "Ada".into(),
            email: String::new(),
            time: Timestamp { seconds: 0, nanoseconds: 0 },
            offset_minutes: 0,
        };
        // What each line says, and what the ref says in the end; 0 is no commit. With it the lines that happened.
        type Case = (&'static [(u8, u8)], u8, &'static [usize]);
        let cases: [Case; 9] = [
            (&[(0, 1), (1, 2)], 2, &[0, 1]),
            (&[(0, 1), (1, 2)], 1, &[0]),
            (&[(0, 1)], 0, &[]),
            (&[(0, 1), (1, 2), (1, 3), (1, 4)], 4, &[0, 3]),
            (&[(0, 1), (1, 0), (1, 2), (2, 0)], 0, &[0, 2, 3]),
            (&[(0, 1), (1, 0), (0, 2), (0, 3)], 3, &[0, 1, 3]),
            (&[(0, 1), (1, 1), (1, 2)], 2, &[0, 1, 2]),
            (&[(0, 1), (1, 2), (2, 1), (1, 2)], 2, &[0, 1, 2, 3]),
            // The move after the last line was made by hand.
            (&[(0, 1), (1, 2)], 9, &[0, 1]),
        ];
        let id = |n: u8| (n != 0).then(|| CommitId::from_bytes([n; 32]));
        for (said, now, happened) in cases {
            let line = |&(old, new): &(u8, u8)| LogLine {
                old: id(old),
                new: id(new),
                who: who.clone(),
                message: String::new(),
            };
            let lines: Vec<_> = said.iter().map(line).collect();
            let expected: Vec<_> = happened.iter().map(|&at| lines[at].clone()).collect();
            assert_eq!(without_void(lines, id(now)), expected, "{said:?} then {now}");
        }
    }

    #[test]
    fn any_offset_is_parsed_without_a_panic() {
        let id = "0".repeat(64);
        assert_eq!(parse_line(&format!("{id} {id} A <a> 0 +9932767\tm")), None);
    }
}
