//! The recipe of one file: the ordered extents that concatenate to it.
//!
//! Owns the canonical encoding of recipes. Knows keys, not where objects are, nor how they are stored. Extents tile
//! the file exactly: their lengths add up to the file's, checked whenever a recipe is made or decoded.

use crate::id::{ObjectKey, RecipeId};
use crate::tensor::Dtype;
use crate::wire::{Reader, WireError, Writer};

const MAGIC: &[u8; 4] = b"CREC";
const VERSION: u16 = 1;

/// Literals up to this many bytes stand in the recipe itself: an object's record would cost more.
pub const INLINE_LIMIT: usize = 160;

/// The exact content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    len: u64,
    blake3: [u8; 32],
    extents: Vec<Extent>,
    /// Where each extent starts in the file.
    starts: Vec<u64>,
}

/// A run of bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// The bytes themselves.
    Inline(Vec<u8>),
    /// A whole object: a long literal or a content-defined chunk.
    Object {
        /// Its name in the store.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
    },
    /// A whole object that is a tensor's payload.
    Tensor {
        /// Its name in the store.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// What the container says of it.
        tensor: TensorInfo,
    },
}

/// What a container file says of a tensor in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Elements along each axis, slowest first.
    pub shape: Vec<u64>,
}

impl Extent {
    /// How many bytes of the file it is.
    pub fn len(&self) -> u64 {
        match self {
            Extent::Inline(bytes) => bytes.len() as u64,
            Extent::Object { len, .. } | Extent::Tensor { len, .. } => *len,
        }
    }

    /// Whether it is no bytes at all, as an empty tensor is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object that holds it; `None` if the recipe does.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Extent::Inline(_) => None,
            Extent::Object { key, .. } | Extent::Tensor { key, .. } => Some(*key),
        }
    }
}

impl Recipe {
    /// The recipe of the file with these extents, whose bytes hash to `blake3`; `None` if the lengths overflow.
    pub fn new(extents: Vec<Extent>, blake3: [u8; 32]) -> Option<Self> {
        let mut starts = Vec::with_capacity(extents.len());
        let mut len = 0u64;
        for extent in &extents {
            starts.push(len);
            len = len.checked_add(extent.len())?;
        }
        Some(Self { len, blake3, extents, starts })
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

    /// The tensors of the file with their extents' object and length, in the order of the file.
    pub fn tensors(&self) -> impl Iterator<Item = (&TensorInfo, ObjectKey, u64)> {
        self.extents.iter().filter_map(|extent| match extent {
            Extent::Tensor { key, len, tensor } => Some((tensor, *key, *len)),
            Extent::Inline(_) | Extent::Object { .. } => None,
        })
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

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.u64(self.len);
        writer.raw(&self.blake3);
        writer.u32(self.extents.len() as u32);
        for extent in &self.extents {
            encode_extent(&mut writer, extent);
        }
        writer.finish()
    }

    /// The name of the recipe with this canonical encoding.
    pub fn id_of(encoding: &[u8]) -> RecipeId {
        RecipeId::from_bytes(*blake3::hash(encoding).as_bytes())
    }

    /// Reads a canonical encoding.
    ///
    /// # Errors
    /// [`WireError`] for anything else, also if the extents do not add up to the file's length.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::record(bytes, MAGIC, VERSION, "recipe")?;
        let len = reader.u64("length")?;
        let blake3 = reader.array("BLAKE3")?;
        let count = reader.count(5, "extent count")?;
        let extents = (0..count).map(|_| decode_extent(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        match Self::new(extents, blake3) {
            Some(recipe) if recipe.len == len => Ok(recipe),
            _ => Err(WireError::Invalid("length")),
        }
    }
}

const INLINE: u8 = 0;
const OBJECT: u8 = 1;
const TENSOR: u8 = 2;

fn encode_extent(writer: &mut Writer, extent: &Extent) {
    match extent {
        Extent::Inline(bytes) => {
            writer.u8(INLINE);
            writer.counted(bytes);
        }
        Extent::Object { key, len } => {
            writer.u8(OBJECT);
            writer.raw(key.as_bytes());
            writer.u64(*len);
        }
        Extent::Tensor { key, len, tensor } => {
            writer.u8(TENSOR);
            writer.raw(key.as_bytes());
            writer.u64(*len);
            writer.u8(tensor.dtype.code());
            writer.u32(tensor.shape.len() as u32);
            tensor.shape.iter().for_each(|&extent| writer.u64(extent));
            writer.counted(tensor.name.as_bytes());
        }
    }
}

fn decode_extent(reader: &mut Reader<'_>) -> Result<Extent, WireError> {
    match reader.u8("extent kind")? {
        INLINE => Ok(Extent::Inline(reader.counted("inline bytes")?.to_vec())),
        OBJECT => Ok(Extent::Object {
            key: ObjectKey::from_bytes(reader.array("key")?),
            len: reader.u64("extent length")?,
        }),
        TENSOR => {
            let key = ObjectKey::from_bytes(reader.array("key")?);
            let len = reader.u64("extent length")?;
            let dtype = Dtype::from_code(reader.u8("dtype")?).map_err(|_| WireError::Invalid("dtype"))?;
            let rank = reader.count(8, "rank")?;
            let shape = (0..rank).map(|_| reader.u64("shape")).collect::<Result<_, _>>()?;
            let name = reader.text("tensor name")?.to_owned();
            Ok(Extent::Tensor { key, len, tensor: TensorInfo { name, dtype, shape } })
        }
        _ => Err(WireError::Invalid("extent kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent() -> impl Strategy<Value = Extent> {
        let key = any::<[u8; 16]>().prop_map(ObjectKey::from_bytes);
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(Extent::Inline),
            (key.clone(), 0..20u64).prop_map(|(key, len)| Extent::Object { key, len }),
            (key, 0..20u64, "[a-z.]{0,5}", proptest::collection::vec(0..4u64, 0..3)).prop_map(
                |(key, len, name, shape)| Extent::Tensor {
                    key,
                    len,
                    tensor: TensorInfo { name, dtype: Dtype::Bf16, shape }
                }
            ),
        ]
    }

    fn recipe() -> impl Strategy<Value = Recipe> {
        (proptest::collection::vec(extent(), 0..6), any::<[u8; 32]>())
            .prop_map(|(extents, hash)| Recipe::new(extents, hash).expect("short extents do not overflow"))
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(recipe in recipe()) {
            prop_assert_eq!(Recipe::decode(&recipe.encode()), Ok(recipe));
        }

        #[test]
        fn any_bytes_decode_to_a_recipe_or_an_error(recipe in recipe(), at in any::<usize>(), byte: u8, cut: u8) {
            let mut bytes = recipe.encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - usize::from(cut % 4));
            if let Ok(decoded) = Recipe::decode(&bytes) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }

        #[test]
        fn covering_ranges_tile_the_part_that_exists(recipe in recipe(), offset in 0..60u64, len in 0..60u64) {
            let covered: u64 = recipe.covering(offset, len).map(|(_, range)| range.end - range.start).sum();
            prop_assert_eq!(covered, (offset + len).min(recipe.len()).saturating_sub(offset));
        }
    }
}
