//! What each request may have to wait for, so that it waits in the right lane.
//!
//! Looks only at what is in memory and waits for nothing itself.

use super::changes::Changes;
use super::handle::Handle;
use super::node::{Node, node};
use super::superblock::Superblock;
use super::workers::Lane;

/// The lanes of one mount's requests.
pub(super) struct Lanes<'a>(&'a Superblock);

impl<'a> Lanes<'a> {
    /// Those of this mount.
    pub fn of(shared: &'a Superblock) -> Self {
        Self(shared)
    }

    /// Looking into a directory.
    pub fn names(&self, directory: u64) -> Lane {
        self.of_node(directory, |node| node.names_lane(self.0), Lane::Look)
    }

    /// Changing the names in a directory.
    pub fn naming(&self, directory: u64) -> Lane {
        self.of_node(directory, |node| node.naming_lane(self.0), Lane::Change)
    }

    /// Opening a file.
    pub fn open(&self, ino: u64) -> Lane {
        self.of_node(ino, |node| node.open_lane(), Lane::Look)
    }

    fn of_node(&self, ino: u64, lane: impl FnOnce(&dyn Node) -> Lane, unknown: Lane) -> Lane {
        self.0.inodes.find(ino).map_or(unknown, |place| lane(node(&place)))
    }

    /// Reading an open file.
    pub fn read(&self, handle: u64) -> Lane {
        self.0.handles.get(handle).map_or(Lane::Look, |handle| handle.read_lane())
    }

    /// Writing to an open file: the first write copies what the file had.
    pub fn write(&self, handle: u64) -> Lane {
        self.0.handles.get(handle).map_or(Lane::Look, |handle| handle.write_lane())
    }

    /// Syncing an open file.
    pub fn sync(&self, handle: u64) -> Lane {
        self.of_worktree(handle, Lane::Long)
    }

    /// Closing one descriptor of an open file: of one that was opened to be written it is recorded.
    pub fn close(&self, handle: u64) -> Lane {
        match self.0.handles.get(handle) {
            Ok(handle) if handle.worktree().is_some_and(|open| open.write) => Lane::Change,
            Ok(_) | Err(_) => Lane::Look,
        }
    }

    /// Closing an open file for good, which may complete it.
    pub fn release(&self, handle: u64) -> Lane {
        let ends_slowly = |handle: &Handle| {
            handle.worktree().is_some_and(|open| open.worktree.lending().ends_slowly(open.node))
        };
        match self.0.handles.get(handle) {
            Ok(handle) if ends_slowly(&handle) => Lane::Long,
            Ok(_) | Err(_) => self.of_worktree(handle, Lane::Change),
        }
    }

    fn of_worktree(&self, handle: u64, lane: Lane) -> Lane {
        match self.0.handles.get(handle) {
            Ok(handle) if handle.worktree().is_some() => lane,
            Ok(_) | Err(_) => Lane::Look,
        }
    }

    /// Changing attributes: cutting a file copies what is left of it.
    pub fn setattr(&self, changes: Changes, handle: Option<u64>) -> Lane {
        match (changes.len, handle) {
            (None | Some(0), _) => Lane::Change,
            (Some(_), Some(handle)) => self.write(handle),
            (Some(_), None) => Lane::Long,
        }
    }
}
