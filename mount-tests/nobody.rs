//! The user without privileges that tests run as beside root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::stage::{Missing, needs_root};

/// The user that owns nothing, on every Linux.
pub const NOBODY: u32 = 65534;

pub fn as_nobody(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    command.args(ids).args(["--clear-groups", "--inh-caps=-all", "--"]).arg(program);
    command
}

/// Makes the calling thread, and no other, that user for ever.
pub fn become_nobody() {
    let nobody = libc::c_long::from(NOBODY);
    // SAFETY: the system calls, other than the functions of the C library, change one thread alone.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()), 0);
        assert_eq!(libc::syscall(libc::SYS_setresgid, nobody, nobody, nobody), 0);
        assert_eq!(libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody), 0);
    }
}

pub fn needs_unprivileged_fuse() -> Result<(), Missing> {
    needs_root()?;
    let may = as_nobody("true").status();
    if !may.is_ok_and(|status| status.success()) {
        return Err(Missing("setpriv (package util-linux) cannot become another user".to_owned()));
    }
    let setuid =
        ["/usr/bin/fusermount3", "/bin/fusermount3"].into_iter().filter_map(|path| fs::metadata(path).ok());
    if !setuid.into_iter().any(|stat| stat.uid() == 0 && stat.mode() & libc::S_ISUID != 0) {
        return Err(Missing("no setuid fusermount3: install the package fuse3".to_owned()));
    }
    let device = fs::metadata("/dev/fuse").map_err(|error| Missing(format!("/dev/fuse: {error}")))?;
    match device.mode() & 0o006 {
        0o006 => Ok(()),
        _ => Err(Missing("/dev/fuse may be used by root alone".to_owned())),
    }
}
