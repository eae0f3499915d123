//! The way from a directory of the history to its models, their tensors, and one of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::history::{self, Name, Repo};
use crate::id::{RecipeId, TreeId};

use super::array::{Array, tensor_at};
use super::error::Result;
use super::facts::Facts;
use super::index::{Index, Located};
use super::lens::Lens;
use super::model::{self, Model};

/// Models are looked into name by name, so the names of the last ones are kept: of so many models,
const MODELS_KEPT: usize = 8;
/// and of more than one only while they are so many names, some 100 bytes each.
const NAMES_KEPT: usize = 1 << 20;

/// The tensors of a repository.
#[derive(Debug)]
pub struct Tensors {
    repo: Repo,
    /// The models that were looked into, the last one first.
    recent: Mutex<VecDeque<Remembered>>,
}

/// The files of a model, how its tensors are shown, and those.
type Remembered = (Arc<[RecipeId]>, Lens, Arc<Index>);

impl Tensors {
    /// Those of this repository.
    pub fn of(repo: &Repo) -> Self {
        Self { repo: repo.clone(), recent: Mutex::default() }
    }

    /// The models of a directory by name: files with tensors, the shards of one model as one. A file that is damaged is
    /// there under its name.
    pub fn models(&self, dir: TreeId) -> Result<BTreeMap<Vec<u8>, Model>> {
        Ok(model::models(&self.repo, &*self.repo.tree(dir)?))
    }

    /// The model of a directory with this name; reads nothing of the others.
    pub fn find_model(&self, dir: TreeId, name: &Name) -> Result<Option<Model>> {
        Ok(model::find_model(&self.repo, &*self.repo.tree(dir)?, name))
    }

    /// The tensors of a model by name, with the first damage if some of its files cannot be read.
    pub fn index(&self, files: &Arc<[RecipeId]>, lens: Lens) -> (Arc<Index>, Option<history::Error>) {
        if let Some(index) = self.recent(files, lens) {
            return (index, None);
        }
        let (index, damage) = Index::of(&self.repo, files, lens);
        let index = Arc::new(index);
        if damage.is_none() {
            self.remember(files, lens, &index);
        }
        (index, damage)
    }

    /// Opens one tensor.
    ///
    /// # Errors
    /// [`super::Error::NotAnArray`] if there is none, or damage.
    pub fn open(&self, at: Located, lens: Lens) -> Result<Array> {
        Array::open(&self.repo, at, lens)
    }

    /// What is known of one tensor.
    ///
    /// # Errors
    /// As [`Tensors::open`].
    pub fn facts(&self, at: Located) -> Result<Facts> {
        Facts::of(&self.repo, at)
    }

    /// The same with what only the store knows as long as it can be when it is written down; looks no object up.
    ///
    /// # Errors
    /// As [`Tensors::open`].
    pub fn widest_facts(&self, at: Located) -> Result<Facts> {
        Facts::in_file(&self.repo, at).map(Facts::widest)
    }

    /// The length of a tensor as an `.npy` file; looks no object up.
    ///
    /// # Errors
    /// As [`Tensors::open`].
    pub fn array_len(&self, at: Located, lens: Lens) -> Result<u64> {
        Array::len_of(&self.repo, at, lens)
    }

    /// What a tensor takes in the store; the length of its payload where that cannot be told.
    pub fn stored_len(&self, at: Located) -> Result<u64> {
        let recipe = self.repo.recipe(at.recipe)?;
        let (tensor, _, len) = tensor_at(&recipe, at.tensor)?;
        let info = recipe.key_of(tensor).map(|key| self.repo.store().info(key));
        Ok(info.and_then(|info| info.ok().flatten()).map_or(len, |info| info.stored_len))
    }

    fn recent(&self, files: &Arc<[RecipeId]>, lens: Lens) -> Option<Arc<Index>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(of, through, _)| of == files && *through == lens)?;
        recent.make_contiguous()[..=at].rotate_right(1);
        recent.front().map(|(.., index)| Arc::clone(index))
    }

    fn remember(&self, files: &Arc<[RecipeId]>, lens: Lens, index: &Arc<Index>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((Arc::clone(files), lens, Arc::clone(index)));
        recent.truncate(MODELS_KEPT);
        while recent.len() > 1 && recent.iter().map(|(.., index)| index.len()).sum::<usize>() > NAMES_KEPT {
            recent.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::repository;
    use super::*;

    #[test]
    fn names_are_kept_for_the_last_models_and_no_damage_is() {
        let tensors = Tensors::of(&repository());
        let files: Arc<[RecipeId]> = Arc::from([RecipeId::from_bytes([7; 32])]);
        let (index, damage) = tensors.index(&files, Lens::Stored);
        assert!(index.is_empty() && damage.is_some());
        assert!(tensors.recent(&files, Lens::Stored).is_none());
        let model = |number: u8| -> Arc<[RecipeId]> { Arc::from([RecipeId::from_bytes([number; 32])]) };
        for number in 0..20 {
            tensors.remember(&model(number), Lens::F32, &Arc::default());
            assert!(tensors.recent(&model(0), Lens::F32).is_some(), "it is used all the time: {number}");
        }
        assert!(tensors.recent(&model(0), Lens::Stored).is_none(), "it is shown otherwise");
        let kept = (0..20).filter(|&number| tensors.recent(&model(number), Lens::F32).is_some()).count();
        assert_eq!(kept, MODELS_KEPT);
    }
}
