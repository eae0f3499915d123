//! The canonical encodings of recipes. One value has one: what the first version can say is written in it, so that files
//! keep the ids that they had before there was a second.

use super::extent::Extent;
use super::file::{EXTENTS_MAX, INLINE_LIMIT, Recipe};
use super::table::{Place, Tensor, TensorInfo};
use crate::id::ObjectKey;
use crate::tensor::{Block, Declared, Dtype, Element};
use crate::wire::{Reader, WireError, Writer};
use std::collections::HashMap;

const MAGIC: &[u8; 4] = b"CREC";
/// Each tensor is an extent.
const PLAIN: u16 = 1;
/// A table of tensors behind the extents.
const TABLE: u16 = 2;

const INLINE: u8 = 0;
const OBJECT: u8 = 1;
/// In the first version: an object that is a tensor.
const TENSOR: u8 = 2;
/// In the second version.
const PART: u8 = 3;

const BY_EXTENT: u8 = 0;
const BY_RANGE: u8 = 1;
/// Added to the two above: the container means something else by the payload.
const DECLARED: u8 = 2;

const NUMBER: u8 = 0;
const BIG_ENDIAN: u8 = 1;
const BLOCK: u8 = 2;

const CONJUGATE: u8 = 1;
const NEGATIVE: u8 = 2;
const STRIDED: u8 = 4;

/// The least bytes of an extent, and of an entry of the table.
const EXTENT_LEAST: usize = 5;
const TENSOR_LEAST: usize = 14;

impl Recipe {
    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let version = if self.is_plain() { PLAIN } else { TABLE };
        let mut writer = Writer::record(MAGIC, version);
        writer.u64(self.len());
        writer.raw(self.blake3());
        writer.u32(self.extents().len() as u32);
        match version {
            PLAIN => self.encode_plain(&mut writer),
            _ => self.encode_table(&mut writer),
        }
        writer.finish()
    }

    fn encode_plain(&self, writer: &mut Writer) {
        let tensors = self.table().iter().filter_map(|tensor| match tensor.place {
            Place::Extent(number) => Some((number, &tensor.info)),
            Place::Range { .. } => None,
        });
        let tensors: HashMap<usize, &TensorInfo> = tensors.collect();
        for (number, extent) in self.extents().iter().enumerate() {
            match (tensors.get(&number), extent) {
                (Some(tensor), Extent::Object { key, len }) => {
                    writer.u8(TENSOR);
                    writer.raw(key.as_bytes());
                    writer.u64(*len);
                    encode_info(writer, tensor);
                }
                _ => encode_extent(writer, extent),
            }
        }
    }

    fn encode_table(&self, writer: &mut Writer) {
        self.extents().iter().for_each(|extent| encode_extent(writer, extent));
        writer.u32(self.table().len() as u32);
        for Tensor { info, place } in self.table() {
            let declared = if info.declared.is_some() { DECLARED } else { 0 };
            match *place {
                Place::Extent(number) => {
                    writer.u8(BY_EXTENT + declared);
                    writer.u32(number as u32);
                }
                Place::Range { start, len } => {
                    writer.u8(BY_RANGE + declared);
                    writer.u64(start);
                    writer.u64(len);
                }
            }
            encode_info(writer, info);
            info.declared.iter().for_each(|declared| encode_declared(writer, declared));
        }
    }

    /// The BLAKE3 of a file, from the canonical encoding of its recipe. Of what it consists nothing is looked at.
    ///
    /// # Errors
    /// [`WireError`] if that is no record of a recipe.
    pub fn blake3_in(bytes: &[u8]) -> Result<[u8; 32], WireError> {
        let record = Reader::record(bytes, MAGIC, PLAIN, "recipe");
        let mut reader = record.or_else(|_| Reader::record(bytes, MAGIC, TABLE, "recipe"))?;
        reader.u64("length")?;
        reader.array("BLAKE3")
    }

    /// Reads a canonical encoding.
    ///
    /// # Errors
    /// [`WireError`] for anything else, also if the extents do not add up to the file's length.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let (mut reader, is_plain) = match Reader::record(bytes, MAGIC, PLAIN, "recipe") {
            Ok(reader) => (reader, true),
            Err(_) => (Reader::record(bytes, MAGIC, TABLE, "recipe")?, false),
        };
        let len = reader.u64("length")?;
        let blake3 = reader.array("BLAKE3")?;
        let count = reader.count(EXTENT_LEAST, "extent count")?;
        if count > EXTENTS_MAX {
            return Err(WireError::Invalid("extent count"));
        }
        let mut extents = Vec::new();
        let mut tensors = Vec::new();
        for number in 0..count {
            let (extent, info) = decode_extent(&mut reader, is_plain)?;
            extents.push(extent);
            tensors.extend(info.map(|info| Tensor { info, place: Place::Extent(number) }));
        }
        if !is_plain {
            let count = reader.count(TENSOR_LEAST, "tensor count")?;
            tensors = (0..count).map(|_| decode_tensor(&mut reader)).collect::<Result<_, _>>()?;
        }
        reader.finish()?;
        match Self::new(extents, tensors, blake3) {
            Some(recipe) if recipe.len() == len && recipe.is_plain() == is_plain => Ok(recipe),
            _ => Err(WireError::Invalid("length, place of a tensor, or version")),
        }
    }
}

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
        Extent::Part { key, whole, offset, len } => {
            writer.u8(PART);
            writer.raw(key.as_bytes());
            [whole, offset, len].into_iter().for_each(|&value| writer.u64(value));
        }
    }
}

/// An extent, and in the first version what it is as a tensor.
fn decode_extent(reader: &mut Reader<'_>, is_plain: bool) -> Result<(Extent, Option<TensorInfo>), WireError> {
    let kind = reader.u8("extent kind")?;
    if kind == INLINE {
        let bytes = reader.counted("inline bytes")?;
        return match (1..=INLINE_LIMIT).contains(&bytes.len()) {
            true => Ok((Extent::Inline(bytes.to_vec()), None)),
            false => Err(WireError::Invalid("length of inline bytes")),
        };
    }
    let key = ObjectKey::from_bytes(reader.array("key")?);
    let len = reader.u64("extent length")?;
    match kind {
        OBJECT => Ok((Extent::Object { key, len }, None)),
        TENSOR if is_plain => Ok((Extent::Object { key, len }, Some(decode_info(reader)?))),
        PART if !is_plain => {
            let (offset, part) = (reader.u64("offset")?, reader.u64("part length")?);
            Ok((Extent::Part { key, whole: len, offset, len: part }, None))
        }
        _ => Err(WireError::Invalid("extent kind")),
    }
}

fn encode_info(writer: &mut Writer, info: &TensorInfo) {
    writer.u8(info.dtype.code());
    encode_shape(writer, &info.shape);
    writer.counted(info.name.as_bytes());
}

fn decode_info(reader: &mut Reader<'_>) -> Result<TensorInfo, WireError> {
    let dtype = decode_dtype(reader)?;
    let shape = decode_shape(reader)?;
    let name = reader.text("tensor name")?.to_owned();
    Ok(TensorInfo { name, dtype, shape, declared: None })
}

fn decode_dtype(reader: &mut Reader<'_>) -> Result<Dtype, WireError> {
    Dtype::from_code(reader.u8("dtype")?).map_err(|_| WireError::Invalid("dtype"))
}

fn encode_shape(writer: &mut Writer, shape: &[u64]) {
    writer.u32(shape.len() as u32);
    shape.iter().for_each(|&extent| writer.u64(extent));
}

fn decode_shape(reader: &mut Reader<'_>) -> Result<Vec<u64>, WireError> {
    let rank = reader.count(8, "rank")?;
    (0..rank).map(|_| reader.u64("shape")).collect()
}

fn decode_tensor(reader: &mut Reader<'_>) -> Result<Tensor, WireError> {
    let kind = reader.u8("kind of a place")?;
    let place = match kind & !DECLARED {
        BY_EXTENT => Place::Extent(reader.u32("number of an extent")? as usize),
        BY_RANGE => Place::Range { start: reader.u64("start")?, len: reader.u64("length of a tensor")? },
        _ => return Err(WireError::Invalid("kind of a place")),
    };
    let mut info = decode_info(reader)?;
    if kind & DECLARED != 0 {
        info.declared = Some(Box::new(decode_declared(reader)?));
    }
    Ok(Tensor { info, place })
}

fn encode_declared(writer: &mut Writer, declared: &Declared) {
    match declared.element {
        Element::Number(dtype) => {
            writer.u8(NUMBER);
            writer.u8(dtype.code());
        }
        Element::BigEndian(dtype) => {
            writer.u8(BIG_ENDIAN);
            writer.u8(dtype.code());
        }
        Element::Block(Block(code)) => {
            writer.u8(BLOCK);
            writer.u32(code);
        }
    }
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    writer.u8(flag(declared.conjugate, CONJUGATE)
        | flag(declared.negative, NEGATIVE)
        | flag(declared.strides.is_some(), STRIDED));
    encode_shape(writer, &declared.shape);
    declared.strides.iter().for_each(|strides| encode_shape(writer, strides));
}

fn decode_declared(reader: &mut Reader<'_>) -> Result<Declared, WireError> {
    let element = match reader.u8("kind of element")? {
        NUMBER => Element::Number(decode_dtype(reader)?),
        BIG_ENDIAN => Element::BigEndian(decode_dtype(reader)?),
        BLOCK => Element::Block(Block(reader.u32("kind of block")?)),
        _ => return Err(WireError::Invalid("kind of element")),
    };
    let flags = reader.u8("flags")?;
    if flags & !(CONJUGATE | NEGATIVE | STRIDED) != 0 {
        return Err(WireError::Invalid("flags"));
    }
    let shape = decode_shape(reader)?;
    let strides = (flags & STRIDED != 0).then(|| decode_shape(reader)).transpose()?;
    let (conjugate, negative) = (flags & CONJUGATE != 0, flags & NEGATIVE != 0);
    Ok(Declared { element, shape, strides, conjugate, negative })
}

/// Recipes of all kinds for tests of this room.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use proptest::prelude::*;

    fn extent() -> impl Strategy<Value = Extent> {
        let key = any::<[u8; 16]>().prop_map(ObjectKey::from_bytes);
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..9).prop_map(Extent::Inline),
            (key.clone(), 0..20u64).prop_map(|(key, len)| Extent::Object { key, len }),
            (key, 0..20u64, 1..20u64, 0..9u64).prop_map(|(key, offset, len, more)| Extent::Part {
                key,
                whole: offset + len + more,
                offset,
                len
            }),
        ]
    }

    fn declared() -> impl Strategy<Value = Declared> {
        let element = prop_oneof![
            Just(Element::Number(Dtype::F16)),
            Just(Element::BigEndian(Dtype::F64)),
            any::<u32>().prop_map(|code| Element::Block(Block(code))),
        ];
        let shape = || proptest::collection::vec(any::<u64>(), 0..3);
        (element, shape(), proptest::option::of(shape()), any::<bool>(), any::<bool>()).prop_map(
            |(element, shape, strides, conjugate, negative)| Declared {
                element,
                shape,
                strides,
                conjugate,
                negative,
            },
        )
    }

    fn info() -> impl Strategy<Value = TensorInfo> {
        let shape = proptest::collection::vec(0..4u64, 0..3);
        (shape, "[a-z.]{0,5}", proptest::option::of(declared())).prop_map(|(shape, name, declared)| {
            TensorInfo { name, dtype: Dtype::Bf16, shape, declared: declared.map(Box::new) }
        })
    }

    /// The tensor, of as many axes, as so many bytes.
    fn of_len(info: TensorInfo, len: u64) -> TensorInfo {
        let mut shape = vec![1; info.shape.len().max(1)];
        shape[0] = len;
        TensorInfo { dtype: Dtype::U8, shape, ..info }
    }

    /// Some of the tensors are extents, the others ranges.
    pub fn recipe() -> impl Strategy<Value = Recipe> {
        let tensors = proptest::collection::vec((info(), any::<usize>(), any::<bool>()), 0..4);
        let extents = proptest::collection::vec(extent(), 0..6);
        (extents, tensors, any::<[u8; 32]>()).prop_map(|(extents, tensors, hash)| {
            let len: u64 = extents.iter().map(Extent::len).sum();
            let is_object = |number: &usize| matches!(extents.get(*number), Some(Extent::Object { .. }));
            let tensors = tensors.into_iter().map(|(info, at, by_extent)| {
                let number = (at % 6).min(extents.len());
                let start = at as u64 % (len + 1);
                match by_extent && is_object(&number) {
                    true => {
                        let info = of_len(info, extents[number].len());
                        Tensor { info, place: Place::Extent(number) }
                    }
                    false => {
                        let len = (len - start).min(3);
                        Tensor { info: of_len(info, len), place: Place::Range { start, len } }
                    }
                }
            });
            let tensors = tensors.collect();
            Recipe::new(extents, tensors, hash).expect("short extents do not overflow")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::recipe;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn decoding_undoes_encoding(recipe in recipe()) {
            prop_assert_eq!(Recipe::blake3_in(&recipe.encode()), Ok(*recipe.blake3()));
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
    }

    #[test]
    fn what_the_first_version_can_say_is_written_in_it() {
        let key = ObjectKey::from_bytes([1; 16]);
        let extents = vec![Extent::Inline(vec![7]), Extent::Object { key, len: 4 }];
        let info = TensorInfo::plain("w", Dtype::F32, vec![1]);
        let one = Tensor { info: info.clone(), place: Place::Extent(1) };
        let recipe = |tensors| Recipe::new(extents.clone(), tensors, [9; 32]).expect("a recipe").encode();
        let plain = recipe(vec![one.clone()]);
        let parts: [&[u8]; 6] = [
            b"CREC\x01\0",
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[9; 32],
            &[2, 0, 0, 0, 0, 1, 0, 0, 0, 7, 2],
            &[1; 16],
            b"\x04\0\0\0\0\0\0\0\x0c\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0w",
        ];
        assert_eq!(plain, parts.concat());
        assert_eq!(recipe(vec![one.clone(), one])[4], 2);
    }

    #[test]
    fn the_second_version_is_refused_where_the_first_would_do() {
        let mut writer = Writer::record(MAGIC, TABLE);
        writer.u64(1);
        writer.raw(&[0; 32]);
        writer.u32(1);
        encode_extent(&mut writer, &Extent::Inline(vec![7]));
        writer.u32(0);
        assert!(Recipe::decode(&writer.finish()).is_err());
    }

    #[test]
    fn extents_that_no_file_has_are_no_recipe() {
        let of = |count: u32, extent: &[u8], len: u64| {
            let mut writer = Writer::record(MAGIC, PLAIN);
            writer.u64(len);
            writer.raw(&[0; 32]);
            writer.u32(count);
            writer.raw(&extent.repeat(count as usize));
            Recipe::decode(&writer.finish())
        };
        let inline = |len: u8| [&[0, len, 0, 0, 0][..], &vec![7; len.into()]].concat();
        assert!(of(1, &inline(160), 160).is_ok());
        assert!(of(1, &inline(161), 161).is_err());
        assert!(of(1, &inline(0), 0).is_err());
        let too_many = EXTENTS_MAX as u32 + 1;
        assert_eq!(of(too_many, &inline(1), too_many.into()), Err(WireError::Invalid("extent count")));
    }

    #[test]
    fn counts_that_cannot_be_true_reserve_nothing() {
        for version in [PLAIN, TABLE] {
            let mut writer = Writer::record(MAGIC, version);
            writer.u64(0);
            writer.raw(&[0; 32]);
            writer.u32(u32::MAX);
            assert!(matches!(Recipe::decode(&writer.finish()), Err(WireError::Truncated(_))));
        }
    }
}
