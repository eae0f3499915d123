//! What all reading shares: the catalog that finds objects, the cache, the buffers, the threads.

use crate::store::catalog::Catalog;
use crate::store::error::Result;
use crate::store::pack::Object;
use crate::threads::Threads;

use super::cache::Memory;
use super::chain::Chain;
use super::frames::{FrameReader, check_range, pieces};

/// Gets the bytes of objects.
pub struct Decoder {
    pub catalog: Catalog,
    pub memory: Memory,
    pub threads: Threads,
}

/// Reads that touch fewer frames are not worth other threads.
pub const PARALLEL_FRAMES: usize = 3;

impl Decoder {
    /// Fills `buf` from byte `offset` of an object.
    pub fn read_object(&self, object: Object, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(&object, offset, buf.len() as u64)?;
        let chain = Chain::resolve(&self.catalog, object)?;
        let pieces = pieces(offset, buf);
        let reader = || FrameReader::new(&chain, &self.memory);
        if pieces.len() < PARALLEL_FRAMES {
            let mut reader = reader();
            return pieces.into_iter().try_for_each(|piece| piece.fill(&mut reader));
        }
        self.threads.try_each(pieces.into_iter(), reader, |reader, piece| piece.fill(reader))
    }
}
