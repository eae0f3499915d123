//! Tar archives, for the containers that lie in them: `.nemo`.
//!
//! Layout per POSIX `pax` ("ustar Interchange Format"): a header of 512 bytes, then the member, padded to 512. Members of any
//! kind but files, and what follows a header that is none, are plain.

use std::io;

use super::Bytes;
use super::bytes::{Section, array};
use super::region::{Findings, LITERAL_MAX, Region};

const BLOCK: u64 = 512;
/// Members that are looked at.
const MEMBERS_MAX: usize = 1 << 20;

/// The members of a tar archive; `None` if it is none.
pub(super) fn parse(
    file: &dyn Bytes,
    inner: &dyn Fn(&dyn Bytes) -> io::Result<Option<Findings>>,
) -> io::Result<Option<Findings>> {
    let (mut at, mut findings) = (0u64, None);
    for _ in 0..MEMBERS_MAX {
        let Some(header) = array::<512>(file, at, file.len())? else { break };
        let Some(len) = member_len(&header) else { break };
        let findings = findings.get_or_insert_with(Findings::default);
        let start = at + BLOCK;
        let Some(end) = start.checked_add(len).filter(|end| *end <= file.len()) else { break };
        if matches!(header[156], b'0' | 0) && len > LITERAL_MAX && !findings.is_full() {
            match inner(&Section { file, start, len })? {
                Some(found) => findings.add_inner(found, start),
                None => findings.regions.push(Region { start, len, dtype: None }),
            }
        }
        let Some(next) = end.checked_next_multiple_of(BLOCK) else { break };
        at = next;
    }
    Ok(findings)
}

/// The bytes of the member of a header; `None` if it is none.
fn member_len(header: &[u8; 512]) -> Option<u64> {
    let digits = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
        u64::from_str_radix(if text.is_empty() { "0" } else { text }, 8).ok()
    };
    (&header[257..262] == b"ustar").then_some(())?;
    // The sum counts its own field as spaces.
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum();
    (digits(&header[148..156])? == sum).then_some(())?;
    match header[124] & 0x80 {
        0 => digits(&header[124..136]),
        _ => Some(u64::from_be_bytes(header[128..136].try_into().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::propose;
    use super::super::testing::{assert_tiles, for_mutations, npy_file, tensors_of};

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        for (name, bytes) in members {
            let mut header = [0; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
            header[148..156].fill(b' ');
            header[156] = b'0';
            header[257..263].copy_from_slice(b"ustar\0");
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            file.extend(header);
            file.extend(*bytes);
            file.resize(file.len().next_multiple_of(512), 0);
        }
        file.resize(file.len() + 1024, 0);
        file
    }

    #[test]
    fn containers_in_archives_are_looked_into() {
        let array = npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (300,), }", &[5; 1200]);
        let inner = archive(&[("w.npy", &array)]);
        let file = archive(&[("config.yaml", b"a: 1"), ("w.npy", &array), ("inner.tar", &inner)]);
        let found = tensors_of(&file);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(start, ..)| file[*start as usize] == 5));
        let deep = archive(&[("a", &archive(&[("b", &archive(&[("c", &inner)]))]))]);
        assert_eq!(tensors_of(&deep), [], "too deep is plain");
    }

    #[test]
    fn mutated_archives_are_tiled_or_plain() {
        let array = npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (300,), }", &[5; 1200]);
        for_mutations(&archive(&[("a", b"b"), ("w.npy", &array)]), 4000, |mutated| {
            let mutated = mutated.to_vec();
            assert_tiles(&mutated, &propose(&mutated).expect("memory can be read"));
        });
    }
}
