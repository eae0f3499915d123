//! What can go wrong in the mount, and the one place where it becomes an errno.

use crate::disk::DiskError;
use crate::history;
use crate::store::StoreError;
use crate::tensors;
use crate::worktree;

/// A result of the file system.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing has that name.
    #[error("no such file")]
    NoEntry,
    /// Snapshots and generated files cannot be changed.
    #[error("it is read-only")]
    ReadOnly,
    /// Only a directory has names in it.
    #[error("not a directory")]
    NotADirectory,
    /// A directory has no bytes.
    #[error("is a directory")]
    IsADirectory,
    /// The name is taken.
    #[error("it exists already")]
    Exists,
    /// An argument makes no sense.
    #[error("invalid argument")]
    Invalid,
    /// Names do not move between trees.
    #[error("it would move between trees")]
    CrossTree,
    /// The node has no such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The handle is not open, or not for this.
    #[error("bad file handle")]
    BadHandle,
    /// Coral has no such thing: devices, hard links, extended attributes of the user's own.
    #[error("not supported")]
    NotSupported,
    /// It is not done through the mount.
    #[error("not permitted")]
    NotPermitted,
    /// A command written to `.coral/ctl` failed; what it said can be read back.
    #[error("the command failed")]
    CommandFailed,
    /// A signal ended whoever waited for it.
    #[error("interrupted by a signal")]
    Interrupted,
    /// The disk has too little room for what is wanted of it.
    #[error("no space left")]
    NoSpace,
    /// Files could not be stored in the background; they are still staged.
    #[error("background ingest failed: {0}")]
    Background(String),
    /// There is nothing after the end of the file to seek to.
    #[error("offset beyond the end")]
    BeyondEnd,
    /// The history could not do it.
    #[error(transparent)]
    Repo(#[from] history::Error),
    /// The worktree could not do it.
    #[error(transparent)]
    Worktree(worktree::Error),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk could not do it.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<history::PathError> for Error {
    fn from(error: history::PathError) -> Self {
        Error::Repo(error.into())
    }
}

impl From<history::RefNameError> for Error {
    fn from(error: history::RefNameError) -> Self {
        Error::Repo(error.into())
    }
}

impl From<worktree::Error> for Error {
    fn from(error: worktree::Error) -> Self {
        match error {
            worktree::Error::History(error) => Error::Repo(error),
            error => Error::Worktree(error),
        }
    }
}

impl From<tensors::Error> for Error {
    fn from(error: tensors::Error) -> Self {
        match error {
            tensors::Error::NotAnArray => Error::Invalid,
            tensors::Error::History(error) => error.into(),
        }
    }
}

impl Error {
    /// The number that the caller of the system call sees.
    pub fn errno(&self) -> i32 {
        match self {
            Error::NoEntry => libc::ENOENT,
            Error::ReadOnly => libc::EROFS,
            Error::NotADirectory => libc::ENOTDIR,
            Error::IsADirectory => libc::EISDIR,
            Error::Exists => libc::EEXIST,
            Error::Invalid | Error::CommandFailed => libc::EINVAL,
            Error::CrossTree => libc::EXDEV,
            Error::NoAttribute => libc::ENODATA,
            Error::BadHandle => libc::EBADF,
            Error::Interrupted => libc::EINTR,
            Error::NotSupported => libc::EOPNOTSUPP,
            Error::NotPermitted => libc::EPERM,
            Error::BeyondEnd => libc::ENXIO,
            Error::NoSpace => libc::ENOSPC,
            Error::Background(_) => libc::EIO,
            Error::Repo(error) => repo_errno(error),
            Error::Worktree(error) => worktree_errno(error),
            Error::Store(error) => store_errno(error),
            Error::Disk(error) => disk_errno(error),
        }
    }
}

fn repo_errno(error: &history::Error) -> i32 {
    use history::Error as E;
    match error {
        E::UnknownRevision { .. } | E::UnknownPath { .. } | E::UnknownRef { .. } | E::Unborn(_) => {
            libc::ENOENT
        }
        E::AmbiguousPrefix { .. } | E::TooShort { .. } | E::TooFar { .. } | E::UnknownTime(_) => libc::ENOENT,
        E::ReservedName(_) => libc::EINVAL,
        E::RefExists { .. } | E::AlreadyARepository(_) | E::OutputExists(_) => libc::EEXIST,
        E::Replaced(_) => libc::ESTALE,
        E::Path(
            history::PathError::TooLong(_)
            | history::PathError::TooDeep(_)
            | history::PathError::PathTooLong(_),
        ) => libc::ENAMETOOLONG,
        E::Path(history::PathError::Reserved(_)) => libc::EPERM,
        E::Path(history::PathError::Relative(_) | history::PathError::Byte(_)) => libc::EINVAL,
        E::RefName(_) | E::RefConflict { .. } => libc::EINVAL,
        E::CurrentBranch(_) | E::NotMerged(_) => libc::EPERM,
        E::DetachedHead(_) | E::UnsupportedFile(_) => libc::EINVAL,
        E::RefMoved { .. } | E::Overtaken(_) | E::KeepsChanging(_) | E::NotStored(_) => libc::EBUSY,
        E::NotARepository(_) | E::NewerFormat { .. } => libc::EIO,
        E::DamagedFile { .. } | E::WrongBytes(_) | E::WrongLength { .. } | E::Damaged { .. } => libc::EIO,
        E::MissingCommit { .. } => libc::EIO,
        E::Stopped(_) => libc::EINTR,
        E::Store(error) => store_errno(error),
        E::Disk(error) => disk_errno(error),
    }
}

fn worktree_errno(error: &worktree::Error) -> i32 {
    use worktree::Error as E;
    match error {
        E::NotADirectory(_) => libc::ENOTDIR,
        E::IsADirectory(_) => libc::EISDIR,
        E::Exists(_) => libc::EEXIST,
        E::NotEmpty(_) => libc::ENOTEMPTY,
        E::IntoItself(_) => libc::EINVAL,
        E::Stale | E::Replaced(_) => libc::ESTALE,
        E::BeingWritten(_) | E::Diverged { .. } | E::NotTheLast { .. } | E::UncommittedChanges(_) => {
            libc::EBUSY
        }
        E::Unmerged(_) | E::UnderWay { .. } | E::CutShort { .. } => libc::EBUSY,
        E::NothingUnderWay(_) => libc::EINVAL,
        E::LostBytes(_) | E::DamagedJournal { .. } => libc::EIO,
        E::NotKept(error) => worktree_errno(error),
        E::RecordTooLong => libc::ENAMETOOLONG,
        E::NothingToCommit { .. } | E::OwnStore(_) | E::OwnMount(_) => libc::EINVAL,
        E::History(error) => repo_errno(error),
    }
}

fn store_errno(error: &StoreError) -> i32 {
    use StoreError as E;
    match error {
        E::Disk(error) | E::Unlinkable(error) => disk_errno(error),
        E::Full { .. } => libc::ENOSPC,
        E::NotFound { .. }
        | E::Elsewhere { .. }
        | E::Corrupt { .. }
        | E::DamagedPack { .. }
        | E::WrongKind { .. } => libc::EIO,
        E::Unreadable { .. } | E::TooLong { .. } | E::Collision { .. } => libc::EIO,
        E::Poisoned { is_full: true, .. } => libc::ENOSPC,
        E::Poisoned { is_full: false, .. } | E::Coder { .. } | E::Index(_) => libc::EIO,
        E::OutOfRange { .. } | E::WrongId { .. } | E::Source(_) => libc::EIO,
        E::Changed | E::Busy { .. } => libc::EBUSY,
        E::Stopped(_) => libc::EINTR,
    }
}

/// The system's own number, where it means to the caller what it meant to us: what is wrong with the disk that holds
/// the repository. That a file of the repository is missing is not that the caller's is.
fn disk_errno(error: &DiskError) -> i32 {
    match error.source.raw_os_error() {
        Some(
            code @ (libc::ENOSPC | libc::EDQUOT | libc::EROFS | libc::EMFILE | libc::ENFILE | libc::EFBIG),
        ) => code,
        Some(_) | None => libc::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn disk(code: i32) -> DiskError {
        let source = io::Error::from_raw_os_error(code);
        DiskError { operation: "write", path: "/r/.coral/packs/open/1".into(), source }
    }

    #[test]
    fn a_full_disk_says_so_through_every_layer() {
        assert_eq!(Error::Disk(disk(libc::ENOSPC)).errno(), libc::ENOSPC);
        assert_eq!(Error::Repo(history::Error::Disk(disk(libc::EDQUOT))).errno(), libc::EDQUOT);
        let store = StoreError::Disk(disk(libc::ENOSPC));
        assert_eq!(Error::Repo(history::Error::Store(store)).errno(), libc::ENOSPC);
    }

    #[test]
    fn a_missing_file_of_the_repository_is_not_a_missing_file() {
        assert_eq!(Error::Disk(disk(libc::ENOENT)).errno(), libc::EIO);
    }

    #[test]
    fn what_a_worktree_could_not_do_has_one_number_wherever_it_comes_from() {
        let through = |error: history::Error| Error::from(worktree::Error::from(error)).errno();
        assert_eq!(through(history::Error::Disk(disk(libc::ENOSPC))), libc::ENOSPC);
        assert_eq!(through(history::Error::Replaced("/r/.coral".into())), libc::ESTALE);
        assert_eq!(Error::from(worktree::Error::Stale).errno(), libc::ESTALE);
    }

    #[test]
    fn damage_is_an_io_error() {
        assert_eq!(Error::Repo(history::Error::WrongBytes("w.npy".into())).errno(), libc::EIO);
    }
}
