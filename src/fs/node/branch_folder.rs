//! `branches/`: the tip of each branch as a directory.

use std::str;

use crate::history::BranchName;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::{RefChild, ref_name};
use super::super::place::{BranchFolder, Place};
use super::super::snapshots::branch_dir;
use super::super::superblock::Superblock;
use super::found::Found;
use super::interface::{Node, folder_attr};
use super::ref_folder::{branch_texts, ref_child, ref_list};

impl Node for BranchFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let whole = str::from_utf8(name).ok().and_then(|name| BranchName::new(ref_name(&self.0, name)).ok());
        // Most names are whole; only folders of branches need the list.
        if let Some(branch) = whole
            && let Some(dir) = branch_place(shared, &branch)?
        {
            return Ok(Some(dir.into()));
        }
        let place = match ref_child(&branch_texts(shared)?, &self.0, name) {
            Some(RefChild::Group(prefix)) => Some(group(prefix)),
            Some(RefChild::Leaf(name)) => branch_place(shared, &BranchName::new(name)?)?,
            None => None,
        };
        Ok(place.map(Found::from))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let leaf = |name: &str| branch_place(shared, &BranchName::new(name)?);
        ref_list(&branch_texts(shared)?, &self.0, group, leaf)
    }
}

fn group(prefix: String) -> Place {
    Place::Branches(BranchFolder(prefix))
}

fn branch_place(shared: &Superblock, name: &BranchName) -> Result<Option<Place>> {
    Ok(branch_dir(&shared.repo, shared.started, name)?.map(Place::Dir))
}
