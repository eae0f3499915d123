//! The numbers that the kernel knows nodes by: a node gets one when its name is looked up, and what it needs is kept until
//! the kernel has forgotten the number.

use std::sync::Arc;

use crate::worktree::NodeAttributes;

use super::attr::Attr;
use super::errno::Result;
use super::inode::Identity;
use super::node::node;
use super::place::Place;
use super::superblock::Superblock;

/// The node's identity when it is found as `name` in the directory `parent`.
pub(super) fn found_as(place: Arc<Place>, parent: u64, name: &[u8]) -> Identity {
    match node(&place).is_numbered_by_name() {
        true => Identity::Named(parent, name.into(), place),
        false => Identity::Place(place),
    }
}

/// Gives a node the number that the kernel will know it by.
pub(super) fn remember(
    shared: &Superblock,
    parent: u64,
    name: &[u8],
    place: Arc<Place>,
    known: Option<NodeAttributes>,
) -> Result<Attr> {
    let ino = shared.inodes.remember(found_as(Arc::clone(&place), parent, name), parent, name);
    let attr = keep(shared, &place).and_then(|()| node(&place).attr(ino, shared, known));
    if attr.is_err() {
        forget(shared, ino, 1);
    }
    attr
}

/// Keeps a node of a worktree while the kernel knows it, even when its name is gone.
fn keep(shared: &Superblock, place: &Place) -> Result<()> {
    match place {
        Place::Worktree(at) if !at.is_root() => Ok(shared.worktrees.of_node(at)?.names().pin(at.node())?),
        _ => Ok(()),
    }
}

/// Takes back look-ups of a number that the kernel forgot.
pub(super) fn forget(shared: &Superblock, ino: u64, lookups: u64) {
    let Some(identity) = shared.inodes.forget(ino, lookups) else { return };
    shared.cached_content.forget(ino);
    if let Place::Worktree(at) = &**identity.place()
        && !at.is_root()
        && let Ok(worktree) = shared.worktrees.of_node(at)
    {
        // A failure keeps a removed file for the life of the daemon, no more.
        let _ = worktree.names().unpin(at.node());
        worktree.forget_lost_change(at.node());
        // A look-up in between may have given the node a new number.
        if shared.inodes.number(&identity).is_some() {
            let _ = worktree.names().pin(at.node());
        }
    }
}
