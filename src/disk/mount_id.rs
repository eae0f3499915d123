//! Which mount of its file system a path lies on, as far as Linux tells.
//!
//! Every mounted file system has a folder in sysfs from when it is mounted until it is unmounted, and the number of such
//! a folder is given out once in a run of the machine (`kernfs` counts on). It is the same in all mount namespaces, so
//! that containers which share a repository agree on it; the id of a mount (statx(2)) is one of each namespace.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::MountId;

/// Asks a file system for its folder below `/sys/fs`: since Linux 6.9 (`linux/fs.h`).
const FS_IOC_GETFSSYSFSPATH: u32 = 0x8081_1501;

/// The answer: a length and a name.
type SysfsPath = [u8; 129];

/// File systems that call their folder after the device that they are on.
const NAMED_AFTER_DEVICE: [&str; 3] = ["ext4", "xfs", "f2fs"];

/// The mount that `path` is on; `None` where nobody tells: on overlays and other file systems that sysfs does not know.
pub(super) fn mount_id(path: &Path) -> Option<MountId> {
    let file = File::open(path).ok()?;
    let folders = told_folder(&file).into_iter().chain(likely_folders(file.metadata().ok()?.dev()));
    let found = folders.into_iter().find_map(|folder| fs::metadata(folder).ok())?;
    Some(MountId(found.ino()))
}

/// The folder that the file system names itself.
fn told_folder(file: &File) -> Option<PathBuf> {
    let mut answer: SysfsPath = [0; 129];
    // SAFETY: the call writes an answer of this size, as its number says; the descriptor is open as long as the file is
    // borrowed. Where the call is not known nothing is written.
    let told = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_GETFSSYSFSPATH as _, answer.as_mut_ptr()) };
    let name = answer.get(1..1 + usize::from(answer[0]))?;
    (told == 0 && !name.is_empty()).then(|| Path::new("/sys/fs").join(OsStr::from_bytes(name)))
}

/// Folders that stand for the file system on a device, the best first: its own, the cache of a file system without a
/// device (NFS, FUSE), and at least the device itself, which is another one when it was pulled and put back.
fn likely_folders(device: u64) -> Vec<PathBuf> {
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let device = Path::new("/sys/dev/block").join(&number);
    let mut folders = Vec::new();
    if let Ok(target) = fs::read_link(&device)
        && let Some(name) = target.file_name()
    {
        folders.extend(NAMED_AFTER_DEVICE.map(|kind| Path::new("/sys/fs").join(kind).join(name)));
    }
    folders.push(Path::new("/sys/class/bdi").join(&number));
    folders.push(device);
    folders
}
