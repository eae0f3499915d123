//! The header of GGUF files, written: what it says of the model, and where its tensors are.
//!
//! Layout per ggml's `docs/gguf.md`, version 3, little-endian.

use super::gguf::Pair;
use crate::tensor::{Dtype, Element};

/// What every payload begins at a multiple of, in bytes, where nothing is said of it.
pub const ALIGNMENT: u64 = 32;
/// Names have at most so many bytes: ggml keeps them in 64 with a NUL behind them.
pub const NAME_MAX: usize = 63;
/// Tensors have at most so many axes.
pub const RANK_MAX: usize = 4;

/// A tensor that is about to be written.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its name.
    pub name: &'a str,
    /// Elements along each axis, slowest first.
    pub shape: &'a [u64],
    /// Its elements.
    pub element: Element,
    /// Bytes of its payload.
    pub len: u64,
}

/// The code of an element type; `None` if ggml has no such type.
pub fn kind_of(element: Element) -> Option<u32> {
    Some(match element {
        Element::Number(Dtype::F32) => 0,
        Element::Number(Dtype::F16) => 1,
        Element::Number(Dtype::I8) => 24,
        Element::Number(Dtype::I16) => 25,
        Element::Number(Dtype::I32) => 26,
        Element::Number(Dtype::I64) => 27,
        Element::Number(Dtype::F64) => 28,
        Element::Number(Dtype::Bf16) => 30,
        Element::Block(block) => block.0,
        Element::Number(_) | Element::BigEndian(_) => return None,
    })
}

/// A header, with where in the file the payload of each tensor begins, and the length of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The bytes that the file begins with.
    pub bytes: Vec<u8>,
    /// In the order of the tensors.
    pub payloads: Vec<u64>,
    /// Bytes of the whole file: behind the last tensor are as many as any other is followed by.
    pub len: u64,
}

/// The header of a file of these tensors, in this order; `None` if ggml has no such type, or there is no such length.
pub fn write(pairs: &[Pair], tensors: &[Record<'_>]) -> Option<Header> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((pairs.len() as u64).to_le_bytes());
    for Pair { key, kind, value } in pairs {
        put_text(&mut bytes, key);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    }
    let (mut offsets, mut end) = (Vec::with_capacity(tensors.len()), 0u64);
    for Record { name, shape, element, len } in tensors {
        put_text(&mut bytes, name.as_bytes());
        bytes.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|extent| bytes.extend(extent.to_le_bytes()));
        bytes.extend(kind_of(*element)?.to_le_bytes());
        bytes.extend(end.to_le_bytes());
        offsets.push(end);
        end = end.checked_add(*len)?.checked_next_multiple_of(ALIGNMENT)?;
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    let data = bytes.len() as u64;
    let payloads = offsets.into_iter().map(|offset| data.checked_add(offset)).collect::<Option<_>>()?;
    Some(Header { bytes, payloads, len: data.checked_add(end)? })
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
}

impl Pair {
    /// A pair whose value is a text.
    pub fn text(key: &str, text: &str) -> Self {
        let mut value = Vec::with_capacity(8 + text.len());
        put_text(&mut value, text.as_bytes());
        Self { key: key.into(), kind: 8, value }
    }

    /// A pair whose value is a number of 16 bits.
    pub fn u16(key: &str, number: u16) -> Self {
        Self { key: key.into(), kind: 2, value: number.to_le_bytes().into() }
    }

    /// A pair whose value is a number of 32 bits.
    pub fn u32(key: &str, number: u32) -> Self {
        Self { key: key.into(), kind: 4, value: number.to_le_bytes().into() }
    }

    /// A pair whose value is a number of 32 bits with a sign.
    pub fn i32(key: &str, number: i32) -> Self {
        Self { key: key.into(), kind: 5, value: number.to_le_bytes().into() }
    }

    /// A pair as somebody types its value: `true` and `false`, whole numbers (of 32 bits without a sign if they fit, else of
    /// 64 bits), numbers with a point or an exponent (of 32 bits), and otherwise a text, which may stand in double quotes.
    pub fn typed(key: &str, text: &str) -> Self {
        let of = |kind, value: &[u8]| Self { key: key.into(), kind, value: value.into() };
        if let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            return Self::text(key, inner);
        }
        if let Ok(truth) = text.parse::<bool>() {
            return of(7, &[u8::from(truth)]);
        }
        if let Ok(number) = text.parse::<u32>() {
            return of(4, &number.to_le_bytes());
        }
        if let Ok(number) = text.parse::<u64>() {
            return of(10, &number.to_le_bytes());
        }
        if let Ok(number) = text.parse::<i64>() {
            return of(11, &number.to_le_bytes());
        }
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        match text.parse::<f32>() {
            Ok(number) if is_number && number.is_finite() => of(6, &number.to_le_bytes()),
            _ => Self::text(key, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gguf::pairs;
    use super::super::testing::{proposal, tensors_of};
    use super::*;
    use crate::tensor::Block;

    #[test]
    fn a_header_that_is_written_is_read() {
        let said = [
            Pair::text("general.architecture", "llama"),
            Pair::typed("a", "true"),
            Pair::typed("b", "7"),
            Pair::typed("c", "-7"),
            Pair::typed("d", "1e-5"),
            Pair::typed("e", "\"7\""),
            Pair::typed("f", "infinity"),
            Pair::typed("g", "18446744073709551615"),
        ];
        assert_eq!(said.each_ref().map(|pair| pair.kind), [8, 7, 4, 11, 6, 8, 8, 10]);
        let records = [
            Record { name: "q", shape: &[2, 32], element: Element::Block(Block(8)), len: 68 },
            Record { name: "w", shape: &[3], element: Element::Number(Dtype::F32), len: 12 },
        ];
        let header = write(&said, &records).expect("a header");
        assert!(header.payloads.iter().all(|at| at % ALIGNMENT == 0) && header.len.is_multiple_of(ALIGNMENT));
        let mut file = header.bytes.clone();
        file.resize(header.len as usize, 0);
        assert_eq!(pairs(&file).expect("bytes"), Some(said.to_vec()));
        let found: Vec<_> =
            tensors_of(&file).into_iter().map(|(start, len, .., name)| (start, len, name)).collect();
        assert_eq!(found, [(header.payloads[0], 68, "q".into()), (header.payloads[1], 12, "w".into())]);
        let blocks = proposal(&file).tensors[0].declared.clone().expect("it is declared");
        assert_eq!((blocks.element, &blocks.shape[..]), (Element::Block(Block(8)), &[2, 32][..]));
        let odd = Record { element: Element::Number(Dtype::Bool), ..records[1] };
        assert_eq!(write(&[], &[odd]), None);
        assert_eq!(write(&[], &[Record { len: u64::MAX, ..records[1] }, records[1]]), None);
    }
}
