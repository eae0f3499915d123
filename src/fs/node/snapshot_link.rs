//! A symbolic link of a snapshot.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::place::SnapshotLink;
use super::super::superblock::Superblock;
use super::interface::Node;

impl Node for SnapshotLink {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Symlink)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, _: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let attr = Attr::of(ino, Kind::Symlink, self.attributes, Lifetime::Immutable);
        Ok(Attr { len: self.target.len() as u64, ..attr })
    }

    fn read_link(&self, _: &Superblock) -> Result<Vec<u8>> {
        Ok(self.target.clone())
    }
}
