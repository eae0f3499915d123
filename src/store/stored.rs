//! A stored object as bytes that are stored or compared again.

use super::inner::Inner;
use super::resolve::{Chain, FrameReader};
use super::source::{Source, SourceError};

pub(super) struct Stored<'a> {
    pub(super) inner: &'a Inner,
    pub(super) chain: Chain,
}

impl Source for Stored<'_> {
    fn len(&self) -> u64 {
        self.chain.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        FrameReader::new(&self.chain, &self.inner.memory).read_range(offset, buf).map_err(SourceError::new)
    }
}
