//! Flax's checkpoints: MessagePack with arrays as an extension.
//!
//! Layout per `flax/serialization.py` (`msgpack_serialize`) and the specification of MessagePack: maps in maps, whose leaves are
//! extensions of type 1, which are MessagePack themselves: the shape, the name of the type, the elements in C order. There is no magic
//! number: the whole file has to be one value that has such an extension.

use std::io;

use super::Bytes;
use super::bytes::{Read, Trouble};
use super::cursor::Cursor;
use super::region::{Findings, Found};
use crate::tensor::Dtype;

/// Values that are looked at.
const VALUES_MAX: u64 = 16 << 20;
/// Values in values in values, at most.
const DEPTH_MAX: usize = 256;
/// No key is longer, and no name, in bytes.
const NAME_MAX: u64 = 4096;
/// NumPy has no more axes.
const RANK_MAX: u64 = 64;
/// The extension of arrays.
const ARRAY: u8 = 1;

/// The arrays of such a checkpoint; `None` if it is none.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    let mut walk = Walk { cursor: Cursor::new(file), findings: Findings::default(), path: Vec::new() };
    match walk.file() {
        Ok(()) => Ok((!walk.findings.tensors().is_empty()).then_some(walk.findings)),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

/// What a value begins with.
enum Head {
    Map(u64),
    List(u64),
    Text(u64),
    Bytes(u64),
    Extension(u8, u64),
    /// A number that is not negative.
    Number(u64),
    Other,
}

/// A map or list that is being read.
struct Open {
    left: u64,
    is_map: bool,
    next: u64,
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    findings: Findings,
    /// The keys that lead to where it is.
    path: Vec<String>,
}

impl Walk<'_> {
    fn file(&mut self) -> Read<()> {
        let Head::Map(left) = self.head()? else { return Err(Trouble::None) };
        let mut open = vec![Open { left, is_map: true, next: 0 }];
        let mut values = 0;
        while let Some(collection) = open.last_mut() {
            let Some(left) = collection.left.checked_sub(1) else {
                open.pop();
                self.path.pop();
                continue;
            };
            collection.left = left;
            values += 1;
            if values > VALUES_MAX || self.findings.is_full() {
                return Err(Trouble::None);
            }
            let key = match collection.is_map {
                true => self.key()?,
                false => collection.next.to_string(),
            };
            collection.next += 1;
            self.path.push(key);
            let inner = match self.head()? {
                Head::Map(left) => Some(Open { left, is_map: true, next: 0 }),
                Head::List(left) => Some(Open { left, is_map: false, next: 0 }),
                Head::Text(len) | Head::Bytes(len) => {
                    self.cursor.skip(len)?;
                    None
                }
                Head::Extension(kind, len) => {
                    let end = self.cursor.at.checked_add(len).ok_or(Trouble::None)?;
                    if kind == ARRAY {
                        self.array(end)?;
                    }
                    self.cursor.skip(end.checked_sub(self.cursor.at).ok_or(Trouble::None)?)?;
                    None
                }
                Head::Number(_) | Head::Other => None,
            };
            match inner {
                Some(_) if open.len() == DEPTH_MAX => return Err(Trouble::None),
                Some(inner) => open.push(inner),
                None => drop(self.path.pop()),
            }
        }
        // What lies behind it is nothing that Flax writes.
        if self.cursor.left() == 0 { Ok(()) } else { Err(Trouble::None) }
    }

    fn key(&mut self) -> Read<String> {
        match self.head()? {
            Head::Text(len) | Head::Bytes(len) => self.cursor.text(len, NAME_MAX),
            Head::Number(number) => Ok(number.to_string()),
            Head::Other => Ok("?".to_owned()),
            Head::Map(_) | Head::List(_) | Head::Extension(..) => Err(Trouble::None),
        }
    }

    /// The name of what the path leads to.
    fn name(&self) -> Read<String> {
        let name = self.path.join(".");
        if name.len() as u64 > NAME_MAX { Err(Trouble::None) } else { Ok(name) }
    }

    /// An array that ends there; what is no such is passed over.
    fn array(&mut self, end: u64) -> Read<()> {
        let before = self.findings.tensors().len();
        self.understood_array(end)?;
        if self.findings.tensors().len() == before {
            let name = self.name()?;
            self.findings.pass_over(name);
        }
        Ok(())
    }

    fn understood_array(&mut self, end: u64) -> Read<()> {
        let Head::List(3) = self.head()? else { return Ok(()) };
        let Head::List(rank) = self.head()? else { return Ok(()) };
        if rank > RANK_MAX {
            return Ok(());
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let Head::Number(extent) = self.head()? else { return Ok(()) };
            shape.push(extent);
        }
        let (Head::Text(len) | Head::Bytes(len)) = self.head()? else { return Ok(()) };
        let dtype = dtype_of(&self.cursor.text(len, NAME_MAX)?);
        let Head::Bytes(len) = self.head()? else { return Ok(()) };
        let start = self.cursor.at;
        let is_whole = start.checked_add(len) == Some(end) && len <= self.cursor.left();
        if let Some(dtype) = dtype.filter(|dtype| is_whole && dtype.byte_len(&shape) == Some(len)) {
            let name = self.name()?;
            self.findings.add(Found { start, len, name, dtype, shape, declared: None });
        }
        Ok(())
    }

    fn head(&mut self) -> Read<Head> {
        Ok(match self.cursor.byte()? {
            number @ 0..=0x7f => Head::Number(number.into()),
            head @ 0x80..=0x8f => Head::Map((head & 15).into()),
            head @ 0x90..=0x9f => Head::List((head & 15).into()),
            head @ 0xa0..=0xbf => Head::Text((head & 31).into()),
            0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Other,
            0xc4 => Head::Bytes(self.number(1)?),
            0xc5 => Head::Bytes(self.number(2)?),
            0xc6 => Head::Bytes(self.number(4)?),
            0xc7 => self.extension(1)?,
            0xc8 => self.extension(2)?,
            0xc9 => self.extension(4)?,
            0xca => self.other(4)?,
            0xcb => self.other(8)?,
            0xcc => Head::Number(self.number(1)?),
            0xcd => Head::Number(self.number(2)?),
            0xce => Head::Number(self.number(4)?),
            0xcf => Head::Number(self.number(8)?),
            0xd0 => self.other(1)?,
            0xd1 => self.other(2)?,
            0xd2 => self.other(4)?,
            0xd3 => self.other(8)?,
            head @ 0xd4..=0xd8 => Head::Extension(self.cursor.byte()?, 1 << (head - 0xd4)),
            0xd9 => Head::Text(self.number(1)?),
            0xda => Head::Text(self.number(2)?),
            0xdb => Head::Text(self.number(4)?),
            0xdc => Head::List(self.number(2)?),
            0xdd => Head::List(self.number(4)?),
            0xde => Head::Map(self.number(2)?),
            0xdf => Head::Map(self.number(4)?),
            0xc1 => return Err(Trouble::None),
        })
    }

    /// A number of so many bytes, the highest first.
    fn number(&mut self, len: u64) -> Read<u64> {
        Ok(self.cursor.take(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn extension(&mut self, width: u64) -> Read<Head> {
        let len = self.number(width)?;
        Ok(Head::Extension(self.cursor.byte()?, len))
    }

    fn other(&mut self, len: u64) -> Read<Head> {
        self.cursor.skip(len)?;
        Ok(Head::Other)
    }
}

/// The type that NumPy and `ml_dtypes` call so.
pub(super) fn dtype_of(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "float64" => Dtype::F64,
        "float8_e4m3fn" => Dtype::F8E4M3,
        "float8_e5m2" => Dtype::F8E5M2,
        "float8_e4m3fnuz" => Dtype::F8E4M3Fnuz,
        "float8_e5m2fnuz" => Dtype::F8E5M2Fnuz,
        "float8_e8m0fnu" => Dtype::F8E8M0,
        "bool" => Dtype::Bool,
        "uint8" => Dtype::U8,
        "int8" => Dtype::I8,
        "uint16" => Dtype::U16,
        "int16" => Dtype::I16,
        "uint32" => Dtype::U32,
        "int32" => Dtype::I32,
        "uint64" => Dtype::U64,
        "int64" => Dtype::I64,
        "complex64" => Dtype::C64,
        "complex128" => Dtype::C128,
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{filled_tensors_of, for_mutations, proposal, tensors_of};
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&[0xd9, text.len() as u8], text.as_bytes()].concat()
    }

    fn array(shape: &[u8], dtype: &str, payload: &[u8]) -> Vec<u8> {
        let bytes = [&[0xc6][..], &(payload.len() as u32).to_be_bytes(), payload].concat();
        let inner = [&[0x93, 0x90 | shape.len() as u8][..], shape, &text(dtype), &bytes].concat();
        [&[0xc9][..], &(inner.len() as u32).to_be_bytes(), &[1], &inner].concat()
    }

    /// What Flax writes of parameters and a step.
    pub fn sample() -> Vec<u8> {
        let dense = [
            vec![0x82],
            text("kernel"),
            array(&[2, 100], "float32", &[1; 800]),
            text("bias"),
            array(&[3], "bfloat16", &[2; 6]),
        ]
        .concat();
        let list = [vec![0x92], array(&[], "int32", &[3; 4]), vec![0xcb, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let scalar = [&[0xd6, 3][..], &[0; 4]].concat();
        [
            vec![0x84],
            text("params"),
            [vec![0xde, 0, 1], text("Dense_0"), dense].concat(),
            text("state"),
            list,
            text("step"),
            vec![0xcd, 1, 2],
            text("scale"),
            scalar,
        ]
        .concat()
    }

    #[test]
    fn arrays_are_called_by_the_keys_that_lead_to_them() {
        let file = sample();
        let found = filled_tensors_of(&file);
        let expected = [
            (1, Dtype::F32, vec![2, 100], "params.Dense_0.kernel"),
            (2, Dtype::Bf16, vec![3], "params.Dense_0.bias"),
            (3, Dtype::I32, vec![], "state.0"),
        ];
        assert_eq!(found, expected.map(|(byte, dtype, shape, name)| (byte, dtype, shape, name.to_owned())));
    }

    #[test]
    fn a_name_that_stands_for_many_arrays_costs_no_more_than_all_names_may() {
        let key = [&[0xda][..], &4000u16.to_be_bytes(), &[b'k'; 4000]].concat();
        let of = |count: usize| {
            let list =
                [&[0xdd][..], &(count as u32).to_be_bytes(), &array(&[], "float32", &[1; 4]).repeat(count)];
            [&[0x81][..], &key, &list.concat()].concat()
        };
        let most = super::super::region::NAMES_MAX / 4000;
        assert_eq!(parse(&of(1000)).expect("memory").expect("a checkpoint").tensors().len(), 1000);
        assert_eq!(parse(&of(2 * most)).expect("memory"), None);
    }

    #[test]
    fn values_that_are_no_checkpoint_are_plain() {
        let deep = [vec![[0x81, 0x00]; 300].concat(), vec![0x80]].concat();
        let huge = [vec![0xdf, 0xff, 0xff, 0xff, 0xff], vec![0; 3000]].concat();
        for file in [vec![0x80], [sample(), vec![0]].concat(), deep, huge, vec![0x81, 0xc1]] {
            assert_eq!(tensors_of(&file), []);
        }
    }

    #[test]
    fn mutated_checkpoints_are_tiled_or_plain() {
        for_mutations(&sample(), 8000, |mutated| drop(proposal(mutated)));
    }
}
