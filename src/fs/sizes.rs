//! What files take in the store, remembered: it is asked for with every look at a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::history::{Repo, stored_len};
use crate::id::RecipeId;
use crate::recipe::Recipe;

/// Entries are small, but a mount may live for months.
const REMEMBERED: usize = 1 << 18;

/// Files shorter than this are said to take as much as they are long: looking up what they take would be most of the work
/// of a listing, and the difference is a few blocks.
const TOO_SMALL: u64 = 64 << 10;

/// What `stat` says that a file of this length takes, given what asks the store.
pub(super) fn shown(len: u64, stored: impl FnOnce() -> u64) -> u64 {
    match len < TOO_SMALL {
        true => len,
        false => stored(),
    }
}

/// The sizes that are known.
#[derive(Debug, Default)]
pub(super) struct StoredSizes(Mutex<HashMap<RecipeId, u64>>);

impl StoredSizes {
    /// The bytes that a file takes in the store; its length if that cannot be told, so that damage does not keep
    /// anyone from listing a directory.
    pub fn of(&self, repo: &Repo, id: RecipeId, len: u64) -> u64 {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&stored) = known().get(&id) {
            return stored;
        }
        let measure = |recipe: Arc<Recipe>| stored_len(repo.store(), &recipe);
        let Ok(stored) = repo.recipe(id).and_then(measure) else { return len };
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id, stored);
        stored
    }
}
