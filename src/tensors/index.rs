//! The tensors of one model by the names of their files.
//!
//! Made from recipes alone, in time proportional to the number of tensors; finding one by name compares a few names.

use crate::history::{self, Repo};
use crate::id::RecipeId;
use crate::recipe::{Extent, Recipe};

use super::names::tensor_stems;

/// Which extent of which file a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Located {
    /// The file.
    pub recipe: RecipeId,
    /// Which of the file's extents it is.
    pub extent: usize,
}

/// Names without extension, each distinct and legal as a file name, with the tensors that they stand for; sorted.
#[derive(Debug, Default)]
pub struct Index {
    by_name: Vec<(String, Located)>,
}

impl Index {
    /// The tensors of some files, with the first damage if some cannot be read.
    pub(super) fn of(repo: &Repo, files: &[RecipeId]) -> (Self, Option<history::Error>) {
        let (mut recipes, mut damage) = (Vec::with_capacity(files.len()), None);
        for &id in files {
            match repo.recipe(id) {
                Ok(recipe) => recipes.push((id, recipe)),
                Err(error) => drop(damage.get_or_insert(error)),
            }
        }
        let tensors = recipes.iter().flat_map(|(id, recipe)| tensors_of(*id, recipe));
        let (names, places): (Vec<&str>, Vec<Located>) = tensors.unzip();
        let mut by_name: Vec<(String, Located)> = tensor_stems(names).into_iter().zip(places).collect();
        by_name.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        (Self { by_name }, damage)
    }

    /// All names in their order, with their tensors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Located)> {
        self.by_name.iter().map(|(name, at)| (name.as_str(), *at))
    }

    /// The tensor with this name.
    pub fn find(&self, name: &str) -> Option<Located> {
        let at = self.by_name.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(self.by_name[at].1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

fn tensors_of(recipe: RecipeId, content: &Recipe) -> impl Iterator<Item = (&str, Located)> {
    content.extents().iter().enumerate().filter_map(move |(extent, what)| match what {
        Extent::Tensor { tensor, .. } => Some((tensor.name.as_str(), Located { recipe, extent })),
        Extent::Inline(_) | Extent::Object { .. } => None,
    })
}
