//! The copies of objects that are not known to be damaged.

use std::path::PathBuf;

use crate::id::ObjectKey;
use crate::store::catalog::Catalog;
use crate::store::error::{Result, StoreError};
use crate::store::object::Kind;
use crate::store::pack::Object;

use super::chain::Objects;

/// Damaged copies that are stepped over for one reading: each costs a reading.
const PASSED_OVER: usize = 16;

/// What is stored, without copies that turned out to be damaged or cannot be read.
pub struct WholeCopies<'a> {
    catalog: &'a Catalog,
    /// The packs in which something is damaged, and what: everything, if they cannot be read.
    damaged: Vec<(Option<ObjectKey>, PathBuf)>,
}

impl<'a> WholeCopies<'a> {
    pub fn of(catalog: &'a Catalog) -> Self {
        Self { catalog, damaged: Vec::new() }
    }

    /// Reads a copy of an object on copies of what it stands on that are whole, where the ones that are found first turn out
    /// not to be. The error is one of the copy itself, or of something of which there is no other copy.
    pub fn read_on<T>(
        &mut self,
        copy: &Object,
        mut read: impl FnMut(&dyn Objects) -> Result<T>,
    ) -> Result<T> {
        loop {
            match read(self) {
                Err(error) if error.is_of_one_copy() && self.pass_over(&error) && self.is_whole(copy) => {}
                result => return result,
            }
        }
    }

    /// Passes over the copy that an error is about from now on; `false` if it is about none, or enough were passed over.
    fn pass_over(&mut self, error: &StoreError) -> bool {
        let copy = match error {
            StoreError::Corrupt { key, pack, .. } => (Some(*key), pack.clone()),
            StoreError::Disk(error) => (None, error.path.clone()),
            _ => return false,
        };
        let is_new = self.damaged.len() < PASSED_OVER && !self.damaged.contains(&copy);
        if is_new {
            self.damaged.push(copy);
        }
        is_new
    }

    /// Whether a copy is not known to be damaged.
    fn is_whole(&self, object: &Object) -> bool {
        let is_this = |(key, pack): &(Option<ObjectKey>, PathBuf)| {
            key.is_none_or(|key| key == object.entry.key) && pack == object.path()
        };
        !self.damaged.iter().any(is_this)
    }
}

impl Objects for WholeCopies<'_> {
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let found = self.catalog.find(kind, key, below)?;
        if found.as_ref().is_none_or(|object| self.is_whole(object)) {
            return Ok(found);
        }
        let packs = self.catalog.packs();
        let wanted = |object: &Object| {
            object.entry.kind == kind
                && below.is_none_or(|below| object.entry.depth < below)
                && self.is_whole(object)
        };
        let other = packs.copies(kind, *key).find(wanted);
        // Where all are damaged, one of them says how.
        Ok(other.or(found))
    }
}
