//! Many readers, and everything that happens to a store beside them: what they get is right or an error, and nobody hangs.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use memmap2::Mmap;

use crate::stage::{Missing, Stage, detach, weights};

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for something that may hang; a thread that does is left behind.
#[track_caller]
fn ends<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waited) = channel();
    thread::spawn(move || done.send(act()));
    waited.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} hangs, or panicked"))
}

/// Weights of which a fraction moved since another seed's: what is stored of them is a difference.
fn moved(step: u64, bytes: usize) -> Vec<u8> {
    let mut all = weights(1, bytes);
    for (at, number) in
        all.chunks_exact_mut(4).enumerate().filter(|(at, _)| (*at as u64).wrapping_mul(7919) % 5 == step % 5)
    {
        let value = f32::from_le_bytes(number.try_into().expect("four bytes"))
            * (1.0 + 1e-4 * (step + at as u64 % 3) as f32);
        number.copy_from_slice(&value.to_le_bytes());
    }
    all
}

/// Commits of a `model`, one after the other, each a difference to the one before when it is coded.
fn commit_steps(stage: &Stage, steps: std::ops::Range<u64>, bytes: usize) -> Vec<(PathBuf, Vec<u8>)> {
    let commit = |step| {
        let model = moved(step, bytes);
        fs::write(stage.worktree("model"), &model).expect("room");
        let id = stage.commit(&format!("step {step}"));
        (stage.mnt(&format!("commits/{id}/model")), model)
    };
    steps.map(commit).collect()
}

pub fn sixteen_threads_fault_one_mapping_of_a_difference() -> Result<(), Missing> {
    const LEN: usize = 24 << 20;
    let mut stage = Stage::unmounted()?;
    // Neither copies nor the kernel's own reading: each page comes from the decoder.
    stage.in_repo(&["config", "set", "core.plain_size", "0"]).succeeds();
    stage.mount(&["--no-passthrough", "repo", "mnt"]);
    let steps = commit_steps(&stage, 0..3, LEN);
    stage.in_repo(&["drain"]).succeeds();
    stage.unmount();
    stage.mount(&["--no-passthrough", "repo", "mnt"]);
    let (path, bytes) = steps.into_iter().last().expect("three");
    ends("a mapping", move || {
        // SAFETY: a file of the history never changes.
        let map = unsafe { Mmap::map(&File::open(path).expect("there")).expect("mappable") };
        let (map, bytes) = (&map[..], &bytes[..]);
        thread::scope(|threads| {
            for number in 0..16 {
                threads.spawn(move || {
                    // Each in another order: from another page on, and every second one backwards.
                    let pages = LEN / 4096;
                    for step in 0..pages {
                        let page = (number * pages / 16 + step) % pages;
                        let page = if number % 2 == 0 { page } else { pages - 1 - page };
                        let range = page * 4096..(page + 1) * 4096;
                        assert!(map[range.clone()] == bytes[range], "page {page} in thread {number}");
                    }
                });
            }
        });
    });
    stage.unmount();
    Ok(())
}

/// Reads a file in pieces, and says whether that went wrong; bytes that are not the file's end the test.
fn reads(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let (mut piece, mut at) = (vec![0; 300_000], 0);
    loop {
        let got = file.read(&mut piece)?;
        if got == 0 {
            assert_eq!(at, bytes.len(), "{}: it ended early", path.display());
            return Ok(());
        }
        assert!(piece[..got] == bytes[at..at + got], "{}: wrong bytes behind {at}", path.display());
        at += got;
    }
}

pub fn readers_see_right_bytes_whatever_is_done_to_the_store_and_the_mount() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let steps = commit_steps(&stage, 0..4, 4 << 20);
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let is_gone = AtomicBool::new(false);
    thread::scope(|threads| {
        for number in 0..8 {
            let (steps, stop, rounds, is_gone) = (&steps, &stop, &rounds, &is_gone);
            threads.spawn(move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (path, bytes) = &steps[(number + round) % steps.len()];
                    match reads(path, bytes) {
                        Ok(()) => drop(rounds.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => assert!(is_gone.load(Ordering::Relaxed), "{error}"),
                    }
                }
            });
        }
        // Whatever goes wrong here, the readers end.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let read_more = |stage: &Stage| {
                let before = rounds.load(Ordering::Relaxed);
                stage.wait_until("everybody reads", || rounds.load(Ordering::Relaxed) > before + 8);
            };
            for step in 4..7 {
                commit_steps(&stage, step..step + 1, 4 << 20);
                read_more(&stage);
            }
            stage.in_repo(&["drain"]).succeeds();
            read_more(&stage);
            stage.in_repo(&["repack"]).succeeds();
            read_more(&stage);
            is_gone.store(true, Ordering::Relaxed);
            detach(&stage.mnt(""));
            assert!(stage.signal_daemon(libc::SIGTERM), "it ends as it should");
        }));
        stop.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    stage.mount(&["repo", "mnt"]);
    for (path, bytes) in &steps {
        reads(path, bytes).expect("it is served again");
    }
    stage.unmount();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_daemon_that_is_killed_while_it_packs_and_files_are_open_loses_nothing_and_nobody_hangs()
-> Result<(), Missing> {
    let mut stage = Stage::new()?;
    for round in 0..4u64 {
        // Packing begins by itself, and is somewhere when the daemon dies.
        let steps = commit_steps(&stage, 3 * round..3 * round + 3, 6 << 20);
        let mut readers: Vec<File> = steps.iter().map(|(path, _)| File::open(path).expect("there")).collect();
        readers[0].read_exact(&mut [0; 1000]).expect("readable");
        let mut writer =
            OpenOptions::new().create(true).append(true).open(stage.worktree("open")).expect("room");
        writer.write_all(b"half").expect("room");
        let folder = File::open(stage.worktree("")).expect("there");
        stage.wait_until("packing has gone on or ended", || stage.in_repo(&["stats"]).is_success());
        stage.kill_daemon();
        // Whoever has something open gets what the kernel has, or an error; and can let go.
        let lens: Vec<usize> = steps.iter().map(|(_, bytes)| bytes.len()).collect();
        let path = stage.worktree("model");
        ends("who uses a dead mount", move || {
            for (reader, len) in readers.iter().zip(lens) {
                let _ = reader.read_at(&mut vec![0; 4096], len as u64 / 2);
            }
            let _ = writer.write_all(b" and more");
            let _ = writer.sync_all();
            let _ = folder.metadata();
            assert!(File::open(path).is_err(), "nobody answers");
            drop((readers, writer, folder));
        });
        detach(&stage.mnt(""));
        stage.mount(&["repo", "mnt"]);
        for (path, bytes) in &steps {
            reads(path, bytes).expect("it was committed");
        }
        assert!(fs::read(stage.worktree("open")).expect("what arrived is there").starts_with(b"half"));
        stage.in_repo(&["restore", "open"]).succeeds();
    }
    stage.in_repo(&["drain"]).succeeds();
    stage.unmount();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}
