//! `tensors/`: every tensor of a snapshot as an `.npy` file beside a `.json` with what is known of it.
//!
//! Only files that have tensors are shown, each as a directory; the shards of one model are one directory.

use std::collections::{BTreeMap, VecDeque};
use std::str;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::format::npy;
use crate::history::{Attributes, Entry, Name, Node};
use crate::id::RecipeId;
use crate::recipe::{Extent, Recipe, TensorInfo};
use crate::store::Encoding;

use super::core::FileSystem;
use super::errno::{Error, Result};
use super::handle::{Listed, OpenArray};
use super::lookup::listed;
use super::namespace::{merged_shard_name, tensor_stems};
use super::place::{Place, SnapshotDir, TensorFile, TensorPlace};

const ARRAY: &str = ".npy";
const FACTS: &str = ".json";

/// What is known of one tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Facts {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<u64>,
    /// The object that is its payload.
    pub id: String,
    pub bytes: u64,
    pub stored_bytes: u64,
    /// How the object is encoded.
    pub encoding: &'static str,
    /// The object that it is encoded against.
    pub base: Option<String>,
}

/// A tensor's place among the files of one directory: which file, and which extent of it.
type Member = (RecipeId, usize);

/// The file names of the tensors of the directories that were looked at last.
#[derive(Debug, Default)]
pub(super) struct TensorNames {
    last: Mutex<VecDeque<Remembered>>,
}

type Remembered = (Arc<[RecipeId]>, Arc<BTreeMap<String, Member>>);

/// A directory of tensors is looked into name by name, so a few are remembered.
const REMEMBERED: usize = 8;

impl FileSystem {
    /// The tensors of a directory's files.
    pub(super) fn tensor_dir_list(&self, dir: &SnapshotDir) -> Result<Vec<Listed>> {
        let places = self.tensor_places(dir)?;
        Ok(places.into_iter().map(|(name, place)| listed(name, place)).collect())
    }

    pub(super) fn tensor_dir_child(&self, dir: &SnapshotDir, name: &[u8]) -> Result<Option<Place>> {
        let tree = self.repo.tree(dir.tree)?;
        // A name that stands in the tree needs no look at the other files, unless shards merge under it.
        if let Some(Entry { node: Node::Dir(tree), attributes, .. }) = tree.find(&Name::new(name)?) {
            let (tree, attributes) = (*tree, *attributes);
            return Ok(Some(Place::TensorDir(SnapshotDir { tree, attributes, commit: dir.commit })));
        }
        Ok(self.tensor_places(dir)?.remove(name))
    }

    fn tensor_places(&self, dir: &SnapshotDir) -> Result<BTreeMap<Vec<u8>, Place>> {
        let tree = self.repo.tree(dir.tree)?;
        let mut places = BTreeMap::new();
        let mut files: BTreeMap<Vec<u8>, (Vec<RecipeId>, Attributes)> = BTreeMap::new();
        for entry in tree.entries() {
            let attributes = entry.attributes;
            match &entry.node {
                Node::Dir(tree) => {
                    let inside = SnapshotDir { tree: *tree, attributes, commit: dir.commit };
                    places.insert(entry.name.as_bytes().to_vec(), Place::TensorDir(inside));
                }
                Node::File { recipe, .. } => {
                    // What is damaged is shown: who looks into it hears of it, and nobody else.
                    if self.repo.recipe(*recipe).map_or(true, |recipe| recipe.tensors().next().is_some()) {
                        let name = model_name(&entry.name, |name| tree.find(name).is_some());
                        files.entry(name).or_insert_with(|| (Vec::new(), attributes)).0.push(*recipe);
                    }
                }
                // What a link leads to is shown where it is.
                Node::Symlink(_) => {}
            }
        }
        for (name, (recipes, attributes)) in files {
            places.insert(name, Place::TensorFile(TensorFile { recipes: recipes.into(), attributes }));
        }
        Ok(places)
    }

    pub(super) fn tensor_file_list(&self, file: &TensorFile) -> Result<Vec<Listed>> {
        let (names, damage) = self.tensor_file_names(&file.recipes);
        if let (true, Some(damage)) = (names.is_empty(), damage) {
            return Err(damage.into());
        }
        let mut list = Vec::with_capacity(names.len() * 2);
        for (stem, &member) in &*names {
            let place = tensor_place(member, file.attributes);
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
        let (names, damage) = self.tensor_file_names(&file.recipes);
        match (names.get(stem), damage) {
            (Some(&member), _) => Ok(Some(place(tensor_place(member, file.attributes)))),
            // It may be in what cannot be read.
            (None, Some(damage)) => Err(damage.into()),
            (None, None) => Ok(None),
        }
    }

    /// File names without extension, with the tensors that they stand for.
    /// The names of the tensors of several files; with the first damage, if some of the files cannot be read.
    fn tensor_file_names(
        &self,
        recipes: &Arc<[RecipeId]>,
    ) -> (Arc<BTreeMap<String, Member>>, Option<crate::history::Error>) {
        if let Some(names) = self.tensor_names.find(recipes) {
            return (names, None);
        }
        let (mut files, mut damage) = (Vec::new(), None);
        for &id in &**recipes {
            match self.repo.recipe(id) {
                Ok(recipe) => files.push((id, recipe)),
                Err(error) => drop(damage.get_or_insert(error)),
            }
        }
        let members = files.iter().flat_map(|(id, recipe)| {
            recipe
                .extents()
                .iter()
                .enumerate()
                .filter_map(move |(at, extent)| Some((&tensor(extent)?.name, (*id, at))))
        });
        let (names, members): (Vec<&String>, Vec<Member>) = members.unzip();
        let stems = tensor_stems(names.into_iter().map(String::as_str));
        let names = Arc::new(stems.into_iter().zip(members).collect());
        if damage.is_none() {
            self.tensor_names.remember(recipes, &names);
        }
        (names, damage)
    }

    /// Length of the `.npy` file, and of what is stored of it.
    pub(super) fn array_lens(&self, place: &TensorPlace) -> Result<(u64, u64)> {
        let array = self.open_array(place)?;
        let stored = match array.file.recipe().extents().get(place.extent).and_then(Extent::key) {
            Some(key) => self.repo.store().info(key).ok().flatten().map_or(array.len, |info| info.stored_len),
            None => 0,
        };
        Ok((array.header.len() as u64 + array.len, stored))
    }

    pub(super) fn open_array(&self, place: &TensorPlace) -> Result<OpenArray> {
        let recipe = self.repo.recipe(place.recipe)?;
        let start = recipe.extents().iter().take(place.extent).map(Extent::len).sum();
        let (info, len) = tensor_at(&recipe, place.extent)?;
        let header = match self.fortran_shape(&recipe, place.extent, start, info)? {
            Some(shape) => npy::fortran_header(info.dtype, &shape),
            None => npy::header(info.dtype, &info.shape).ok_or(Error::Invalid)?,
        };
        Ok(OpenArray { header, start, len, file: self.repo.reader(&recipe) })
    }

    /// The shape that a flat tensor has in Fortran order, if the header of an `.npy` file stands before it.
    fn fortran_shape(
        &self,
        recipe: &Arc<Recipe>,
        extent: usize,
        start: u64,
        info: &TensorInfo,
    ) -> Result<Option<Vec<u64>>> {
        let (&[count], Some(Extent::Inline(_) | Extent::Object { .. })) =
            (&info.shape[..], extent.checked_sub(1).and_then(|before| recipe.extents().get(before)))
        else {
            return Ok(None);
        };
        let mut before = vec![0; npy::HEADER_SEARCH.min(usize::try_from(start).unwrap_or(usize::MAX))];
        let from = start - before.len() as u64;
        self.repo.reader(recipe).read_at(from, &mut before)?;
        Ok(npy::fortran_shape(&before, count))
    }

    pub(super) fn facts(&self, place: &TensorPlace) -> Result<Facts> {
        let recipe = self.repo.recipe(place.recipe)?;
        let (tensor, bytes) = tensor_at(&recipe, place.extent)?;
        let start = recipe.extents().iter().take(place.extent).map(Extent::len).sum();
        let shape = self.fortran_shape(&recipe, place.extent, start, tensor)?;
        let key = recipe.extents()[place.extent].key().ok_or(Error::Invalid)?;
        let info = self.repo.store().info(key).map_err(crate::history::Error::from)?;
        Ok(Facts {
            name: tensor.name.clone(),
            dtype: tensor.dtype.name(),
            shape: shape.unwrap_or_else(|| tensor.shape.clone()),
            id: key.to_string(),
            bytes,
            stored_bytes: info.as_ref().map_or(0, |info| info.stored_len),
            encoding: info.as_ref().map_or("missing", |info| encoding_name(info.encoding)),
            base: info.and_then(|info| info.base).map(|base| base.to_string()),
        })
    }

    /// The text of a tensor's `.json`.
    pub(super) fn array_facts(&self, place: &TensorPlace) -> Result<Vec<u8>> {
        let facts = self.facts(place)?;
        let mut text = serde_json::to_vec_pretty(&facts).expect("facts have only texts and numbers");
        text.push(b'\n');
        Ok(text)
    }
}

impl TensorNames {
    fn find(&self, recipes: &Arc<[RecipeId]>) -> Option<Arc<BTreeMap<String, Member>>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().find(|(of, _)| of == recipes).map(|(_, names)| Arc::clone(names))
    }

    fn remember(&self, recipes: &Arc<[RecipeId]>, names: &Arc<BTreeMap<String, Member>>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(REMEMBERED - 1);
        last.push_front((Arc::clone(recipes), Arc::clone(names)));
    }
}

fn tensor(extent: &Extent) -> Option<&TensorInfo> {
    match extent {
        Extent::Tensor { tensor, .. } => Some(tensor),
        Extent::Inline(_) | Extent::Object { .. } => None,
    }
}

fn tensor_at(recipe: &Recipe, extent: usize) -> Result<(&TensorInfo, u64)> {
    let extent = recipe.extents().get(extent).ok_or(Error::Invalid)?;
    Ok((tensor(extent).ok_or(Error::Invalid)?, extent.len()))
}

const fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::Compressed => "compressed",
        Encoding::Delta => "delta",
        Encoding::Cast => "cast",
    }
}

fn tensor_place((recipe, extent): Member, attributes: Attributes) -> TensorPlace {
    TensorPlace { recipe, extent, attributes }
}

/// The directory that a file's tensors are shown in: the model's for a shard, unless that name is taken.
fn model_name(name: &Name, is_taken: impl Fn(&Name) -> bool) -> Vec<u8> {
    let merged = str::from_utf8(name.as_bytes()).ok().and_then(merged_shard_name);
    match merged.and_then(|merged| Name::new(merged).ok()).filter(|merged| !is_taken(merged)) {
        Some(merged) => merged.as_bytes().to_vec(),
        None => name.as_bytes().to_vec(),
    }
}
