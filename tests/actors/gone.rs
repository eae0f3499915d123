//! A disk that its file system shuts down, and that is mounted again while the machine runs on, as after an error of the
//! device or a plug that was pulled.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use crate::logged::Loop;
use crate::stage::{Missing, Stage, detach, needs_root};

const LEN: u64 = 96 << 20;
/// Ends an ext4 at once (`fs/ext4/ext4.h`), here without a word of what is under way.
const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587d;
static NO_LOG_FLUSH: u32 = 2;

static OLD: [u8; 30_000] = [3; 30_000];
static SIZED: [u8; 50_000] = [9; 50_000];

fn new_disk(stage: &Stage) -> Result<Loop, Missing> {
    let image = stage.path("disk.img");
    File::create(&image).and_then(|file| file.set_len(LEN)).expect("room");
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    match made.is_ok_and(|status| status.success()) {
        true => Loop::mount(&image, &stage.path("fs"), false),
        false => Err(Missing("the tools of ext4 are not there".to_owned())),
    }
}

fn shut_down(folder: &Path) {
    let root = File::open(folder).expect("it is mounted");
    // SAFETY: the call reads one number, which outlives it, and the descriptor is open.
    let done = unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN as _, &raw const NO_LOG_FLUSH) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Writes and closes, with a sync or without.
fn save(path: &Path, bytes: &[u8], synced: bool) {
    let mut file = File::options().create(true).append(true).open(path).expect("it can be opened");
    file.write_all(bytes).expect("room");
    if synced {
        file.sync_all().expect("a disk");
        drop(file);
        File::open(path.parent().expect("a folder")).and_then(|folder| folder.sync_all()).expect("a disk");
    }
}

pub fn a_disk_that_comes_back_is_believed_as_far_as_it_was_synced() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    let disk = new_disk(&stage)?;
    stage.coral(&["init", "fs/repo"]).succeeds();
    stage.mount(&["fs/repo", "mnt"]);
    save(&stage.worktree("log"), &OLD, true);
    // Its size is durable before its bytes are.
    let mut sized = File::create(stage.worktree("sized")).expect("it can be made");
    sized.set_len(SIZED.len() as u64).expect("a size");
    sized.write_all(&SIZED).expect("room");
    drop(sized);
    save(&stage.worktree("log"), b"a line", false);
    save(&stage.worktree("other"), b"somebody else's", true);
    shut_down(&disk.folder);
    stage.kill_daemon();
    detach(&stage.path("mnt"));
    disk.mount_again();

    let commit = stage.coral(&["-C", "fs/repo", "commit", "-m", "after it came back"]).succeeds();
    assert!(commit.to_string().contains("`log` was not yet on the disk"), "{commit}");
    let folder = stage.path("out");
    stage.coral(&["-C", "fs/repo", "export", "main", folder.to_str().expect("our own name")]).succeeds();
    let out = |name: &str| fs::read(folder.join(name)).ok();
    assert!(out("log").is_some_and(|bytes| bytes == OLD), "it is as it was when it was synced");
    assert!(out("sized").is_none_or(|bytes| bytes == SIZED), "nobody wrote zeros");
    assert_eq!(out("other").as_deref(), Some(&b"somebody else's"[..]));
    stage.coral(&["-C", "fs/repo", "fsck", "--full"]).succeeds();
    drop(disk);
    Ok(())
}
