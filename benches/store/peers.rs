//! The same incompressible data through other programs, where they are installed: the first time, and again under
//! another name when all of it is known.
//!
//! Every program reads one file and ends; the disk is then synced, within the time, so that all promise the same.
//! Coral's turn is its own program too: `add` and `commit`.

use super::generated::write_noise;
use super::measure::{RUNS, Taken, installed, median, run as run_program, sync, timed};
use super::scratch::Folder;
use std::fs;
use std::path::Path;
use std::process::Command;

const LEN: u64 = 384 << 20;

/// A program that keeps files.
struct Peer {
    name: &'static str,
    program: &'static str,
    /// The commands that make an empty repository `repo` in the current folder.
    start: &'static [&'static [&'static str]],
    /// The commands that take in the file FILE.
    keep: &'static [&'static [&'static str]],
    /// Whether it knows bytes again.
    again: bool,
}

const CORAL: &str = env!("CARGO_BIN_EXE_coral");

const PEERS: [Peer; 5] = [
    Peer {
        name: "cp",
        program: "cp",
        start: &[&["mkdir", "repo"]],
        keep: &[&["cp", "FILE", "repo/"]],
        again: false,
    },
    Peer {
        name: "coral add, commit",
        program: CORAL,
        start: &[&[CORAL, "init", "repo"]],
        keep: &[&[CORAL, "-C", "repo", "add", "../FILE"], &[CORAL, "-C", "repo", "commit", "-m", "FILE"]],
        again: true,
    },
    Peer {
        name: "restic backup",
        program: "restic",
        start: &[&["restic", "-r", "repo", "init"]],
        keep: &[&["restic", "-r", "repo", "backup", "FILE"]],
        again: true,
    },
    Peer {
        name: "borg create",
        program: "borg",
        start: &[&["borg", "init", "-e", "none", "repo"]],
        keep: &[&["borg", "create", "history::FILE", "FILE"]],
        again: true,
    },
    Peer {
        name: "git add",
        program: "git",
        start: &[&["git", "init", "repo"]],
        keep: &[&["git", "-C", "repo", "--work-tree", "..", "add", "../FILE"]],
        again: true,
    },
];

pub fn run(folder: &Folder) {
    let files = ["first.safetensors", "again.safetensors"];
    write_noise(&folder.path().join(files[0]), LEN);
    fs::copy(folder.path().join(files[0]), folder.path().join(files[1])).expect("it can be copied");
    sync(folder.path());
    println!("{} MB of noise: MB/s until synced; peak RSS", LEN / 1_000_000);
    let (present, absent): (Vec<Peer>, _) = PEERS.into_iter().partition(|peer| installed(peer.program));
    absent.iter().for_each(|peer| println!("  {:<18} not installed", peer.name));
    let mut taken: Vec<[Vec<Taken>; 2]> = present.iter().map(|_| Default::default()).collect();
    // In turns, so that whatever else the machine does meets all of them.
    for _ in 0..RUNS {
        for (peer, [first, again]) in present.iter().zip(&mut taken) {
            peer.start(folder.path());
            first.push(peer.keep(folder.path(), files[0]));
            if peer.again {
                again.push(peer.keep(folder.path(), files[1]));
            }
            fs::remove_dir_all(folder.path().join("repo")).expect("it can be removed");
        }
    }
    for (peer, [first, again]) in present.iter().zip(&taken) {
        print!("  {:<18} first {}", peer.name, shown(first));
        println!("{}", if peer.again { format!("; again {}", shown(again)) } else { String::new() });
    }
}

impl Peer {
    fn start(&self, folder: &Path) {
        self.start.iter().for_each(|words| _ = run_in(folder, words, ""));
        sync(folder);
    }

    fn keep(&self, folder: &Path, file: &str) -> Taken {
        let taken: Vec<Taken> = self.keep.iter().map(|words| run_in(folder, words, file)).collect();
        let synced = timed(|| sync(folder));
        Taken {
            time: taken.iter().map(|one| one.time).sum::<std::time::Duration>() + synced,
            peak: taken.iter().map(|one| one.peak).max().unwrap_or(0),
        }
    }
}

fn run_in(folder: &Path, words: &[&str], file: &str) -> Taken {
    let words: Vec<String> = words.iter().map(|word| word.replace("FILE", file)).collect();
    let mut command = Command::new(&words[0]);
    // Nothing outside of the folder is read or written: no settings, no caches, no questions.
    let home = folder.join("home");
    command.args(&words[1..]).current_dir(folder).env("HOME", &home).env("XDG_CACHE_HOME", &home);
    command.env("RESTIC_PASSWORD", "bench").env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
    run_program(&mut command)
}

fn shown(taken: &[Taken]) -> String {
    let time = median(taken.iter().map(|one| one.time).collect());
    let peak = median(taken.iter().map(|one| one.peak).collect());
    format!("{:5.0} MB/s, {:4} MB", LEN as f64 / time.as_secs_f64() / 1e6, peak / 1_000_000)
}
