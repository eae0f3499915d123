//! Which mount a path lies in, by a number that no other mount of this machine ever had or gets.
//!
//! The numbers in `/proc/self/mountinfo` and those of devices are given out again as soon as a mount is gone.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The number of the mount that is on top at a path; `None` if the kernel has no such numbers (before Linux 6.8), or the
/// path cannot be reached. Asks no file system: one that does not answer keeps nobody.
pub(super) fn mount_number(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: the structure consists of integers, for which all bits zero are a value.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    // SAFETY: the path is NUL-terminated and `facts` is a writable statx; both outlive the call.
    let asked = unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, libc::STATX_MNT_ID_UNIQUE, &raw mut facts)
    };
    (asked == 0 && facts.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(facts.stx_mnt_id)
}

/// Whether nothing is mounted at a path.
pub(super) fn is_bare(path: &Path) -> bool {
    let around = path.parent().unwrap_or(path);
    mount_number(path).is_some_and(|number| mount_number(around) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lies_in_the_mount_of_the_folder_around_it_and_proc_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).expect("room");
        match mount_number(&inside) {
            Some(_) => assert!(is_bare(&inside) && !is_bare(Path::new("/proc"))),
            None => assert!(!is_bare(&inside), "this kernel does not tell"),
        }
        assert_eq!(mount_number(&folder.path().join("missing")), None);
    }
}
