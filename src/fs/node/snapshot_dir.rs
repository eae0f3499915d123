//! A directory of a snapshot.

use crate::history::{Entry, Node as TreeNode};
use crate::id::TreeId;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::place::{Place, SnapshotDir, SnapshotFile, SnapshotLink};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing, tree_name};
use super::interface::{Node, Xattr};

impl Node for SnapshotDir {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn is_numbered_by_name(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, _: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(Attr::of(ino, Kind::Dir, self.attributes, Lifetime::Immutable))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let Some(name) = tree_name(name)? else { return Ok(None) };
        Ok(shared.repo.tree(self.tree)?.find(&name).map(|entry| entry_place(self, entry).1.into()))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let tree = shared.repo.tree(self.tree)?;
        let list = tree.entries().iter().map(|entry| {
            let (kind, place) = entry_place(self, entry);
            listed(entry.name.as_bytes(), kind, place)
        });
        Ok(listing(list.collect()))
    }

    fn xattr(&self, _: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        Ok(match wanted {
            Xattr::Commit => self.commit.map(|id| id.to_string()),
            Xattr::Id => Some(self.tree.to_string()),
            Xattr::Encoding | Xattr::Base | Xattr::Stored => None,
        })
    }
}

impl SnapshotDir {
    /// The directory in it that an entry of it is.
    pub fn inner(&self, tree: TreeId, entry: &Entry) -> Self {
        let (attributes, at) = (entry.attributes, self.at.child(entry.name.as_bytes()));
        Self { tree, attributes, commit: self.commit, at }
    }
}

/// What an entry of a directory stands for.
fn entry_place(dir: &SnapshotDir, entry: &Entry) -> (Kind, Place) {
    let (attributes, at) = (entry.attributes, dir.at.child(entry.name.as_bytes()));
    match &entry.node {
        TreeNode::File { recipe, len } => {
            (Kind::File, Place::File(SnapshotFile { recipe: *recipe, len: *len, attributes, at }))
        }
        TreeNode::Dir(tree) => (Kind::Dir, Place::Dir(dir.inner(*tree, entry))),
        TreeNode::Symlink(target) => {
            (Kind::Symlink, Place::Symlink(SnapshotLink { target: target.clone(), attributes, at }))
        }
    }
}
