//! `tags/`: the commit of each tag as a directory.

use crate::history::TagName;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::RefChild;
use super::super::place::{Place, TagFolder};
use super::super::snapshots::tag_dir;
use super::super::superblock::Superblock;
use super::found::Found;
use super::interface::{Node, folder_attr};
use super::ref_folder::{ref_child, ref_list, tag_texts};

impl Node for TagFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let place = match ref_child(&tag_texts(shared)?, &self.0, name) {
            Some(RefChild::Group(prefix)) => Some(group(prefix)),
            Some(RefChild::Leaf(name)) => tag_place(shared, &name)?,
            None => None,
        };
        Ok(place.map(Found::from))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        ref_list(&tag_texts(shared)?, &self.0, group, |name| tag_place(shared, name))
    }
}

fn group(prefix: String) -> Place {
    Place::Tags(TagFolder(prefix))
}

fn tag_place(shared: &Superblock, name: &str) -> Result<Option<Place>> {
    Ok(tag_dir(&shared.repo, &TagName::new(name)?)?.map(Place::Dir))
}
