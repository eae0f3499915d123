//! NumPy's `.npy` format, read and written.
//!
//! Layout per numpy's `numpy.lib.format`: magic `\x93NUMPY`, version, header length (2 bytes in version 1, 4 later), a
//! Python dictionary of `descr`, `fortran_order` and `shape`, padded so that the data is 64-byte aligned.
//!
//! The payload of a Fortran-ordered array is what it is in memory: its transposed in C order. The names that
//! `ml_dtypes` have in `.npy` files say little: `V2` is bfloat16, `V1` one of several types of a byte. Structured and
//! pickled arrays are plain bytes. A file may have several arrays, as several calls of `numpy.save` write them.

use std::io;

use crate::tensor::{Declared, Dtype, Element, c_strides};

use super::Bytes;
use super::bytes::{array, block};
use super::region::{Findings, Found};

/// The first bytes of every `.npy` file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// numpy itself refuses to evaluate headers over 10,000 bytes from strangers; we do not read longer ones than this.
const HEADER_MAX: u32 = 1 << 16;
/// numpy has at most 64 dimensions.
const RANK_MAX: usize = 64;
/// Data begins at a multiple of this, so that a mapping of the file is aligned for every element type and for SIMD.
const ALIGNMENT: usize = 64;

/// The arrays of an `.npy` file, named `array`, `array.1` and so on; `None` if the first is none, or not whole.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    let mut findings = Findings::default();
    let (mut at, mut name) = (0, "array".to_owned());
    while !findings.is_full()
        && let Some(found) = parse_span(file, at, file.len(), &name)?
    {
        at = found.start + found.len;
        findings.add(found);
        name = format!("array.{}", findings.tensors().len());
    }
    Ok((!findings.tensors().is_empty()).then_some(findings))
}

/// The payload of the array that begins the bytes `start..end` of a file.
pub(super) fn parse_span(file: &dyn Bytes, start: u64, end: u64, name: &str) -> io::Result<Option<Found>> {
    let Some(prefix) = array::<8>(file, start, end)? else { return Ok(None) };
    if &prefix[..6] != MAGIC {
        return Ok(None);
    }
    let (at, len) = match prefix[6] {
        1 => (start + 10, array(file, start + 8, end)?.map(|len| u32::from(u16::from_le_bytes(len)))),
        2 | 3 => (start + 12, array(file, start + 8, end)?.map(u32::from_le_bytes)),
        _ => return Ok(None),
    };
    let Some(len) = len.filter(|len| *len <= HEADER_MAX && u64::from(*len) <= end - at) else {
        return Ok(None);
    };
    let text = block(file, at, len as usize)?;
    let data = at + u64::from(len);
    Ok(Header::parse(&text).and_then(|header| header.found(data, end - data, name)))
}

/// The bytes that make `payload` an `.npy` file when put before it; their count is a multiple of 64.
///
/// Element types that numpy does not have are written as unsigned integers of their width; packed sub-byte elements
/// and opaque bytes as a flat array of bytes. `None` if the shape has no length in bytes.
pub fn header(dtype: Dtype, shape: &[u64]) -> Option<Vec<u8>> {
    let bytes = dtype.byte_len(shape)?;
    match dtype {
        Dtype::Opaque | Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2 => Some(dictionary(dtype, false, &[bytes])),
        _ => Some(dictionary(dtype, false, shape)),
    }
}

/// Whether NumPy has a type of this meaning.
pub const fn has(dtype: Dtype) -> bool {
    match dtype {
        Dtype::Opaque | Dtype::Bf16 | Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2 => false,
        Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E8M0 | Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => false,
        Dtype::Bool | Dtype::U8 | Dtype::I8 | Dtype::U16 | Dtype::I16 | Dtype::U32 | Dtype::I32 => true,
        Dtype::U64 | Dtype::I64 | Dtype::F16 | Dtype::F32 | Dtype::F64 | Dtype::C64 | Dtype::C128 => true,
    }
}

/// The same for a payload in Fortran order.
pub fn fortran_header(dtype: Dtype, shape: &[u64]) -> Vec<u8> {
    dictionary(dtype, true, shape)
}

/// The same for a payload of numbers whose first byte is the highest; `None` if NumPy has no such type.
pub fn big_endian_header(dtype: Dtype, declared: &Declared) -> Option<Vec<u8>> {
    let kind = descr(dtype).strip_prefix('<')?;
    let (is_fortran, shape) = (declared.is_fortran(), &declared.shape);
    Some(dictionary_of(&format!(">{kind}"), is_fortran, shape))
}

/// So many bytes before a payload are enough for [`fortran_shape`].
pub const HEADER_SEARCH: usize = 4096;

/// The shape of an array in Fortran order with `count` elements, if `before`, which ends where its payload begins, ends
/// with the header of one of more than one dimension.
pub fn fortran_shape(before: &[u8], count: u64) -> Option<Vec<u64>> {
    let starts = before.windows(MAGIC.len()).enumerate().rev().filter(|(_, bytes)| bytes == MAGIC);
    let header = starts.into_iter().find_map(|(at, _)| {
        let (version, rest) = before[at + MAGIC.len()..].split_first_chunk::<2>()?;
        let (len, text) = match version[0] {
            1 => rest.split_first_chunk().map(|(len, text)| (u32::from(u16::from_le_bytes(*len)), text))?,
            2 | 3 => rest.split_first_chunk().map(|(len, text)| (u32::from_le_bytes(*len), text))?,
            _ => return None,
        };
        (text.len() == len as usize).then(|| Header::parse(text)).flatten()
    })?;
    let fits = header.fortran_order
        && header.shape.len() > 1
        && header.shape.iter().try_fold(1u64, |product, extent| product.checked_mul(*extent)) == Some(count);
    fits.then_some(header.shape)
}

fn dictionary(dtype: Dtype, fortran_order: bool, shape: &[u64]) -> Vec<u8> {
    dictionary_of(descr(dtype), fortran_order, shape)
}

fn dictionary_of(descr: &str, fortran_order: bool, shape: &[u64]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let shape = tuple(shape);
    frame(format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"))
}

/// Pads the dictionary with spaces and a line feed, and puts magic, version and length before it.
fn frame(mut text: String) -> Vec<u8> {
    let version = if text.len() + 1 + ALIGNMENT > usize::from(u16::MAX) { 2 } else { 1 };
    let prefix = if version == 1 { 10 } else { 12 };
    let padded = (prefix + text.len() + 1).next_multiple_of(ALIGNMENT) - prefix;
    text.extend(std::iter::repeat_n(' ', padded - text.len() - 1));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version, 0]);
    bytes.extend(&(text.len() as u32).to_le_bytes()[..prefix - 8]);
    bytes.extend(text.as_bytes());
    bytes
}

fn tuple(shape: &[u64]) -> String {
    let extents: Vec<String> = shape.iter().map(u64::to_string).collect();
    match extents.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

/// numpy's name for the type that holds these elements' bits.
const fn descr(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "|b1",
        Dtype::I8 => "|i1",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::U16 | Dtype::Bf16 => "<u2",
        Dtype::U32 => "<u4",
        Dtype::U64 => "<u8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::C64 => "<c8",
        Dtype::C128 => "<c16",
        Dtype::U8 | Dtype::Opaque | Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2 => "|u1",
        Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E8M0 | Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => "|u1",
    }
}

/// The element type with this numpy name, if it is ours, and whether its first byte is the highest.
fn dtype_of(descr: &str) -> Option<(Dtype, bool)> {
    let order = descr.as_bytes().first()?;
    let dtype = match descr.get(1..)? {
        "b1" => Dtype::Bool,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" | "V1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "f1" => Dtype::F8E5M2,
        "f2" => Dtype::F16,
        "V2" => Dtype::Bf16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "c8" => Dtype::C64,
        "c16" => Dtype::C128,
        _ => return None,
    };
    match order {
        b'<' => Some((dtype, false)),
        b'|' => (dtype.bits() == 8 || dtype == Dtype::Bf16).then_some((dtype, false)),
        b'>' => Some((dtype, dtype.bits() > 8)),
        _ => None,
    }
}

/// What the dictionary of an `.npy` file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub descr: String,
    pub fortran_order: bool,
    pub shape: Vec<u64>,
}

impl Header {
    /// Reads the dictionary; `None` for anything but the three keys with plain values.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut at = Literal { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        at.token(b'{')?;
        while at.token(b'}').is_none() {
            let key = at.string()?;
            at.token(b':')?;
            match key {
                "descr" => descr = Some(at.string()?.to_owned()),
                "fortran_order" => fortran_order = Some(at.boolean()?),
                "shape" => shape = Some(at.tuple()?),
                _ => return None,
            }
            if at.token(b',').is_none() && at.peek()? != b'}' {
                return None;
            }
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }

    /// The array whose payload begins the `data_len` bytes at `data`, if they are enough.
    pub fn found(self, data: u64, data_len: u64, name: &str) -> Option<Found> {
        let (dtype, is_big_endian) = dtype_of(&self.descr)?;
        let len = dtype.byte_len(&self.shape).filter(|len| *len <= data_len)?;
        let strides = match self.fortran_order && self.shape.len() > 1 {
            true => Some(fortran_strides(&self.shape)?),
            false => None,
        };
        let mut payload = (dtype, self.shape.clone());
        if strides.is_some() {
            payload.1.reverse();
        }
        let mut element = Element::Number(dtype);
        if is_big_endian {
            (payload, element) = ((Dtype::U8, vec![len]), Element::BigEndian(dtype));
        }
        let is_plain = strides.is_none() && !is_big_endian;
        let declared = || Box::new(Declared { strides, ..Declared::plain(element, self.shape) });
        let declared = (!is_plain).then(declared);
        Some(Found { start: data, len, name: name.to_owned(), dtype: payload.0, shape: payload.1, declared })
    }
}

/// The strides of an array whose first axis is the fastest.
fn fortran_strides(shape: &[u64]) -> Option<Vec<u64>> {
    let reversed: Vec<u64> = shape.iter().rev().copied().collect();
    c_strides(&reversed).map(|strides| strides.into_iter().rev().collect())
}

/// A reader of the few Python literals that an `.npy` header consists of.
struct Literal<'a> {
    rest: &'a [u8],
}

impl<'a> Literal<'a> {
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn token(&mut self, token: u8) -> Option<()> {
        (self.peek()? == token).then(|| self.rest = &self.rest[1..])
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let body = &self.rest[1..];
        let len = body.iter().position(|byte| *byte == quote)?;
        self.rest = &body[len + 1..];
        std::str::from_utf8(&body[..len]).ok().filter(|text| !text.contains('\\'))
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.word(b"True") {
            Some(()) => Some(true),
            None => self.word(b"False").map(|()| false),
        }
    }

    fn integer(&mut self) -> Option<u64> {
        self.peek()?;
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        // Python 2 wrote long integers with a suffix.
        self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut items = Vec::new();
        self.token(b'(')?;
        while self.token(b')').is_none() {
            items.push(self.integer()?);
            if items.len() > RANK_MAX || (self.token(b',').is_none() && self.peek()? != b')') {
                return None;
            }
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{npy_file, tensors_of};
    use super::*;

    #[test]
    fn arrays_of_all_versions_are_one_tensor() {
        for version in [1, 2, 3] {
            let file =
                npy_file(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", &[5; 24]);
            let start = file.len() as u64 - 24;
            assert_eq!(tensors_of(&file), [(start, 24, Dtype::F32, vec![2, 3], "array".to_owned())]);
        }
    }

    #[test]
    fn arrays_in_fortran_order_are_the_transposed_in_memory() {
        let file = npy_file(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3)}", &[5; 48]);
        let found = parse(&file).unwrap().unwrap().tensors()[0].clone();
        assert_eq!((found.dtype, found.shape), (Dtype::F64, vec![3, 2]));
        let declared = found.declared.expect("it is declared");
        assert!(declared.is_fortran());
        assert_eq!((declared.shape, declared.strides), (vec![2, 3], Some(vec![1, 2])));
        let vector = npy_file(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (6,)}", &[5; 48]);
        assert_eq!(parse(&vector).unwrap().unwrap().tensors()[0].declared, None);
    }

    #[test]
    fn numbers_whose_first_byte_is_the_highest_are_bytes_that_are_declared() {
        for (order, fortran) in [("True", true), ("False", false)] {
            let text = format!("{{'descr': '>f4', 'fortran_order': {order}, 'shape': (2, 3)}}");
            let found = parse(&npy_file(1, &text, &[5; 24])).unwrap().unwrap().tensors()[0].clone();
            assert_eq!((found.dtype, found.shape), (Dtype::U8, vec![24]));
            let declared = found.declared.expect("it is declared");
            assert_eq!(declared.element, Element::BigEndian(Dtype::F32));
            assert_eq!((declared.is_fortran(), &declared.shape[..]), (fortran, &[2, 3][..]));
            let header = big_endian_header(Dtype::F32, &declared).expect("NumPy has it");
            let written = Header::parse(&header[10..]).expect("a header");
            assert_eq!((&written.descr[..], written.fortran_order), (">f4", fortran));
        }
        let bytes = npy_file(1, "{'descr': '>i1', 'fortran_order': False, 'shape': (2,)}", &[5; 2]);
        assert_eq!(tensors_of(&bytes)[0].2, Dtype::I8);
    }

    #[test]
    fn types_of_other_libraries_are_numbers_where_that_is_known() {
        for (descr, dtype) in [
            ("<V2", Dtype::Bf16),
            ("|V2", Dtype::Bf16),
            ("|V1", Dtype::U8),
            ("<V1", Dtype::U8),
            ("<f1", Dtype::F8E5M2),
        ] {
            let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}");
            let len = dtype.bits() as usize / 4;
            assert_eq!(tensors_of(&npy_file(1, &text, &vec![5; len]))[0].2, dtype, "{descr}");
        }
    }

    #[test]
    fn several_arrays_in_one_file_are_all_found() {
        let one = npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[5; 8]);
        let other = npy_file(2, "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", &[6; 6]);
        let file = [one, other, b"and so on".to_vec()].concat();
        let found: Vec<_> = tensors_of(&file).into_iter().map(|found| (found.4, found.2, found.1)).collect();
        let expected = [("array".to_owned(), Dtype::F32, 8), ("array.1".to_owned(), Dtype::I16, 6)];
        assert_eq!(found, expected);
    }

    #[test]
    fn odd_spellings_of_the_dictionary_are_read() {
        let text = b" {\"shape\":(5L,),'fortran_order' :True , \"descr\":'|b1' } \n";
        let expected = Header { descr: "|b1".into(), fortran_order: true, shape: vec![5] };
        assert_eq!(Header::parse(text), Some(expected));
        let scalar = b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }";
        assert!(Header::parse(scalar).unwrap().shape.is_empty());
    }

    #[test]
    fn arrays_that_are_not_numbers_are_plain() {
        for descr in ["'|O'", "'<U4'", "'<f16'", "'|f4'", "'|V4'", "[('a', '<f4')]", "'<'", "''"] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (6,), }}");
            assert_eq!(tensors_of(&npy_file(1, &text, &[5; 24])), [], "{descr}");
        }
    }

    #[test]
    fn wrong_lengths_and_versions_are_plain() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }";
        assert_eq!(tensors_of(&npy_file(1, text, &[5; 23])), []);
        assert_eq!(tensors_of(&npy_file(1, text, &[5; 25])).len(), 1, "what comes behind is plain");
        assert_eq!(tensors_of(&npy_file(9, text, &[5; 24])), []);
        let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 4), }";
        assert_eq!(tensors_of(&npy_file(1, huge, &[5; 24])), []);
    }

    #[test]
    fn a_written_header_is_the_one_numpy_writes() {
        let header = header(Dtype::F32, &[3, 4]).unwrap();
        let text = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        assert_eq!(&header[..text.len()], text);
        assert_eq!(header.len(), 128);
        assert_eq!(header[127], b'\n');
    }

    #[test]
    fn elements_that_numpy_lacks_are_written_as_their_bits() {
        let says = |dtype, shape: &[u64]| {
            let bytes = header(dtype, shape).unwrap();
            Header::parse(&bytes[10..]).map(|header| (header.descr, header.shape)).unwrap()
        };
        assert_eq!(says(Dtype::Bf16, &[2, 2]), ("<u2".into(), vec![2, 2]));
        assert_eq!(says(Dtype::F8E4M3, &[2]), ("|u1".into(), vec![2]));
        assert_eq!(says(Dtype::F4, &[3, 2]), ("|u1".into(), vec![3]));
        assert_eq!(header(Dtype::F4, &[3]), None);
    }

    proptest! {
        #[test]
        fn written_headers_are_aligned_and_read_back(
            code in 1u8..24,
            shape in proptest::collection::vec(0u64..5, 0..9),
        ) {
            let dtype = Dtype::from_code(code).unwrap();
            if let Some(mut file) = header(dtype, &shape) {
                prop_assert_eq!(file.len() % ALIGNMENT, 0);
                let len = dtype.byte_len(&shape).unwrap();
                file.resize(file.len() + len as usize, 1);
                let findings = parse(&file).unwrap().unwrap();
                prop_assert_eq!(findings.tensors()[0].len, len);
            }
        }

        #[test]
        fn any_text_is_a_dictionary_or_nothing(text in "[{}()'a-z:<>,0-9L TrueFals]{0,80}") {
            Header::parse(text.as_bytes());
        }
    }

    #[test]
    fn the_shape_of_an_array_in_fortran_order_is_found_before_its_payload() {
        let header = fortran_header(Dtype::F64, &[2, 3]);
        assert_eq!(fortran_shape(&header, 6), Some(vec![2, 3]));
        assert_eq!(fortran_shape(&[b"what lies before".as_slice(), &header].concat(), 6), Some(vec![2, 3]));
        assert_eq!(fortran_shape(&header, 7), None);
        assert_eq!(fortran_shape(&header[1..], 6), None);
        assert_eq!(fortran_shape(&[&header[..], b"x"].concat(), 6), None);
        let c_order = super::header(Dtype::F64, &[2, 3]).expect("it has a length");
        assert_eq!(fortran_shape(&c_order, 6), None);
        assert_eq!(fortran_shape(b"", 6), None);
    }
}
