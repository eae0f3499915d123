//! One object, looked up once and read as often as one likes.

use std::fmt;
use std::sync::Arc;

use crate::id::ObjectKey;
use crate::store::error::Result;

use super::by_key::check_len;
use super::chain::Chain;
use super::decoder::Decoder;

/// An object whose chain of bases is resolved. Reading it looks nothing up and, whatever happens to the packs that it
/// was found in, gives the same bytes; it keeps the files of those packs open, so that their room on the disk is free
/// only when it is dropped. Threads may share it.
pub struct ObjectReader {
    decoder: Arc<Decoder>,
    chain: Chain,
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectReader").field(&self.chain.object().entry.key).finish()
    }
}

impl ObjectReader {
    pub(in crate::store) fn open(decoder: &Arc<Decoder>, key: ObjectKey) -> Result<Self> {
        Ok(Self { decoder: Arc::clone(decoder), chain: decoder.chain(key)? })
    }

    /// That the object is of a length that somebody who names it says.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt) if it is not.
    pub fn check_len(&self, said: u64) -> Result<()> {
        check_len(self.chain.object(), said)
    }

    /// Bytes of the object.
    pub fn len(&self) -> u64 {
        self.chain.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from byte `offset`. Decodes the frames that the range touches and no others.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`](crate::store::StoreError::OutOfRange) beyond the end; never gives wrong bytes:
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt) if what is stored does not add up and no other copy
    /// of the object does.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.decoder.read_resolved(&self.chain, offset, buf)
    }
}
