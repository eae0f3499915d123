//! Whether a directory can become a mount point, and what to do if it cannot: the checks before and the repair after.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::mounts::{Mounted, mounted};

/// The device that FUSE servers talk to the kernel through.
const FUSE_DEVICE: &str = "/dev/fuse";

/// Why a mount or an unmount cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is nothing at the mount point.
    #[error("the mount point `{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// The mount point is a file.
    #[error("the mount point `{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The mount point has files in it, which the mount would hide.
    #[error("the mount point `{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// Something of ours is mounted there.
    #[error("`{}` is already mounted at `{}`", .0.repository.display(), .0.mount_point.display())]
    AlreadyMounted(Mounted),
    /// No Coral file system is mounted there.
    #[error("no Coral file system is mounted at `{}`", .0.display())]
    NotMounted(PathBuf),
    /// Somebody still uses the mount.
    #[error("`{}` is in use: a program has a file open or its working directory in it", .0.display())]
    Busy(PathBuf),
    /// The kernel has no FUSE, or the container does not show it.
    #[error(
        "`/dev/fuse` does not exist: load the kernel's `fuse` module (`modprobe fuse`), or give the container `--device /dev/fuse --cap-add SYS_ADMIN`"
    )]
    NoFuseDevice,
    /// This user may not use FUSE.
    #[error("`/dev/fuse` cannot be opened: {0}; ask for read and write permission on it")]
    FuseDeviceDenied(#[source] io::Error),
    /// An unprivileged mount needs the setuid program of the package fuse3.
    #[error("mounting without root needs `fusermount3`: install the package `fuse3`")]
    NoFusermount,
    /// The administrator has not allowed mounts that other users see.
    #[error("`allow_other` needs the line `user_allow_other` in `/etc/fuse.conf`")]
    OthersNotAllowed,
    /// What should be shown cannot be, or could not be made durable at the end.
    #[error(transparent)]
    Unservable(#[from] super::errno::Error),
    /// The system refused.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    System {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Makes sure that something can be mounted at `path`, and returns its absolute form. A mount of Coral whose daemon
/// died is taken away first.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, MountError> {
    if is_stale(path) {
        detach(path)?;
    }
    let path = path.canonicalize().map_err(|source| unusable(path, source))?;
    if let Some(mounted) = mounted_at(&path)? {
        return Err(MountError::AlreadyMounted(mounted));
    }
    let mut entries = fs::read_dir(&path).map_err(|source| unusable(&path, source))?;
    match entries.next() {
        None => Ok(path),
        Some(_) => Err(MountError::NotEmpty(path)),
    }
}

/// Makes sure that FUSE can be used by this user.
pub(super) fn check_fuse() -> Result<(), MountError> {
    let device = fs::OpenOptions::new().read(true).write(true).open(FUSE_DEVICE);
    match device.map_err(|error| (error.kind(), error)) {
        // Opening says nothing before the first mount; the descriptor is dropped unused.
        Ok(_) if is_root() || fusermount().is_some() => Ok(()),
        Ok(_) => Err(MountError::NoFusermount),
        Err((io::ErrorKind::NotFound, _)) => Err(MountError::NoFuseDevice),
        // ENODEV or ENXIO: the node is there, the module is not.
        Err((_, error)) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {
            Err(MountError::NoFuseDevice)
        }
        Err((_, error)) => Err(MountError::FuseDeviceDenied(error)),
    }
}

/// Takes the Coral file system at `path` away. With `lazy`, at once, though programs that use it keep it until they
/// close; otherwise only if nobody uses it. The mount of a dead daemon is always taken away.
///
/// # Errors
/// [`MountError::Busy`] if somebody uses it, [`MountError::NotMounted`] if there is none.
pub fn unmount(path: &Path, lazy: bool) -> Result<(), MountError> {
    if is_stale(path) {
        return detach(path);
    }
    let path = path.canonicalize().map_err(|source| unusable(path, source))?;
    match mounted_at(&path)? {
        None => Err(MountError::NotMounted(path)),
        Some(_) if lazy => detach(&path),
        Some(_) => umount(&path, 0),
    }
}

/// Whether the daemon behind a mount point is dead. Attributes may come from the kernel's memory, names may not.
fn is_stale(path: &Path) -> bool {
    fs::read_dir(path).is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
}

fn mounted_at(path: &Path) -> Result<Option<Mounted>, MountError> {
    let all = mounted().map_err(system("list mounts", Path::new("/proc/self/mountinfo")))?;
    Ok(all.into_iter().rev().find(|mounted| mounted.mount_point == path))
}

/// Takes a mount out of the tree now; the kernel frees it after its last user.
pub(super) fn detach(path: &Path) -> Result<(), MountError> {
    umount(path, libc::MNT_DETACH)
}

fn umount(path: &Path, flags: libc::c_int) -> Result<(), MountError> {
    let target = CString::new(path.as_os_str().as_bytes())
        .map_err(|error| system("unmount", path)(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    // SAFETY: `target` is a NUL-terminated string that outlives the call.
    if unsafe { libc::umount2(target.as_ptr(), flags | libc::UMOUNT_NOFOLLOW) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EBUSY) => Err(MountError::Busy(path.to_owned())),
        Some(libc::EPERM) => umount_by_fusermount(path, flags & libc::MNT_DETACH != 0),
        _ => Err(system("unmount", path)(error)),
    }
}

/// The way for users without privileges: the setuid program checks that the mount is theirs.
fn umount_by_fusermount(path: &Path, lazy: bool) -> Result<(), MountError> {
    let program = fusermount().ok_or(MountError::NoFusermount)?;
    let flags = if lazy { "-uqz" } else { "-uq" };
    let run = Command::new(program).arg(flags).arg("--").arg(path).stdin(Stdio::null()).output();
    let output = run.map_err(system("run fusermount3 on", path))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false if said.contains("busy") => Err(MountError::Busy(path.to_owned())),
        false => Err(system("unmount", path)(io::Error::other(said.trim().to_owned()))),
    }
}

/// Where the setuid program of libfuse is.
fn fusermount() -> Option<PathBuf> {
    let places = ["/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/usr/sbin"];
    let names = ["fusermount3", "fusermount"];
    names
        .iter()
        .flat_map(|name| places.iter().map(move |place| Path::new(place).join(name)))
        .find(|path| path.exists())
}

fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn unusable(path: &Path, source: io::Error) -> MountError {
    match source.kind() {
        io::ErrorKind::NotFound => MountError::Missing(path.to_owned()),
        io::ErrorKind::NotADirectory => MountError::NotADirectory(path.to_owned()),
        _ => system("use", path)(source),
    }
}

pub(super) fn system(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MountError {
    let path = path.to_owned();
    move |source| MountError::System { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_cannot_be_mount_points_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(prepare(&folder.path().join("none")), Err(MountError::Missing(_))));
        assert!(matches!(prepare(&file), Err(MountError::NotADirectory(_))));
        assert!(matches!(prepare(folder.path()), Err(MountError::NotEmpty(_))));
        fs::remove_file(&file).unwrap();
        assert_eq!(prepare(folder.path()).unwrap(), folder.path().canonicalize().unwrap());
    }

    #[test]
    fn only_coral_mounts_are_unmounted() {
        assert!(matches!(unmount(Path::new("/proc"), false), Err(MountError::NotMounted(_))));
    }
}
