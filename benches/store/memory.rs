//! The peak memory of storing a model of one 4 GiB tensor, and its next version.

use super::generated::write_weights;
use super::measure::{Taken, disk_bytes, run as run_program};
use super::scratch::Folder;
use std::process::Command;

const LEN: u64 = 4 << 30;

pub fn run(folder: &Folder) {
    let coral = |arguments: &[&str]| -> Taken {
        run_program(Command::new(env!("CARGO_BIN_EXE_coral")).current_dir(folder.path()).args(arguments))
    };
    coral(&["init", "repo"]);
    for (steps, what) in [(0, "new"), (1, "next version, a difference")] {
        write_weights(&folder.path().join("model.safetensors"), LEN, steps);
        let added = coral(&["-C", "repo", "add", "../model.safetensors"]);
        let committed = coral(&["-C", "repo", "commit", "-m", what]);
        println!(
            "4 GiB, {what}: add {:.1} s, {} MB; commit {:.1} s, {} MB; {} MB on disk in all",
            added.time.as_secs_f64(),
            added.peak / 1_000_000,
            committed.time.as_secs_f64(),
            committed.peak / 1_000_000,
            disk_bytes(&folder.path().join("repo/.coral/packs")) / 1_000_000
        );
    }
}
