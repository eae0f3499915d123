//! Reading directories of the history into the copy of a worktree while nobody holds it, before they are looked into or
//! changed: who holds the copy keeps everybody else waiting.

use super::error::Result;
use super::nodes::NodeId;
use super::state::State;
use super::worktree::Worktree;
use crate::history::Name;
use crate::id::TreeId;

/// Reads directories of a worktree ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead<'a>(&'a Worktree);

impl Worktree {
    /// Reads directories ahead.
    pub(super) fn ahead(&self) -> Ahead<'_> {
        Ahead(self)
    }
}

impl Ahead<'_> {
    /// Reads a directory of the history into the copy before it is changed, so that it is not read while the copy is
    /// held. Whoever changes it catches up with the others then.
    pub(super) fn directory(&self, dir: NodeId) -> Result<()> {
        let unread = self.0.state().nodes.unread(dir);
        unread.map_or(Ok(()), |id| fill(self.0, dir, id))
    }

    /// Looks at the tree as it is now, and into this directory of it, which is read before if it is in the history.
    pub(super) fn and_look<T>(&self, dir: NodeId, look: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.0.state();
        if state.journal.has_news()? {
            state.catch_up(self.0.repo())?;
        }
        let Some(id) = state.nodes.unread(dir) else { return look(&mut state) };
        drop(state);
        fill(self.0, dir, id)?;
        self.0.read(look)
    }

    /// The same for a directory of which a name is about to change, and for what that name leads to.
    pub(super) fn what_changes(&self, dir: NodeId, name: &Name) -> Result<()> {
        self.directory(dir)?;
        match self.0.read(|state| Ok(state.nodes.loaded_child(dir, name)))? {
            Some(child) => self.directory(child),
            None => Ok(()),
        }
    }
}

fn fill(worktree: &Worktree, dir: NodeId, id: TreeId) -> Result<()> {
    let tree = worktree.repo().tree(id)?;
    worktree.state().nodes.fill(dir, id, &tree)
}
