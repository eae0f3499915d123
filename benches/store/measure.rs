//! Clocks, medians, and what the kernel knows of processes and pages.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const RUNS: usize = 5;

pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort();
    values[values.len() / 2]
}

pub fn median_of(run: impl FnMut(usize) -> Duration) -> Duration {
    median((0..RUNS).map(run).collect())
}

/// Processor time of all threads of this process so far.
pub fn process_time() -> Duration {
    // SAFETY: a rusage is plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a rusage that is ours to write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

/// What a program took.
#[derive(Clone, Copy)]
pub struct Taken {
    pub time: Duration,
    /// Peak resident bytes.
    pub peak: u64,
}

/// Runs a program to its end; fails if it does.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it")]
pub fn run(command: &mut Command) -> Taken {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut status = 0;
    // SAFETY: a rusage is plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that are ours to write; nobody else waits for this child.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    assert!(waited > 0 && status == 0, "{command:?} failed");
    Taken { time: start.elapsed(), peak: usage.ru_maxrss as u64 * 1024 }
}

/// Makes everything on the disk of a folder durable.
pub fn sync(folder: &Path) {
    let folder = File::open(folder).expect("the folder is there");
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::syncfs(folder.as_raw_fd()) }, 0, "the disk takes everything");
}

/// Lets the kernel forget the pages of the files in a folder.
pub fn forget_pages(folder: &Path) {
    sync(folder);
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        if let Ok(file) = File::open(entry.path()) {
            // SAFETY: the descriptor is open; the call takes no pointers.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        }
    }
}

/// Whether a program is there to be run.
pub fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| {
        let path = CString::new(folder.join(program).as_os_str().as_bytes());
        // SAFETY: the string ends with a zero and lives through the call.
        path.is_ok_and(|path| unsafe { libc::access(path.as_ptr(), libc::X_OK) } == 0)
    })
}

/// Bytes of all files below a folder.
pub fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("it can be listed").flatten();
    let each = entries.map(|entry| {
        let metadata = entry.metadata().expect("it can be looked at");
        if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.len() }
    });
    each.sum()
}
