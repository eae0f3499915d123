//! A symbolic link that we made up: `HEAD`, and names of commits that are not their ids.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::place::Link;
use super::super::superblock::Superblock;
use super::interface::Node;

impl Node for Link {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Symlink)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn is_numbered_by_name(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let attr = Attr::of(ino, Kind::Symlink, shared.made_up(0o777), Lifetime::Immutable);
        Ok(Attr { len: self.0.len() as u64, ..attr })
    }

    fn read_link(&self, _: &Superblock) -> Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}
