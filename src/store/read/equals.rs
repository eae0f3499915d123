//! Whether stored bytes are the same as others.

use crate::codec::FRAME_LEN;
use crate::store::error::{Result, StoreError};
use crate::store::object::Source;
use crate::store::pack::{Object, frame_count, frame_len};

use super::chain::{Chain, Objects};
use super::decoder::{Decoder, PARALLEL_FRAMES};
use super::frames::FrameReader;
use super::object_source::Stored;

/// An object and where its bases are found.
type Found<'a> = (&'a dyn Objects, &'a Object);

/// Whether two stored objects have the same bytes.
pub fn same_bytes(decoder: &Decoder, one: Found<'_>, other: Found<'_>) -> Result<bool> {
    if one.1.entry.len != other.1.entry.len {
        return Ok(false);
    }
    let source = Stored { decoder, chain: Chain::resolve(one.0, one.1.clone())? };
    // The source is an object too.
    decoder.equals(&Chain::resolve(other.0, other.1.clone())?, &source).map_err(StoreError::of_object_source)
}

impl Decoder {
    /// Whether the object has the bytes of `source`, which is as long.
    pub fn equals(&self, chain: &Chain, source: &dyn Source) -> Result<bool> {
        let len = chain.object().entry.len;
        let reader = || (FrameReader::new(chain, &self.memory), Vec::new(), Vec::new());
        let compare = |(reader, stored, given): &mut (FrameReader<'_>, Vec<u8>, Vec<u8>), index: usize| {
            let index = index as u64;
            stored.resize(frame_len(len, index), 0);
            given.resize(stored.len(), 0);
            source.read_exact_at(given, index * FRAME_LEN as u64).map_err(StoreError::from)?;
            reader.read(index, stored)?;
            if stored == given { Ok(()) } else { Err(Unequal::Bytes) }
        };
        let mut frames = 0..frame_count(len) as usize;
        let result = if frames.len() < PARALLEL_FRAMES {
            let mut reader = reader();
            frames.try_for_each(|index| compare(&mut reader, index))
        } else {
            self.threads.try_each(frames, reader, compare)
        };
        match result {
            Ok(()) => Ok(true),
            Err(Unequal::Bytes) => Ok(false),
            Err(Unequal::Unknown(error)) => Err(error),
        }
    }
}

/// Why a comparison stopped.
enum Unequal {
    Bytes,
    Unknown(StoreError),
}

impl From<StoreError> for Unequal {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error)
    }
}
