//! What files take in the store, remembered: it is asked for with every look at a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::history::{Repo, stored};
use crate::id::RecipeId;
use crate::recipe::Recipe;

/// Entries are small, but a mount may live for months.
const REMEMBERED: usize = 1 << 18;

/// Files shorter than this are said to take as much as they are long: looking up what they take would be most of the work
/// of a listing, and the difference is a few blocks.
const TOO_SMALL: u64 = 64 << 10;

/// Whether what a file of this length takes is not looked up for `stat`.
pub(super) const fn is_small(len: u64) -> bool {
    len < TOO_SMALL
}

/// What a file takes in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub bytes: u64,
    /// Whether it lies there as it was saved, maybe, and is going to be made small.
    pub may_shrink: bool,
}

/// The sizes that are known.
#[derive(Debug, Default)]
pub(super) struct StoredSizes(Mutex<HashMap<RecipeId, u64>>);

impl StoredSizes {
    /// The bytes that a file takes in the store; its length if that cannot be told, so that damage does not keep
    /// anyone from listing a directory.
    pub fn of(&self, repo: &Repo, id: RecipeId, len: u64) -> Size {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&bytes) = known().get(&id) {
            return Size { bytes, may_shrink: false };
        }
        // Asked before as well: what is coded in between was measured as it lay there, and may be small by now.
        let waits = || repo.store().attached_len() > 0;
        let waited = waits();
        let measure = |recipe: Arc<Recipe>| stored(repo.store(), &recipe);
        let Ok((bytes, is_raw)) = repo.recipe(id).and_then(measure) else {
            return Size { bytes: len, may_shrink: false };
        };
        // What is coded and stays as it was is known as soon as nothing waits any more.
        if is_raw && (waited || waits()) {
            return Size { bytes, may_shrink: true };
        }
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id, bytes);
        Size { bytes, may_shrink: false }
    }
}
