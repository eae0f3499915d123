//! Content that was hashed for good: its key, and the checksum of each frame of it as it is.
//!
//! Who has both can take bytes into the store without reading them again: whatever is read of them later is compared
//! with these.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::codec::FRAME_LEN;
use crate::id::ObjectKey;

use super::key::{Digest, KeyHasher};

/// What hashing content gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The key that the content has unless other content has it already.
    pub key: ObjectKey,
    /// XXH3-64 of each frame.
    pub(in crate::store) frames: Vec<u64>,
}

/// Hashes content piece by piece, for [`Ingest::put_hashed`](crate::store::Ingest::put_hashed) and
/// [`Ingest::put_in_place`](crate::store::Ingest::put_in_place).
pub struct ContentHasher {
    key: KeyHasher,
    frames: Vec<u64>,
    /// The frame that is not complete yet, and how many bytes of it there are.
    frame: Option<Box<Xxh3>>,
    begun: usize,
}

impl ContentHasher {
    /// Nothing is hashed yet.
    pub fn new() -> Self {
        Self { key: KeyHasher::new(Digest::Content), frames: Vec::new(), frame: None, begun: 0 }
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.key.update(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(FRAME_LEN - self.begun));
            if now.len() == FRAME_LEN {
                self.frames.push(xxh3_64(now));
            } else {
                self.frame.get_or_insert_default().update(now);
                self.begun += now.len();
                if self.begun == FRAME_LEN {
                    self.end_frame();
                }
            }
            bytes = rest;
        }
    }

    fn end_frame(&mut self) {
        self.frames.extend(self.frame.take().map(|frame| frame.digest()));
        self.begun = 0;
    }

    /// What all bytes so far give.
    pub fn finish(mut self) -> Hashed {
        self.end_frame();
        Hashed { key: self.key.finish(), frames: self.frames }
    }
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn however_the_bytes_come_each_frame_has_the_checksum_of_its_own(
            pieces in prop::collection::vec(
                prop::sample::select(vec![0, 1, 100, FRAME_LEN - 1, FRAME_LEN, FRAME_LEN + 1, 3 * FRAME_LEN]),
                0..6,
            ),
        ) {
            let bytes: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|at| (at * 7 / 3) as u8).collect();
            let (mut hasher, mut rest) = (ContentHasher::new(), &bytes[..]);
            for piece in pieces {
                let (now, later) = rest.split_at(piece);
                hasher.update(now);
                rest = later;
            }
            let hashed = hasher.finish();
            prop_assert_eq!(&hashed.frames, &bytes.chunks(FRAME_LEN).map(xxh3_64).collect::<Vec<_>>());
            let mut key = KeyHasher::new(Digest::Content);
            key.update(&bytes);
            prop_assert_eq!(hashed.key, key.finish());
        }
    }
}
