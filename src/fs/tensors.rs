//! `tensors/`: every tensor of a snapshot as an `.npy` file beside a `.json` with what is known of it.
//!
//! Only files that have tensors are shown, each as a directory; the shards of one model are one directory. What there is
//! and what it is called, the room `tensors` knows.

use std::str;

use crate::history::{Entry, Name, Node};
use crate::tensors::{Array, Located, Model};

use super::core::FileSystem;
use super::errno::{Error, Result};
use super::handle::Listed;
use super::lookup::listed;
use super::place::{Place, SnapshotDir, TensorFile, TensorPlace};

const ARRAY: &str = ".npy";
const FACTS: &str = ".json";

impl FileSystem {
    /// The tensors of a directory's files.
    pub(super) fn tensor_dir_list(&self, dir: &SnapshotDir) -> Result<Vec<Listed>> {
        let tree = self.repo.tree(dir.tree)?;
        let inside =
            tree.entries().iter().filter_map(|entry| Some((&entry.name, tensor_folder(dir, entry)?)));
        let mut list: Vec<Listed> = inside.map(|(name, place)| listed(name.as_bytes(), place)).collect();
        let models = self.tensors.models(dir.tree)?;
        list.extend(models.into_iter().map(|(name, model)| listed(name, tensor_file(model))));
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(list)
    }

    pub(super) fn tensor_dir_child(&self, dir: &SnapshotDir, name: &[u8]) -> Result<Option<Place>> {
        let name = Name::new(name)?;
        if let Some(folder) =
            self.repo.tree(dir.tree)?.find(&name).and_then(|entry| tensor_folder(dir, entry))
        {
            return Ok(Some(folder));
        }
        Ok(self.tensors.find_model(dir.tree, &name)?.map(tensor_file))
    }

    pub(super) fn tensor_file_list(&self, file: &TensorFile) -> Result<Vec<Listed>> {
        let (names, damage) = self.tensors.index(&file.recipes);
        if let (true, Some(damage)) = (names.is_empty(), damage) {
            return Err(damage.into());
        }
        let mut list = Vec::with_capacity(names.len() * 2);
        for (stem, at) in names.iter() {
            let place = TensorPlace { at, attributes: file.attributes };
            list.push(listed(format!("{stem}{FACTS}"), Place::ArrayFacts(place.clone())));
            list.push(listed(format!("{stem}{ARRAY}"), Place::Array(place)));
        }
        Ok(list)
    }

    pub(super) fn tensor_file_child(&self, file: &TensorFile, name: &[u8]) -> Result<Option<Place>> {
        let Ok(name) = str::from_utf8(name) else { return Ok(None) };
        let (stem, place): (_, fn(TensorPlace) -> Place) =
            match (name.strip_suffix(ARRAY), name.strip_suffix(FACTS)) {
                (Some(stem), _) => (stem, Place::Array),
                (None, Some(stem)) => (stem, Place::ArrayFacts),
                (None, None) => return Ok(None),
            };
        let (names, damage) = self.tensors.index(&file.recipes);
        match (names.find(stem), damage) {
            (Some(at), _) => Ok(Some(place(TensorPlace { at, attributes: file.attributes }))),
            // It may be in what cannot be read.
            (None, Some(damage)) => Err(damage.into()),
            (None, None) => Ok(None),
        }
    }

    /// Length of the `.npy` file, and of what is stored of it.
    pub(super) fn array_lens(&self, at: Located) -> Result<(u64, u64)> {
        Ok((self.open_array(at)?.len(), self.tensors.stored_len(at)?))
    }

    pub(super) fn open_array(&self, at: Located) -> Result<Array> {
        Ok(self.tensors.open(at)?)
    }

    /// The text of a tensor's `.json`.
    pub(super) fn array_facts(&self, at: Located) -> Result<Vec<u8>> {
        let facts = self.tensors.facts(at)?;
        let mut text = serde_json::to_vec_pretty(&facts).map_err(|_| Error::Invalid)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// The folder that stands in the tensors of a directory for one in it.
fn tensor_folder(dir: &SnapshotDir, entry: &Entry) -> Option<Place> {
    match entry.node {
        Node::Dir(tree) => {
            Some(Place::TensorDir(SnapshotDir { tree, attributes: entry.attributes, commit: dir.commit }))
        }
        Node::File { .. } | Node::Symlink(_) => None,
    }
}

fn tensor_file(model: Model) -> Place {
    Place::TensorFile(TensorFile { recipes: model.files, attributes: model.attributes })
}
