//! How long looks take while everything else waits: six first writes to stored files of 500 MB that copy them, syncs of a
//! disk on which each takes a second longer, and a change that waits for a lock that another process holds.
//!
//! The mount runs in this process, on a disk that is made slow where it syncs. Look-ups are of names that nobody asked
//! for before, so that each reaches the file system.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use coral::fs::{Author, Mount, MountOptions, Settings, View};
use coral::history::Repo;
use coral::units::Timestamp;

use super::slow_disk::slow_disk;
use super::{Bench, Result, timed, write_model};

const WRITERS: usize = 6;
const LOOKS: usize = 1000;
/// How much longer each sync takes.
const SLOWER: Duration = Duration::from_secs(1);

/// Prints the times without load and with it.
pub fn looks() -> Result<()> {
    let bench = Bench::new()?;
    for file in 0..WRITERS {
        write_model(&bench.worktree().join(format!("f{file}.safetensors")), 496, file as u64 + 1)?;
    }
    fs::create_dir(bench.worktree().join("aside"))?;
    bench.commit("stored")?;
    bench.coral(&["umount", "mnt"])?;
    let mount = mount_slowly(&bench)?;
    fs::read_dir(bench.worktree())?.count();
    let quiet = look_times(&bench, "quiet", LOOKS)?;
    let over = AtomicBool::new(false);
    let loaded = std::thread::scope(|scope| {
        for file in 0..WRITERS {
            let (bench, over) = (&bench, &over);
            scope.spawn(move || write_and_sync(&bench.worktree().join(format!("f{file}.safetensors")), over));
        }
        let (bench, over) = (&bench, &over);
        scope.spawn(move || wait_for_a_lock(bench, over));
        let loaded = look_times(bench, "loaded", LOOKS);
        over.store(true, Ordering::Relaxed);
        loaded
    })?;
    mount.stopper().stop()?;
    mount.wait()?;
    for ((name, quiet), (_, loaded)) in quiet.into_iter().zip(loaded) {
        println!("{name}: quiet {}, loaded {}", percentiles(quiet), percentiles(loaded));
    }
    Ok(())
}

/// The repository of the bench, mounted by this process on a slow disk.
fn mount_slowly(bench: &Bench) -> Result<Mount> {
    let repo = Repo::open(slow_disk(SLOWER), &bench.path("repo/.coral"), Default::default())?;
    let author = Author { name: "bench".into(), email: "bench@localhost".into(), offset_minutes: 0 };
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let settings =
        Settings { view: View::All, author, clock, log: None, auto_commit: None, background_ingest: true };
    let options = MountOptions::new(settings);
    Ok(coral::fs::mount(repo, &bench.mount(), options)?)
}

/// Times in milliseconds of looks of several kinds.
fn look_times(bench: &Bench, salt: &str, count: usize) -> Result<[(&'static str, Vec<f64>); 2]> {
    let places = [("look-up in branches/", "branches"), ("look-up in the worktree", "worktree/main")];
    let mut times = places.map(|(name, _)| (name, Vec::with_capacity(count)));
    for number in 0..count {
        for ((_, folder), (_, times)) in places.iter().zip(&mut times) {
            let path = bench.mount().join(folder).join(format!("none-{salt}-{number}"));
            let look = || fs::metadata(&path).err().map(drop).ok_or_else(|| "it is there".into());
            times.push(1e3 * timed(look)?);
        }
    }
    Ok(times)
}

/// The first write copies the file; the others have something to sync.
fn write_and_sync(path: &Path, over: &AtomicBool) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("a stored file");
    while !over.load(Ordering::Relaxed) {
        std::os::unix::fs::FileExt::write_all_at(&file, b"!", 0).expect("room");
        file.sync_all().expect("durable");
    }
}

/// A change that waits because another process has the worktree's lock: this one, which is another than the daemon.
fn wait_for_a_lock(bench: &Bench, over: &AtomicBool) {
    use std::os::fd::AsRawFd;
    while !over.load(Ordering::Relaxed) {
        let folders = fs::read_dir(bench.path("repo/.coral/worktrees")).expect("worktrees");
        let locks = folders.filter_map(|folder| fs::File::open(folder.ok()?.path().join("lock")).ok());
        let held: Vec<fs::File> = locks.collect();
        for lock in &held {
            // SAFETY: flock takes any descriptor.
            unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) };
        }
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| fs::create_dir(bench.worktree().join("aside/waits")));
            std::thread::sleep(std::time::Duration::from_secs(1));
            drop(held);
            let _ = waits.join();
        });
        let _ = fs::remove_dir(bench.worktree().join("aside/waits"));
    }
}

fn percentiles(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() - 1) * part / 1000];
    format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(500), at(990), at(1000))
}
