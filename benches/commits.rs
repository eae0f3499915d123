//! Commits beside busy writers: `cargo bench --bench commits [-- SECONDS]` (default 60).
//!
//! Three threads save, rename and unlink small files through a mount; meanwhile one commit follows the other, each by a
//! process of its own. Prints how many landed at the first try, and how long they took. `CORAL` names another binary
//! to measure.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: usize = 3;
const FILES: usize = 20;
const FILE_LEN: usize = 30_000;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let seconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(60);
    let folder = tempfile::Builder::new()
        .prefix("coral-bench-")
        .tempdir_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("target"))?;
    let coral = |arguments: &[&str]| coral(folder.path(), arguments);
    fs::create_dir(folder.path().join("mnt"))?;
    coral(&["init", "repo"])?;
    coral(&["mount", "--daemon", "repo", "mnt"])?;
    let worktree = folder.path().join("mnt/worktree/main");
    let over = AtomicBool::new(false);
    let measured = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (worktree, over) = (&worktree, &over);
            scope.spawn(move || write(worktree, writer, over));
        }
        let measured = commits(folder.path(), Duration::from_secs(seconds));
        over.store(true, Ordering::Relaxed);
        measured
    });
    let checked = coral(&["-C", "repo", "fsck", "--full"]);
    coral(&["umount", "mnt"])?;
    let Measured { mut landed, nothing, failed } = measured?;
    landed.sort_by(f64::total_cmp);
    println!(
        "{} landed, {nothing} had nothing to commit, {} failed; median {:.3} s, longest {:.3} s; fsck {}",
        landed.len(),
        failed.len(),
        landed.get(landed.len() / 2).copied().unwrap_or(f64::NAN),
        landed.last().copied().unwrap_or(f64::NAN),
        if checked?.status.success() { "clean" } else { "found damage" },
    );
    failed.iter().take(3).for_each(|said| println!("failed: {said}"));
    Ok(())
}

/// Saves, renames and removes, until it is over.
fn write(worktree: &Path, writer: usize, over: &AtomicBool) {
    for round in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let path = worktree.join(format!("w{writer}-{}", round % FILES));
        let temporary = worktree.join(format!("w{writer}.tmp"));
        fs::write(&temporary, vec![round as u8; FILE_LEN]).expect("the mount takes saves");
        fs::rename(&temporary, &path).expect("the mount renames");
        if round % 3 == 0 {
            fs::remove_file(&path).expect("the mount removes");
        }
    }
}

struct Measured {
    /// Seconds that each commit took.
    landed: Vec<f64>,
    nothing: usize,
    failed: Vec<String>,
}

fn commits(folder: &Path, longest: Duration) -> Result<Measured, Error> {
    let mut measured = Measured { landed: Vec::new(), nothing: 0, failed: Vec::new() };
    let begun = Instant::now();
    while begun.elapsed() < longest {
        let start = Instant::now();
        let output = coral(folder, &["-C", "repo", "commit", "-m", "beside writers"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.success() {
            true => measured.landed.push(start.elapsed().as_secs_f64()),
            false if said.contains("nothing to commit") => measured.nothing += 1,
            false => measured.failed.push(said),
        }
    }
    Ok(measured)
}

fn coral(folder: &Path, arguments: &[&str]) -> Result<Output, Error> {
    let program = std::env::var_os("CORAL").unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_coral")));
    Ok(Command::new(program).current_dir(folder).args(arguments).stdin(Stdio::null()).output()?)
}
