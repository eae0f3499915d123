//! One tensor as an `.npy` file: a header that is made up, and the payload where it lies in its file.

use std::sync::Arc;

use crate::format::npy;
use crate::history::{FileReader, Repo};
use crate::recipe::{Extent, Recipe, TensorInfo};

use super::error::{Error, Result};
use super::index::Located;

/// A tensor that is open for reading. Threads may share it.
#[derive(Debug)]
pub struct Array {
    header: Vec<u8>,
    file: FileReader,
    /// Where in the file the payload begins, and how long it is.
    start: u64,
    payload: u64,
}

impl Array {
    /// Opens a tensor. Looks no object up, unless the header of an `.npy` file stands before it.
    pub(super) fn open(repo: &Repo, at: Located) -> Result<Self> {
        let recipe = repo.recipe(at.recipe)?;
        let (header, payload) = parts(repo, &recipe, at.extent)?;
        let start = recipe.start(at.extent).ok_or(Error::NotAnArray)?;
        Ok(Self { header, start, payload, file: repo.reader(&recipe) })
    }

    /// The length that it has when it is opened.
    pub(super) fn len_of(repo: &Repo, at: Located) -> Result<u64> {
        let (header, payload) = parts(repo, &repo.recipe(at.recipe)?, at.extent)?;
        Ok(header.len() as u64 + payload)
    }

    /// Bytes of the whole `.npy` file.
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.payload
    }

    /// Whether it has no bytes; it has a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end. Returns how many.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let head = usize::try_from(offset).ok().and_then(|at| self.header.get(at..)).unwrap_or_default();
        let head = &head[..head.len().min(buf.len())];
        buf[..head.len()].copy_from_slice(head);
        let from = offset.saturating_add(head.len() as u64).saturating_sub(self.header.len() as u64);
        let wanted = self.payload.saturating_sub(from).min((buf.len() - head.len()) as u64) as usize;
        let rest = &mut buf[head.len()..head.len() + wanted];
        Ok(head.len() + self.file.read_at(self.start.saturating_add(from), rest)?)
    }
}

/// The header of a tensor's file, and how many bytes come after it.
fn parts(repo: &Repo, recipe: &Arc<Recipe>, extent: usize) -> Result<(Vec<u8>, u64)> {
    let (info, payload) = tensor_at(recipe, extent)?;
    let header = match fortran_shape(repo, recipe, extent)? {
        Some(shape) => npy::fortran_header(info.dtype, &shape),
        None => npy::header(info.dtype, &info.shape).ok_or(Error::NotAnArray)?,
    };
    Ok((header, payload))
}

/// The tensor that an extent is, and its bytes.
pub(super) fn tensor_at(recipe: &Recipe, extent: usize) -> Result<(&TensorInfo, u64)> {
    match recipe.extents().get(extent) {
        Some(Extent::Tensor { tensor, len, .. }) => Ok((tensor, *len)),
        Some(Extent::Inline(_) | Extent::Object { .. }) | None => Err(Error::NotAnArray),
    }
}

/// The shape that a flat tensor has in Fortran order, if the header of an `.npy` file stands before it.
pub(super) fn fortran_shape(repo: &Repo, recipe: &Arc<Recipe>, extent: usize) -> Result<Option<Vec<u64>>> {
    let (info, _) = tensor_at(recipe, extent)?;
    let before = extent.checked_sub(1).and_then(|before| recipe.extents().get(before));
    let (&[count], Some(Extent::Inline(_) | Extent::Object { .. })) = (&info.shape[..], before) else {
        return Ok(None);
    };
    let start = recipe.start(extent).unwrap_or_default();
    let mut before = vec![0; npy::HEADER_SEARCH.min(usize::try_from(start).unwrap_or(usize::MAX))];
    let from = start - before.len() as u64;
    repo.reader(recipe).read_at(from, &mut before)?;
    Ok(npy::fortran_shape(&before, count))
}
