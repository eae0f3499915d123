//! The graph of a repository's commits: kept in memory as far as somebody asked, and in a file that may be deleted at any time.
//!
//! A commit never changes, so what is known of it holds for ever: the file is behind, never wrong. It is written by whoever
//! writes the store anew and by one commit in 256; what it does not have is read from the commits themselves.

use super::ancestry;
use super::error::{Error, Result};
use super::graph::{Graph, RowNumber};
use super::known_graph::Descent;
use super::repository::Repo;
use crate::id::CommitId;
use crate::task::Task;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What the id of a commit begins with that brings the file up to date: one in 256, without anybody who counts. The others
/// cost nothing, and a few hundred commits that are not in the file are read in milliseconds.
const TURN: u8 = 0xff;

/// The longest file that is read: ten million commits.
const FILE_MAX: u64 = 1 << 30;

/// How the commits of a repository descend from each other.
#[derive(Debug, Clone, Copy)]
pub struct CommitGraph<'a> {
    repo: &'a Repo,
}

impl<'a> CommitGraph<'a> {
    /// That of this repository.
    pub fn of(repo: &'a Repo) -> Self {
        Self { repo }
    }

    /// Whether `ancestor` is `descendant` or one of its ancestors.
    pub fn is_ancestor(&self, ancestor: CommitId, descendant: CommitId) -> Result<bool> {
        self.is_ancestor_of_any(ancestor, [descendant])
    }

    /// Whether `ancestor` is one of `descendants` or an ancestor of one.
    ///
    /// # Errors
    /// If a commit that may be in between cannot be read.
    pub fn is_ancestor_of_any(
        &self,
        ancestor: CommitId,
        descendants: impl IntoIterator<Item = CommitId>,
    ) -> Result<bool> {
        let descendants: Vec<CommitId> = descendants.into_iter().collect();
        if descendants.contains(&ancestor) {
            return Ok(true);
        }
        match self.rows([descendants.as_slice(), &[ancestor]].concat()) {
            Ok((graph, rows)) => {
                let (descendants, ancestor) = rows.split_at(descendants.len());
                Ok(ancestry::is_ancestor(&graph, ancestor[0], descendants))
            }
            // Somewhere a commit is missing, which may be behind all that matters.
            Err(_) => self.is_found_from(ancestor, descendants),
        }
    }

    /// The same from the commits alone, as far as they are there.
    fn is_found_from(&self, ancestor: CommitId, descendants: Vec<CommitId>) -> Result<bool> {
        let mut seen: HashSet<CommitId> = descendants.iter().copied().collect();
        let (mut left, mut missing) = (descendants, None);
        while let Some(id) = left.pop() {
            match self.repo.commit(id) {
                Ok(commit) if commit.parents.contains(&ancestor) => return Ok(true),
                Ok(commit) => left.extend(commit.parents.iter().filter(|&&parent| seen.insert(parent))),
                Err(error) => missing = missing.or(Some(error)),
            }
        }
        missing.map_or(Ok(false), Err)
    }

    /// The best common ancestors of two commits: those that are no ancestor of another common one, the newest first. One
    /// where histories parted once, several where they were merged crosswise, none where they have nothing in common.
    ///
    /// # Errors
    /// If a commit of their histories cannot be read.
    pub fn merge_bases(&self, one: CommitId, other: CommitId) -> Result<Vec<CommitId>> {
        let (graph, rows) = self.rows(vec![one, other])?;
        let bases = ancestry::merge_bases(&graph, rows[0], rows[1]);
        Ok(bases.into_iter().map(|row| graph.id(row)).collect())
    }

    /// A graph that has these commits, and their numbers in it.
    pub(super) fn rows(&self, commits: Vec<CommitId>) -> Result<(Arc<Graph>, Vec<RowNumber>)> {
        let mut graph = self.known();
        if commits.iter().any(|&commit| graph.find(commit).is_none()) {
            // Read without holding up others; if two do it at a time, both say the same.
            let unknown = self.unknown_to(&graph, &commits)?;
            // It is let go before, so that it need not be copied.
            drop(graph);
            graph = self.repo.inner.graph.extend(&unknown);
        }
        let rows = commits.iter().filter_map(|&commit| graph.find(commit)).collect();
        Ok((graph, rows))
    }

    fn known(&self) -> Arc<Graph> {
        if let Some(graph) = self.repo.inner.graph.get() {
            return graph;
        }
        // Whatever is wrong with the file: all that it says is in the commits.
        let graph = self.read().ok().flatten().unwrap_or_default();
        self.repo.inner.graph.keep(graph)
    }

    fn read(&self) -> Result<Option<Graph>> {
        let file = self.repo.disk().open(&self.path(), false)?;
        let len = file.len()?;
        if len > FILE_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Graph::decode(&bytes).ok())
    }

    fn path(&self) -> PathBuf {
        self.repo.root().join("graph")
    }

    /// The commits of a history that a graph does not have: parents first, found without a stack.
    fn unknown_to(&self, graph: &Graph, tips: &[CommitId]) -> Result<Vec<Descent>> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut left = tips.to_vec();
        while let Some(&id) = left.last() {
            let is_known = |id: CommitId| graph.find(id).is_some() || seen.contains(&id);
            if is_known(id) {
                left.pop();
                continue;
            }
            let commit = self.repo.commit(id)?;
            let before = left.len();
            left.extend(commit.parents.iter().copied().filter(|&parent| !is_known(parent)));
            if left.len() == before {
                let (time, parents) = (commit.committer.time, commit.parents.clone());
                found.push(Descent { id, time, parents });
                seen.insert(id);
                left.pop();
            }
        }
        Ok(found)
    }

    /// Compares the file with the commits. One that is damaged or says something else is removed: nothing is lost by it.
    /// The result tells whether it was right.
    ///
    /// # Errors
    /// If the disk fails, or the task is stopped.
    pub(super) fn check(&self, task: &Task) -> Result<bool> {
        let is_right = match self.read() {
            Err(error) if error.is_absence() => true,
            read => read?.map_or(Ok(false), |graph| self.agrees(&graph, task))?,
        };
        if !is_right {
            self.repo.disk().remove_file(&self.path())?;
        }
        Ok(is_right)
    }

    /// Whether a graph says of each commit what the commit says. What is wrong with a commit itself is told elsewhere.
    fn agrees(&self, graph: &Graph, task: &Task) -> Result<bool> {
        for row in 0..graph.len() as RowNumber {
            task.check()?;
            let Ok(commit) = self.repo.commit(graph.id(row)) else { continue };
            let parents = graph.parents(row).iter().map(|&parent| graph.id(parent));
            if graph.time(row) != commit.committer.time || !parents.eq(commit.parents.iter().copied()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what branches and tags reach into the file.
    ///
    /// # Errors
    /// [`Error::Stopped`], and if a commit cannot be read or the disk fails: then the file is as it was.
    pub fn write(&self, task: &Task) -> Result<()> {
        task.check()?;
        let refs = self.repo.refs();
        let mut tips: Vec<CommitId> = refs.branches()?.into_iter().map(|(_, commit)| commit).collect();
        tips.extend(refs.tags()?.into_iter().map(|(_, tag)| tag.commit));
        let (graph, _) = self.rows(tips)?;
        task.check()?;
        Ok(self.repo.disk().replace(&self.path(), &graph.encode())?)
    }

    /// Brings the file up to date if it is the turn of a commit that was just made. It is only for speed, so what goes wrong
    /// is for the next one.
    pub(crate) fn write_in_turn(&self, made: CommitId) {
        if made.as_bytes()[0] == TURN {
            let _: std::result::Result<(), Error> = self.write(&Task::default());
        }
    }
}

#[cfg(test)]
mod tests;
