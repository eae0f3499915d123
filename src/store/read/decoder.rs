//! What all reading shares: the catalog that finds objects, the cache, the buffers, the threads.

use crate::store::catalog::Catalog;
use crate::store::error::Result;
use crate::store::pack::Object;
use crate::threads::Threads;

use super::cache::Memory;
use super::chain::{Chain, Objects};
use super::frames::{FrameReader, check_range, pieces};
use super::plan::frames_at_once;

/// Gets the bytes of objects.
pub struct Decoder {
    pub catalog: Catalog,
    pub memory: Memory,
    pub threads: Threads,
}

/// Reads that touch fewer frames are not worth other threads.
pub const PARALLEL_FRAMES: usize = 3;

impl Decoder {
    /// Fills `buf` from byte `offset` of an object, whose bases are found in `objects`.
    pub fn read_object(
        &self,
        objects: &dyn Objects,
        object: Object,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<()> {
        check_range(&object, offset, buf.len() as u64)?;
        let chain = Chain::resolve(objects, object)?;
        self.read_chain(&chain, offset, buf)
    }

    /// Fills `buf` from byte `offset` of what a chain gives, which has as many.
    pub fn read_chain(&self, chain: &Chain, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut pieces = pieces(offset, buf);
        let reader = || FrameReader::new(chain, &self.memory);
        let at_once = frames_at_once(chain);
        if pieces.len() < PARALLEL_FRAMES {
            let mut reader = reader();
            return pieces.chunks_mut(at_once).try_for_each(|pieces| reader.fill(pieces));
        }
        let at_once = at_once.min(pieces.len().div_ceil(self.threads.count()));
        self.threads.try_each(pieces.chunks_mut(at_once), reader, |reader, pieces| reader.fill(pieces))
    }
}
