//! What each request may have to wait for, so that it waits in the right lane.
//!
//! Looks only at what is in memory and waits for nothing itself.

use super::attributes::Changes;
use super::core::FileSystem;
use super::handle::Handle;
use super::namespace::ControlFile;
use super::place::Place;
use super::workers::Lane;

impl FileSystem {
    /// Looking into a directory.
    pub(super) fn names_lane(&self, directory: u64) -> Lane {
        match self.inodes.find(directory).as_deref() {
            Some(Place::Worktree(at)) if self.find_worktree(at.branch()).is_none() => Lane::Open,
            // Which tensors there are stands in the recipes of all files.
            Some(Place::TensorDir(_) | Place::TensorFile(_)) => Lane::Read,
            _ => Lane::Look,
        }
    }

    /// Changing the names in a directory.
    pub(super) fn naming_lane(&self, directory: u64) -> Lane {
        match self.inodes.find(directory).as_deref() {
            Some(Place::Worktree(at)) if self.find_worktree(at.branch()).is_none() => Lane::Open,
            // Making a branch is durable when it is done.
            Some(Place::Worktrees(_)) => Lane::Long,
            _ => Lane::Change,
        }
    }

    /// Opening a file.
    pub(super) fn open_lane(&self, ino: u64) -> Lane {
        match self.inodes.find(ino).as_deref() {
            Some(Place::Worktree(_)) => Lane::Change,
            Some(Place::Control(ControlFile::Status | ControlFile::Log | ControlFile::Stats)) => Lane::Long,
            _ => Lane::Look,
        }
    }

    /// Reading an open file.
    pub(super) fn read_lane(&self, handle: u64) -> Lane {
        match self.handles.get(handle).as_deref() {
            Ok(Handle::Snapshot(_) | Handle::Array(_)) => Lane::Read,
            Ok(Handle::Worktree(_)) => Lane::Change,
            Ok(Handle::Generated(_) | Handle::Control(_) | Handle::Listing(_)) | Err(_) => Lane::Look,
        }
    }

    /// Writing to an open file: the first write copies what the file had.
    pub(super) fn write_lane(&self, handle: u64) -> Lane {
        match self.handles.get(handle).as_deref() {
            Ok(Handle::Worktree(open)) if open.has_begun() => Lane::Change,
            Ok(Handle::Worktree(_) | Handle::Control(_)) => Lane::Long,
            Ok(Handle::Snapshot(_) | Handle::Array(_) | Handle::Generated(_) | Handle::Listing(_))
            | Err(_) => Lane::Look,
        }
    }

    /// Syncing an open file.
    pub(super) fn sync_lane(&self, handle: u64) -> Lane {
        match self.handles.get(handle).as_deref() {
            Ok(Handle::Worktree(_)) => Lane::Long,
            _ => Lane::Look,
        }
    }

    /// Changing attributes: cutting a file copies what is left of it.
    pub(super) fn setattr_lane(&self, changes: Changes, handle: Option<u64>) -> Lane {
        match (changes.len, handle) {
            (None | Some(0), _) => Lane::Change,
            (Some(_), Some(handle)) => self.write_lane(handle),
            (Some(_), None) => Lane::Long,
        }
    }

    /// Closing an open file for good, which may complete it.
    pub(super) fn release_lane(&self, handle: u64) -> Lane {
        match self.handles.get(handle).as_deref() {
            Ok(Handle::Worktree(_)) => Lane::Change,
            _ => Lane::Look,
        }
    }
}
