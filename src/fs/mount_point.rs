//! Whether a directory can become a mount point, and what to do if it cannot: the checks before and the repair after.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemons::{Located, Mounted, locate, mounted};
use crate::units::ByteSize;

use super::unresponsive::{self, Outcome};

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
    /// Its daemon does not answer.
    #[error("`{}` is in use, and its daemon does not answer: it is stopped or hangs", .0.display())]
    Silent(PathBuf),
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
    /// The session's buffers and stacks would not fit: the daemon would die under its mount.
    #[error("serving a mount takes {} of address space more than this process may have (`ulimit -v`)", ByteSize(*bytes as u64))]
    TooLittleMemory {
        /// How much would be taken.
        bytes: usize,
        /// What the system said.
        #[source]
        source: io::Error,
    },
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
    match located(path)? {
        Located::At(mounted) => match daemon_of(&mounted)? {
            Daemon::Dead => detach(&mounted.mount_point)?,
            Daemon::Alive | Daemon::Silent => return Err(MountError::AlreadyMounted(mounted)),
        },
        Located::Inside(_) | Located::Outside => {}
    }
    let path = path.canonicalize().map_err(|source| unusable(path, source))?;
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
/// close; otherwise only if nobody uses it. The mount of a dead daemon is always taken away, and a daemon that hangs is
/// not waited for.
///
/// # Errors
/// [`MountError::Busy`] if somebody uses it, [`MountError::Silent`] if that may be its daemon's fault,
/// [`MountError::NotMounted`] if there is none.
pub fn unmount(path: &Path, lazy: bool) -> Result<(), MountError> {
    let mounted = match located(path)? {
        Located::At(mounted) => mounted,
        Located::Inside(_) => return Err(MountError::NotMounted(path.to_owned())),
        Located::Outside => {
            path.symlink_metadata().map_err(|source| unusable(path, source))?;
            return Err(MountError::NotMounted(path.to_owned()));
        }
    };
    let at = &mounted.mount_point;
    match umount(at, if lazy { libc::MNT_DETACH } else { 0 }) {
        Err(MountError::Busy(_)) => match daemon_of(&mounted)? {
            Daemon::Dead => detach(at),
            Daemon::Silent => Err(MountError::Silent(at.clone())),
            Daemon::Alive => Err(MountError::Busy(at.clone())),
        },
        other => other,
    }
}

/// What is known of the daemon behind a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// It answers.
    Alive,
    /// Its process is gone.
    Dead,
    /// It does not answer in time.
    Silent,
}

/// Looks whether the daemon behind a mount answers; one that hangs is not waited for.
///
/// # Errors
/// If no process can be started that looks.
pub fn daemon_of(mounted: &Mounted) -> Result<Daemon, MountError> {
    let path = &mounted.mount_point;
    match unresponsive::open_dir(&c_path(path)?).map_err(system("look at", path))? {
        Outcome::Failed(libc::ENOTCONN) => Ok(Daemon::Dead),
        // Whatever it is, somebody said so.
        Outcome::Done | Outcome::Failed(_) => Ok(Daemon::Alive),
        Outcome::Waits => Ok(Daemon::Silent),
    }
}

fn located(path: &Path) -> Result<Located, MountError> {
    let all = mounted().map_err(system("list mounts", Path::new("/proc/self/mountinfo")))?;
    let path = std::path::absolute(path).map_err(system("find", path))?;
    locate(&path, &all).map_err(|source| unusable(&path, source))
}

/// Takes a mount out of the tree now; the kernel frees it after its last user.
pub(super) fn detach(path: &Path) -> Result<(), MountError> {
    umount(path, libc::MNT_DETACH)
}

fn umount(path: &Path, flags: libc::c_int) -> Result<(), MountError> {
    let ended = unresponsive::umount(&c_path(path)?, flags | libc::UMOUNT_NOFOLLOW);
    match ended.map_err(system("unmount", path))? {
        Outcome::Done => Ok(()),
        Outcome::Failed(libc::EBUSY) => Err(MountError::Busy(path.to_owned())),
        Outcome::Failed(libc::EPERM) => umount_by_fusermount(path, flags & libc::MNT_DETACH != 0),
        Outcome::Failed(code) => Err(system("unmount", path)(io::Error::from_raw_os_error(code))),
        Outcome::Waits => Err(MountError::Silent(path.to_owned())),
    }
}

/// Takes the mount away that this process serves itself: at once, and from those who use it when they are done.
pub(super) fn unmount_own(path: &Path) -> Result<(), MountError> {
    let target = c_path(path)?;
    for flags in [libc::UMOUNT_NOFOLLOW, libc::UMOUNT_NOFOLLOW | libc::MNT_DETACH] {
        // SAFETY: `target` is a NUL-terminated string that outlives the call.
        if unsafe { libc::umount2(target.as_ptr(), flags) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EBUSY) => {}
            // Nothing is mounted there any more.
            Some(libc::EINVAL | libc::ENOENT) => return Ok(()),
            Some(libc::EPERM) => {
                return umount_by_fusermount(path, false).or_else(|_| umount_by_fusermount(path, true));
            }
            _ => return Err(system("unmount", path)(error)),
        }
    }
    Err(MountError::Busy(path.to_owned()))
}

fn c_path(path: &Path) -> Result<CString, MountError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|error| system("use", path)(io::Error::new(io::ErrorKind::InvalidInput, error)))
}

/// The way for users without privileges: the setuid program checks that the mount is theirs.
fn umount_by_fusermount(path: &Path, lazy: bool) -> Result<(), MountError> {
    let program = fusermount().ok_or(MountError::NoFusermount)?;
    let flags = if lazy { "-uqz" } else { "-uq" };
    let mut command = Command::new(program);
    command.arg(flags).arg("--").arg(path).stdin(Stdio::null());
    let output = unresponsive::output(command).map_err(system("run fusermount3 on", path))?;
    let Some(output) = output else { return Err(MountError::Silent(path.to_owned())) };
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
