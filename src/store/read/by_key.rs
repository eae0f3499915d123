//! Reading by key: found, read, and read again where packs were written anew meanwhile or a copy is damaged.

use std::io::ErrorKind;

use crate::id::ObjectKey;
use crate::store::error::{Result, StoreError};
use crate::store::object::{Kind, METADATA_MAX, metadata_key};
use crate::store::pack::{Entry, Object};

use super::chain::{Chain, Objects};
use super::decoder::Decoder;
use super::frames::check_range;
use super::whole_copies::WholeCopies;

/// Bytes of an object that are decoded at once when all of it is wanted in memory.
const READ_LEN: u64 = 16 << 20;

/// That an object is of the length that somebody who names it says: the shorter one would pass for the beginning of it.
pub(super) fn check_len(object: &Object, said: u64) -> Result<()> {
    match object.entry.len == said {
        true => Ok(()),
        false => Err(object.corrupt(format!("it has {} bytes where a file has {said}", object.entry.len))),
    }
}

impl Decoder {
    /// The chain of the object that is there, its packs held.
    pub fn chain(&self, key: ObjectKey) -> Result<Chain> {
        self.again_if_gone(|| {
            let object = self.catalog.get(&key)?;
            self.any_copy(object, |objects, object| Chain::resolve(objects, object)?.hold())
        })
    }

    /// Fills `buf` from byte `offset` of the object at the beginning of a chain that was resolved before: from another
    /// copy where that one is damaged, and from wherever it is now if its packs were removed and not held.
    pub fn read_resolved(&self, chain: &Chain, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(chain.object(), offset, buf.len() as u64)?;
        match self.read_chain(chain, offset, buf) {
            Err(error) if error.is_of_one_copy() || is_gone(&error) => {
                self.read_at(chain.object().entry.key, offset, buf).map_err(|_| error)
            }
            result => result,
        }
    }

    /// Fills `buf` from byte `offset` of an object.
    pub fn read_at(&self, key: ObjectKey, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.again_if_gone(|| {
            let object = self.catalog.get(&key)?;
            self.any_copy(object, |objects, object| self.read_object(objects, object, offset, buf))
        })
    }

    /// Fills `buf` with all bytes of an object, which must be so many.
    pub fn read_all(&self, key: ObjectKey, buf: &mut [u8]) -> Result<()> {
        self.again_if_gone(|| {
            let object = self.catalog.get(&key)?;
            self.any_copy(object, |objects, object| {
                check_len(&object, buf.len() as u64)?;
                self.read_object(objects, object, 0, buf)
            })
        })
    }

    /// All bytes of an object.
    pub fn read(&self, key: ObjectKey) -> Result<Vec<u8>> {
        self.again_if_gone(|| {
            self.any_copy(self.catalog.get(&key)?, |objects, object| self.read_whole(objects, object))
        })
    }

    /// All bytes of the metadata whose BLAKE3 is `id`, which they are compared with.
    pub fn read_meta(&self, kind: Kind, id: &[u8; 32]) -> Result<Vec<u8>> {
        let key = metadata_key(id);
        self.again_if_gone(|| {
            self.any_copy(self.catalog.get_kind(kind, &key)?, |objects, object| {
                let bytes = self.read_whole(objects, object.clone())?;
                match blake3::hash(&bytes) == *id {
                    true => Ok(bytes),
                    false => Err(object.corrupt("it does not hash to its id")),
                }
            })
        })
    }

    /// All bytes of the object of one kind under a key.
    pub fn read_kind(&self, kind: Kind, key: &ObjectKey) -> Result<Vec<u8>> {
        self.again_if_gone(|| self.read_whole(&self.catalog, self.catalog.get_kind(kind, key)?))
    }

    /// Reads, and reads again after looking for new packs if a pack was removed meanwhile: its objects are in another.
    fn again_if_gone<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        match read() {
            Err(error) if is_gone(&error) => {
                self.catalog.refresh()?;
                read()
            }
            result => result,
        }
    }

    /// Reads an object, or another copy of it, or on other copies of what it stands on, where one is damaged or cannot be
    /// read.
    fn any_copy<T>(
        &self,
        object: Object,
        mut read: impl FnMut(&dyn Objects, Object) -> Result<T>,
    ) -> Result<T> {
        let mut objects = WholeCopies::of(&self.catalog);
        let mut of_copy = |copy: &Object| objects.read_on(copy, |objects| read(objects, copy.clone()));
        let trouble = match of_copy(&object) {
            Err(error) if error.is_of_one_copy() => error,
            result => return result,
        };
        let packs = self.catalog.packs();
        let Entry { key, kind, .. } = object.entry;
        let mut others = packs.copies(kind, key).filter(|copy| !copy.lies_with(&object));
        others.find_map(|copy| of_copy(&copy).ok()).ok_or(trouble)
    }

    fn read_whole(&self, objects: &dyn Objects, object: Object) -> Result<Vec<u8>> {
        let Entry { key, kind, len, .. } = object.entry;
        if kind != Kind::Content && len > METADATA_MAX {
            return Err(StoreError::TooLong { key, len });
        }
        // Sixteen bytes of a directory can stand for a frame: memory is taken for what was decoded, not for what was
        // promised.
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let start = bytes.len();
            let part = (len - start as u64).min(READ_LEN) as usize;
            bytes.try_reserve(part).map_err(|_| StoreError::TooLong { key, len })?;
            bytes.resize(start + part, 0);
            self.read_object(objects, object.clone(), start as u64, &mut bytes[start..])?;
        }
        Ok(bytes)
    }
}

/// Whether a pack was removed under way.
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Disk(error) if error.source.kind() == ErrorKind::NotFound)
}
