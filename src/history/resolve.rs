//! From what a user calls a commit to the commit. What names none says what there is instead.

use super::commit::Commit;
use super::commit_graph::CommitGraph;
use super::error::{Error, Limit, Result};
use super::ref_value::{Head, switched_from};
use super::reflog::LogLine;
use super::refs::{BranchName, TagName};
use super::repository::Repo;
use super::revision::{At, Base, Range, Revision, Step};
use super::said_time::parse_time;
use super::suggest::nearest;
use super::walk::Walk;
use crate::id::CommitId;
use crate::store::{Kind, StoreError};
use crate::units::Timestamp;

/// Shortest prefix that names a commit.
const PREFIX_MIN: usize = 4;
/// Digits of a whole id.
const DIGITS: usize = 2 * CommitId::LEN;
/// Other names that a branch is looked for under, one after the other.
const RENAMES: usize = 64;
/// Commits of a prefix that are told of.
const MATCHES: usize = 8;

/// Commits: those that `tips` reach and `hidden` do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Where to start.
    pub tips: Vec<CommitId>,
    /// What is left out with all that it reaches.
    pub hidden: Vec<CommitId>,
}

impl Repo {
    /// The commit that a text names. `now` is what `@{yesterday}` counts from.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] with the nearest name that exists, [`Error::TooFar`] with what there is,
    /// [`Error::AmbiguousPrefix`] with its matches, [`Error::TooShort`], [`Error::Unborn`]; [`Error::MissingCommit`] if what
    /// it names is not there.
    pub fn resolve(&self, text: &str, now: Timestamp) -> Result<CommitId> {
        let revisions = Revisions::of(self);
        let revision = Revision::parse(text).ok_or_else(|| revisions.unknown(text))?;
        revisions.resolve(&revision, now)
    }
}

/// What texts mean in a repository.
#[derive(Debug, Clone, Copy)]
pub struct Revisions<'a> {
    repo: &'a Repo,
}

impl<'a> Revisions<'a> {
    /// In this one.
    pub fn of(repo: &'a Repo) -> Self {
        Self { repo }
    }

    /// The commit that a text names which was read.
    ///
    /// # Errors
    /// As [`Repo::resolve`].
    pub fn resolve(&self, revision: &Revision, now: Timestamp) -> Result<CommitId> {
        let text = revision.text.as_str();
        let mut commit = match &revision.base {
            Base::Head => self.head()?,
            Base::Named(name) => self.named(text, name)?,
            Base::Logged { name, at } => self.logged(text, name.as_deref(), at, now)?,
            Base::Previous(back) => self.named(text, &self.previous(text, *back)?)?,
            Base::Message(wanted) => self.newest_saying(text, self.tips()?, wanted)?,
        };
        if let Err(Error::Store(StoreError::NotFound { .. })) = self.repo.commit(commit) {
            let name = Revision::stem(text).to_owned();
            return Err(Error::MissingCommit { name, commit });
        }
        for step in &revision.steps {
            commit = self.step(text, commit, step)?;
        }
        Ok(commit)
    }

    /// The commit that HEAD names here.
    fn head(&self) -> Result<CommitId> {
        match self.repo.head()? {
            Head::Detached(commit) => Ok(commit),
            Head::Branch(branch) => {
                let commit = self.repo.refs().branch(&branch)?;
                commit.ok_or_else(|| Error::Unborn(branch.to_string()))
            }
        }
    }

    /// The commits that texts name together: `a..b`, `^a b`, and the like.
    ///
    /// # Errors
    /// As [`Repo::resolve`].
    pub fn select<'t>(&self, texts: impl IntoIterator<Item = &'t str>, now: Timestamp) -> Result<Selection> {
        let mut selection = Selection::default();
        for text in texts {
            let range = Range::parse(text).ok_or_else(|| self.unknown(text))?;
            self.add_range(&mut selection, &range, now)?;
        }
        Ok(selection)
    }

    fn add_range(&self, selection: &mut Selection, range: &Range, now: Timestamp) -> Result<()> {
        let of = |revision| self.resolve(revision, now);
        let Selection { tips, hidden } = selection;
        match range {
            Range::Only(one) => tips.push(of(one)?),
            Range::Without(one) => hidden.push(of(one)?),
            Range::Between(from, to) => {
                hidden.push(of(from)?);
                tips.push(of(to)?);
            }
            Range::Apart(one, other) => {
                let (one, other) = (of(one)?, of(other)?);
                hidden.extend(CommitGraph::of(self.repo).merge_bases(one, other)?);
                tips.extend([one, other]);
            }
            Range::Itself(one) => {
                let commit = of(one)?;
                tips.push(commit);
                hidden.extend(&self.repo.commit(commit)?.parents);
            }
            Range::Parents(one) => tips.extend(&self.repo.commit(of(one)?)?.parents),
            Range::Since(one, number) => {
                let commit = of(one)?;
                tips.push(commit);
                hidden.push(self.step(&one.text, commit, &Step::Parent((*number).max(1)))?);
            }
        }
        Ok(())
    }

    /// What else a text names than the commit that it stands for, each as one would have to say it: a tag besides a branch, a
    /// commit besides either. Empty for what has one meaning, or none.
    ///
    /// # Errors
    /// If refs or packs cannot be read.
    pub fn other_meanings(&self, text: &str) -> Result<Vec<String>> {
        let Some(Revision { base: Base::Named(name), .. }) = Revision::parse(text) else {
            return Ok(Vec::new());
        };
        let branch = match BranchName::new(name.as_str()) {
            Ok(branch) => self.repo.refs().branch(&branch)?,
            Err(_) => None,
        };
        let tag = match TagName::new(name.as_str()) {
            Ok(tag) => self.repo.refs().tag(&tag)?.map(|tag| tag.commit),
            Err(_) => None,
        };
        let Some(meant) = branch.or(tag) else { return Ok(Vec::new()) };
        let mut others = Vec::new();
        if let Some(tag) = tag.filter(|tag| branch.is_some() && *tag != meant) {
            others.push((format!("tags/{name}"), tag));
        }
        if let Ok(commit) = self.prefixed(text, &name)
            && commit != meant
        {
            others.push((commit.to_string(), commit));
        }
        Ok(others.into_iter().map(|(said, _)| said).collect())
    }

    /// The name of what HEAD was at before it was switched, if a text says `-` or `@{-n}`; `None` if it says something
    /// else.
    ///
    /// # Errors
    /// [`Error::TooFar`] if it was not switched so often.
    pub fn previous_named(&self, text: &str) -> Result<Option<String>> {
        match Revision::parse(text) {
            Some(Revision { base: Base::Previous(back), steps, .. }) if steps.is_empty() => {
                self.previous(text, back).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn previous(&self, text: &str, back: usize) -> Result<String> {
        let log = self.repo.refs().logs().head()?;
        let from: Vec<&str> = log.iter().filter_map(|line| switched_from(&line.message)).collect();
        let found = from.len().checked_sub(back).map(|at| from[at].to_owned());
        let found =
            found.ok_or_else(|| Error::TooFar { text: text.to_owned(), has: Limit::Switches(from.len()) })?;
        self.called_now(found)
    }

    /// The name that a branch has now that was called so: its log tells what it was renamed to.
    fn called_now(&self, mut name: String) -> Result<String> {
        for _ in 0..RENAMES {
            let Ok(branch) = BranchName::new(name.as_str()) else { break };
            if self.repo.refs().branch(&branch)?.is_some() {
                break;
            }
            let log = self.repo.refs().logs().branch(&branch)?;
            let said = format!("branch: renamed {name} to ");
            match log.last().and_then(|line| line.message.strip_prefix(&said)) {
                Some(next) => name = next.to_owned(),
                None => break,
            }
        }
        Ok(name)
    }

    fn step(&self, text: &str, commit: CommitId, step: &Step) -> Result<CommitId> {
        let too_far = |has| Error::TooFar { text: text.to_owned(), has };
        let of = || Revision::stem(text).to_owned();
        match step {
            Step::Parent(0) => Ok(commit),
            Step::Parent(n) => {
                let parents = &self.repo.commit(commit)?.parents;
                let limit = || Limit::Parents { of: commit, count: parents.len() };
                parents.get(*n as usize - 1).copied().ok_or_else(|| too_far(limit()))
            }
            Step::Ancestor(n) => {
                let mut at = commit;
                for count in 0..*n {
                    match self.repo.commit(at)?.parents.first() {
                        Some(&parent) => at = parent,
                        None => return Err(too_far(Limit::Ancestors { of: of(), count: count as usize })),
                    }
                }
                Ok(at)
            }
            Step::Message(wanted) => self.newest_saying(text, vec![commit], wanted),
        }
    }

    fn tips(&self) -> Result<Vec<CommitId>> {
        let mut tips: Vec<CommitId> =
            self.repo.refs().branches()?.into_iter().map(|(_, commit)| commit).collect();
        let tags = self.repo.refs().tags()?.into_iter().filter(|(name, _)| !name.is_kept());
        tips.extend(tags.map(|(_, tag)| tag.commit));
        Ok(tips)
    }

    fn newest_saying(&self, text: &str, tips: Vec<CommitId>, wanted: &str) -> Result<CommitId> {
        for step in Walk::new(self.repo, tips)? {
            let (id, commit) = step?;
            if commit.message.contains(wanted) {
                return Ok(id);
            }
        }
        Err(Error::TooFar { text: text.to_owned(), has: Limit::Message(wanted.to_owned()) })
    }

    fn named(&self, text: &str, name: &str) -> Result<CommitId> {
        let name = name.strip_prefix("refs/").unwrap_or(name);
        let (as_branch, as_tag) = match (name.strip_prefix("heads/"), name.strip_prefix("tags/")) {
            (Some(branch), _) => (Some(branch), None),
            (_, Some(tag)) => (None, Some(tag)),
            (None, None) => (Some(name), Some(name)),
        };
        if let Some(branch) = as_branch.and_then(|name| BranchName::new(name).ok())
            && let Some(commit) = self.repo.refs().branch(&branch)?
        {
            return Ok(commit);
        }
        if let Some(tag) = as_tag.and_then(|name| TagName::new(name).ok())
            && let Some(tag) = self.repo.refs().tag(&tag)?
        {
            return Ok(tag.commit);
        }
        if let Head::Branch(branch) = self.repo.head()?
            && as_branch == Some(branch.as_str())
        {
            return Err(Error::Unborn(branch.to_string()));
        }
        self.prefixed(text, name)
    }

    fn prefixed(&self, text: &str, name: &str) -> Result<CommitId> {
        let is_hex = |digits: &str| {
            !digits.is_empty() && digits.len() <= DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        // What `describe` prints ends with one.
        let described = name.rsplit_once("-g").map(|(_, digits)| digits).filter(|digits| is_hex(digits));
        let prefix = described.unwrap_or(name).to_ascii_lowercase();
        match (is_hex(&prefix), prefix.len()) {
            (false, _) => return Err(self.unknown(text)),
            (true, len) if len < PREFIX_MIN => {
                // Perhaps a name was meant.
                return Err(match self.unknown(text) {
                    Error::UnknownRevision { nearest: None, text } => {
                        Error::TooShort { text, least: PREFIX_MIN }
                    }
                    other => other,
                });
            }
            (true, _) => {}
        }
        let ids = self.repo.store().metadata_with_prefix(Kind::Commit, &prefix)?;
        match ids.as_slice() {
            [] => Err(self.unknown(text)),
            [id] => Ok(CommitId::from_bytes(*id)),
            several => Err(self.ambiguous(text, several)),
        }
    }

    fn ambiguous(&self, text: &str, ids: &[[u8; CommitId::LEN]]) -> Error {
        let ids = ids.iter().map(|id| CommitId::from_bytes(*id));
        let mut matches: Vec<(CommitId, Option<Timestamp>, String)> = ids
            .map(|id| match self.repo.commit(id) {
                Ok(commit) => (id, Some(commit.committer.time), Commit::subject(&commit).to_owned()),
                Err(_) => (id, None, String::new()),
            })
            .collect();
        matches.sort_by_key(|(_, time, _)| std::cmp::Reverse(*time));
        let count = matches.len();
        matches.truncate(MATCHES);
        let matches = matches.into_iter().map(|(id, _, subject)| (id, subject)).collect();
        Error::AmbiguousPrefix { text: text.to_owned(), count, matches }
    }

    /// `name@{n}` or `name@{time}`, from the log of HEAD, of the current branch or another one, or of a tag if no branch
    /// has one.
    fn logged(&self, text: &str, name: Option<&str>, at: &At, now: Timestamp) -> Result<CommitId> {
        let (of, log) = self.log_called(text, name)?;
        let limit = || Error::TooFar {
            text: text.to_owned(),
            has: Limit::Entries { of: of.clone(), count: log.len() },
        };
        match at {
            At::Entry(back) => log.iter().rev().nth(*back).and_then(|line| line.new).ok_or_else(limit),
            At::Time(said) => {
                let at = parse_time(said, now).ok_or_else(|| Error::UnknownTime(said.clone()))?;
                at_time(&log, at).ok_or_else(limit)
            }
        }
    }

    /// Where the log of a ref begins that a text asks about an earlier instant of, with the ref's whole name: the text names
    /// where the ref was first.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub fn begins_later(&self, text: &str, now: Timestamp) -> Result<Option<(String, Timestamp)>> {
        let stem = text.split(':').next().unwrap_or(text);
        let asked: Vec<Revision> = match Range::parse(stem) {
            Some(Range::Between(one, other) | Range::Apart(one, other)) => vec![one, other],
            Some(
                Range::Only(one)
                | Range::Without(one)
                | Range::Itself(one)
                | Range::Parents(one)
                | Range::Since(one, _),
            ) => vec![one],
            None => Vec::new(),
        };
        for revision in asked {
            let Base::Logged { name, at: At::Time(said) } = &revision.base else { continue };
            let Some(at) = parse_time(said, now) else { continue };
            let (of, log) = self.log_called(text, name.as_deref())?;
            if let Some(first) = log.first().filter(|first| at < first.who.time) {
                return Ok(Some((of, first.who.time)));
            }
        }
        Ok(None)
    }

    /// The log of what a name means, and its whole name. HEAD's is that of its branch for who stands on one, and before HEAD had
    /// a log of its own.
    fn log_called(&self, text: &str, name: Option<&str>) -> Result<(String, Vec<LogLine>)> {
        let refs = self.repo.refs();
        let branch = match name {
            Some("HEAD" | "@") => {
                let log = if self.repo.stood_on.is_some() { Vec::new() } else { refs.logs().head()? };
                match (log.is_empty(), self.repo.head()?) {
                    (true, Head::Branch(branch)) => branch,
                    (_, Head::Branch(_) | Head::Detached(_)) => return Ok(("HEAD".into(), log)),
                }
            }
            None => self.repo.head()?.into_branch()?,
            Some(name) => {
                let name = name.strip_prefix("refs/").unwrap_or(name);
                if let Some(Ok(tag)) = name.strip_prefix("tags/").map(TagName::new) {
                    return Ok((format!("tag {tag}"), refs.logs().tag(&tag)?));
                }
                let branch = BranchName::new(name.strip_prefix("heads/").unwrap_or(name));
                branch.map_err(|_| self.unknown(text))?
            }
        };
        let log = refs.logs().branch(&branch)?;
        if let (true, Ok(tag)) = (log.is_empty(), TagName::new(branch.as_str())) {
            let log = refs.logs().tag(&tag)?;
            if !log.is_empty() {
                return Ok((format!("tag {tag}"), log));
            }
        }
        match log.is_empty() && refs.branch(&branch)?.is_none() {
            true => Err(self.unknown(text)),
            false => Ok((branch.to_string(), log)),
        }
    }

    /// Where a ref was, newest first, with its whole name: HEAD, a branch or a tag, living or deleted.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] if there is no such ref and never was.
    pub fn moves_of(&self, name: &str) -> Result<(String, Vec<LogLine>)> {
        let (of, mut log) = self.log_called(name, Some(name))?;
        log.reverse();
        Ok((of, log))
    }

    fn unknown(&self, text: &str) -> Error {
        let stem = Revision::stem(text);
        let names = self.repo.refs().all_names().unwrap_or_default();
        let nearest = nearest(stem, names).filter(|name| name != stem);
        Error::UnknownRevision { text: text.to_owned(), nearest }
    }
}

/// Where a ref pointed at an instant; before its first move, where that move began, or led to where it was made.
fn at_time(log: &[LogLine], at: Timestamp) -> Option<CommitId> {
    let before = log.iter().rev().find(|line| line.who.time <= at);
    before.map_or_else(|| log.first().and_then(|line| line.old.or(line.new)), |line| line.new)
}

#[cfg(test)]
mod tests;
