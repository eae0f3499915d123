//! The top of a mount that shows everything.

use crate::history::Head;
use crate::tensors::Lens;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::Top;
use super::super::place::{BranchFolder, Link, Place, TagFolder, TensorRefFolder, WorktreeFolder};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// The kind.
pub struct Root;

impl Node for Root {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        Top::find(name).map(|top| Ok(top_place(shared, top)?.into())).transpose()
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let tops = Top::ALL.into_iter().map(|top| Ok(listed(top.name(), kind(top), top_place(shared, top)?)));
        Ok(listing(tops.collect::<Result<_>>()?))
    }
}

/// What stands under a name at the top.
fn top_place(shared: &Superblock, top: Top) -> Result<Place> {
    Ok(match top {
        Top::Head => Place::Link(Link(head_target(shared)?)),
        Top::Branches => Place::Branches(BranchFolder::default()),
        Top::Tags => Place::Tags(TagFolder::default()),
        Top::Commits => Place::Commits,
        Top::Dates => Place::Dates,
        Top::Worktrees => Place::Worktrees(WorktreeFolder::default()),
        Top::Tensors => Place::Tensors(TensorRefFolder { prefix: String::new(), lens: Lens::Stored }),
        Top::Views => Place::Views,
        Top::Control => Place::ControlDir,
    })
}

const fn kind(top: Top) -> Kind {
    match top {
        Top::Head => Kind::Symlink,
        Top::Branches
        | Top::Tags
        | Top::Commits
        | Top::Dates
        | Top::Worktrees
        | Top::Tensors
        | Top::Views
        | Top::Control => Kind::Dir,
    }
}

fn head_target(shared: &Superblock) -> Result<String> {
    Ok(match shared.repo.refs().head()? {
        Head::Branch(name) => format!("{}/{name}", Top::Branches.name()),
        Head::Detached(commit) => format!("{}/{commit}", Top::Commits.name()),
    })
}
