//! Finding metadata by the start of its id, as people type it.

use crate::id::ObjectKey;
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::Directory;

use super::decoder::Decoder;

impl Decoder {
    /// The ids of metadata of one kind that start with these lower-case hexadecimal digits, sorted.
    pub fn metadata_with_prefix(&self, kind: Kind, prefix: &str) -> Result<Vec<[u8; 32]>> {
        let key_prefix = &prefix[..prefix.len().min(2 * ObjectKey::LEN)];
        self.catalog.refresh()?;
        let mut keys = Vec::new();
        for pack in self.catalog.packs().iter() {
            let directory = &pack.directory;
            for row in first_row(directory, key_prefix)..directory.len() {
                let key = directory.key(row);
                if !key.to_string().starts_with(key_prefix) {
                    break;
                }
                if directory.entry(row).is_ok_and(|entry| entry.kind == kind) {
                    keys.push(key);
                }
            }
        }
        keys.sort();
        keys.dedup();
        let mut ids = Vec::new();
        for key in keys {
            let id = *blake3::hash(&self.read_kind(kind, &key)?).as_bytes();
            if crate::id::CommitId::from_bytes(id).to_string().starts_with(prefix) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// The first row whose key is not before all keys with the prefix.
fn first_row(directory: &Directory, prefix: &str) -> usize {
    let (mut start, mut end) = (0, directory.len());
    while start < end {
        let middle = start.midpoint(end);
        if *directory.key(middle).to_string() < *prefix { start = middle + 1 } else { end = middle }
    }
    start
}
