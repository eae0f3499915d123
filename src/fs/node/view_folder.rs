//! `views/`: what is computed when it is read. `views/f32/` is laid out as `tensors/` and has the values of each tensor as
//! binary32 numbers.

use crate::tensors::Lens;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::place::{Place, TensorRefFolder};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// The kind.
pub struct ViewFolder;

/// The view of numbers as binary32.
const F32: &str = "f32";

impl Node for ViewFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, _: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        Ok((name == F32.as_bytes()).then(|| floats().into()))
    }

    fn children(&self, _: &Superblock) -> Result<Listing> {
        Ok(listing(vec![listed(F32, Kind::Dir, floats())]))
    }
}

fn floats() -> Place {
    Place::Tensors(TensorRefFolder { prefix: String::new(), lens: Lens::F32 })
}
