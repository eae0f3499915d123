//! The recipe of one file: the ordered extents that concatenate to it, and the tensors that lie in it.
//!
//! Extents tile the file exactly: their lengths add up to the file's, checked whenever a recipe is made or decoded.
//! No extent is empty but an object without bytes, what stands in the recipe itself is short, and there are no more extents
//! than a recipe could be written with in objects. Every tensor lies inside of the file and is as long as its type and
//! shape say.

use super::extent::Extent;
use super::table::{Place, Tensor, TensorInfo};
use crate::id::{ObjectKey, RecipeId};

/// Literals up to this many bytes stand in the recipe itself: an object's record would cost more.
pub const INLINE_LIMIT: usize = 160;

/// Extents of a file: so many objects are as long as a recipe may be. Decoded, each takes several times the bytes that the
/// shortest takes in the encoding.
pub(super) const EXTENTS_MAX: usize = (256 << 20) / 25;

/// The exact content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    len: u64,
    blake3: [u8; 32],
    extents: Vec<Extent>,
    /// Where each extent starts in the file.
    starts: Vec<u64>,
    tensors: Vec<Tensor>,
    is_plain: bool,
}

impl Recipe {
    /// The recipe of the file with these extents, whose bytes hash to `blake3`, with tensors at these places; `None` if
    /// the lengths overflow, an extent is none that there may be, or a tensor is not where or what it is said to be.
    pub fn new(extents: Vec<Extent>, tensors: Vec<Tensor>, blake3: [u8; 32]) -> Option<Self> {
        (extents.len() <= EXTENTS_MAX && extents.iter().all(may_be)).then_some(())?;
        let mut starts = Vec::with_capacity(extents.len());
        let mut len = 0u64;
        for extent in &extents {
            starts.push(len);
            len = len.checked_add(extent.len())?;
            if let Extent::Part { whole, offset, len, .. } = extent {
                offset.checked_add(*len).filter(|end| end <= whole)?;
            }
        }
        let is_there = |tensor: &Tensor| {
            let bytes = match tensor.place {
                Place::Extent(number) => match extents.get(number) {
                    Some(Extent::Object { len, .. }) => Some(*len),
                    _ => None,
                },
                Place::Range { start, len: bytes } => {
                    start.checked_add(bytes).filter(|end| *end <= len).map(|_| bytes)
                }
            };
            bytes.is_some() && tensor.info.dtype.byte_len(&tensor.info.shape) == bytes
        };
        tensors.iter().all(is_there).then_some(())?;
        let mut recipe = Self { len, blake3, extents, starts, tensors, is_plain: false };
        let is_part = |extent: &Extent| matches!(extent, Extent::Part { .. });
        recipe.is_plain = recipe.has_separate_tensors() && !recipe.extents.iter().any(is_part);
        Some(recipe)
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// BLAKE3 of the file's bytes.
    pub fn blake3(&self) -> &[u8; 32] {
        &self.blake3
    }

    /// The extents in the order of the file.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Where an extent starts in the file.
    pub fn start(&self, extent: usize) -> Option<u64> {
        self.starts.get(extent).copied()
    }

    /// All tensors of the file.
    pub fn table(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Where the payload of one of its tensors begins in the file, and how many bytes it has.
    pub fn range_of(&self, tensor: &Tensor) -> (u64, u64) {
        match tensor.place {
            Place::Extent(number) => (self.starts[number], self.extents[number].len()),
            Place::Range { start, len } => (start, len),
        }
    }

    /// The object that is the payload of one of its tensors; `None` if its bytes are parts of others.
    pub fn key_of(&self, tensor: &Tensor) -> Option<ObjectKey> {
        match tensor.place {
            Place::Extent(number) => self.extents[number].key(),
            Place::Range { .. } => None,
        }
    }

    /// The tensors that are objects of their own, with the object and its length.
    pub fn tensors(&self) -> impl Iterator<Item = (&TensorInfo, ObjectKey, u64)> {
        self.tensors
            .iter()
            .filter_map(|tensor| Some((&tensor.info, self.key_of(tensor)?, self.range_of(tensor).1)))
    }

    /// Whether no two tensors share bytes, and each is what its payload is: then one can be exchanged for another.
    pub fn has_separate_tensors(&self) -> bool {
        let mut before = None;
        self.tensors.iter().all(|tensor| match tensor.place {
            Place::Extent(number) => {
                let is_next = before.is_none_or(|before| before < number);
                before = Some(number);
                is_next && tensor.info.declared.is_none()
            }
            Place::Range { .. } => false,
        })
    }

    /// Whether programs that know the first version only can read it.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The objects that the file needs, in the order of the file, with repetitions.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        self.extents.iter().filter_map(Extent::key)
    }

    /// The extents that `len` bytes from `offset` touch, each with the range inside it. What lies beyond the end of
    /// the file is left out.
    pub fn covering(&self, offset: u64, len: u64) -> impl Iterator<Item = (&Extent, std::ops::Range<u64>)> {
        let end = offset.saturating_add(len).min(self.len);
        let first = self.starts.partition_point(|&start| start <= offset).saturating_sub(1);
        self.extents[first.min(self.extents.len())..]
            .iter()
            .zip(&self.starts[first.min(self.starts.len())..])
            .take_while(move |(_, start)| **start < end)
            .map(move |(extent, &start)| {
                let from = offset.max(start) - start;
                let to = end.min(start + extent.len()) - start;
                (extent, from..to.max(from))
            })
            .filter(|(_, range)| !range.is_empty())
    }

    /// The name of the recipe with this canonical encoding.
    pub fn id_of(encoding: &[u8]) -> RecipeId {
        RecipeId::from_bytes(*blake3::hash(encoding).as_bytes())
    }
}

/// Whether a file may have such an extent.
pub(super) fn may_be(extent: &Extent) -> bool {
    match extent {
        Extent::Inline(bytes) => (1..=INLINE_LIMIT).contains(&bytes.len()),
        Extent::Object { .. } => true,
        Extent::Part { len, .. } => *len > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::testing::recipe;
    use super::*;
    use crate::tensor::Dtype;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_is_covered_by_the_extents_under_it(recipe in recipe(), offset in 0..200u64, len in 0..200u64) {
            let end = (offset + len).min(recipe.len());
            let ranges: Vec<_> = recipe.covering(offset, len).map(|(_, range)| range).collect();
            let covered: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            prop_assert_eq!(covered, end.saturating_sub(offset));
        }
    }

    #[test]
    fn extents_that_no_file_has_are_refused() {
        let key = ObjectKey::from_bytes([1; 16]);
        let one = |extent| Recipe::new(vec![extent], vec![], [0; 32]).is_some();
        assert!(one(Extent::Object { key, len: 0 }));
        assert!(
            one(Extent::Inline(vec![0; INLINE_LIMIT])) && !one(Extent::Inline(vec![0; INLINE_LIMIT + 1]))
        );
        assert!(!one(Extent::Inline(vec![])));
        assert!(!one(Extent::Part { key, whole: 1, offset: 1, len: 0 }));
    }

    #[test]
    fn parts_and_tensors_that_are_not_there_are_refused() {
        let key = ObjectKey::from_bytes([1; 16]);
        let part = |offset, len| vec![Extent::Part { key, whole: 10, offset, len }];
        let tensor = |place| Tensor { info: TensorInfo::plain("w", Dtype::U8, vec![2]), place };
        assert!(Recipe::new(part(2, 8), vec![], [0; 32]).is_some());
        assert!(Recipe::new(part(3, 8), vec![], [0; 32]).is_none());
        assert!(Recipe::new(part(u64::MAX, 8), vec![], [0; 32]).is_none());
        let at = |place| Recipe::new(part(0, 8), vec![tensor(place)], [0; 32]).is_some();
        assert!(at(Place::Range { start: 6, len: 2 }));
        assert!(!at(Place::Range { start: 7, len: 2 }) && !at(Place::Range { start: u64::MAX, len: 2 }));
        assert!(!at(Place::Extent(0)) && !at(Place::Extent(1)));
        let object = vec![Extent::Object { key, len: 2 }];
        let of = |dtype, shape: &[u64]| {
            let info = TensorInfo::plain("w", dtype, shape.to_vec());
            let tensor = Tensor { info, place: Place::Extent(0) };
            Recipe::new(object.clone(), vec![tensor], [0; 32]).is_some()
        };
        assert!(of(Dtype::F16, &[1, 1]) && of(Dtype::F4, &[2, 2]));
        assert!(!of(Dtype::F16, &[2]) && !of(Dtype::U8, &[0]) && !of(Dtype::U8, &[1 << 40, 1 << 40]));
        let recipe = Recipe::new(object, vec![tensor(Place::Extent(0)); 2], [0; 32]).expect("tied tensors");
        assert!(!recipe.has_separate_tensors());
        assert_eq!(recipe.tensors().count(), 2);
    }
}
