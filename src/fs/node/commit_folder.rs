//! `commits/`: the newest commits by their ids. Whatever else names a commit is found too, as a link to its id.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::place::{Link, Place};
use super::super::snapshots::{commit_dir, revision};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// The kind.
pub struct CommitFolder;

impl Node for CommitFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let Some(id) = revision(&shared.repo, name, shared.now())? else { return Ok(None) };
        let place = match id.to_string().as_bytes() == name {
            true => Place::Dir(commit_dir(&shared.repo, id)?),
            false => Place::Link(Link(id.to_string())),
        };
        Ok(Some(place.into()))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let newest = shared.history.newest(&shared.repo)?;
        let dirs = newest.iter().map(|shown| {
            let dir = Place::Dir(commit_dir(&shared.repo, shown.id)?);
            Ok(listed(shown.id.to_string(), Kind::Dir, dir))
        });
        Ok(listing(dirs.collect::<Result<_>>()?))
    }
}
