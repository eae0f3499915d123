//! NumPy's `.npz` archives, written: a stored member for each array.
//!
//! Layout per PKWARE's APPNOTE.TXT 6.3 (sections 4.3 and 4.5.3), as `numpy.savez` has it: the sizes of every member stand in
//! zip64 fields of its local header, whether they need them or not. All lengths are known before a byte of an array is; only the
//! checksums are not, so that arrays can be written in any order and what lies between them last.

use super::npy;
use super::zip::{CENTRAL, END, END64, END64_LOCATOR, LOCAL, ZIP64_EXTRA};
use crate::tensor::Dtype;

/// The version of the format that has them.
const VERSION: u16 = 45;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// 1980-01-01, the first day there is.
const DATE: u16 = 0x0021;
/// Names are no longer, in bytes: their lengths are 16 bits.
pub const NAME_MAX: usize = u16::MAX as usize - 4;

/// An archive that is about to be written.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    members: Vec<Member>,
    /// Where the directory begins.
    end: u64,
}

#[derive(Debug, Clone)]
struct Member {
    /// With the ending of an array.
    name: String,
    /// Where its local header is.
    start: u64,
    /// What stands before its elements.
    array: Vec<u8>,
    payload: u64,
}

impl Archive {
    /// An archive of these arrays, in this order; `None` if NumPy has no such type, a name is too long, or there is no such
    /// length.
    pub fn of(arrays: &[(&str, Dtype, &[u64])]) -> Option<Self> {
        let mut archive = Self::default();
        for (name, dtype, shape) in arrays {
            let (name, start) = (format!("{name}.npy"), archive.end);
            (name.len() <= NAME_MAX + 4 && npy::has(*dtype)).then_some(())?;
            let member =
                Member { name, start, array: npy::header(*dtype, shape)?, payload: dtype.byte_len(shape)? };
            archive.end = member.payload_start().checked_add(member.payload)?;
            archive.members.push(member);
        }
        Some(archive)
    }

    /// Where the elements of each array begin.
    pub fn payloads(&self) -> Vec<u64> {
        self.members.iter().map(Member::payload_start).collect()
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        // No length in it depends on a checksum.
        self.end + self.directory(&vec![0; self.members.len()]).len() as u64
    }

    /// Whether it has no bytes; it has an end.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is no element of an array, and where it stands. `checksums` are the CRC-32 of each array's elements.
    pub fn frame(&self, checksums: &[u32]) -> Vec<(u64, Vec<u8>)> {
        let of_members: Vec<u32> =
            self.members.iter().zip(checksums).map(|(member, checksum)| member.checksum(*checksum)).collect();
        let mut frame: Vec<(u64, Vec<u8>)> = self
            .members
            .iter()
            .zip(&of_members)
            .map(|(member, checksum)| {
                (member.start, [member.local(*checksum), member.array.clone()].concat())
            })
            .collect();
        frame.push((self.end, self.directory(&of_members)));
        frame
    }

    fn directory(&self, checksums: &[u32]) -> Vec<u8> {
        let mut directory = Vec::new();
        for (member, checksum) in self.members.iter().zip(checksums) {
            directory.extend(member.central(*checksum));
        }
        let (count, len) = (self.members.len() as u64, directory.len() as u64);
        let is_wide = count >= u64::from(u16::MAX) || len.max(self.end) >= u64::from(u32::MAX);
        if is_wide {
            let at = self.end + len;
            put(
                &mut directory,
                &[&END64.to_le_bytes(), &44u64.to_le_bytes(), &[VERSION.to_le_bytes(); 2].concat()],
            );
            put(&mut directory, &[&[0; 8], &[count, count, len, self.end].map(u64::to_le_bytes).concat()]);
            put(
                &mut directory,
                &[&END64_LOCATOR.to_le_bytes(), &[0; 4], &at.to_le_bytes(), &1u32.to_le_bytes()],
            );
        }
        let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        put(&mut directory, &[&END.to_le_bytes(), &[0; 4], &count, &count]);
        put(&mut directory, &[&narrow(len).to_le_bytes(), &narrow(self.end).to_le_bytes(), &[0; 2]]);
        directory
    }
}

/// A number in 32 bits, or that it stands in a wider field.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn put(bytes: &mut Vec<u8>, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| bytes.extend(*piece));
}

impl Member {
    /// Bytes of the local header before the name, and of its extra field.
    const LOCAL_LEN: u64 = 30 + 20;

    fn payload_start(&self) -> u64 {
        self.start + Self::LOCAL_LEN + (self.name.len() + self.array.len()) as u64
    }

    fn len(&self) -> u64 {
        self.array.len() as u64 + self.payload
    }

    /// The checksum of the whole member, of that of its elements.
    fn checksum(&self, of_elements: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.array);
        hasher.combine(&crc32fast::Hasher::new_with_initial_len(of_elements, self.payload));
        hasher.finalize()
    }

    /// From the version that is needed to the checksum.
    fn facts(&self, checksum: u32) -> Vec<u8> {
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        let mut facts = [VERSION, flags, 0, 0, DATE].map(u16::to_le_bytes).concat();
        facts.extend(checksum.to_le_bytes());
        facts
    }

    fn local(&self, checksum: u32) -> Vec<u8> {
        let mut header = LOCAL.to_le_bytes().to_vec();
        put(&mut header, &[&self.facts(checksum), &[0xff; 8], &(self.name.len() as u16).to_le_bytes()]);
        put(&mut header, &[&20u16.to_le_bytes(), self.name.as_bytes()]);
        put(
            &mut header,
            &[
                &[ZIP64_EXTRA, 16].map(u16::to_le_bytes).concat(),
                &[self.len(); 2].map(u64::to_le_bytes).concat(),
            ],
        );
        header
    }

    fn central(&self, checksum: u32) -> Vec<u8> {
        let (len, start) = (narrow(self.len()), narrow(self.start));
        let mut wide = Vec::new();
        if len == u32::MAX {
            wide.extend([self.len(); 2].map(u64::to_le_bytes).concat());
        }
        if start == u32::MAX {
            wide.extend(self.start.to_le_bytes());
        }
        let mut extra = Vec::new();
        if !wide.is_empty() {
            put(&mut extra, &[&[ZIP64_EXTRA, wide.len() as u16].map(u16::to_le_bytes).concat(), &wide]);
        }
        let mut entry = CENTRAL.to_le_bytes().to_vec();
        put(
            &mut entry,
            &[&VERSION.to_le_bytes(), &self.facts(checksum), &[len; 2].map(u32::to_le_bytes).concat()],
        );
        put(
            &mut entry,
            &[&(self.name.len() as u16).to_le_bytes(), &(extra.len() as u16).to_le_bytes(), &[0; 10]],
        );
        put(&mut entry, &[&start.to_le_bytes(), self.name.as_bytes(), &extra]);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tensors_of;
    use super::*;

    fn file(archive: &Archive, payloads: &[&[u8]]) -> Vec<u8> {
        let mut file = vec![0; archive.len() as usize];
        let checksums: Vec<u32> = payloads.iter().map(|payload| crc32fast::hash(payload)).collect();
        let pieces = archive.frame(&checksums).into_iter();
        let arrays = archive.payloads().into_iter().zip(payloads.iter().map(|payload| payload.to_vec()));
        for (at, bytes) in pieces.chain(arrays) {
            file[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        file
    }

    #[test]
    fn arrays_that_are_written_are_read_under_their_names() {
        let arrays: [(&str, Dtype, &[u64]); 3] =
            [("a/b", Dtype::F32, &[2, 2]), ("é", Dtype::I64, &[]), ("none", Dtype::F16, &[0, 3])];
        let archive = Archive::of(&arrays).expect("an archive");
        let file = file(&archive, &[&[1; 16], &[2; 8], &[]]);
        let found: Vec<_> = tensors_of(&file)
            .into_iter()
            .map(|(start, len, dtype, shape, name)| {
                (file[start as usize..(start + len) as usize].to_vec(), dtype, shape, name)
            })
            .collect();
        assert_eq!(
            found,
            [
                (vec![1; 16], Dtype::F32, vec![2, 2], "a/b".to_owned()),
                (vec![2; 8], Dtype::I64, vec![], "é".to_owned()),
                (vec![], Dtype::F16, vec![0, 3], "none".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_long_or_many_stands_in_wide_fields() {
        let huge = Archive::of(&[("a", Dtype::U8, &[5 << 30]), ("b", Dtype::U8, &[1])]).expect("an archive");
        let directory = huge.frame(&[0, 0]).pop().expect("a directory").1;
        let lens: Vec<u64> =
            directory.windows(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight"))).collect();
        assert!(lens.contains(&(huge.members[0].len())) && lens.contains(&huge.members[1].start));
        let names: Vec<String> = (0..70_000).map(|number| number.to_string()).collect();
        let many: Vec<(&str, Dtype, &[u64])> =
            names.iter().map(|name| (&name[..], Dtype::U8, &[1][..])).collect();
        let archive = Archive::of(&many).expect("an archive");
        let payloads: Vec<&[u8]> = names.iter().map(|_| &[7u8][..]).collect();
        assert_eq!(tensors_of(&file(&archive, &payloads)).len(), 70_000);
        assert!(Archive::of(&[("a", Dtype::Bf16, &[1])]).is_none());
        assert!(Archive::of(&[(&"n".repeat(70_000), Dtype::U8, &[1])]).is_none());
        assert!(Archive::of(&[("a", Dtype::F64, &[u64::MAX, 2])]).is_none());
    }
}
