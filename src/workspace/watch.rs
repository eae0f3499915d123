//! Which refs moved since somebody last looked.
//!
//! Looks at what the refs say and at no clock and no file's time: it does not matter who moved them, nor what his clock
//! says. A ref that went somewhere and came back between two looks has not moved.

use crate::history::{BranchName, Head, Repo, Result, TagName};
use crate::id::CommitId;
use std::collections::BTreeMap;

/// A ref that can be watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedRef {
    /// What the mount shows as HEAD.
    Head,
    /// A branch.
    Branch(BranchName),
    /// A tag.
    Tag(TagName),
}

impl WatchedRef {
    /// What kind of ref it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            WatchedRef::Head => "HEAD",
            WatchedRef::Branch(_) => "branch",
            WatchedRef::Tag(_) => "tag",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            WatchedRef::Head => "HEAD",
            WatchedRef::Branch(name) => name.as_str(),
            WatchedRef::Tag(name) => name.as_str(),
        }
    }
}

/// Where a ref is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefPlace {
    /// The commit that it leads to; `None` for HEAD on a branch that has none yet.
    pub commit: Option<CommitId>,
    /// The branch that HEAD follows.
    pub branch: Option<BranchName>,
}

impl RefPlace {
    fn at(commit: CommitId) -> Self {
        Self { commit: Some(commit), branch: None }
    }
}

/// A ref that moved. `None` where it was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMove {
    /// Which one.
    pub of: WatchedRef,
    /// Where it was.
    pub old: Option<RefPlace>,
    /// Where it is.
    pub new: Option<RefPlace>,
    /// Why it went there, as its log tells.
    pub why: Option<String>,
}

type Places = BTreeMap<WatchedRef, RefPlace>;

/// Refs that are watched, as they were at the last look.
#[derive(Debug)]
pub struct RefWatch {
    repo: Repo,
    /// What they are called; all if none is named.
    names: Vec<String>,
    before: Places,
}

impl RefWatch {
    /// Watches the refs with these names, of which there may be none yet, from now on; all if none is named.
    ///
    /// # Errors
    /// If the refs cannot be listed.
    pub fn begin(repo: &Repo, names: Vec<String>) -> Result<Self> {
        let mut watch = Self { repo: repo.clone(), names, before: Places::new() };
        watch.before = watch.places()?;
        Ok(watch)
    }

    /// Where the watched refs were at the last look, as moves from nowhere.
    pub fn known(&self) -> Vec<RefMove> {
        differing(&Places::new(), &self.before)
    }

    /// Names that no ref has.
    pub fn missing(&self) -> Vec<&str> {
        let is_there = |name: &str| self.before.keys().any(|known| known.name() == name);
        self.names.iter().map(String::as_str).filter(|name| !is_there(name)).collect()
    }

    /// What moved since the last look. A ref that cannot be read has not moved.
    ///
    /// # Errors
    /// If the refs cannot be listed; the next look tells then what this one would have told.
    pub fn look(&mut self) -> Result<Vec<RefMove>> {
        let now = self.places()?;
        let mut moves = differing(&self.before, &now);
        self.before = now;
        for moved in &mut moves {
            moved.why = self.why(moved);
        }
        Ok(moves)
    }

    fn places(&self) -> Result<Places> {
        self.repo.check_held()?;
        let refs = self.repo.refs();
        let mut places = Places::new();
        let mut found = |of: WatchedRef, place: Result<Option<RefPlace>>| {
            if !self.is_watched(&of) {
                return;
            }
            // What cannot be read now is where it was.
            let place = place.unwrap_or_else(|_| self.before.get(&of).cloned());
            places.extend(place.map(|place| (of, place)));
        };
        found(WatchedRef::Head, self.head().map(Some));
        for (name, commit) in refs.each_branch()? {
            found(WatchedRef::Branch(name), commit.map(|commit| Some(RefPlace::at(commit))));
        }
        for (name, tag) in refs.each_tag()? {
            found(WatchedRef::Tag(name), tag.map(|tag| Some(RefPlace::at(tag.commit))));
        }
        Ok(places)
    }

    fn head(&self) -> Result<RefPlace> {
        Ok(match self.repo.refs().head()? {
            Head::Branch(branch) => {
                RefPlace { commit: self.repo.refs().branch(&branch)?, branch: Some(branch) }
            }
            Head::Detached(commit) => RefPlace::at(commit),
        })
    }

    fn is_watched(&self, of: &WatchedRef) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == of.name())
    }

    /// What the log says of a move; nothing if its last line is of another one.
    fn why(&self, moved: &RefMove) -> Option<String> {
        let refs = self.repo.refs();
        let log = match &moved.of {
            WatchedRef::Head => refs.logs().head(),
            WatchedRef::Branch(name) => refs.logs().branch(name),
            WatchedRef::Tag(name) => refs.logs().tag(name),
        };
        let last = log.ok()?.pop()?;
        (last.new == moved.new.as_ref().and_then(|place| place.commit)).then_some(last.message)
    }
}

/// What is not where it was, by name; the reasons are not known yet.
fn differing(before: &Places, now: &Places) -> Vec<RefMove> {
    let gone = before.keys().filter(|of| !now.contains_key(of));
    let mut names: Vec<&WatchedRef> = now.keys().chain(gone).collect();
    names.sort();
    let moved = names.into_iter().filter(|of| before.get(of) != now.get(of));
    let tell = |of: &WatchedRef| RefMove {
        of: of.clone(),
        old: before.get(of).cloned(),
        new: now.get(of).cloned(),
        why: None,
    };
    moved.map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(refs: &[(&str, u8)]) -> Places {
        let place = |(name, commit): &(&str, u8)| {
            let of = match name.strip_prefix("tag ") {
                Some(tag) => WatchedRef::Tag(TagName::new(tag).expect("valid")),
                None => WatchedRef::Branch(BranchName::new(*name).expect("valid")),
            };
            (of, RefPlace::at(CommitId::from_bytes([*commit; 32])))
        };
        refs.iter().map(place).collect()
    }

    #[test]
    fn what_came_went_or_moved_is_told_and_nothing_else() {
        let before = places(&[("gone", 1), ("main", 2), ("same", 3), ("tag same", 4)]);
        let now = places(&[("main", 5), ("new", 6), ("same", 3), ("tag same", 7)]);
        let told = differing(&before, &now);
        let shown: Vec<_> = told
            .iter()
            .map(|moved| (moved.of.kind(), moved.of.name(), moved.old.is_some(), moved.new.is_some()))
            .collect();
        assert_eq!(
            shown,
            [
                ("branch", "gone", true, false),
                ("branch", "main", true, true),
                ("branch", "new", false, true),
                ("tag", "same", true, true)
            ]
        );
        assert_eq!(differing(&now, &now), []);
    }
}
