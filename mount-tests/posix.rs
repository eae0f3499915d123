//! System calls that frameworks rely on, one by one.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::{Mmap, MmapMut};

use crate::stage::{Missing, Stage, weights, xattr};

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

fn checked(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn rename(from: &Path, to: &Path, flags: libc::c_uint) -> io::Result<()> {
    let (from, to) = (c_path(from), c_path(to));
    // SAFETY: both paths are NUL-terminated and outlive the call.
    checked(unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) })
}

fn open_rw(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect("there")
}

fn code<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.expect_err("it is refused").raw_os_error().expect("from the system")
}

pub fn exclusive_creation_and_renames_keep_their_promises() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let at = |name: &str| stage.worktree(name);
    let exclusive = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(at("a"));
    exclusive().expect("new").write_all(b"one").expect("room");
    assert_eq!(code(exclusive()), libc::EEXIST);
    fs::write(at("b"), "two").expect("room");
    assert_eq!(code(rename(&at("a"), &at("b"), libc::RENAME_NOREPLACE)), libc::EEXIST);
    rename(&at("a"), &at("b"), libc::RENAME_EXCHANGE).expect("both are there");
    assert_eq!(fs::read(at("a")).expect("there"), b"two");
    rename(&at("a"), &at("b"), 0).expect("it replaces");
    assert_eq!(fs::read(at("b")).expect("there"), b"two");
    assert_eq!(code(rename(&at("a"), &at("c"), 0)), libc::ENOENT);
    fs::create_dir_all(at("d/e")).expect("new");
    assert_eq!(code(rename(&at("d"), &at("d/e/f"), 0)), libc::EINVAL);
    assert_eq!(code(fs::remove_dir(at("d"))), libc::ENOTEMPTY);
    assert_eq!(code(fs::hard_link(at("b"), at("l"))), libc::EPERM);
    rename(&at("d/e"), &at("moved"), 0).expect("an empty directory");
    Ok(())
}

pub fn an_unlinked_file_lives_until_it_is_closed() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(stage.worktree("a"))
        .expect("new");
    file.write_all(b"before").expect("room");
    fs::remove_file(stage.worktree("a")).expect("there");
    file.write_all(b" and after").expect("still open");
    fs::write(stage.worktree("a"), "another").expect("room");
    file.seek(SeekFrom::Start(0)).expect("a file");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("still open");
    assert_eq!(text, "before and after");
    let stat = file.metadata().expect("still open");
    assert_eq!((stat.len(), stat.nlink()), (16, 0));
    drop(file);
    assert_eq!(fs::read_to_string(stage.worktree("a")).expect("there"), "another");
    Ok(())
}

pub fn writes_through_a_shared_mapping_reach_the_commit() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut expected = weights(2, 3 << 20);
    fs::write(stage.worktree("w"), &expected).expect("room");
    stage.commit("first");
    let file = open_rw(&stage.worktree("w"));
    // SAFETY: nobody else changes or cuts the file while it is mapped.
    let mut map = unsafe { MmapMut::map_mut(&file).expect("mappable") };
    map[1_000_000..1_000_100].fill(7);
    map.flush().expect("room");
    drop((map, file));
    expected[1_000_000..1_000_100].fill(7);
    assert!(fs::read(stage.worktree("w")).expect("there") == expected);
    stage.commit("second");
    assert!(fs::read(stage.mnt("HEAD/w")).expect("there") == expected);
    let file = File::open(stage.mnt("HEAD/w")).expect("there");
    // SAFETY: snapshots never change.
    let shared = unsafe { Mmap::map(&file).expect("mappable") };
    drop(file);
    assert!(shared[..] == expected[..], "a mapping outlives its descriptor");
    Ok(())
}

pub fn appends_and_holes_read_back() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut log = OpenOptions::new().append(true).create(true).open(stage.worktree("log")).expect("new");
    let mut other = OpenOptions::new().append(true).open(stage.worktree("log")).expect("there");
    log.write_all(b"a").expect("room");
    other.write_all(b"b").expect("room");
    log.write_all(b"c").expect("room");
    assert_eq!(fs::read(stage.worktree("log")).expect("there"), b"abc");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(stage.worktree("sparse"))
        .expect("new");
    file.write_all_at(b"end", 5_000_000).expect("room");
    file.write_all_at(b"start", 0).expect("room");
    file.set_len(5_000_010).expect("room");
    file.sync_all().expect("durable");
    File::open(stage.worktree("")).expect("there").sync_all().expect("directories are synced too");
    drop(file);
    stage.commit("sparse");
    let mut expected = vec![0; 5_000_010];
    expected[..5].copy_from_slice(b"start");
    expected[5_000_000..5_000_003].copy_from_slice(b"end");
    assert!(fs::read(stage.mnt("HEAD/sparse")).expect("there") == expected);
    let file = File::open(stage.mnt("HEAD/sparse")).expect("there");
    // SAFETY: lseek takes any numbers.
    let seek = |offset, whence| unsafe { libc::lseek(file.as_raw_fd(), offset, whence) };
    assert_eq!((seek(5, libc::SEEK_DATA), seek(5, libc::SEEK_HOLE)), (5, 5_000_010));
    assert_eq!(seek(5_000_010, libc::SEEK_DATA), -1);
    Ok(())
}

pub fn space_is_told_and_reserved_only_where_there_is_some() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let statvfs = |path: &Path| {
        let path = c_path(path);
        // SAFETY: all zeros is a value of this structure of numbers; path and structure outlive the call.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        checked(unsafe { libc::statvfs(path.as_ptr(), &mut stat) }).expect("there");
        stat.f_bavail * stat.f_frsize
    };
    let (here, beside) = (statvfs(&stage.worktree("")), statvfs(&stage.path("")));
    assert!(here.abs_diff(beside) < 1 << 30, "{here} {beside}");
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).open(stage.worktree("a")).expect("new");
    // SAFETY: fallocate takes any numbers.
    let reserve = |len: i64| checked(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) });
    reserve(100_000).expect("room");
    assert_eq!(file.metadata().expect("open").len(), 100_000);
    assert_eq!(code(reserve(1 << 50)), libc::ENOSPC);
    // SAFETY: isatty takes any descriptor.
    assert_eq!(unsafe { libc::isatty(file.as_raw_fd()) }, 0);
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOTTY));
    Ok(())
}

pub fn locks_hold_between_descriptors() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a.h5"), "x").expect("room");
    let (one, two) = (open_rw(&stage.worktree("a.h5")), open_rw(&stage.worktree("a.h5")));
    // SAFETY: flock takes any descriptor.
    let lock = |file: &File, how| checked(unsafe { libc::flock(file.as_raw_fd(), how | libc::LOCK_NB) });
    lock(&one, libc::LOCK_EX).expect("free");
    assert_eq!(code(lock(&two, libc::LOCK_EX)), libc::EWOULDBLOCK);
    drop(one);
    lock(&two, libc::LOCK_EX).expect("free again");
    Ok(())
}

pub fn extended_attributes_tell_of_the_store() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("w"), weights(3, 100_000)).expect("room");
    let id = stage.commit("first");
    let get = |path: &str, name: &str| xattr(&stage.mnt(path), name);
    assert_eq!(get("branches/main", "user.coral.commit").expect("there"), id);
    assert_eq!(get("branches/main/w", "user.coral.id").expect("there").len(), 64);
    let stored: u64 = get("branches/main/w", "user.coral.stored").expect("there").parse().expect("a number");
    assert!(stored > 0 && stored < 110_000);
    assert_eq!(code(get("branches/main/w", "user.other")), libc::ENODATA);
    Ok(())
}

pub fn copies_carry_no_extended_attributes() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("w"), weights(3, 100_000)).expect("room");
    stage.commit("first");
    stage
        .sh("cp -a \"$M\"/branches/main/w copy; cp --preserve=xattr \"$M\"/branches/main/w \"$W\"/again")
        .succeeds();
    for path in [stage.mnt("branches/main/w"), stage.path("copy")] {
        let path = c_path(&path);
        // SAFETY: the path is NUL-terminated, and nothing is to be filled.
        assert_eq!(unsafe { libc::listxattr(path.as_ptr(), std::ptr::null_mut(), 0) }, 0);
    }
    Ok(())
}

pub fn times_before_1970_keep_their_fraction() -> Result<(), Missing> {
    let stage = Stage::new()?;
    for (name, text, time) in [
        ("half", "1969-12-31 23:59:59.5 UTC", (-1, 500_000_000)),
        ("old", "1931-05-06 07:08:09.25 UTC", (-1_219_942_311, 250_000_000)),
    ] {
        stage.sh(&format!("touch -d '{text}' \"$W\"/{name}")).succeeds();
        let stat = fs::metadata(stage.worktree(name)).expect("there");
        assert_eq!((stat.mtime(), stat.mtime_nsec()), time, "{name}");
    }
    stage.commit("old");
    let stat = fs::metadata(stage.mnt("HEAD/half")).expect("there");
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (-1, 500_000_000));
    Ok(())
}

pub fn rewinding_a_directory_lists_it_anew() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "").expect("room");
    let path = c_path(&stage.worktree(""));
    // SAFETY: the stream is open from here to its close, and one thread uses it; an entry is only counted.
    unsafe {
        let dir = libc::opendir(path.as_ptr());
        assert!(!dir.is_null());
        let count = || (0..).take_while(|_| !libc::readdir(dir).is_null()).count();
        let before = count();
        fs::write(stage.worktree("b"), "").expect("room");
        libc::rewinddir(dir);
        assert_eq!(count(), before + 1);
        libc::closedir(dir);
    }
    Ok(())
}

pub fn a_change_shows_in_the_change_time() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let path = stage.worktree("a");
    fs::write(&path, "one").expect("room");
    let before = fs::metadata(&path).expect("there");
    stage.sh("touch -r \"$W\"/a stamp; printf two > \"$W\"/a; touch -r stamp \"$W\"/a").succeeds();
    let after = fs::metadata(&path).expect("there");
    assert_eq!((after.len(), after.mtime(), after.mtime_nsec()), (3, before.mtime(), before.mtime_nsec()));
    assert_ne!((after.ctime(), after.ctime_nsec()), (before.ctime(), before.ctime_nsec()));
    Ok(())
}

pub fn moving_a_file_changes_its_change_time_and_a_time_of_access_that_is_set_is_told() -> Result<(), Missing>
{
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "one").expect("room");
    let before = fs::metadata(stage.worktree("a")).expect("there");
    stage.sh("mv \"$W\"/a \"$W\"/b").succeeds();
    let moved = fs::metadata(stage.worktree("b")).expect("there");
    assert!((moved.ctime(), moved.ctime_nsec()) > (before.ctime(), before.ctime_nsec()));
    assert_eq!((moved.mtime(), moved.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
    stage.sh("touch -a -d '2001-02-03 04:05:06.5 UTC' \"$W\"/b; cat \"$W\"/b > /dev/null").succeeds();
    let read = fs::metadata(stage.worktree("b")).expect("there");
    assert_eq!((read.atime(), read.atime_nsec()), (981_173_106, 500_000_000));
    assert_eq!((read.mtime(), read.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
    let table = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let line = table.lines().find(|line| line.contains(stage.path("mnt").to_str().expect("our own name")));
    assert!(line.is_some_and(|line| line.contains("noatime")), "{line:?}");
    Ok(())
}

/// Sixteen threads fault one mapping of a file that is decoded as they go, while others ask for attributes.
pub fn readers_of_one_mapping_do_not_wait_for_each_other() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let expected = Arc::new(weights(4, 32 << 20));
    fs::write(stage.worktree("w"), &*expected).expect("room");
    stage.commit("first");
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    let file = File::open(stage.mnt("HEAD/w")).expect("there");
    // SAFETY: snapshots never change.
    let map = Arc::new(unsafe { Mmap::map(&file).expect("mappable") });
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (map, expected, stage) = (Arc::clone(&map), Arc::clone(&expected), &stage);
            scope.spawn(move || {
                let pages = map.len() / 4096;
                for step in 0..pages {
                    let at = (step * 37 + thread * 511) % pages * 4096;
                    assert!(map[at..at + 64] == expected[at..at + 64], "page at {at}");
                    if step % 1000 == 0 {
                        fs::metadata(stage.mnt("HEAD/w")).expect("there");
                    }
                }
            });
        }
    });
    Ok(())
}

/// A commit takes what was complete, or says that it was not; it never fails because somebody goes on.
pub fn commits_are_made_while_a_file_is_written_and_cut() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let bytes = weights(5, 3 << 20);
    let committed = AtomicBool::new(false);
    fs::write(stage.worktree("busy"), &bytes).expect("room");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = open_rw(&stage.worktree("busy"));
            while !committed.load(Ordering::Relaxed) {
                file.write_all_at(&bytes, 0).expect("room");
                // Closing a duplicate declares the file complete, though this writer goes on.
                drop(file.try_clone().expect("open"));
                file.set_len(1000).expect("room");
                drop(file.try_clone().expect("open"));
            }
        });
        for round in 0..20 {
            fs::write(stage.worktree("round"), round.to_string()).expect("room");
            let ran = stage.in_repo(&["commit", "-m", "meanwhile"]);
            // The writer has to stop before this panics.
            if round == 19 || !ran.is_success() {
                committed.store(true, Ordering::Relaxed);
                ran.succeeds();
            }
        }
    });
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}
