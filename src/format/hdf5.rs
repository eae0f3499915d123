//! HDF5, as far as weights are in it: contiguous datasets of files of h5py and Keras.
//!
//! Layout per the HDF5 File Format Specification, version 3.0: superblocks 0 to 3 (II), object headers (IV.A), groups as symbol
//! tables (III.A, III.B, III.D) or as compact links (IV.A.2.g), dataspaces, datatypes and data layouts. What is chunked,
//! compressed or outside of the file stays plain, and so do groups whose links are in a fractal heap. Groups may contain each
//! other: each header is looked at once as a group, and there is an end to what is read.

use std::collections::HashSet;

use crate::tensor::{Declared, Dtype, Element};

use super::Bytes;
use super::bytes::{Read, Trouble, block};
use super::region::{Findings, Found, NAMES_MAX, Region};

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// The superblock is at 0, or at one of this many doublings of 512.
const DOUBLINGS: u32 = 12;
/// The address of what is nowhere.
const NOWHERE: u64 = u64::MAX;
/// Bytes of structure that are read at most, and bytes that are read at once.
const READ_MAX: u64 = 64 << 20;
const BLOCK_MAX: u64 = 4 << 20;
/// Objects that are looked at, at most.
const OBJECTS_MAX: usize = 500_000;
const RANK_MAX: usize = 32;
/// Bytes of a path.
const NAME_MAX: usize = 4096;

/// The datasets of an HDF5 file; `None` if it is none.
pub(super) fn parse(file: &dyn Bytes) -> std::io::Result<Option<Findings>> {
    match superblock(file).and_then(|(base, root)| walk(file, base, root)) {
        Ok(findings) => Ok(Some(findings)),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

/// Where the file begins, and the address of its root group.
fn superblock(file: &dyn Bytes) -> Read<(u64, u64)> {
    let starts = std::iter::once(0).chain((0..DOUBLINGS).map(|power| 512 << power));
    for start in starts.take_while(|start| *start + 96 <= file.len()) {
        let bytes = block(file, start, 96)?;
        if !bytes.starts_with(SIGNATURE) {
            continue;
        }
        let (sizes, root) = match bytes[8] {
            0 => (13, 64),
            1 => (13, 68),
            2 | 3 => (9, 36),
            _ => return Err(Trouble::None),
        };
        // Addresses and lengths of eight bytes are all that writers of today make.
        if bytes[sizes..sizes + 2] != [8, 8] {
            return Err(Trouble::None);
        }
        return Ok((start, u64_at(&bytes, root)?));
    }
    Err(Trouble::None)
}

fn walk(file: &dyn Bytes, base: u64, root: u64) -> Read<Findings> {
    let mut reader = Reader { file, base, left: READ_MAX, names: NAMES_MAX };
    let (mut findings, mut seen) = (Findings::default(), HashSet::new());
    let mut open = vec![(root, String::new())];
    let mut visits = 0;
    while let Some((address, path)) = open.pop() {
        visits += 1;
        if visits > OBJECTS_MAX {
            break;
        }
        match object(&mut reader, address, path, &mut findings, &mut seen) {
            Ok(_) if findings.is_full() => break,
            Ok(children) => open.extend(children),
            // The others may be whole.
            Err(Trouble::None) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

/// Adds a dataset, or tells what is in a group.
fn object(
    reader: &mut Reader<'_>,
    address: u64,
    path: String,
    findings: &mut Findings,
    seen: &mut HashSet<u64>,
) -> Read<Vec<(u64, String)>> {
    if seen.contains(&address) {
        return Ok(Vec::new());
    }
    let messages = messages(reader, address)?;
    if messages.iter().any(|(kind, _)| *kind == LAYOUT) {
        add_dataset(reader, &messages, path, findings)?;
        return Ok(Vec::new());
    }
    seen.insert(address);
    let mut children = Vec::new();
    for (kind, body) in &messages {
        match *kind {
            SYMBOL_TABLE => children.extend(symbols(reader, u64_at(body, 0)?, u64_at(body, 8)?)?),
            LINK => children.extend(link(body)),
            _ => {}
        }
    }
    let mut named = Vec::new();
    for (name, address) in children {
        let name = String::from_utf8_lossy(&name);
        let len = if path.is_empty() { name.len() } else { path.len() + 1 + name.len() };
        if len <= NAME_MAX {
            reader.charge_name(len)?;
            let path = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            named.push((address, path));
        }
    }
    let mut children = named;
    children.reverse();
    Ok(children)
}

/// Kinds of messages.
const DATASPACE: u16 = 1;
const DATATYPE: u16 = 3;
const LINK: u16 = 6;
const EXTERNAL: u16 = 7;
const LAYOUT: u16 = 8;
const CONTINUATION: u16 = 0x10;
const SYMBOL_TABLE: u16 = 0x11;

type Message = (u16, Vec<u8>);

/// The messages of an object header of either version.
fn messages(reader: &mut Reader<'_>, address: u64) -> Read<Vec<Message>> {
    let head = reader.at(address, 16)?;
    let is_new = head.starts_with(b"OHDR");
    let (start, len, flags) = match is_new {
        true => {
            let flags = head[5];
            let at = 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
            let width = 1 << (flags & 3);
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(&reader.at(address.saturating_add(at), width as u64)?);
            (address.saturating_add(at + width as u64), u64::from_le_bytes(wide), flags)
        }
        false if head[0] == 1 => (address.saturating_add(16), u32_at(&head, 8)?.into(), 0),
        false => return Err(Trouble::None),
    };
    let (mut blocks, mut found) = (vec![(start, len)], Vec::new());
    let mut next = 0;
    while let Some(&(start, len)) = blocks.get(next) {
        next += 1;
        let bytes = reader.at(start, len)?;
        let mut rest = &bytes[..];
        while let Some((kind, body, after)) = message(rest, is_new, flags) {
            rest = after;
            if kind != CONTINUATION {
                found.push((kind, body.to_vec()));
                continue;
            }
            let (address, len) = (u64_at(body, 0)?, u64_at(body, 8)?);
            match is_new {
                // Between a signature and a checksum.
                true => blocks.push((address.saturating_add(4), len.checked_sub(8).ok_or(Trouble::None)?)),
                false => blocks.push((address, len)),
            }
        }
    }
    Ok(found)
}

/// The kind and body of the message that a block begins with, and what comes behind it.
fn message(bytes: &[u8], is_new: bool, flags: u8) -> Option<(u16, &[u8], &[u8])> {
    let (kind, len, head) = match is_new {
        true => {
            let len = u16::from_le_bytes(bytes.get(1..3)?.try_into().ok()?);
            (u16::from(bytes[0]), len, if flags & 4 != 0 { 6 } else { 4 })
        }
        false => {
            let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
            (word(0)?, word(2)?, 8)
        }
    };
    let (body, rest) = bytes.get(head..)?.split_at_checked(len.into())?;
    Some((kind, body, rest))
}

/// The names and addresses in a group that is a tree of symbol tables, with a heap of names.
fn symbols(reader: &mut Reader<'_>, tree: u64, heap: u64) -> Read<Vec<(Vec<u8>, u64)>> {
    let head = reader.at(heap, 32)?;
    if !head.starts_with(b"HEAP") {
        return Err(Trouble::None);
    }
    let names = reader.at(u64_at(&head, 24)?, u64_at(&head, 8)?)?;
    let (mut open, mut seen, mut found) = (vec![tree], HashSet::new(), Vec::new());
    while let Some(node) = open.pop() {
        if !seen.insert(node) {
            return Err(Trouble::None);
        }
        let head = reader.at(node, 8)?;
        if head.starts_with(b"SNOD") {
            let entries = reader.at(node.saturating_add(8), 40 * u64::from(u16_at(&head, 6)?))?;
            for entry in entries.chunks_exact(40) {
                let at = usize::try_from(u64_at(entry, 0)?).ok().and_then(|at| names.get(at..));
                let rest = at.ok_or(Trouble::None)?;
                // One that is longer than any may be is cut where that is seen.
                let rest = &rest[..rest.len().min(NAME_MAX + 1)];
                let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                reader.charge_name(name.len())?;
                found.push((name.to_vec(), u64_at(entry, 8)?));
            }
        } else if head.starts_with(b"TREE") && head[4] == 0 {
            let count = u64::from(u16_at(&head, 6)?);
            let keys = reader.at(node.saturating_add(24), 8 + 16 * count)?;
            let children = keys.get(8..).unwrap_or_default().chunks_exact(16);
            open.extend(children.rev().filter_map(|pair| u64_at(pair, 0).ok()));
        } else {
            return Err(Trouble::None);
        }
    }
    Ok(found)
}

/// A link that stands in the header, if it leads to an object of this file.
fn link(body: &[u8]) -> Option<(Vec<u8>, u64)> {
    let flags = *body.get(1)?;
    let mut at = 2;
    if flags & 8 != 0 {
        (*body.get(at)? == 0).then_some(())?;
        at += 1;
    }
    at += if flags & 4 != 0 { 8 } else { 0 } + if flags & 16 != 0 { 1 } else { 0 };
    let width = 1 << (flags & 3);
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(body.get(at..at + width)?);
    let len = usize::try_from(u64::from_le_bytes(wide)).ok()?;
    let (name, rest) = body.get(at + width..)?.split_at_checked(len)?;
    Some((name.to_vec(), u64_at(rest, 0).ok()?))
}

fn add_dataset(reader: &Reader<'_>, messages: &[Message], name: String, findings: &mut Findings) -> Read<()> {
    let body = |wanted: u16| messages.iter().find(|(kind, _)| *kind == wanted).map(|(_, body)| &body[..]);
    let (Some(space), Some(kind), Some(layout), None) =
        (body(DATASPACE), body(DATATYPE), body(LAYOUT), body(EXTERNAL))
    else {
        findings.pass_over(name);
        return Ok(());
    };
    // Version 3 or 4, contiguous.
    let &[3 | 4, 1, ..] = layout else {
        findings.pass_over(name);
        return Ok(());
    };
    let (address, len) = (u64_at(layout, 2)?, u64_at(layout, 10)?);
    let start = address.checked_add(reader.base).filter(|_| address != NOWHERE);
    let Some(start) =
        start.filter(|start| start.checked_add(len).is_some_and(|end| end <= reader.file.len()))
    else {
        findings.pass_over(name);
        return Ok(());
    };
    let found = shape(space).zip(dtype(kind)).and_then(|(shape, (dtype, is_big_endian))| {
        (dtype.byte_len(&shape)? == len).then_some(())?;
        Some(match is_big_endian {
            false => Found { start, len, name: name.clone(), dtype, shape, declared: None },
            true => {
                let declared = Some(Box::new(Declared::plain(Element::BigEndian(dtype), shape)));
                Found { start, len, name: name.clone(), dtype: Dtype::U8, shape: vec![len], declared }
            }
        })
    });
    match found {
        Some(found) => findings.add(found),
        None => {
            findings.regions.push(Region { start, len, dtype: Some(Dtype::Opaque) });
            findings.pass_over(name);
        }
    }
    Ok(())
}

fn shape(space: &[u8]) -> Option<Vec<u64>> {
    let rank = usize::from(*space.get(1)?);
    let at = match space.first()? {
        1 => 8,
        2 if space.get(3)? != &2 => 4,
        _ => return None,
    };
    if rank > RANK_MAX {
        return None;
    }
    (0..rank).map(|axis| u64_at(space, at + 8 * axis).ok()).collect()
}

/// An element type, and whether its first byte is the highest.
fn dtype(kind: &[u8]) -> Option<(Dtype, bool)> {
    let bits = *kind.get(1)?;
    let size = u32_at(kind, 4).ok()?;
    let is_big_endian = bits & 1 != 0 && size > 1;
    let dtype = match kind.first()? & 15 {
        0 => match (size, bits & 8 != 0) {
            (1, false) => Dtype::U8,
            (1, true) => Dtype::I8,
            (2, false) => Dtype::U16,
            (2, true) => Dtype::I16,
            (4, false) => Dtype::U32,
            (4, true) => Dtype::I32,
            (8, false) => Dtype::U64,
            (8, true) => Dtype::I64,
            _ => return None,
        },
        // Bits of the exponent and of the mantissa.
        1 => match (size, *kind.get(13)?, *kind.get(15)?) {
            (4, 8, 23) => Dtype::F32,
            (8, 11, 52) => Dtype::F64,
            (2, 5, 10) => Dtype::F16,
            (2, 8, 7) => Dtype::Bf16,
            (1, 4, 3) => Dtype::F8E4M3,
            (1, 5, 2) => Dtype::F8E5M2,
            _ => return None,
        },
        // Truth values are an enumeration.
        8 if size == 1 => return Some((Dtype::U8, false)),
        _ => return None,
    };
    Some((dtype, is_big_endian))
}

/// Structure, read by its addresses.
struct Reader<'a> {
    file: &'a dyn Bytes,
    /// Addresses count from here.
    base: u64,
    /// Bytes that may still be read.
    left: u64,
    /// Bytes of names that may still be kept.
    names: usize,
}

impl Reader<'_> {
    fn charge_name(&mut self, len: usize) -> Read<()> {
        self.names = self.names.checked_sub(len).ok_or(Trouble::None)?;
        Ok(())
    }

    fn at(&mut self, address: u64, len: u64) -> Read<Vec<u8>> {
        let start = address.checked_add(self.base).ok_or(Trouble::None)?;
        let is_there = start.checked_add(len).is_some_and(|end| end <= self.file.len());
        if !is_there || len > BLOCK_MAX {
            return Err(Trouble::None);
        }
        // Reading a little again and again comes to an end as well.
        self.left = self.left.checked_sub(len + 64).ok_or(Trouble::None)?;
        Ok(block(self.file, start, len as usize)?)
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Read<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).ok_or(Trouble::None)
}

fn u16_at(bytes: &[u8], at: usize) -> Read<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Read<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Read<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::propose;
    use super::super::testing::{Hdf5, ZipMember, assert_tiles, for_mutations, tensors_of, zip_file};
    use super::*;

    fn found(file: &[u8]) -> Vec<(u8, Dtype, Vec<u64>, String)> {
        let tensors = tensors_of(file).into_iter();
        tensors.map(|(start, _, dtype, shape, name)| (file[start as usize], dtype, shape, name)).collect()
    }

    #[test]
    fn contiguous_datasets_of_both_kinds_of_groups_are_tensors() {
        for is_new in [false, true] {
            let file = Hdf5 { is_new, user_block: 0 }
                .file(&[("dense", "kernel", &[1; 24]), ("out", "bias", &[2; 8])]);
            let mut tensors = found(&file);
            tensors.sort();
            let expected = [
                (1, Dtype::F32, vec![6], "dense/kernel".to_owned()),
                (2, Dtype::F32, vec![2], "out/bias".to_owned()),
            ];
            assert_eq!(tensors, expected, "{is_new}");
        }
    }

    #[test]
    fn files_behind_a_user_block_and_in_archives_are_found() {
        let plain = Hdf5 { is_new: false, user_block: 0 };
        let behind = Hdf5 { user_block: 1024, ..plain }.file(&[("a", "b", &[1; 8])]);
        assert_eq!(found(&behind).len(), 1);
        let members = [
            ZipMember::stored("config.json", b"{}".to_vec()),
            ZipMember::stored("model.weights.h5", plain.file(&[("a", "b", &[1; 1200])])),
        ];
        assert_eq!(found(&zip_file(&members, false)), [(1, Dtype::F32, vec![300], "a/b".to_owned())]);
    }

    #[test]
    fn groups_that_contain_themselves_end() {
        for is_new in [false, true] {
            let file = Hdf5 { is_new, user_block: 0 }.file(&[("again", "", &[]), ("a", "b", &[1; 8])]);
            assert_eq!(found(&file).len(), 1, "{is_new}");
        }
    }

    #[test]
    fn names_that_many_entries_share_are_bounded_together() {
        let group = |name: usize, count: u16| {
            let heap = [&b"HEAP\0\0\0\0"[..], &(name as u64).to_le_bytes(), &[0; 8], &32u64.to_le_bytes()];
            let table = [b"SNOD\x01\0", &count.to_le_bytes()[..], &vec![0; 40 * usize::from(count)]].concat();
            let file = [heap.concat(), vec![b'n'; name], table].concat();
            let mut reader = Reader { file: &file, base: 0, left: READ_MAX, names: NAMES_MAX };
            symbols(&mut reader, 32 + name as u64, 0)
        };
        assert_eq!(group(4000, 1000).expect("few").len(), 1000);
        assert!(matches!(group(4000, 20_000), Err(Trouble::None)));
        assert_eq!(group(2 << 20, 1000).expect("cut")[0].0.len(), NAME_MAX + 1);
    }

    #[test]
    fn mutated_files_are_tiled_or_plain() {
        for is_new in [false, true] {
            let file = Hdf5 { is_new, user_block: 0 }.file(&[("a", "b", &[1; 64]), ("a2", "b", &[1; 16])]);
            for_mutations(&file, 4000, |mutated| {
                let mutated = mutated.to_vec();
                assert_tiles(&mutated, &propose(&mutated).expect("memory can be read"));
            });
        }
    }
}
