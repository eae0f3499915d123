//! Zip archives whose members are stored, not compressed: `.npz`, PyTorch's zip checkpoints, `.keras`.
//!
//! Layout per PKWARE's APPNOTE.TXT 6.3 (sections 4.3 and 4.5.3): the central directory says where members are and how
//! long; its zip64 fields replace those that overflow. Sizes come from there alone, because a local header may defer
//! them. Stored `.npy` members become tensors, and the storages of PyTorch's checkpoints what the pickle beside them says;
//! other stored members are plain bytes of their own, compressed members and all headers what lies between.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::tensor::Dtype;

use super::Bytes;
use super::bytes::{Section, array, block};
use super::npy;
use super::pickle::Pickle;
use super::region::{Findings, LITERAL_MAX, NAMES_MAX, Region, TENSORS_MAX};
use super::torch::{self, Storage};

pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const CENTRAL: u32 = 0x0201_4b50;
pub(super) const END: u32 = 0x0605_4b50;
pub(super) const END64: u32 = 0x0606_4b50;
pub(super) const END64_LOCATOR: u32 = 0x0706_4b50;
/// The extra field that holds 64-bit sizes.
pub(super) const ZIP64_EXTRA: u16 = 1;
/// Bytes of the end record without its comment.
const END_LEN: u64 = 22;
/// Bytes of the record that says where the zip64 end record is.
const LOCATOR_LEN: u64 = 20;
/// Bytes of the zip64 end record without what is reserved in it.
const END64_LEN: u64 = 56;
/// Archives in one file that are looked into: PyTorch's distributed checkpoints have one for each tensor.
const ARCHIVES_MAX: usize = 1 << 17;
/// Bytes of a central entry before its name.
const CENTRAL_LEN: usize = 46;
/// Pickles longer than this are not walked, in bytes: half a million tensors.
const PICKLE_MAX: u64 = 64 << 20;
/// Central directories longer than this are not read, in bytes: half a million members.
const DIRECTORY_MAX: u64 = 64 << 20;

/// The parser of files in archives.
type Inner<'a> = &'a dyn Fn(&dyn Bytes) -> io::Result<Option<Findings>>;

/// The stored members of a zip archive, or of several one after the other; `None` if it is none or its directory is
/// damaged.
pub(super) fn parse(file: &dyn Bytes, inner: Inner<'_>) -> io::Result<Option<Findings>> {
    let (mut archives, mut end, mut tensors, mut names) = (Vec::new(), file.len(), 0, 0);
    while archives.len() < ARCHIVES_MAX
        && tensors < TENSORS_MAX
        && names < NAMES_MAX
        && let Some(archive) = find_archive(file, end, archives.is_empty())?
    {
        let section = Section { file, start: archive.start, len: end - archive.start };
        let Some(found) = read_archive(&section, archive.directory, inner)? else { break };
        tensors += found.tensors().len();
        names += found.names();
        archives.push((archive.start, found));
        end = archive.start;
    }
    if archives.is_empty() {
        return Ok(None);
    }
    // Of several, each has names of its own.
    let is_one = archives.len() == 1;
    let mut findings = Findings::default();
    for (number, (start, mut found)) in archives.into_iter().rev().enumerate() {
        if !is_one {
            found.rename(|name| format!("{number}.{name}"));
        }
        findings.add_inner(found, start);
    }
    Ok(Some(findings))
}

/// What is in an archive that is a file of its own; `None` if its directory is damaged.
fn read_archive(file: &dyn Bytes, directory: Directory, inner: Inner<'_>) -> io::Result<Option<Findings>> {
    let entries = block(file, directory.start, directory.len as usize)?;
    let Some(members) = members(&entries) else { return Ok(None) };
    let mut findings = Findings::default();
    for name in members.iter().filter(|member| !member.stored).filter_map(|member| array_name(member.name)) {
        findings.pass_over(name.to_owned());
    }
    let placed = placed(file, members, directory.start)?;
    let by_name: HashMap<&[u8], Storage> = placed.iter().copied().collect();
    let mut folders = HashSet::new();
    for (name, place) in &placed {
        if let Some(stem) = pickle_stem(name).filter(|_| place.len <= PICKLE_MAX && !findings.is_full()) {
            add_checkpoint(file, &by_name, stem, *place, &mut findings)?;
            folders.insert([stem, "/"].concat().into_bytes());
        }
    }
    for (name, place) in &placed {
        let folder = name.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &name[..=at]);
        match folders.contains(folder) || findings.is_full() {
            // Whatever is in it, other archives have it as one too.
            true => findings.regions.push(payload_region(*place)),
            false => add_member(file, name, *place, inner, &mut findings)?,
        }
    }
    Ok(Some(findings))
}

/// Where the stored members are, in the order of the file. Of those that overlap the first counts: otherwise a few bytes
/// could be looked at again for each of half a million entries.
fn placed<'a>(
    file: &dyn Bytes,
    mut members: Vec<Member<'a>>,
    limit: u64,
) -> io::Result<Vec<(&'a [u8], Storage)>> {
    members.sort_by_key(|member| member.local);
    let (mut placed, mut free) = (Vec::new(), 0);
    for member in members.iter().filter(|member| member.stored) {
        if member.local >= free
            && let Some(storage) = payload(file, member, limit)?
        {
            free = storage.start + storage.len;
            placed.push((member.name, storage));
        }
    }
    Ok(placed)
}

/// The name of a pickle without its suffix, if one of its name has storages: they are in the folder of that name.
fn pickle_stem(member: &[u8]) -> Option<&str> {
    let stem = std::str::from_utf8(member).ok()?.strip_suffix(".pkl")?;
    matches!(stem.rsplit('/').next()?, "data" | "constants").then_some(stem)
}

/// Adds the tensors that a pickle of a PyTorch archive describes.
fn add_checkpoint(
    file: &dyn Bytes,
    by_name: &HashMap<&[u8], Storage>,
    stem: &str,
    pickle: Storage,
    findings: &mut Findings,
) -> io::Result<()> {
    let bytes = block(file, pickle.start, pickle.len as usize)?;
    let Some(pickle) = Pickle::read(&bytes) else { return Ok(()) };
    let order =
        stem.rsplit_once('/').map_or_else(|| "byteorder".to_owned(), |(top, _)| format!("{top}/byteorder"));
    let is_big_endian = match by_name.get(order.as_bytes()) {
        Some(order) if order.len == 3 => array(file, order.start, order.start + order.len)? == Some(*b"big"),
        _ => false,
    };
    let place = |key: &str| by_name.get(format!("{stem}/{key}").as_bytes()).copied();
    findings.add_inner(torch::tensors(&pickle, is_big_endian, place), 0);
    Ok(())
}

fn payload_region(place: Storage) -> Region {
    Region { start: place.start, len: place.len, dtype: Some(Dtype::Opaque) }
}

/// Where the central directory is.
#[derive(Clone, Copy)]
struct Directory {
    start: u64,
    len: u64,
}

/// An archive in a file.
struct Archive {
    /// Where it begins; all its offsets count from there.
    start: u64,
    directory: Directory,
}

/// Finds the archive that ends at `end` through its end record, whose comment may be up to 64 KiB long if it is the last.
fn find_archive(file: &dyn Bytes, end: u64, is_last: bool) -> io::Result<Option<Archive>> {
    let tail_len = end.min(END_LEN + if is_last { u64::from(u16::MAX) } else { 0 });
    let tail = block(file, end - tail_len, tail_len as usize)?;
    let found = tail.windows(END_LEN as usize).rposition(|window| u32_at(window, 0) == Some(END));
    let Some(at) = found else { return Ok(None) };
    let (Some(len), Some(start)) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16)) else { return Ok(None) };
    let end_at = end - tail_len + at as u64;
    let (mut directory, mut stop) = (Directory { start: start.into(), len: len.into() }, end_at);
    if let Some((wide, wide_at)) = find_directory64(file, end_at)? {
        stop = wide_at;
        if start == u32::MAX {
            directory = wide;
        }
    }
    // Of a directory that ends where the records begin it is known where the offset that it has counts from.
    let is_local = |at: u64| Ok::<_, io::Error>(array(file, at, end)? == Some(LOCAL.to_le_bytes()));
    let begin = stop.checked_sub(directory.len).and_then(|at| at.checked_sub(directory.start));
    let begin = match begin {
        Some(begin) if is_local(begin)? => Some(begin),
        _ => (is_last && is_local(0)?).then_some(0),
    };
    let fits = |begin: u64| {
        let stop = directory.start.checked_add(directory.len)?.checked_add(begin)?;
        (directory.len <= DIRECTORY_MAX && stop <= end_at).then_some(Archive { start: begin, directory })
    };
    Ok(begin.and_then(fits))
}

/// The directory that a zip64 end record before `end` tells of, and where that record is.
fn find_directory64(file: &dyn Bytes, end: u64) -> io::Result<Option<(Directory, u64)>> {
    let Some(locator_at) = end.checked_sub(LOCATOR_LEN) else { return Ok(None) };
    let locator = block(file, locator_at, LOCATOR_LEN as usize)?;
    let (Some(END64_LOCATOR), Some(said)) = (u32_at(&locator, 0), u64_at(&locator, 8)) else {
        return Ok(None);
    };
    // Right before the locator, unless it is longer than usual.
    for at in locator_at.checked_sub(END64_LEN).into_iter().chain([said]) {
        let Some(record) = array::<{ END64_LEN as usize }>(file, at, locator_at)? else { continue };
        if let (Some(END64), Some(len), Some(start)) =
            (u32_at(&record, 0), u64_at(&record, 40), u64_at(&record, 48))
        {
            return Ok(Some((Directory { start, len }, at)));
        }
    }
    Ok(None)
}

/// One entry of the central directory.
struct Member<'a> {
    name: &'a [u8],
    /// Neither compressed nor encrypted.
    stored: bool,
    len: u64,
    /// Where its local header begins.
    local: u64,
}

/// All entries, or `None` if the directory is not a row of well-formed ones.
fn members(mut entries: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    while !entries.is_empty() {
        let (member, rest) = member(entries)?;
        members.push(member);
        entries = rest;
    }
    Some(members)
}

fn member(entry: &[u8]) -> Option<(Member<'_>, &[u8])> {
    if u32_at(entry, 0)? != CENTRAL {
        return None;
    }
    let (flags, method) = (u16_at(entry, 8)?, u16_at(entry, 10)?);
    let (packed, len, local) = (u32_at(entry, 20)?, u32_at(entry, 24)?, u32_at(entry, 42)?);
    let name_len = usize::from(u16_at(entry, 28)?);
    let extra_len = usize::from(u16_at(entry, 30)?);
    let comment_len = usize::from(u16_at(entry, 32)?);
    let (name, rest) = entry.get(CENTRAL_LEN..)?.split_at_checked(name_len)?;
    let (extra, rest) = rest.split_at_checked(extra_len)?;
    let rest = rest.get(comment_len..)?;
    // The zip64 field has a value for each of these that overflowed, in this order.
    let mut wide = zip64_values(extra);
    let mut widen = |narrow: u32| if narrow == u32::MAX { wide.next() } else { Some(u64::from(narrow)) };
    let (len, packed, local) = (widen(len)?, widen(packed)?, widen(local)?);
    let stored = method == 0 && flags & 1 == 0 && packed == len;
    Some((Member { name, stored, len, local }, rest))
}

/// The numbers in the zip64 extra field; none if there is no such field.
fn zip64_values(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut field: &[u8] = &[];
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some((body, rest)) = extra[4..].split_at_checked(len.into()) else { break };
        if id == ZIP64_EXTRA {
            field = body;
        }
        extra = rest;
    }
    field.chunks_exact(8).map(|value| u64::from_le_bytes(value.try_into().expect("chunks of eight bytes")))
}

/// Adds what a stored member is.
fn add_member(
    file: &dyn Bytes,
    name: &[u8],
    place: Storage,
    inner: Inner<'_>,
    findings: &mut Findings,
) -> io::Result<()> {
    let Storage { start, len } = place;
    let name = array_name(name);
    if let Some(name) = name
        && let Some(found) = npy::parse_span(file, start, start + len, name)?
    {
        findings.add(found);
        return Ok(());
    }
    name.into_iter().for_each(|name| findings.pass_over(name.to_owned()));
    if len > LITERAL_MAX {
        match inner(&Section { file, start, len })? {
            Some(found) => findings.add_inner(found, start),
            None => findings.regions.push(Region { start, len, dtype: None }),
        }
    }
    Ok(())
}

/// Where a member's bytes are; `None` if its local header is not where it should be.
fn payload(file: &dyn Bytes, member: &Member, limit: u64) -> io::Result<Option<Storage>> {
    let Some(local) = array::<30>(file, member.local, limit)? else { return Ok(None) };
    let (Some(LOCAL), Some(name_len), Some(extra_len)) =
        (u32_at(&local, 0), u16_at(&local, 26), u16_at(&local, 28))
    else {
        return Ok(None);
    };
    // The header lies before the limit.
    let start = member.local + 30 + u64::from(name_len) + u64::from(extra_len);
    let end = start.checked_add(member.len).filter(|end| *end <= limit);
    Ok(end.map(|_| Storage { start, len: member.len }))
}

/// The name of the array in a member called `<name>.npy`.
fn array_name(member: &[u8]) -> Option<&str> {
    std::str::from_utf8(member).ok()?.strip_suffix(".npy")
}

fn le<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    le(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    le(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    le(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ZipMember, npy_file, tensors_of, zip_file};
    use super::*;
    use crate::tensor::Dtype;

    fn array_member() -> Vec<u8> {
        npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", &[9; 16])
    }

    #[test]
    fn stored_arrays_are_tensors_named_after_their_members() {
        for zip64 in [false, true] {
            let file = zip_file(
                &[
                    ZipMember::stored("w.npy", array_member()),
                    ZipMember::stored("layer/b.npy", array_member()),
                ],
                zip64,
            );
            let found: Vec<_> = tensors_of(&file)
                .into_iter()
                .map(|(start, len, dtype, shape, name)| {
                    let payload = &file[start as usize..][..len as usize];
                    assert_eq!(payload, [9; 16]);
                    (dtype, shape, name)
                })
                .collect();
            let expected = |name: &str| (Dtype::F32, vec![2, 2], name.to_owned());
            assert_eq!(found, [expected("w"), expected("layer/b")]);
        }
    }

    #[test]
    fn compressed_and_encrypted_members_stay_closed() {
        let mut compressed = ZipMember::stored("a.npy", array_member());
        compressed.method = 8;
        let mut encrypted = ZipMember::stored("b.npy", array_member());
        encrypted.flags = 1;
        assert_eq!(tensors_of(&zip_file(&[compressed, encrypted], false)), []);
    }

    #[test]
    fn of_members_that_overlap_only_the_first_is_looked_at() {
        // One local header, and in the directory its entry a thousand times.
        let one = zip_file(&[ZipMember::stored("w.bin", vec![3; 5000])], false);
        let at = one.windows(4).position(|window| window == CENTRAL.to_le_bytes()).expect("a directory");
        let end = one.len() - END_LEN as usize;
        let mut file = [&one[..at], &one[at..end].repeat(1000), &one[end..]].concat();
        let len_at = file.len() - END_LEN as usize + 12;
        file[len_at..len_at + 4].copy_from_slice(&(1000 * (end - at) as u32).to_le_bytes());
        let looks = std::cell::Cell::new(0);
        let findings = parse(&file, &|_| {
            looks.set(looks.get() + 1);
            Ok(None)
        });
        assert_eq!(findings.unwrap().unwrap().regions.len(), 1);
        assert_eq!(looks.get(), 1);
    }

    #[test]
    fn long_members_of_other_kinds_get_bytes_of_their_own() {
        let file = zip_file(
            &[ZipMember::stored("model.bin", vec![3; 5000]), ZipMember::stored("s", vec![1])],
            false,
        );
        let findings = parse(&file, &|_| Ok(None)).unwrap().unwrap();
        let found: Vec<_> = findings.regions.iter().map(|region| (region.len, region.dtype)).collect();
        assert_eq!(found, [(5000, None)]);
    }

    #[test]
    fn archives_with_a_damaged_directory_are_not_archives() {
        let good = zip_file(&[ZipMember::stored("w.npy", array_member())], false);
        let end = good.len() - END_LEN as usize;
        for (at, value) in [(end, 0), (end + 12, 1), (end + 16, 255), (end - 9, 255)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(tensors_of(&bad), [], "byte {at}");
        }
        assert_eq!(parse(&good[..good.len() - 1].to_vec(), &|_| Ok(None)).unwrap(), None);
    }

    #[test]
    fn a_comment_after_the_end_record_is_allowed() {
        let mut file = zip_file(&[ZipMember::stored("w.npy", array_member())], false);
        file.extend(b"made by hand");
        assert_eq!(tensors_of(&file).len(), 1);
    }

    #[test]
    fn archives_behind_something_else_and_behind_each_other_are_found() {
        for zip64 in [false, true] {
            let one = zip_file(&[ZipMember::stored("w.npy", array_member())], zip64);
            let behind = [&b"#!/bin/sh\n"[..], &one].concat();
            assert_eq!(tensors_of(&behind).len(), 1);
            let names: Vec<_> =
                tensors_of(&[&one[..], &one, &one].concat()).into_iter().map(|found| found.4).collect();
            assert_eq!(names, ["0.w", "1.w", "2.w"]);
            let names: Vec<_> =
                tensors_of(&[&b"PK"[..], &one, &one].concat()).into_iter().map(|found| found.4).collect();
            assert_eq!(names, ["0.w", "1.w"]);
        }
    }
}
