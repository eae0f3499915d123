//! Finding the commit that made something bad, by halves.
//!
//! What is known is a file of the repository: which commits are good, bad or cannot be told, and where HEAD was. HEAD goes to
//! the next commit to look at, so that a mount shows it under a path that stays.

use super::error::{Error, Result};
use super::naming::Switch;
use super::workspace::Workspace;
use crate::history::{CommitGraph, Head, Order, Walk, WalkRequest};
use crate::id::CommitId;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// Commits whose ancestors are counted one by one; of more the middle of the line is taken.
const COUNTED: usize = 3000;

/// What somebody says of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// That cannot be told.
    Skip,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bisection {
    /// The name of what HEAD was at.
    pub start: String,
    /// The earliest commit that is bad.
    pub bad: Option<CommitId>,
    /// Commits that are good.
    pub good: BTreeSet<CommitId>,
    /// Commits of which it cannot be told.
    pub skipped: BTreeSet<CommitId>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A bad and a good commit are to be named first.
    Unknown {
        /// Whether a bad one is.
        has_bad: bool,
        /// Whether a good one is.
        has_good: bool,
    },
    /// HEAD is at a commit that is to be looked at; so many are left.
    Look(CommitId, usize),
    /// This one is the first that is bad.
    Found(CommitId),
    /// It is one of these, which cannot be told apart.
    OneOf(Vec<CommitId>),
}

impl Bisection {
    fn to_text(&self) -> String {
        let mut text = format!("start {}\n", self.start);
        let mut lines = |word: &str, ids: &mut dyn Iterator<Item = &CommitId>| {
            ids.for_each(|id| text += &format!("{word} {id}\n"));
        };
        lines("bad", &mut self.bad.iter());
        lines("good", &mut self.good.iter());
        lines("skip", &mut self.skipped.iter());
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "start" => found.start = rest.to_owned(),
                "bad" => found.bad = Some(rest.parse().ok()?),
                "good" => drop(found.good.insert(rest.parse().ok()?)),
                "skip" => drop(found.skipped.insert(rest.parse().ok()?)),
                _ => return None,
            }
        }
        Some(found)
    }
}

/// The search of a repository.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a>(&'a Workspace);

impl Workspace {
    /// The search for a bad commit.
    pub fn search(&self) -> Search<'_> {
        Search(self)
    }
}

impl Search<'_> {
    fn path(&self) -> PathBuf {
        self.0.repo.root().join("bisect")
    }

    /// What is known so far.
    ///
    /// # Errors
    /// [`Error::NoBisection`] if none is under way.
    pub fn known(&self) -> Result<Bisection> {
        let path = self.path();
        let bytes = match self.0.repo.disk().read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absence() => return Err(Error::NoBisection),
            Err(error) => return Err(error.into()),
        };
        let known = std::str::from_utf8(&bytes).ok().and_then(Bisection::parse);
        let damaged = || crate::history::Error::DamagedFile { path, what: "it is no bisection".into() };
        Ok(known.ok_or_else(damaged)?)
    }

    /// The commit that is looked at: where the repository's own HEAD is, wherever somebody stands.
    ///
    /// # Errors
    /// [`Unborn`](crate::history::Error::Unborn).
    pub fn looked_at(&self) -> Result<CommitId> {
        match self.0.repo.refs().head()? {
            Head::Branch(name) => Ok(self.0.repo.refs().existing_branch(&name)?),
            Head::Detached(commit) => Ok(commit),
        }
    }

    fn keep(&self, bisection: &Bisection) -> Result<()> {
        Ok(self.0.repo.disk().replace(&self.path(), bisection.to_text().as_bytes())?)
    }

    /// Begins a search, in place of one that is under way.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn start(&self) -> Result<()> {
        let start = match self.known() {
            Ok(before) => before.start,
            Err(_) => match self.0.repo.refs().head()? {
                Head::Branch(name) => name.to_string(),
                Head::Detached(commit) => commit.to_string(),
            },
        };
        self.keep(&Bisection { start, ..Bisection::default() })
    }

    /// Says of a commit what it is, and goes to the next one.
    ///
    /// # Errors
    /// [`Error::NoBisection`]; [`Error::BadBeforeGood`], and it was not said.
    pub fn say(&self, verdict: Verdict, commit: CommitId) -> Result<Next> {
        let mut known = self.known()?;
        match verdict {
            Verdict::Good => drop(known.good.insert(commit)),
            Verdict::Bad => known.bad = Some(commit),
            Verdict::Skip => drop(known.skipped.insert(commit)),
        }
        if let Some(bad) = known.bad {
            for good in &known.good {
                if CommitGraph::of(&self.0.repo).is_ancestor(bad, *good)? {
                    return Err(Error::BadBeforeGood { bad, good: *good });
                }
            }
        }
        self.keep(&known)?;
        self.next()
    }

    /// Goes to the next commit to look at.
    ///
    /// # Errors
    /// [`Error::NoBisection`].
    pub fn next(&self) -> Result<Next> {
        let known = self.known()?;
        let (Some(bad), false) = (known.bad, known.good.is_empty()) else {
            return Ok(Next::Unknown { has_bad: known.bad.is_some(), has_good: !known.good.is_empty() });
        };
        let request = WalkRequest {
            tips: vec![bad],
            hidden: known.good.iter().copied().collect(),
            order: Order::Lines,
            ..WalkRequest::default()
        };
        let mut left = Vec::new();
        for step in Walk::of(&self.0.repo, request)? {
            let (id, commit) = step?;
            left.push((id, commit.parents.clone()));
        }
        let open = |id: &CommitId| *id != bad && !known.skipped.contains(id);
        let next = match left.iter().filter(|(id, _)| open(id)).count() {
            0 if left.len() > 1 => Next::OneOf(left.into_iter().map(|(id, _)| id).collect()),
            0 => Next::Found(bad),
            _ => {
                let id = middle(&left, &open).unwrap_or(bad);
                Next::Look(id, left.len() - 1)
            }
        };
        if let Next::Look(id, _) = next {
            self.0.naming().switch(&Switch::To(id.to_string()))?;
        }
        Ok(next)
    }

    /// Ends the search, and lets HEAD go back to where it was. Returns where that is.
    ///
    /// # Errors
    /// [`Error::NoBisection`]; if HEAD cannot go there.
    pub fn reset(&self) -> Result<String> {
        let known = self.known()?;
        self.0.naming().switch(&Switch::To(known.start.clone()))?;
        self.0.repo.disk().remove_file(&self.path())?;
        Ok(known.start)
    }
}

/// The commit that about half of the others lead to: whatever is said of it, half is done.
fn middle(left: &[(CommitId, Vec<CommitId>)], open: &dyn Fn(&CommitId) -> bool) -> Option<CommitId> {
    let candidates: Vec<CommitId> = left.iter().map(|(id, _)| *id).filter(|id| open(id)).collect();
    if left.len() > COUNTED {
        return candidates.get(candidates.len() / 2).copied();
    }
    let parents: HashMap<CommitId, &[CommitId]> =
        left.iter().map(|(id, parents)| (*id, parents.as_slice())).collect();
    let reached = |from: CommitId| {
        let mut seen: HashSet<CommitId> = HashSet::new();
        let mut waiting = vec![from];
        while let Some(id) = waiting.pop() {
            if let Some(above) = parents.get(&id).filter(|_| seen.insert(id)) {
                waiting.extend(above.iter().copied());
            }
        }
        seen.len()
    };
    candidates.into_iter().max_by_key(|id| {
        let below = reached(*id);
        below.min(left.len() - below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CommitId {
        CommitId::from_bytes([number; 32])
    }

    #[test]
    fn what_is_known_reads_back() {
        let known = Bisection {
            start: "main".into(),
            bad: Some(id(1)),
            good: [id(2), id(3)].into(),
            skipped: [id(4)].into(),
        };
        assert_eq!(Bisection::parse(&known.to_text()), Some(known));
        assert_eq!(Bisection::parse("nonsense"), None);
    }

    #[test]
    fn the_middle_halves_what_is_left() {
        let line: Vec<_> = (1..=9).map(|number| (id(number), vec![id(number + 1)])).collect();
        let found = middle(&line, &|_| true).expect("one");
        assert!([id(5), id(6)].contains(&found), "{found}");
        assert_eq!(middle(&line, &|_| false), None);
    }
}
