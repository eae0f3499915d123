//! Copying the bytes of one version of a file into the staging file of another.

use super::error::Result;
use super::nodes::{Content, NodeId};
use super::worktree::Worktree;
use crate::disk::{DiskFile, reflink};

/// Bytes copied at once when a file that waits for the store is written to.
const COPY_LEN: usize = 4 << 20;

/// The bytes of a worktree's files as other files are given them.
#[derive(Debug, Clone, Copy)]
pub struct Giving<'a> {
    pub(super) worktree: &'a Worktree,
}

impl Worktree {
    /// Giving the bytes of its files to others.
    pub fn giving(&self) -> Giving<'_> {
        Giving { worktree: self }
    }
}

impl Giving<'_> {
    /// Copies the bytes of a version into an empty file: all of them, or it is an error.
    pub(super) fn copy(&self, node: NodeId, content: Content, to: &dyn DiskFile) -> Result<()> {
        match content {
            Content::Stored { recipe, len } => {
                let mut offset = 0;
                let put = |bytes: &[u8]| -> Result<()> {
                    to.write_all_at(bytes, offset)?;
                    offset += bytes.len() as u64;
                    Ok(())
                };
                let shown_as = self.worktree.names().path_of(node).unwrap_or_default();
                self.worktree.repo().read_through(recipe, len, &shown_as, put)
            }
            Content::Staged { staging, len } => {
                // Whoever writes on would make a version that is whole of bytes that are not.
                self.worktree.read(|state| match state.nodes.is_lost(staging) {
                    true => Err(state.lost_bytes(staging)),
                    false => Ok(()),
                })?;
                let from = self.worktree.staging().of_node(node, staging)?;
                self.copy_staged(&*from, len, to)
            }
        }
    }

    /// Copies the first `len` bytes of a staging file into an empty file, or shares them where the disk can.
    pub(super) fn copy_staged(&self, from: &dyn DiskFile, len: u64, to: &dyn DiskFile) -> Result<()> {
        if let Some((shared, by)) = from.as_fd().zip(to.as_fd())
            && reflink(shared, by).is_ok_and(|shares| shares)
            && to.len()? >= len
        {
            // Somebody may have written behind what is wanted.
            return Ok(to.set_len(len)?);
        }
        to.set_len(0)?;
        let mut buf = vec![0; COPY_LEN.min(usize::try_from(len).unwrap_or(COPY_LEN))];
        let mut offset = 0;
        while offset < len {
            let part = &mut buf[..COPY_LEN.min(usize::try_from(len - offset).unwrap_or(COPY_LEN))];
            from.read_exact_at(part, offset)?;
            to.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }
}
