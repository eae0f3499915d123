//! A file that is put together of pieces that are in the store already: its hash is learned from reading them.

use super::error::Result;
use super::file_hash::hash_whole;
use super::reader::FileReader;
use super::repository::Repo;
use crate::id::RecipeId;
use crate::recipe::{Extent, Recipe, Tensor};
use crate::store::{Ingest, Kind, StoreError};
use std::sync::Arc;

/// Records a file of these pieces with tensors at these places, and tells its length. Reads all of them once; durable when
/// the ingest is sealed.
///
/// # Errors
/// If a piece is not in the store or cannot be read.
pub fn assemble(
    repo: &Repo,
    ingest: &Ingest,
    extents: Vec<Extent>,
    tensors: &[Tensor],
) -> Result<(RecipeId, u64)> {
    let recipe = |blake3| Recipe::new(extents.clone(), tensors.to_vec(), blake3).ok_or(StoreError::Changed);
    // Of packs alone: no plain copy has a hash of zeros, and none is to be begun.
    let bytes = FileReader::of_packs(repo, &Arc::new(recipe([0; 32])?));
    let blake3 = hash_whole(repo.store().threads(), &bytes)?;
    record(repo, ingest, &recipe(blake3)?)
}

/// Records a file, and tells its length.
pub(super) fn record(repo: &Repo, ingest: &Ingest, recipe: &Recipe) -> Result<(RecipeId, u64)> {
    if !recipe.is_plain() {
        repo.raise_format()?;
    }
    let encoding = recipe.encode();
    let id = Recipe::id_of(&encoding);
    ingest.put_meta(Kind::Recipe, id.as_bytes(), &encoding)?;
    Ok((id, recipe.len()))
}
