//! From what a file is proposed to be made of to its recipe.
//!
//! What lies between tensors is short and many: headers, padding, names. It is gathered into objects of its own, of
//! which the recipe has parts, so that it is compressed together and costs one record in the store.

use super::error::Result;
use crate::format::{Extent as Part, Found, Proposal, Proposed};
use crate::id::ObjectKey;
use crate::recipe::{Extent, INLINE_LIMIT, Place, Recipe, Tensor, TensorInfo};
use crate::store::{ContentHasher, Hashed, Slice, Source, StoreError};
use std::collections::HashMap;

/// What is gathered into one object, in bytes, and from one file: it is in memory while it is stored. What is beyond it
/// is stored by itself.
const GATHERED_MAX: usize = 4 << 20;
const FILE_MAX: usize = 64 << 20;

/// Some of what lies between tensors, as one object.
pub(super) struct Gathered {
    /// The bytes of all its parts, one after the other.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub hashed: Hashed,
}

/// What of a file is gathered.
#[derive(Default)]
pub(super) struct Between {
    pub objects: Vec<Gathered>,
    /// By the number of a part: which object has it, and where in it.
    places: HashMap<usize, (usize, u64)>,
}

impl Between {
    /// Gathers the literals of a file that has tensors and several literals.
    ///
    /// # Errors
    /// [`StoreError::Changed`] if they are no longer what was hashed.
    pub fn gather(source: &dyn Source, proposal: &Proposal, hashed: &[Hashed]) -> Result<Self> {
        let literals = || proposal.parts.iter().enumerate().filter(|(_, part)| part.kind == Part::Literal);
        let mut between = Self::default();
        if proposal.tensors.is_empty() || literals().count() < 2 {
            return Ok(between);
        }
        let (mut bytes, mut left) = (Vec::new(), FILE_MAX);
        for (number, part) in literals() {
            let Some(rest) = left.checked_sub(part.len as usize) else { break };
            left = rest;
            if bytes.len() + part.len as usize > GATHERED_MAX {
                between.end(std::mem::take(&mut bytes));
            }
            between.places.insert(number, (between.objects.len(), bytes.len() as u64));
            bytes.extend(read_literal(source, part, &hashed[number])?);
        }
        between.end(bytes);
        Ok(between)
    }

    fn end(&mut self, bytes: Vec<u8>) {
        let mut hasher = ContentHasher::new();
        hasher.update(&bytes);
        self.objects.push(Gathered { hashed: hasher.finish(), bytes });
    }

    /// The extent of a part that was gathered, if the gathered objects have these keys.
    pub fn extent(&self, number: usize, len: u64, keys: &[ObjectKey]) -> Option<Extent> {
        let (object, offset) = *self.places.get(&number)?;
        let whole = self.objects[object].bytes.len() as u64;
        Some(Extent::Part { key: keys[object], whole, offset, len })
    }
}

/// Whether a part stands in the recipe itself, unless it is gathered.
pub(super) fn is_inline(part: &Proposed) -> bool {
    !matches!(part.kind, Part::Payload(_)) && part.len <= INLINE_LIMIT as u64
}

/// The bytes of a short part, which are those that were hashed with the whole file.
pub(super) fn read_literal(source: &dyn Source, part: &Proposed, hashed: &Hashed) -> Result<Vec<u8>> {
    let mut bytes = vec![0; part.len as usize];
    let slice = Slice { source, offset: part.start, len: part.len };
    slice.read_exact_at(&mut bytes, 0).map_err(StoreError::from)?;
    let mut hasher = ContentHasher::new();
    hasher.update(&bytes);
    match hasher.finish() == *hashed {
        true => Ok(bytes),
        false => Err(StoreError::Changed.into()),
    }
}

/// The tensors that have exactly these bytes for their payload; tensors are sorted by where they lie.
pub(super) fn tensors_at<'t>(tensors: &'t [Found], part: &Proposed) -> impl Iterator<Item = &'t Found> {
    let at = (part.start, part.len);
    let first = tensors.partition_point(|tensor| (tensor.start, tensor.len) < at);
    tensors[first..].iter().take_while(move |tensor| (tensor.start, tensor.len) == at)
}

/// The recipe of a file of these extents, one for each part of the proposal.
pub(super) fn recipe(proposal: Proposal, extents: Vec<Extent>, blake3: [u8; 32]) -> Result<Recipe> {
    let Proposal { parts, tensors } = proposal;
    let place = |found: &Found| {
        let (start, len) = (found.start, found.len);
        let number = parts.partition_point(|part| (part.start, part.len) < (start, len));
        let is_payload = parts.get(number).is_some_and(|part| {
            (part.start, part.len) == (start, len) && matches!(part.kind, Part::Payload(_))
        });
        if is_payload { Place::Extent(number) } else { Place::Range { start, len } }
    };
    let tensor = |found: Found| {
        let place = place(&found);
        Tensor { info: info(found), place }
    };
    let tensors = tensors.into_iter().map(tensor).collect();
    Ok(Recipe::new(extents, tensors, blake3).ok_or(StoreError::Changed)?)
}

/// What a recipe says of a tensor that was found.
pub(super) fn info(found: Found) -> TensorInfo {
    let Found { name, dtype, shape, declared, .. } = found;
    TensorInfo { name, dtype, shape, declared }
}
