//! A stored object as bytes that are stored or compared again.

use crate::store::object::{Source, SourceError};

use super::chain::Chain;
use super::decoder::Decoder;
use super::frames::FrameReader;

pub struct Stored<'a> {
    pub decoder: &'a Decoder,
    pub chain: Chain,
}

impl Source for Stored<'_> {
    fn len(&self) -> u64 {
        self.chain.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        FrameReader::new(&self.chain, &self.decoder.memory).read_range(offset, buf).map_err(SourceError::new)
    }
}
