//! What a user calls a commit: names, prefixes, `HEAD~2`, `main@{yesterday}`, and `REF:path`.
//!
//! The grammar is git's: a base (`HEAD`, `@`, a branch, a tag, `heads/x`, `tags/x`, a prefix of at least four
//! hexadecimal digits), then any number of `~n`, `^`, `^n`, and right after a branch `@{n}` or `@{time}`.

use super::error::{Error, Result};
use super::path::TreePath;
use super::reflog::LogLine;
use super::refs::{BranchName, Head, TagName};
use super::repository::Repo;
use super::suggest::nearest;
use super::tree::{Attributes, Entry};
use crate::id::CommitId;
use crate::store::{Kind, StoreError};
use crate::units::Timestamp;
use jiff::{Span, Timestamp as Instant, Zoned, civil};

/// Shortest prefix that names a commit.
const PREFIX_MIN: usize = 4;

/// A revision with a path below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The revision; `HEAD` if none was given.
    pub revision: String,
    /// The path; the root if none was given.
    pub path: TreePath,
}

/// Splits `REF`, `REF:path` or `:path`.
///
/// # Errors
/// [`Error::Path`] if the path leads out of the tree; [`Error::UnknownRevision`] if the revision is no text.
pub fn split_target(text: impl AsRef<[u8]>) -> Result<Target> {
    let text = text.as_ref();
    let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let (revision, path) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    let revision = match std::str::from_utf8(revision) {
        Ok("") => "HEAD".to_owned(),
        Ok(revision) => revision.to_owned(),
        Err(_) => {
            let text = String::from_utf8_lossy(revision).into_owned();
            return Err(Error::UnknownRevision { text, nearest: None });
        }
    };
    Ok(Target { revision, path: TreePath::parse(path)? })
}

/// One step from a commit to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// `~n`: n times the first parent.
    Ancestor(u32),
    /// `^n`: the n-th parent; 0 is the commit itself.
    Parent(u32),
}

impl Repo {
    /// The commit that a text names. `now` is what `@{yesterday}` counts from.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] with the nearest name that exists, [`Error::AmbiguousPrefix`], [`Error::Unborn`];
    /// [`Error::MissingCommit`] if what it names is not there.
    pub fn resolve(&self, text: &str, now: Timestamp) -> Result<CommitId> {
        let (name, steps) = split_steps(text).ok_or_else(|| self.unknown_revision(text))?;
        let mut commit = match name.split_once("@{") {
            Some((branch, selector)) => self.resolve_logged(text, branch, selector, now)?,
            None => self.resolve_name(text, name)?,
        };
        if let Err(Error::Store(StoreError::NotFound { .. })) = self.commit(commit) {
            return Err(Error::MissingCommit { name: name.to_owned(), commit });
        }
        for step in steps {
            commit = self.step(commit, step)?.ok_or_else(|| self.unknown_revision(text))?;
        }
        Ok(commit)
    }

    fn step(&self, commit: CommitId, step: Step) -> Result<Option<CommitId>> {
        match step {
            Step::Parent(0) => Ok(Some(commit)),
            Step::Parent(n) => Ok(self.commit(commit)?.parents.get(n as usize - 1).copied()),
            Step::Ancestor(n) => {
                let mut at = commit;
                for _ in 0..n {
                    match self.commit(at)?.parents.first() {
                        Some(&parent) => at = parent,
                        None => return Ok(None),
                    }
                }
                Ok(Some(at))
            }
        }
    }

    fn resolve_name(&self, text: &str, name: &str) -> Result<CommitId> {
        if matches!(name, "HEAD" | "@") {
            return match self.refs().head()? {
                Head::Detached(commit) => Ok(commit),
                Head::Branch(branch) => {
                    self.refs().branch(&branch)?.ok_or_else(|| Error::Unborn(branch.to_string()))
                }
            };
        }
        let name = name.strip_prefix("refs/").unwrap_or(name);
        let (as_branch, as_tag) = match (name.strip_prefix("heads/"), name.strip_prefix("tags/")) {
            (Some(branch), _) => (Some(branch), None),
            (_, Some(tag)) => (None, Some(tag)),
            (None, None) => (Some(name), Some(name)),
        };
        if let Some(branch) = as_branch.and_then(|name| BranchName::new(name).ok())
            && let Some(commit) = self.refs().branch(&branch)?
        {
            return Ok(commit);
        }
        if let Some(tag) = as_tag.and_then(|name| TagName::new(name).ok())
            && let Some(tag) = self.refs().tag(&tag)?
        {
            return Ok(tag.commit);
        }
        self.resolve_prefix(text, name)
    }

    fn resolve_prefix(&self, text: &str, prefix: &str) -> Result<CommitId> {
        let is_prefix =
            (PREFIX_MIN..=64).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_prefix {
            return Err(self.unknown_revision(text));
        }
        let prefix = prefix.to_ascii_lowercase();
        let ids = self.store().metadata_with_prefix(Kind::Commit, &prefix)?;
        match ids.as_slice() {
            [] => Err(self.unknown_revision(text)),
            [id] => Ok(CommitId::from_bytes(*id)),
            several => Err(Error::AmbiguousPrefix { text: text.to_owned(), count: several.len() }),
        }
    }

    /// `branch@{n}` or `branch@{time}`, from the log of the branch; of a tag if no branch has one.
    fn resolve_logged(&self, text: &str, name: &str, selector: &str, now: Timestamp) -> Result<CommitId> {
        let selector = selector.strip_suffix('}').ok_or_else(|| self.unknown_revision(text))?;
        let branch = match name {
            "" | "HEAD" | "@" => self.refs().current_branch()?,
            name => BranchName::new(name).map_err(|_| self.unknown_revision(text))?,
        };
        let mut log = self.refs().log(&branch)?;
        if let (true, Ok(tag)) = (log.is_empty(), TagName::new(name)) {
            log = self.refs().tag_log(&tag)?;
        }
        let found = match selector.parse::<usize>() {
            Ok(back) => log.iter().rev().nth(back).and_then(|line| line.new),
            Err(_) => {
                let at = parse_time(selector, now).ok_or_else(|| self.unknown_revision(text))?;
                at_time(&log, at)
            }
        };
        found.ok_or_else(|| self.unknown_revision(text))
    }

    fn unknown_revision(&self, text: &str) -> Error {
        let base = text.split(['~', '^', '@']).next().unwrap_or(text);
        let names = self.refs().all_names().unwrap_or_default();
        let nearest = nearest(base, names).filter(|name| name != base);
        Error::UnknownRevision { text: text.to_owned(), nearest }
    }

    /// The entry of a path in the tree of a commit.
    ///
    /// # Errors
    /// [`Error::UnknownPath`] with the nearest name in the deepest directory that exists.
    pub fn entry_at(&self, commit: CommitId, shown_as: &str, path: &TreePath) -> Result<Entry> {
        let found = self.commit(commit)?;
        let tree = found.tree;
        match self.find_in_tree(tree, path)? {
            // Nothing records when a whole tree changed but the commit.
            Some(entry) if path.is_root() => {
                let attributes = Attributes { modified: found.committer.time, ..entry.attributes };
                Ok(Entry { attributes, ..entry })
            }
            Some(entry) => Ok(entry),
            None => Err(Error::UnknownPath {
                path: path.clone(),
                place: format!("`{shown_as}`"),
                nearest: self.nearest_path(tree, path)?,
            }),
        }
    }

    /// The path that somebody probably meant: right up to some directory, one name off.
    pub(crate) fn nearest_path(&self, tree: crate::id::TreeId, path: &TreePath) -> Result<Option<TreePath>> {
        let mut dir = tree;
        let mut found = TreePath::ROOT;
        for name in path.names() {
            let entries = self.tree(dir)?;
            match entries.find(name).map(|entry| &entry.node) {
                Some(super::tree::Node::Dir(below)) => {
                    dir = *below;
                    found = found.join(name.clone());
                }
                Some(_) => return Ok(Some(found.join(name.clone()))),
                None => {
                    let names = entries.entries().iter().map(|entry| entry.name.to_string());
                    let near = nearest(&name.to_string(), names);
                    let near = near.and_then(|near| super::path::Name::new(near).ok());
                    return Ok(near.map(|near| found.join(near)));
                }
            }
        }
        Ok(None)
    }
}

/// Where a branch pointed at an instant; before its first move, where that move began.
fn at_time(log: &[LogLine], at: Timestamp) -> Option<CommitId> {
    let before = log.iter().rev().find(|line| line.who.time <= at);
    before.map_or_else(|| log.first()?.old, |line| line.new)
}

/// Splits off the `~` and `^` steps; `None` if they are malformed.
fn split_steps(text: &str) -> Option<(&str, Vec<Step>)> {
    // Inside `@{...}` nothing is a step.
    let from = text.rfind('}').map_or(0, |at| at + 1);
    let end = text[from..].find(['~', '^']).map_or(text.len(), |at| from + at);
    let (name, mut rest) = text.split_at(end);
    let mut steps = Vec::new();
    while let Some(sign) = rest.chars().next() {
        rest = &rest[1..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number = if number.is_empty() { 1 } else { number.parse().ok()? };
        steps.push(match sign {
            '~' => Step::Ancestor(number),
            '^' => Step::Parent(number),
            _ => return None,
        });
        rest = after;
    }
    (!name.is_empty()).then_some((name, steps))
}

/// An instant as people say it: `now`, `yesterday`, `2.hours.ago`, `3 days ago`, `2026-11-23`, `2026-11-23 07:31`,
/// RFC 3339. Days without a zone are UTC.
pub(super) fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words = text.replace('.', " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let now_utc = Instant::new(now.seconds, now.nanoseconds as i32).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let said = match words.as_slice() {
        ["now"] => Some(now_utc),
        ["today"] => now_utc.start_of_day().ok(),
        ["yesterday"] => now_utc.checked_sub(Span::new().days(1)).ok(),
        [count, unit, "ago"] => now_utc.checked_sub(span(count.parse().ok()?, unit)?).ok(),
        _ => parse_date(text),
    };
    let instant = said?.timestamp();
    Some(Timestamp { seconds: instant.as_second(), nanoseconds: 0 })
}

fn span(count: i64, unit: &str) -> Option<Span> {
    let span = Span::new();
    match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => span.try_seconds(count),
        "minute" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    }
    .ok()
}

fn parse_date(text: &str) -> Option<Zoned> {
    if let Ok(instant) = text.parse::<Instant>() {
        return Some(instant.to_zoned(jiff::tz::TimeZone::UTC));
    }
    let day_and_time = text.parse::<civil::DateTime>().ok()?;
    day_and_time.to_zoned(jiff::tz::TimeZone::UTC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_from_left_to_right() {
        use Step::{Ancestor, Parent};
        assert_eq!(split_steps("HEAD~3^2~"), Some(("HEAD", vec![Ancestor(3), Parent(2), Ancestor(1)])));
        assert_eq!(split_steps("main@{2 days ago}^"), Some(("main@{2 days ago}", vec![Parent(1)])));
        assert_eq!(split_steps("~1"), None);
        assert_eq!(split_steps("a~1x"), None);
        assert_eq!(split_steps("a~99999999999"), None);
    }

    #[test]
    fn times_are_what_people_say() {
        let now = Timestamp { seconds: 1_700_000_000, nanoseconds: 0 };
        let seconds = |text| parse_time(text, now).map(|time| time.seconds);
        assert_eq!(seconds("now"), Some(1_700_000_000));
        assert_eq!(seconds("yesterday"), Some(1_700_000_000 - 86_400));
        assert_eq!(seconds("2.hours.ago"), Some(1_700_000_000 - 7_200));
        assert_eq!(seconds("1 week ago"), Some(1_700_000_000 - 7 * 86_400));
        assert_eq!(seconds("2023-11-14"), Some(1_699_920_000));
        assert_eq!(seconds("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        for nonsense in ["", "soon", "x.days.ago", "99999999999999.years.ago", "3 blinks ago"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn targets_split_at_the_first_colon() {
        let target = split_target("main~1:run/a:b").expect("valid");
        assert_eq!((target.revision.as_str(), target.path.to_string().as_str()), ("main~1", "run/a:b"));
        assert_eq!(split_target(":x").expect("valid").revision, "HEAD");
        assert!(split_target("main:../x").is_err());
        assert_eq!(split_target(b"main:a\xff").expect("valid").path.to_bytes(), b"a\xff");
        assert!(matches!(split_target(b"ma\xffin:a"), Err(Error::UnknownRevision { .. })));
    }
}
