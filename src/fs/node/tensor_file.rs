//! The tensors of one model: an `.npy` file for each, in `tensors/` beside a `.json` file with what is known of it.

use std::borrow::Cow;
use std::str;
use std::sync::Arc;

use crate::history::Attributes;
use crate::tensors::{Index, Lens};
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::{Listed, Listing, Names};
use super::super::path_key::PathKey;
use super::super::place::{ArrayFile, FactsFile, Place, TensorFile};
use super::super::snapshots::FOLDER_MODE;
use super::super::superblock::Superblock;
use super::super::workers::Lane;
use super::found::{Found, listed};
use super::interface::Node;

/// The files of a model's tensors: two for each as it is stored, one for each as numbers.
#[derive(Debug)]
struct TensorNames {
    index: Arc<Index>,
    within: PathKey,
    attributes: Attributes,
    lens: Lens,
}

impl Names for TensorNames {
    fn at(&self, position: usize) -> Option<Cow<'_, Listed>> {
        let (number, is_facts) = match self.lens {
            Lens::Stored => (position / 2, position.is_multiple_of(2)),
            Lens::F32 => (position, false),
        };
        let (stem, at) = self.index.get(number)?;
        let (within, attributes, lens) = (self.within, self.attributes, self.lens);
        Some(Cow::Owned(match is_facts {
            true => {
                let facts = Place::ArrayFacts(FactsFile { at, within, attributes });
                listed(format!("{stem}{FACTS}"), Kind::File, facts)
            }
            false => {
                let array = Place::Array(ArrayFile { at, within, attributes, lens });
                listed(format!("{stem}{ARRAY}"), Kind::File, array)
            }
        }))
    }
}

const ARRAY: &str = ".npy";
const FACTS: &str = ".json";

impl Node for TensorFile {
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
        let attributes = Attributes { mode: FOLDER_MODE, ..self.model.attributes };
        Ok(Attr::of(ino, Kind::Dir, attributes, Lifetime::Immutable))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let Ok(name) = str::from_utf8(name) else { return Ok(None) };
        let (stem, is_array) = match (name.strip_suffix(ARRAY), name.strip_suffix(FACTS)) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) if self.lens == Lens::Stored => (stem, false),
            (None, Some(_) | None) => return Ok(None),
        };
        let (attributes, within, lens) = (self.model.attributes, self.within, self.lens);
        let (names, damage) = shared.tensors.index(&self.model.files, lens);
        match (names.find(stem), damage) {
            (Some(at), _) if is_array => {
                Ok(Some(Place::Array(ArrayFile { at, within, attributes, lens }).into()))
            }
            (Some(at), _) => Ok(Some(Place::ArrayFacts(FactsFile { at, within, attributes }).into())),
            // It may be in what cannot be read.
            (None, Some(damage)) => Err(damage.into()),
            (None, None) => Ok(None),
        }
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let (names, damage) = shared.tensors.index(&self.model.files, self.lens);
        if let (true, Some(damage)) = (names.is_empty(), damage) {
            return Err(damage.into());
        }
        let (within, attributes, lens) = (self.within, self.model.attributes, self.lens);
        let names = TensorNames { index: names, within, attributes, lens };
        Ok(Listing { names: Arc::new(names), _worktree: None })
    }

    /// Which tensors there are stands in the recipes of all files.
    fn names_lane(&self, _: &Superblock) -> Lane {
        Lane::Read
    }
}
