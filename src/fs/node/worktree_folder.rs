//! `worktree/`: the worktree of each branch. Making a directory here makes a branch.

use crate::history::BranchName;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::RefChild;
use super::super::place::{Place, WorktreeFolder};
use super::super::superblock::Superblock;
use super::super::workers::Lane;
use super::super::worktrees::WorktreeNode;
use super::found::Found;
use super::interface::Node;
use super::ref_folder::{branch_texts, ref_child, ref_list};

/// Names can be made here.
const MODE: u32 = 0o755;

impl Node for WorktreeFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(Attr::of(ino, Kind::Dir, shared.made_up(MODE), Lifetime::Followed))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let place = match ref_child(&branch_texts(shared)?, &self.0, name) {
            Some(RefChild::Group(prefix)) => Some(group(prefix)),
            Some(RefChild::Leaf(name)) => Some(top(&name)?),
            None => None,
        };
        Ok(place.map(Found::from))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        ref_list(&branch_texts(shared)?, &self.0, group, |name| top(name).map(Some))
    }

    /// Making a branch is durable when it is done.
    fn naming_lane(&self, _: &Superblock) -> Lane {
        Lane::Long
    }
}

fn group(prefix: String) -> Place {
    Place::Worktrees(WorktreeFolder(prefix))
}

fn top(name: &str) -> Result<Place> {
    Ok(Place::Worktree(WorktreeNode::root(BranchName::new(name)?)))
}
