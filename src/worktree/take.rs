//! Giving an empty file that is being written the bytes of one that is stored: nothing is copied.

use super::error::Result;
use super::nodes::NodeId;
use super::open_files::OpenFile;
use super::record::Record;
use super::tenant::Tenant;
use crate::id::RecipeId;
use crate::units::Timestamp;

impl Tenant {
    /// Lets a file that is being written here, and has no bytes yet, have those of a stored one: it is complete then, and
    /// as durable as any that is stored once its name is synced. Whoever writes on writes to a copy. `false` if it has bytes
    /// or no name, or is lent: then nothing has changed.
    ///
    /// The caller sees to it that nobody writes to it meanwhile.
    ///
    /// # Errors
    /// As [`Tenant::write_at`]. Nothing has changed then.
    pub fn take(&self, node: NodeId, recipe: RecipeId, len: u64, now: Timestamp) -> Result<bool> {
        self.change(|state| {
            let Some(open) = state.open.get(&node).filter(|open| !open.is_lent()) else { return Ok(false) };
            let Some(staging) = open.writing().map(|(staging, _)| *staging) else { return Ok(false) };
            let is_empty = open.written_len(staging).transpose()? == Some(0);
            let is_current = state.nodes.by_staging(staging) == Some(node) && state.nodes.is_linked(node);
            if !is_empty || !is_current {
                return Ok(false);
            }
            let records =
                [Record::Settle { staging, len: 0, modified: now }, Record::Stored { staging, recipe, len }];
            state.append_all(self.repo(), &records)?;
            state.open.get_mut(&node).map(OpenFile::give_back);
            Ok(true)
        })
    }
}
