//! `.coral/`: the files that tell of the mount and take commands.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::ControlFile;
use super::super::place::Place;
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// The kind.
pub struct ControlFolder;

impl Node for ControlFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, _: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        Ok(ControlFile::find(name).map(|file| Place::Control(file).into()))
    }

    fn children(&self, _: &Superblock) -> Result<Listing> {
        let files = ControlFile::ALL.map(|file| listed(file.name(), Kind::File, Place::Control(file)));
        Ok(listing(files.into()))
    }
}
