//! The word of a writer who closed a file, for the case that nobody hears the kernel's last one.
//!
//! close(2) returns before it is told whether somebody else has the file open still, and where this process is killed in
//! between, nobody is told. So what the file was like when its writer closed it is recorded, and believed when this process is gone:
//! if it is like that still, and nobody writes to it, the writer's bytes are all there is, and complete.

use super::error::Result;
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

impl Tenant {
    /// Notes that who opened a file to write to it closed it of his own accord, whether or not others have it open. Durable with the
    /// next sync of the worktree; a process that dies takes nothing of it back. Of a file that is empty it says nothing: who
    /// hands a descriptor on, a shell to a command, closes his own before anything is written.
    pub fn note_closed(&self, node: NodeId) -> Result<()> {
        let staged = self.state().open.get(&node).and_then(OpenFile::writing).cloned();
        let Some((staging, file)) = staged else { return Ok(()) };
        let (len, written) = (file.len()?, Timestamp::from(file.modified()?));
        if len == 0 {
            return Ok(());
        }
        // Who may not raise it, or cannot, does without.
        if self.repo().raise_format().is_err() {
            return Ok(());
        }
        self.change(|state| {
            let modified = state.lent_attributes(node)?.modified;
            let closed = Closed { len, written, modified };
            match state.nodes.file_of(staging) {
                Some((of, file))
                    if of == node && state.nodes.is_linked(of) && file.closed.as_deref() != Some(&closed) =>
                {
                    state.append(self.repo(), Record::Closed { staging, closed: Some(closed) })
                }
                _ => Ok(()),
            }
        })
    }
}

impl State {
    /// A writer of a file was killed: what another one said when he closed it is void.
    pub(super) fn void_closed(&mut self, repo: &Repo, node: NodeId) -> Result<()> {
        let Body::File(file) = &self.nodes.get(node)?.body else { return Ok(()) };
        match file.current.staging().filter(|_| file.closed.is_some() && self.nodes.is_linked(node)) {
            Some(staging) => self.append(repo, Record::Closed { staging, closed: None }),
            None => Ok(()),
        }
    }
}

/// Completes what its writer had closed when the process died that would have heard the kernel's last word of it. Nobody else
/// may be writing into the worktree.
pub(super) fn complete_closed(worktree: &Worktree) -> Result<()> {
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
        return Ok(());
    }
    worktree.change(|state| {
        let mut records = Vec::with_capacity(complete.len());
        for (staging, len) in complete {
            let Some((node, _)) = state.nodes.file_of(staging) else { continue };
            let modified = state.nodes.get(node)?.attributes.modified;
            records.push(Record::Settle { staging, len, modified });
        }
        state.append_all(worktree.repo(), &records)
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
