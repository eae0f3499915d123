//! What is found under a name before it has a number, and how it is listed.

use std::sync::Arc;

use crate::history::{Name, PathError};
use crate::worktree::NodeAttributes;

use super::super::attr::Kind;
use super::super::errno::Result;
use super::super::handle::{Listed, Listing};
use super::super::place::Place;
use super::super::worktrees::OpenWorktree;

/// A node under a name.
pub struct Found {
    pub place: Place,
    /// What is known already of a node of a worktree.
    pub known: Option<NodeAttributes>,
    /// Keeps the worktree that the node is in until the node has a number.
    pub worktree: Option<Arc<OpenWorktree>>,
}

impl From<Place> for Found {
    fn from(place: Place) -> Self {
        Self { place, known: None, worktree: None }
    }
}

/// A name in a listing, with what is under it.
pub(super) fn listed(name: impl AsRef<[u8]>, kind: Kind, place: Place) -> Listed {
    Listed { name: name.as_ref().to_vec(), kind, place: Arc::new(place), known: None }
}

/// A listing of nodes that stay what they are.
pub(super) fn listing(list: Vec<Listed>) -> Listing {
    Listing { names: Arc::new(list), _worktree: None }
}

/// A name that a tree may have. One that no tree has is missing, not forbidden, to whoever looks for a repository there.
pub(super) fn tree_name(name: &[u8]) -> Result<Option<Name>> {
    match Name::new(name) {
        Ok(name) => Ok(Some(name)),
        Err(PathError::Reserved(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
