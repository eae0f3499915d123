//! HDF5 files of groups with one dataset of binary32 each, written from the specification.

/// How a file is written.
#[derive(Clone, Copy)]
pub struct Hdf5 {
    /// With version 2 of superblock and headers, links in the headers.
    pub is_new: bool,
    /// Bytes before the file itself.
    pub user_block: usize,
}

const NOWHERE: [u8; 8] = [0xff; 8];

impl Hdf5 {
    /// Groups with the name of a dataset in each, and its bytes. A group with a dataset of no name contains the root.
    pub fn file(self, groups: &[(&str, &str, &[u8])]) -> Vec<u8> {
        // The superblock is as long as the longest, the root's address is filled in last.
        let mut file = vec![0; 96];
        let root_at = if self.is_new { 36 } else { 64 };
        let mut links = Vec::new();
        let mut cyclic = Vec::new();
        for (group, name, bytes) in groups {
            let target = match name.is_empty() {
                true => 0,
                false => self.dataset(&mut file, bytes),
            };
            let (at, slot) = self.group(&mut file, &[(if name.is_empty() { "self" } else { name }, target)]);
            cyclic.extend(name.is_empty().then_some(slot));
            links.push((*group, at));
        }
        let (root, _) = self.group(&mut file, &links);
        for slot in cyclic {
            file[slot..slot + 8].copy_from_slice(&(root as u64).to_le_bytes());
        }
        file[..8].copy_from_slice(b"\x89HDF\r\n\x1a\n");
        match self.is_new {
            true => file[8..12].copy_from_slice(&[2, 8, 8, 0]),
            false => file[13..15].copy_from_slice(&[8, 8]),
        }
        file[root_at..root_at + 8].copy_from_slice(&(root as u64).to_le_bytes());
        [vec![b'u'; self.user_block], file].concat()
    }

    fn dataset(self, file: &mut Vec<u8>, bytes: &[u8]) -> usize {
        let address = append(file, bytes);
        let space = [&[1, 1, 0, 0, 0, 0, 0, 0][..], &(bytes.len() as u64 / 4).to_le_bytes()].concat();
        let kind =
            [&[0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23][..], &127u32.to_le_bytes()].concat();
        let layout =
            [&[3, 1][..], &(address as u64).to_le_bytes(), &(bytes.len() as u64).to_le_bytes()].concat();
        self.header(file, &[(1, space), (3, kind), (8, layout)])
    }

    /// Where a group's header is, and where the address of its first link stands.
    fn group(self, file: &mut Vec<u8>, links: &[(&str, usize)]) -> (usize, usize) {
        if self.is_new {
            let message = |(name, target): &(&str, usize)| {
                let link = [&[1, 0, name.len() as u8][..], name.as_bytes(), &(*target as u64).to_le_bytes()];
                (6, link.concat())
            };
            let at = self.header(file, &links.iter().map(message).collect::<Vec<_>>());
            return (at, at + 10 + 4 + 3 + links[0].0.len());
        }
        let (mut names, mut entries) = (vec![0; 8], Vec::new());
        for (name, target) in links {
            entries.extend((names.len() as u64).to_le_bytes());
            entries.extend((*target as u64).to_le_bytes());
            entries.extend([0; 24]);
            names.extend(name.as_bytes());
            names.push(0);
        }
        let names_at = append(file, &names) as u64;
        let heap =
            [b"HEAP\0\0\0\0", &(names.len() as u64).to_le_bytes()[..], &NOWHERE, &names_at.to_le_bytes()];
        let heap = append(file, &heap.concat()) as u64;
        let count = (links.len() as u16).to_le_bytes();
        let table = append(file, &[b"SNOD\x01\0", &count[..], &entries].concat());
        let tree =
            [b"TREE\0\0\x01\0", &NOWHERE[..], &NOWHERE, &[0; 8], &(table as u64).to_le_bytes(), &[0; 8]];
        let tree = append(file, &tree.concat()) as u64;
        let body = [tree.to_le_bytes(), heap.to_le_bytes()].concat();
        (self.header(file, &[(0x11, body)]), table + 16)
    }

    fn header(self, file: &mut Vec<u8>, messages: &[(u8, Vec<u8>)]) -> usize {
        let mut body = Vec::new();
        for (kind, bytes) in messages {
            let len = (bytes.len() as u16).to_le_bytes();
            match self.is_new {
                true => body.extend([&[*kind][..], &len, &[0]].concat()),
                false => body.extend([&[*kind, 0][..], &len, &[0; 4]].concat()),
            }
            body.extend(bytes);
        }
        let len = (body.len() as u32).to_le_bytes();
        let head = match self.is_new {
            // A size of four bytes.
            true => [b"OHDR\x02\x02", &len[..]].concat(),
            false => [&[1, 0, messages.len() as u8, 0, 1, 0, 0, 0][..], &len, &[0; 4]].concat(),
        };
        append(file, &[head, body, vec![0; 8]].concat())
    }
}

/// Appends bytes, and tells where they are.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> usize {
    file.extend(bytes);
    file.len() - bytes.len()
}
