//! The tensors of a directory: its directories, and a directory for each of its files that has some. The shards of one
//! model are one directory.

use crate::history::{Attributes, Entry, Node as TreeNode};
use crate::tensors::Model;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::{Listed, Listing};
use super::super::place::{Place, TensorDir, TensorFile};
use super::super::snapshots::FOLDER_MODE;
use super::super::superblock::Superblock;
use super::super::workers::Lane;
use super::found::{Found, listed, listing, tree_name};
use super::interface::{Node, Xattr};

impl Node for TensorDir {
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
        let attributes = Attributes { mode: FOLDER_MODE, ..self.dir.attributes };
        Ok(Attr::of(ino, Kind::Dir, attributes, Lifetime::Immutable))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let Some(name) = tree_name(name)? else { return Ok(None) };
        let tree = shared.repo.tree(self.dir.tree)?;
        if let Some(folder) = tree.find(&name).and_then(|entry| inner(self, entry)) {
            return Ok(Some(folder.into()));
        }
        let model = shared.tensors.find_model(self.dir.tree, &name)?;
        Ok(model.map(|model| of_model(self, name.as_bytes(), model).into()))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let tree = shared.repo.tree(self.dir.tree)?;
        let inside = tree.entries().iter();
        let inside = inside.filter_map(|entry| Some((entry.name.as_bytes(), inner(self, entry)?)));
        let mut list: Vec<Listed> = inside.map(|(name, place)| listed(name, Kind::Dir, place)).collect();
        let models = shared.tensors.models(self.dir.tree)?.into_iter();
        list.extend(models.map(|(name, model)| {
            let place = of_model(self, &name, model);
            listed(name, Kind::Dir, place)
        }));
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listing(list))
    }

    fn xattr(&self, _: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        Ok(match wanted {
            Xattr::Commit => self.dir.commit.map(|id| id.to_string()),
            Xattr::Id | Xattr::Encoding | Xattr::Base | Xattr::Stored => None,
        })
    }

    /// Which tensors there are stands in the recipes of all files.
    fn names_lane(&self, _: &Superblock) -> Lane {
        Lane::Read
    }
}

/// What stands for a directory among the tensors of the one that it is in.
fn inner(above: &TensorDir, entry: &Entry) -> Option<Place> {
    match entry.node {
        TreeNode::Dir(tree) => {
            Some(Place::TensorDir(TensorDir { dir: above.dir.inner(tree, entry), lens: above.lens }))
        }
        TreeNode::File { .. } | TreeNode::Symlink(_) => None,
    }
}

fn of_model(above: &TensorDir, name: &[u8], model: Model) -> Place {
    Place::TensorFile(TensorFile { model, within: above.dir.at.child(name), lens: above.lens })
}
