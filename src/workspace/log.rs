//! Which commits somebody wants to see of the history, and which of them changed what he names.

use super::error::Result;
use super::pathspec::Pathspec;
use super::pickaxe::Pickaxe;
use super::workspace::Workspace;
use crate::history::{self, Commit, Order, Repo, Revisions, Selection, Walk, WalkRequest, parse_time};
use crate::id::CommitId;
use std::sync::Arc;

/// What is wanted of a history.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Revisions and ranges; HEAD, or the branch of the worktree that somebody stands in, if there is none.
    pub revisions: Vec<String>,
    /// From all branches.
    pub branches: bool,
    /// From all tags.
    pub tags: bool,
    /// Of merges only what the first parents lead to.
    pub first_parent: bool,
    /// In which order.
    pub order: Order,
    /// Nothing older, as people say it.
    pub since: Option<String>,
    /// Nothing newer.
    pub until: Option<String>,
    /// Messages that have one of these texts.
    pub grep: Vec<String>,
    /// Authors whose name or address has one of these.
    pub author: Vec<String>,
    /// Whether letters may be large or small in both.
    pub ignore_case: bool,
    /// Only merges, or none.
    pub merges: Option<bool>,
    /// Only commits that changed one of these.
    pub paths: Pathspec,
    /// Only commits after which there is more or less of one of these texts in a file that is meant, or of tensors of that name.
    pub texts: Vec<String>,
    /// Of the one path that is named also what it was before it was renamed.
    pub follow: bool,
}

/// The commits of a request, as they are come to.
pub struct Log<'a> {
    workspace: &'a Workspace,
    walk: Walk,
    filter: Filter,
    follow: bool,
    texts: Vec<Pickaxe>,
    /// The paths that are meant in the commit that was come to last.
    shown: Pathspec,
}

struct Filter {
    until: Option<crate::units::Timestamp>,
    grep: Vec<String>,
    author: Vec<String>,
    ignore_case: bool,
    merges: Option<bool>,
    paths: Pathspec,
    first_parent: bool,
}

impl Workspace {
    /// The commits that are wanted.
    ///
    /// # Errors
    /// As [`Revisions::select`]; [`UnknownTime`](history::Error::UnknownTime).
    pub fn log(&self, request: LogRequest) -> Result<Log<'_>> {
        let time = |said: &Option<String>| match said {
            Some(said) => parse_time(said, self.now())
                .ok_or_else(|| history::Error::UnknownTime(said.clone()))
                .map(Some),
            None => Ok(None),
        };
        let (since, until) = (time(&request.since)?, time(&request.until)?);
        let mut selection =
            Revisions::of(&self.repo).select(request.revisions.iter().map(String::as_str), self.now())?;
        let refs = self.repo.refs();
        // A ref that cannot be read leads to no commit here; `fsck` tells of it.
        if request.branches {
            selection.tips.extend(refs.each_branch()?.into_iter().filter_map(|(_, commit)| commit.ok()));
        }
        if request.tags {
            // What was dropped is no history.
            let tags = refs.each_tag()?.into_iter().filter(|(name, _)| !name.is_kept());
            selection.tips.extend(tags.filter_map(|(_, tag)| Some(tag.ok()?.commit)));
        }
        if !(request.branches || request.tags) && selection.tips.is_empty() {
            selection.tips.push(self.here_commit()?);
        }
        let Selection { tips, hidden } = selection;
        let LogRequest {
            first_parent, order, grep, author, ignore_case, merges, paths, texts, follow, ..
        } = request;
        let texts = texts.into_iter().map(Pickaxe::of).collect();
        let walk = Walk::of(&self.repo, WalkRequest { tips, hidden, first_parent, since, order })?;
        let lower = |texts: Vec<String>| match ignore_case {
            true => texts.iter().map(|text| text.to_lowercase()).collect(),
            false => texts,
        };
        let (grep, author) = (lower(grep), lower(author));
        let shown = paths.clone();
        let filter = Filter { until, grep, author, ignore_case, merges, paths, first_parent };
        Ok(Log { workspace: self, walk, filter, follow, texts, shown })
    }

    /// The commit that somebody stands at: of the branch whose worktree it is, or HEAD's.
    ///
    /// # Errors
    /// [`Unborn`](history::Error::Unborn) before the first one.
    pub fn here_commit(&self) -> Result<CommitId> {
        match &self.inside {
            Some((branch, _)) => Ok(self.repo.refs().existing_branch(branch)?),
            None => Ok(self.repo.resolve("HEAD", self.now())?),
        }
    }
}

impl Log<'_> {
    /// The paths that are meant in the commit that was come to last: what is followed was called otherwise in others.
    pub fn paths(&self) -> &Pathspec {
        &self.shown
    }

    fn step(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>> {
        loop {
            let Some(step) = self.walk.next() else { return Ok(None) };
            let (id, commit) = step?;
            let takes = self.filter.takes(&commit);
            if (takes || self.follow) && self.filter.changed(&self.workspace.repo, &commit)? {
                let is_meant = takes && self.changed_in_kind(&commit)?;
                if self.follow {
                    self.shown = self.filter.paths.clone();
                    self.go_after(&commit)?;
                }
                if is_meant {
                    return Ok(Some((id, commit)));
                }
            }
        }
    }

    /// Whether a commit changed something in a way, or more or less of a text, that is meant: as in git a merge did not, unless
    /// first parents alone count.
    fn changed_in_kind(&mut self, commit: &Commit) -> Result<bool> {
        let Filter { paths, first_parent, .. } = &self.filter;
        if paths.kinds.is_all() && self.texts.is_empty() {
            return Ok(true);
        }
        if commit.parents.len() > 1 && !first_parent {
            return Ok(false);
        }
        let repo = &self.workspace.repo;
        let before = repo.tree_of(commit.parents.first().copied())?;
        if !paths.kinds.is_all() {
            let views = self.workspace.views();
            let (old, new) =
                (views.view_tree(before, "its parent"), views.view_tree(commit.tree, "a commit"));
            if views.changes(&old, &new, paths, true)?.is_empty() {
                return Ok(false);
            }
        }
        for text in &mut self.texts {
            if text.differs(repo, (before, commit.tree), |path| paths.means(path))? {
                return Ok(true);
            }
        }
        Ok(self.texts.is_empty())
    }

    /// What a path was called before, where this commit gave it its name. As in git there is one name at a time, whichever
    /// line of history a commit is of.
    fn go_after(&mut self, commit: &Commit) -> Result<()> {
        let (Some(path), Some(&parent)) = (self.filter.paths.only().cloned(), commit.parents.first()) else {
            return Ok(());
        };
        if let Some(from) = self.workspace.views().renamed_from(commit, parent, &path)? {
            let kinds = self.filter.paths.kinds;
            self.shown = Pathspec { kinds, ..Pathspec::below([from.clone(), path]) };
            self.filter.paths = Pathspec { kinds, ..Pathspec::below([from]) };
        }
        Ok(())
    }
}

impl Iterator for Log<'_> {
    type Item = Result<(CommitId, Arc<Commit>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Filter {
    fn takes(&self, commit: &Commit) -> bool {
        let has = |text: &str, wanted: &[String]| {
            let lower = self.ignore_case.then(|| text.to_lowercase());
            let text = lower.as_deref().unwrap_or(text);
            wanted.is_empty() || wanted.iter().any(|wanted| text.contains(wanted.as_str()))
        };
        let author = format!("{} <{}>", commit.author.name, commit.author.email);
        self.until.is_none_or(|until| commit.committer.time <= until)
            && self.merges.is_none_or(|merges| (commit.parents.len() > 1) == merges)
            && has(&commit.message, &self.grep)
            && has(&author, &self.author)
    }

    /// Whether a commit changed what is named; a merge, if it differs there from all that it followed.
    fn changed(&self, repo: &Repo, commit: &Commit) -> Result<bool> {
        if self.paths.is_all() {
            return Ok(true);
        }
        let followed = if self.first_parent { 1 } else { commit.parents.len() };
        if commit.parents.is_empty() {
            return Ok(self.paths.differs(repo, repo.tree_of(None)?, commit.tree)?);
        }
        for &parent in commit.parents.iter().take(followed) {
            if !self.paths.differs(repo, repo.commit(parent)?.tree, commit.tree)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
