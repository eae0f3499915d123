//! Other bytes under a key that is taken: found before either can stand for the other.
//!
//! Whoever puts bytes compares them with what is stored under their key. What others store meanwhile cannot be seen
//! then: it is looked at when the transaction is sealed, and the last look and the new name are one step.

use std::sync::Arc;

use super::error::{Result, StoreError};
use super::ingest::Ingest;
use super::inner::Inner;
use super::object::Object;
use super::pack::Pack;
use super::packs::Packs;
use super::resolve::{Chain, Objects};
use super::stored::Stored;

/// An object and where its bases are found.
type Found<'a> = (&'a dyn Objects, &'a Object);

/// Whether two stored objects have the same bytes.
pub(super) fn same_bytes(inner: &Inner, one: Found<'_>, other: Found<'_>) -> Result<bool> {
    if one.1.entry.len != other.1.entry.len {
        return Ok(false);
    }
    let source = Stored { inner, chain: Chain::resolve(one.0, one.1.clone())? };
    match inner.equals(&Chain::resolve(other.0, other.1.clone())?, &source) {
        // The source is an object too.
        Err(StoreError::Source(error)) => Err(error.into_store_error()),
        result => result,
    }
}

impl Ingest {
    /// Fails if a pack that others sealed since has other bytes under a key of this transaction. Gives the packs that
    /// were looked at.
    pub(super) fn refuse_collisions(&self, compared: &Packs) -> Result<Arc<Packs>> {
        self.store.refresh()?;
        let packs = self.store.packs();
        let is_new = |pack: &&Arc<Pack>| !compared.contains(&pack.id);
        let new: Vec<_> = packs.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(packs);
        }
        let names: Vec<_> = self.transaction()?.records.keys().copied().collect();
        for (key, kind) in names {
            let Some(own) = self.transaction()?.find(&self.pack, kind, &key) else { continue };
            for pack in &new {
                for row in pack.directory.rows(&key) {
                    // A damaged copy is no copy.
                    let Ok(theirs) = Object::sealed(pack, row) else { continue };
                    if theirs.entry.kind != kind {
                        continue;
                    }
                    match same_bytes(&self.store, (self, &own), (&*self.store, &theirs)) {
                        Ok(true) => {}
                        Ok(false) => return Err(theirs.collision()),
                        Err(error) if error.is_corruption() => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(packs)
    }
}
