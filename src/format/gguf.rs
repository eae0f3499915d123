//! GGUF, the files of llama.cpp and what is made with ggml.
//!
//! Layout per ggml's `docs/gguf.md`: magic, version (2 and 3 alike), counts, key-value pairs, a record for each tensor,
//! and from the next multiple of the alignment on the payloads, at the offsets that the records say. A file whose version reads
//! wrong is one of a big-endian machine. Any placement is accepted; writers have placed tensors off the alignment.

use std::io;

use crate::tensor::{Block, Declared, Dtype, Element};

use super::Bytes;
use super::bytes::{Read, Trouble};
use super::cursor::Cursor;
use super::region::{Findings, Found};

const MAGIC: &[u8; 4] = b"GGUF";
/// Headers longer than this are not read, in bytes: vocabularies of a million words have some 40 MiB.
const HEADER_MAX: u64 = 64 << 20;
/// No name and no key is longer, in bytes.
const TEXT_MAX: u64 = 64 << 10;
/// ggml has four; some that were made by others have more.
const RANK_MAX: u32 = 64;
/// The key of the alignment, and what it is where none is said.
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
const ALIGNMENT: u64 = 32;
/// Values in values in values, at most.
const DEPTH_MAX: u32 = 8;

/// The tensors of a GGUF file; `None` if it is none, or its header does not end.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    let mut reader = Reader::new(file);
    match header(&mut reader) {
        Ok(header) => Ok(Some(header.findings(file.len()))),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

/// A key of a header, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key, in UTF-8 as it should be.
    pub key: Vec<u8>,
    /// The type of the value: its code in GGUF.
    pub kind: u32,
    /// The value, as it stands in little-endian files.
    pub value: Vec<u8>,
}

/// What a GGUF file says of itself, in its order; `None` if it is none, or one of a big-endian machine.
///
/// # Errors
/// Only those of reading `file`.
pub fn pairs(file: &dyn Bytes) -> io::Result<Option<Vec<Pair>>> {
    let mut reader = Reader::new(file);
    match read_pairs(&mut reader) {
        Ok(pairs) => Ok((!reader.is_big_endian).then_some(pairs)),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

fn read_pairs(reader: &mut Reader<'_>) -> Read<Vec<Pair>> {
    let (_, count) = counts(reader)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (key, kind, start) = (reader.string()?, reader.u32()?, reader.cursor.at);
        reader.skip_value(kind)?;
        let len = reader.cursor.at - start;
        reader.cursor.at = start;
        pairs.push(Pair { key, kind, value: reader.cursor.take(len)?.to_vec() });
    }
    Ok(pairs)
}

/// What the header says of a tensor.
struct Record {
    name: String,
    /// Slowest first.
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

struct Header {
    records: Vec<Record>,
    /// Where payloads begin.
    data: u64,
    is_big_endian: bool,
}

/// How many tensors there are, and how many pairs of keys and values.
fn counts(reader: &mut Reader<'_>) -> Read<(u64, u64)> {
    if &reader.cursor.array::<4>()? != MAGIC {
        return Err(Trouble::None);
    }
    let version = reader.u32()?;
    reader.is_big_endian = matches!(version, 0x0200_0000 | 0x0300_0000);
    if !matches!(version, 2 | 3) && !reader.is_big_endian {
        return Err(Trouble::None);
    }
    Ok((reader.u64()?, reader.u64()?))
}

fn header(reader: &mut Reader<'_>) -> Read<Header> {
    let (tensors, pairs) = counts(reader)?;
    let mut alignment = ALIGNMENT;
    for _ in 0..pairs {
        let is_alignment = reader.string()? == ALIGNMENT_KEY;
        match reader.u32()? {
            4 if is_alignment => alignment = u64::from(reader.u32()?).max(1),
            kind => reader.skip_value(kind)?,
        }
    }
    let mut records = Vec::new();
    for _ in 0..tensors {
        records.push(record(reader)?);
    }
    let data = reader.cursor.at.checked_next_multiple_of(alignment).ok_or(Trouble::None)?;
    Ok(Header { records, data, is_big_endian: reader.is_big_endian })
}

fn record(reader: &mut Reader<'_>) -> Read<Record> {
    let name = String::from_utf8_lossy(&reader.string()?).into_owned();
    let rank = reader.u32()?;
    if rank > RANK_MAX {
        return Err(Trouble::None);
    }
    let mut shape = (0..rank).map(|_| reader.u64()).collect::<Read<Vec<u64>>>()?;
    shape.reverse();
    Ok(Record { name, shape, kind: reader.u32()?, offset: reader.u64()? })
}

impl Header {
    fn findings(self, end: u64) -> Findings {
        let mut offsets: Vec<u64> = self.records.iter().map(|record| record.offset).collect();
        offsets.sort_unstable();
        let mut findings = Findings::default();
        for record in self.records {
            let Some(start) = self.data.checked_add(record.offset).filter(|start| *start <= end) else {
                findings.pass_over(record.name);
                continue;
            };
            // Of a type that nobody here knows the next tensor says how long it is.
            let next = offsets.partition_point(|offset| *offset <= record.offset);
            let next = offsets.get(next).and_then(|next| self.data.checked_add(*next)).unwrap_or(end);
            let room = next.min(end) - start;
            match record.found(start, self.is_big_endian, room) {
                Some(found) if found.len <= end - start => findings.add(found),
                Some(_) | None => findings.pass_over(record.name),
            }
        }
        findings
    }
}

impl Record {
    fn found(&self, start: u64, is_big_endian: bool, room: u64) -> Option<Found> {
        let Self { name, shape, kind, .. } = self;
        let kind = *kind;
        let found = |dtype: Dtype, payload: Vec<u64>, element: Option<Element>| {
            let declared = element.map(|element| Box::new(Declared::plain(element, shape.clone())));
            Some(Found {
                start,
                len: dtype.byte_len(&payload)?,
                name: name.clone(),
                dtype,
                shape: payload,
                declared,
            })
        };
        if let Some(dtype) = dtype_of(kind) {
            return match is_big_endian && dtype.bits() > 8 {
                true => found(Dtype::U8, vec![dtype.byte_len(shape)?], Some(Element::BigEndian(dtype))),
                false => found(dtype, shape.clone(), None),
            };
        }
        let block = Block(kind);
        let bytes = match block.size() {
            Some(_) => block.byte_shape(shape)?,
            None => vec![room],
        };
        found(Dtype::U8, bytes, Some(Element::Block(block)))
    }
}

fn dtype_of(kind: u32) -> Option<Dtype> {
    Some(match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        24 => Dtype::I8,
        25 => Dtype::I16,
        26 => Dtype::I32,
        27 => Dtype::I64,
        28 => Dtype::F64,
        30 => Dtype::Bf16,
        _ => return None,
    })
}

/// The header, read forward.
struct Reader<'a> {
    cursor: Cursor<'a>,
    is_big_endian: bool,
}

impl<'a> Reader<'a> {
    fn new(file: &'a dyn Bytes) -> Self {
        Self { cursor: Cursor::up_to(file, HEADER_MAX), is_big_endian: false }
    }

    fn u32(&mut self) -> Read<u32> {
        let bytes = self.cursor.array()?;
        Ok(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Read<u64> {
        let bytes = self.cursor.array()?;
        Ok(if self.is_big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn string(&mut self) -> Read<Vec<u8>> {
        let len = self.u64()?;
        if len > TEXT_MAX {
            return Err(Trouble::None);
        }
        Ok(self.cursor.take(len)?.to_vec())
    }

    /// Passes over a value of this type.
    fn skip_value(&mut self, kind: u32) -> Read<()> {
        // Of each array that is open: the type of its elements and how many are left.
        let mut open = vec![(kind, 1u64)];
        while let Some((kind, left)) = open.last_mut() {
            let kind = *kind;
            let Some(rest) = left.checked_sub(1) else {
                open.pop();
                continue;
            };
            match width(kind) {
                Some(width) => {
                    let bytes = left.checked_mul(width).ok_or(Trouble::None)?;
                    *left = 0;
                    self.cursor.skip(bytes)?;
                }
                None => {
                    *left = rest;
                    match kind {
                        8 => {
                            let len = self.u64()?;
                            self.cursor.skip(len)?;
                        }
                        9 if open.len() < DEPTH_MAX as usize => {
                            let kind = self.u32()?;
                            let count = self.u64()?;
                            open.push((kind, count));
                        }
                        _ => return Err(Trouble::None),
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a value of this type, if all have as many.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Gguf, filled_tensors_of, for_mutations, proposal, tensors_of};
    use super::*;

    #[test]
    fn numbers_and_blocks_are_tensors() {
        let mut gguf = Gguf::default();
        gguf.text("general.architecture", "llama");
        gguf.texts("tokenizer.ggml.tokens", &["a", "b"]);
        gguf.tensor("w", 0, &[2, 3], &[1; 24]).tensor("half", 30, &[5], &[2; 10]).tensor(
            "q",
            8,
            &[2, 32],
            &[3; 68],
        );
        let file = gguf.file();
        let found = filled_tensors_of(&file);
        let expected = [
            (1, Dtype::F32, vec![2, 3], "w".to_owned()),
            (2, Dtype::Bf16, vec![5], "half".to_owned()),
            (3, Dtype::U8, vec![2, 34], "q".to_owned()),
        ];
        assert_eq!(found, expected);
        let blocks = proposal(&file).tensors[2].declared.clone().expect("it is declared");
        assert_eq!((blocks.element, &blocks.shape[..]), (Element::Block(Block(8)), &[2, 32][..]));
    }

    #[test]
    fn any_alignment_and_order_of_bytes_is_read() {
        for alignment in [8, 24, 64, 4096] {
            let mut gguf = Gguf { alignment: Some(alignment), ..Gguf::default() };
            gguf.tensor("a", 0, &[3], &[1; 12]).tensor("b", 24, &[7], &[2; 7]);
            assert_eq!(tensors_of(&gguf.file()).len(), 2, "{alignment}");
        }
        let mut gguf = Gguf { is_big_endian: true, ..Gguf::default() };
        gguf.tensor("a", 0, &[3], &[1; 12]);
        let found = proposal(&gguf.file()).tensors.swap_remove(0);
        assert_eq!(found.declared.expect("it is declared").element, Element::BigEndian(Dtype::F32));
        assert_eq!(found.len, 12);
    }

    #[test]
    fn a_type_that_nobody_knows_reaches_to_the_next_tensor() {
        let mut gguf = Gguf::default();
        gguf.tensor("new", 99, &[3], &[1; 40]).tensor("a", 24, &[7], &[2; 7]);
        let found = proposal(&gguf.file()).tensors;
        assert_eq!((found[0].len, &found[0].name[..]), (64, "new"));
    }

    #[test]
    fn files_that_are_cut_short_have_the_tensors_that_are_whole() {
        let mut gguf = Gguf::default();
        gguf.tensor("a", 0, &[8], &[1; 32]).tensor("b", 0, &[8], &[2; 32]);
        let file = gguf.file();
        assert_eq!(tensors_of(&file[..file.len() - 1]).len(), 1);
        assert_eq!(tensors_of(&file[..40]), []);
    }

    #[test]
    fn counts_and_lengths_that_lie_reserve_nothing() {
        let file = Gguf::default().file();
        for at in [8, 16] {
            let mut file = file.clone();
            file[at..at + 8].fill(0xff);
            assert_eq!(parse(&file).expect("memory can be read"), None);
        }
        let mut nested = Gguf::default();
        nested.arrays("deep", 100);
        assert_eq!(parse(&nested.file()).expect("memory can be read"), None);
    }

    #[test]
    fn mutated_files_are_tiled_or_plain() {
        let mut gguf = Gguf { alignment: Some(64), ..Gguf::default() };
        gguf.text("general.architecture", "llama");
        gguf.texts("tokens", &["a", "b"]);
        gguf.tensor("w", 0, &[2, 3], &[1; 24]).tensor("q", 2, &[2, 32], &[3; 36]);
        for_mutations(&gguf.file(), 4000, |mutated| drop(proposal(mutated)));
    }
}
