//! The word of a writer who closed a file, for the case that nobody hears the kernel's last one.
//!
//! close(2) returns before it is told whether that was the last descriptor, and where this process is killed in between,
//! nobody is told. So what the file was like when its writer closed it is recorded, and believed when this process is gone: if it
//! is like that still, and nobody writes to it. The writer may have a second descriptor, or have handed one on, and be killed at
//! the same time: so the word is taken back when the file goes on being open for longer than the kernel's word takes, when a
//! writer is killed, and whoever recovers it says that it was the writer's word alone.

use super::error::Result;
use super::interrupted::{Fallback, Interrupted};
use super::nodes::{Body, NodeId};
use super::open_files::OpenFile;
use super::record::{Closed, Record};
use super::state::State;
use super::tenant::Tenant;
use super::worktree::Worktree;
use crate::disk::DiskFile;
use crate::history::Repo;
use crate::id::StagingId;
use crate::units::Timestamp;

impl Closed {
    /// Whether a staging file is like that still.
    fn is_still(&self, file: &dyn DiskFile) -> Result<bool> {
        Ok(file.len()? == self.len && Timestamp::from(file.modified()?) == self.written)
    }
}

/// Words of writers of one worktree's files.
#[derive(Debug, Clone, Copy)]
pub struct Closes<'a>(&'a Tenant);

impl Tenant {
    /// What writers say when they close files that are written here.
    pub fn closes(&self) -> Closes<'_> {
        Closes(self)
    }
}

impl Closes<'_> {
    /// Notes that who opened a file to write to it closed it of his own accord. Durable with the next sync of the worktree; a
    /// process that dies takes nothing of it back. It says nothing of a file that somebody else has open to write to it, nor of one
    /// that is empty: who hands a descriptor on, a shell to a command, closes his own before anything is written. Whether it was
    /// said.
    pub fn note(&self, node: NodeId) -> Result<bool> {
        let staged = {
            let state = self.0.state();
            let open = state.open.get(&node).filter(|open| open.writers == 1);
            open.and_then(OpenFile::writing).cloned()
        };
        let Some((staging, file)) = staged else { return Ok(false) };
        let (len, written) = (file.len()?, Timestamp::from(file.modified()?));
        // Who may not raise it, or cannot, does without.
        if len == 0 || self.0.repo().raise_format().is_err() {
            return Ok(false);
        }
        self.0.change(|state| {
            let modified = state.lent_attributes(node)?.modified;
            let closed = Closed { len, written, modified };
            match state.nodes.file_of(staging) {
                Some((of, file)) if of == node && state.nodes.is_linked(of) => {
                    if file.closed.as_deref() != Some(&closed) {
                        state.append(self.0.repo(), Record::Closed { staging, closed: Some(closed) })?;
                    }
                    Ok(true)
                }
                _ => Ok(false),
            }
        })
    }

    /// Takes back what was noted of a file: it goes on being open, for whatever reason.
    pub fn void(&self, node: NodeId) -> Result<()> {
        self.0.change(|state| state.void_closed(self.0.repo(), node))
    }
}

impl State {
    /// What was said of a file when it was closed is void.
    pub(super) fn void_closed(&mut self, repo: &Repo, node: NodeId) -> Result<()> {
        let Body::File(file) = &self.nodes.get(node)?.body else { return Ok(()) };
        match file.current.staging().filter(|_| file.closed.is_some() && self.nodes.is_linked(node)) {
            Some(staging) => self.append(repo, Record::Closed { staging, closed: None }),
            None => Ok(()),
        }
    }
}

/// Completes what its writer had closed when the process died that would have heard the kernel's last word of it, and tells
/// which files those are. Nobody else may be writing into the worktree.
pub(super) fn complete_closed(worktree: &Worktree) -> Result<Vec<Interrupted>> {
    let mut complete = Vec::new();
    for (staging, closed) in closed_files(worktree)? {
        let is_complete = match worktree.staging().open(staging) {
            Ok(file) => closed.is_still(&*file)? && !worktree.staging().is_in_use(staging)?,
            Err(error) if error.is_absence() => false,
            Err(error) => return Err(error.into()),
        };
        if is_complete {
            complete.push((staging, closed.len));
        }
    }
    if complete.is_empty() {
        return Ok(Vec::new());
    }
    worktree.change(|state| {
        let (mut records, mut taken) = (Vec::with_capacity(complete.len()), Vec::new());
        for (staging, len) in complete {
            // A command may have removed it since.
            let node = state.nodes.by_staging(staging);
            let Some(node) = node.filter(|node| state.nodes.is_linked(*node)) else { continue };
            let modified = state.nodes.get(node)?.attributes.modified;
            records.push(Record::Settle { staging, len, modified });
            taken.push(Interrupted { path: state.nodes.path_of(node)?, now: Fallback::Closed });
        }
        state.append_all(worktree.repo(), &records)?;
        Ok(taken)
    })
}

/// What is not complete, and was closed by who wrote it.
fn closed_files(worktree: &Worktree) -> Result<Vec<(StagingId, Closed)>> {
    worktree.read(|state| {
        let closed = |staging| {
            let (node, file) = state.nodes.file_of(staging)?;
            let is_unsettled = file.is_unsettled_in(staging) && state.nodes.is_linked(node);
            Some((staging, *file.closed.as_deref().filter(|_| is_unsettled)?))
        };
        Ok(state.nodes.stagings().filter_map(closed).collect())
    })
}
