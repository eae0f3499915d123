//! Other bytes under a key that is taken: found before either can stand for the other.
//!
//! Whoever puts bytes compares them with what is stored under their key. What others store meanwhile cannot be seen
//! then: it is looked at when the transaction is sealed, and the last look and the new name are one step.

use std::sync::Arc;

use crate::store::catalog::Packs;
use crate::store::error::Result;
use crate::store::pack::{Object, Pack};
use crate::store::read::same_bytes;

use super::ingest::Ingest;

impl Ingest {
    /// Fails if a pack that others sealed since has other bytes under a key of this transaction. Gives the packs that
    /// were looked at.
    pub(in crate::store) fn refuse_collisions(&self, compared: &Packs) -> Result<Arc<Packs>> {
        let (decoder, writer) = (&*self.writer.decoder, &self.writer);
        let catalog = &decoder.catalog;
        catalog.refresh()?;
        let packs = catalog.packs();
        let is_new = |pack: &&Arc<Pack>| !compared.contains(&pack.id);
        let new: Vec<_> = packs.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(packs);
        }
        let names: Vec<_> = writer.transaction()?.records.keys().copied().collect();
        for (key, kind) in names {
            let Some(own) = writer.transaction()?.find(&writer.pack, kind, &key) else { continue };
            for pack in &new {
                for row in pack.directory.rows(&key) {
                    // A damaged copy is no copy.
                    let Ok(theirs) = Object::sealed(pack, row) else { continue };
                    if theirs.entry.kind != kind {
                        continue;
                    }
                    match same_bytes(decoder, (writer, &own), (catalog, &theirs)) {
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
