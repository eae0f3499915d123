//! The one error of the disk: an operating system error that never travels without operation and path.

use crate::task::Stopped;
use std::io;
use std::path::{Path, PathBuf};

/// An I/O error with the operation and the path it happened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb: `open`, `write`, `sync`.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Whether it is what this process may not do.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
    }

    /// That whoever waited was asked to stop, if it is that.
    pub fn stopped(&self) -> Option<Stopped> {
        self.source.get_ref()?.downcast_ref().copied()
    }

    /// Whether the disk, or the user's share of it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
    }

    /// Whether the file system cannot give a file a second name, as opposed to a disk that fails.
    pub fn is_unlinkable(&self) -> bool {
        let codes = [libc::EPERM, libc::EOPNOTSUPP, libc::EMLINK, libc::EXDEV, libc::ENOSYS];
        self.operation == "link" && self.source.raw_os_error().is_some_and(|code| codes.contains(&code))
    }

    /// Whether it says that the path, or a folder above it, does not exist.
    pub fn is_absence(&self) -> bool {
        is_absence(&self.source)
    }
}

/// Whether a path, or a folder above it, does not exist.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A result of the disk.
pub type Result<T> = std::result::Result<T, DiskError>;

/// Adds operation and path to what the system said.
pub(super) fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| DiskError { operation, path: path.to_owned(), source })
}
