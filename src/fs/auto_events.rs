//! Telling whoever commits by himself what happens in worktrees. Where nobody does, nothing is looked up for it.

use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::checkpoint::Event;
use crate::history::{BranchName, Name};
use crate::worktree::NodeId;

use super::worktrees::OpenWorktree;

/// What is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Something happened in the worktree of a branch.
    Event(BranchName, Event),
    /// Nothing more will; answer by hanging up.
    End(Sender<()>),
}

/// Tells who listens, if somebody does. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub(super) struct AutoEvents(Arc<OnceLock<Sender<Told>>>);

impl AutoEvents {
    /// Listens from now on; `None` if somebody does already.
    pub fn listen(&self) -> Option<Receiver<Told>> {
        let (sender, receiver) = unbounded();
        self.0.set(sender).ok().map(|()| receiver)
    }

    /// A file was opened for writing.
    pub fn opened(&self, worktree: &OpenWorktree, node: NodeId) {
        self.tell(worktree, || Some(Event::Opened { file: node.0, path: path(worktree, node)? }));
    }

    /// Where a file is that is about to be let go of, if somebody listens.
    pub fn path(&self, worktree: &OpenWorktree, node: NodeId) -> Option<String> {
        self.0.get()?;
        path(worktree, node)
    }

    /// One who wrote to a file has let go of it, which was there before: the node may be forgotten by now.
    pub fn closed(&self, worktree: &OpenWorktree, node: NodeId, before: Option<String>, complete: bool) {
        // Of what has no name any more nothing is to be said.
        self.tell(worktree, || {
            let path = path(worktree, node).or(before)?;
            Some(Event::Closed { file: node.0, path, complete })
        });
    }

    /// A name in a directory is gone.
    pub fn removed(&self, worktree: &OpenWorktree, dir: NodeId, name: &Name) {
        self.tell(worktree, || Some(Event::Removed(below(worktree, dir, name)?)));
    }

    /// What had a name in a directory has another one.
    pub fn moved(&self, worktree: &OpenWorktree, from: (NodeId, &Name), to: (NodeId, &Name)) {
        self.tell(worktree, || {
            let (from, to) = (below(worktree, from.0, from.1)?, below(worktree, to.0, to.1)?);
            Some(Event::Moved { from, to })
        });
    }

    /// Nothing more will happen: waits until what waits is committed.
    pub fn end(&self) {
        let (answer, done) = crossbeam_channel::bounded(0);
        if let Some(sender) = self.0.get()
            && sender.send(Told::End(answer)).is_ok()
        {
            // The answer is that he hangs up.
            let _ = done.recv();
        }
    }

    fn tell(&self, worktree: &OpenWorktree, event: impl FnOnce() -> Option<Event>) {
        if let Some(sender) = self.0.get()
            && let Some(event) = event()
        {
            // Nobody listens only when the mount goes.
            let _ = sender.send(Told::Event(worktree.branch().clone(), event));
        }
    }
}

/// The path of a node, as far as it is text: that is all that checkpoints are known by.
fn path(worktree: &OpenWorktree, node: NodeId) -> Option<String> {
    Some(worktree.names().path_of(node).ok()?.to_string())
}

fn below(worktree: &OpenWorktree, dir: NodeId, name: &Name) -> Option<String> {
    Some(worktree.names().path_of(dir).ok()?.join(name.clone()).to_string())
}
