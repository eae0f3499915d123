//! BLAKE3 of a file and the key of each of its extents, from one reading: what is stored under the keys is what the
//! hash vouches for.
//!
//! A file is read in blocks. While one block is hashed both ways, the next one is read; BLAKE3, which takes most of the
//! time, is cut into subtrees of its own that any thread can hash.

use super::error::Result;
use crate::format::{Extent, Proposed};
use crate::store::{ContentHasher, Hashed, Source, StoreError};
use crate::tensor::Dtype;
use crate::threads::Threads;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes read and hashed at once; two such blocks are in memory.
const BLOCK_LEN: usize = 1 << 20;

/// Bytes of a subtree of BLAKE3 that one thread hashes: a power of two of its chunks, and much more than it costs to
/// hand it over.
const SUBTREE_LEN: usize = 256 << 10;

/// BLAKE3 of the whole file, and the key of each of the extents that tile it.
pub(super) fn hash(
    threads: &Threads,
    source: &dyn Source,
    extents: &[Proposed],
) -> Result<([u8; 32], Vec<Hashed>)> {
    let mut keys = ExtentKeys { extents, keys: Vec::new(), part: ContentHasher::new(), at: 0 };
    let mut whole = Subtrees::default();
    let (mut block, mut ahead, mut next) = (Vec::new(), Vec::new(), 0);
    Read { source, start: next, into: &mut block }.run()?;
    while !block.is_empty() {
        let start = next;
        next += block.len() as u64;
        let mut roots = vec![ChainingValue::default(); block.len().div_ceil(SUBTREE_LEN)];
        let read = Read { source, start: next, into: &mut ahead };
        let mut jobs = vec![Job::Read(read), Job::Keys(&mut keys, &block)];
        if source.len() > SUBTREE_LEN as u64 {
            let subtrees = block.chunks(SUBTREE_LEN).zip(&mut roots).enumerate();
            jobs.extend(subtrees.map(|(index, (bytes, root))| Job::Subtree {
                start: start + (index * SUBTREE_LEN) as u64,
                bytes,
                root,
            }));
        }
        // Dividing less than a subtree costs more than it saves.
        match block.len() > SUBTREE_LEN {
            true => threads.try_each(jobs.into_iter(), || (), |(), job| job.run())?,
            false => jobs.into_iter().try_for_each(Job::run)?,
        }
        match source.len() > SUBTREE_LEN as u64 {
            true => roots.into_iter().for_each(|root| whole.push(root)),
            false => whole.only = Some(blake3::hash(&block)),
        }
        std::mem::swap(&mut block, &mut ahead);
    }
    keys.update(&[]);
    Ok((whole.root(), keys.keys))
}

/// BLAKE3 of a whole file.
pub(super) fn hash_whole(threads: &Threads, source: &dyn Source) -> Result<[u8; 32]> {
    let whole = Proposed { start: 0, len: source.len(), kind: Extent::Chunk(Dtype::Opaque) };
    Ok(hash(threads, source, &[whole])?.0)
}

/// What can be done at once for one block.
enum Job<'a, 'e> {
    Read(Read<'a>),
    Keys(&'a mut ExtentKeys<'e>, &'a [u8]),
    Subtree { start: u64, bytes: &'a [u8], root: &'a mut ChainingValue },
}

impl Job<'_, '_> {
    fn run(self) -> Result<()> {
        match self {
            Job::Read(read) => read.run()?,
            Job::Keys(keys, bytes) => keys.update(bytes),
            Job::Subtree { start, bytes, root } => {
                let mut hasher = blake3::Hasher::new();
                *root = hasher.set_input_offset(start).update(bytes).finalize_non_root();
            }
        }
        Ok(())
    }
}

/// The block of a source that begins at `start`; empty at its end.
struct Read<'a> {
    source: &'a dyn Source,
    start: u64,
    into: &'a mut Vec<u8>,
}

impl Read<'_> {
    fn run(self) -> Result<()> {
        let len = self.source.len().saturating_sub(self.start).min(BLOCK_LEN as u64);
        self.into.resize(len as usize, 0);
        Ok(self.source.read_exact_at(self.into, self.start).map_err(StoreError::from)?)
    }
}

/// The roots of the subtrees of a file so far, merged as far as they can be: BLAKE3's tree is as full as possible on
/// the left (section 2.1 of its paper), so there is one for each bit of their number.
#[derive(Default)]
struct Subtrees {
    /// The largest first.
    roots: Vec<ChainingValue>,
    count: u64,
    /// The hash of a file that is not longer than one subtree.
    only: Option<blake3::Hash>,
}

impl Subtrees {
    fn push(&mut self, root: ChainingValue) {
        // Merging waits until it is known that more follows: the last merge is another function.
        while self.roots.len() as u32 > self.count.count_ones() {
            self.merge();
        }
        self.roots.push(root);
        self.count += 1;
    }

    fn merge(&mut self) {
        if let (Some(right), Some(left)) = (self.roots.pop(), self.roots.pop()) {
            self.roots.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    fn root(mut self) -> [u8; 32] {
        while self.roots.len() > 2 {
            self.merge();
        }
        let hash = match &self.roots[..] {
            [left, right] => merge_subtrees_root(left, right, Mode::Hash),
            _ => self.only.unwrap_or_else(|| blake3::hash(&[])),
        };
        *hash.as_bytes()
    }
}

/// The keys of extents that tile a file, from its bytes in order.
struct ExtentKeys<'a> {
    extents: &'a [Proposed],
    /// Of those that are complete.
    keys: Vec<Hashed>,
    /// The extent that comes next.
    part: ContentHasher,
    /// Bytes so far.
    at: u64,
}

impl ExtentKeys<'_> {
    fn update(&mut self, mut bytes: &[u8]) {
        while let Some(extent) = self.extents.get(self.keys.len()) {
            let left = extent.start + extent.len - self.at;
            let (now, rest) = bytes.split_at(left.min(bytes.len() as u64) as usize);
            self.part.update(now);
            self.at += now.len() as u64;
            if (now.len() as u64) < left {
                return;
            }
            self.keys.push(std::mem::take(&mut self.part).finish());
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SourceError;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_whole_and_each_extent_have_the_hash_of_their_own_bytes(
            lens in prop::collection::vec(
                prop::sample::select(vec![0, 1, 7, 5_000, SUBTREE_LEN, BLOCK_LEN, BLOCK_LEN + 9]),
                0..6,
            ),
            threads in 1..4usize,
        ) {
            let bytes: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|at| (at * 7 / 3) as u8).collect();
            let mut start = 0;
            let extents = lens.iter().map(|&len| {
                let extent = Proposed { start, len: len as u64, kind: Extent::Chunk(Dtype::Opaque) };
                start += len as u64;
                extent
            });
            let extents: Vec<_> = extents.collect();
            let key = |extent: &Proposed| {
                let mut hasher = ContentHasher::new();
                hasher.update(&bytes[extent.start as usize..(extent.start + extent.len) as usize]);
                hasher.finish()
            };
            let (whole, keys) = hash(&Threads::new(threads), &bytes, &extents).expect("memory can be read");
            prop_assert_eq!(whole, *blake3::hash(&bytes).as_bytes());
            prop_assert_eq!(keys, extents.iter().map(key).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_source_of_any_number_of_subtrees_has_the_hash_that_blake3_gives() {
        let bytes: Vec<u8> = (0..9 * SUBTREE_LEN + 1).map(|at| (at * 7 / 3) as u8).collect();
        for subtrees in 0..10 {
            for len in [subtrees * SUBTREE_LEN, subtrees * SUBTREE_LEN + 1] {
                let hash = hash_whole(&Threads::new(2), &&bytes[..len]).expect("memory can be read");
                assert_eq!(hash, *blake3::hash(&bytes[..len]).as_bytes());
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        struct Cut;
        impl Source for Cut {
            fn len(&self) -> u64 {
                3 * BLOCK_LEN as u64
            }
            fn read_exact_at(&self, _: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
                match offset < 2 * BLOCK_LEN as u64 {
                    true => Ok(()),
                    false => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                }
            }
        }
        assert!(hash_whole(&Threads::new(2), &Cut).is_err());
    }
}
