//! One file, a hundred thousand operations of chance on it, and the same on a plain file beside it: every byte that is
//! read, and every length, must be the same. As root, where the kernel reads and writes by itself and where it does not, and
//! as a user without privileges.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;
use std::thread;

use memmap2::{Mmap, MmapMut};

use crate::nobody::{NOBODY, as_nobody, become_nobody, needs_unprivileged_fuse};
use crate::seed::{self, Random};
use crate::stage::{Missing, Stage, coral};

const STEPS: usize = 100_000;
/// Longest file, in bytes: small, so that operations meet each other.
const LEN_MAX: usize = 256 << 10;
/// Longest piece that one operation touches.
const PIECE_MAX: usize = 64 << 10;

/// The file on both sides, open; and on both sides once more, for a reader that stays for a while.
struct Pair {
    mount: File,
    plain: File,
    reader: Option<[File; 2]>,
}

/// What is done at one step.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read,
    MapRead,
    Write,
    MapWrite,
    Cut,
    Reserve,
    Copy,
    Sync,
    /// Opens it once more, and closes it as it was.
    Reopen,
    /// Closes it, and opens it empty.
    Rewrite,
}

const STEPS_OF_CHANCE: &[(Step, usize)] = &[
    (Step::Read, 30),
    (Step::MapRead, 10),
    (Step::Write, 30),
    (Step::MapWrite, 10),
    (Step::Cut, 8),
    (Step::Reserve, 4),
    (Step::Copy, 4),
    (Step::Sync, 1),
    (Step::Reopen, 3),
    (Step::Rewrite, 1),
];

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).expect("openable")
}

fn choose(random: &mut Random) -> Step {
    let mut at = random.below(STEPS_OF_CHANCE.iter().map(|(_, weight)| weight).sum());
    for (step, weight) in STEPS_OF_CHANCE {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *step,
        }
    }
    Step::Read
}

fn read(file: &File, at: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], (at + filled) as u64).expect("readable") {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    bytes
}

fn reserve(file: &File, at: usize, len: usize) -> Result<(), i32> {
    // SAFETY: fallocate takes any numbers.
    match unsafe { libc::fallocate(file.as_raw_fd(), 0, at as i64, len as i64) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or_default()),
    }
}

/// Copies inside a file by the call that programs use for it.
fn copy(file: &File, from: usize, to: usize, len: usize) -> usize {
    let (mut from, mut to) = (from as i64, to as i64);
    let mut copied = 0;
    while copied < len {
        let fd = file.as_raw_fd();
        // SAFETY: both offsets outlive the call.
        let done = unsafe { libc::copy_file_range(fd, &mut from, fd, &mut to, len - copied, 0) };
        assert!(done >= 0, "{}", io::Error::last_os_error());
        match done {
            0 => break,
            done => copied += done as usize,
        }
    }
    copied
}

impl Pair {
    fn open(mount: &Path, plain: &Path) -> Self {
        Self { mount: open(mount), plain: open(plain), reader: None }
    }

    /// Closes it and opens it empty. Every other time a reader has it open all the while.
    fn rewrite(&mut self, random: &mut Random, (mount, plain): (&Path, &Path)) {
        let reader = random.below(2) == 0;
        self.reader = reader.then(|| [mount, plain].map(|path| File::open(path).expect("openable")));
        let nowhere = || File::open("/dev/null").expect("always there");
        (self.mount, self.plain) = (nowhere(), nowhere());
        let empty = |path| OpenOptions::new().read(true).write(true).truncate(true).open(path);
        (self.mount, self.plain) = (empty(mount).expect("openable"), empty(plain).expect("openable"));
    }

    fn each(&self) -> [&File; 2] {
        [&self.mount, &self.plain]
    }

    fn len(&self) -> usize {
        let [mount, plain] = self.each().map(|file| file.metadata().expect("open").len() as usize);
        assert_eq!(mount, plain, "length");
        plain
    }

    fn step(&mut self, step: Step, random: &mut Random, paths: (&Path, &Path)) {
        let len = self.len();
        let (at, piece) = (random.below(LEN_MAX), 1 + random.below(PIECE_MAX));
        let bytes = random.next().to_le_bytes().repeat(piece.div_ceil(8));
        let bytes = &bytes[..piece];
        match step {
            Step::Read => {
                let [mount, plain] = self.each().map(|file| read(file, at, piece));
                assert!(mount == plain, "read of {piece} at {at}");
                if let Some(reader) = &self.reader {
                    assert!(
                        reader.each_ref().map(|file| read(file, at, piece)) == [mount, plain],
                        "by a reader"
                    );
                }
            }
            Step::MapRead if len > 0 => {
                // SAFETY: nobody cuts the files while they are mapped.
                let [mount, plain] = self.each().map(|file| unsafe { Mmap::map(file).expect("mappable") });
                let at = at % len;
                let to = (at + piece).min(len);
                assert!(mount[at..to] == plain[at..to], "mapped {at}..{to}");
            }
            Step::Write => {
                let at = at.min(LEN_MAX - piece.min(LEN_MAX));
                self.each().into_iter().for_each(|file| file.write_all_at(bytes, at as u64).expect("room"));
            }
            Step::MapWrite if len > 0 => {
                let at = at % len;
                let to = (at + piece).min(len);
                for file in self.each() {
                    // SAFETY: nobody cuts the files while they are mapped.
                    let mut map = unsafe { MmapMut::map_mut(file).expect("mappable") };
                    map[at..to].copy_from_slice(&bytes[..to - at]);
                }
            }
            Step::Cut => drop(self.each().map(|file| file.set_len(at as u64).expect("room"))),
            Step::Reserve => {
                let [mount, plain] = self.each().map(|file| reserve(file, at, piece));
                assert_eq!(mount, plain, "fallocate");
            }
            Step::Copy if len > 0 => {
                let from = at % len;
                let piece = piece.min(len - from);
                // Not over itself, which is refused, and not beyond the longest file.
                let to = from + piece;
                if to + piece <= LEN_MAX {
                    let [mount, plain] = self.each().map(|file| copy(file, from, to, piece));
                    assert_eq!(mount, plain, "copied");
                }
            }
            Step::Sync => drop(self.each().map(|file| file.sync_all().expect("durable"))),
            Step::Reopen => (self.mount, self.plain) = (open(paths.0), open(paths.1)),
            Step::Rewrite => self.rewrite(random, paths),
            Step::MapRead | Step::MapWrite | Step::Copy => {}
        }
    }
}

/// All steps, and a last look.
fn exercise(mount: &Path, plain: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let mut pair = Pair::open(mount, plain);
    for _ in 0..STEPS {
        let step = choose(&mut random);
        pair.step(step, &mut random, (mount, plain));
    }
    pair.len();
    let whole = pair.each().map(|file| read(file, 0, LEN_MAX * 2));
    assert!(whole[0] == whole[1], "at the end");
}

pub fn a_hundred_thousand_operations_do_to_a_file_what_they_do_to_a_plain_one() -> Result<(), Missing> {
    exercised_in_a_mount(Stage::new()?)
}

pub fn a_hundred_thousand_operations_without_passthrough_do_the_same() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    stage.mount(&["--no-passthrough", "repo", "mnt"]);
    exercised_in_a_mount(stage)
}

fn exercised_in_a_mount(stage: Stage) -> Result<(), Missing> {
    fs::create_dir(stage.path("plain")).expect("new");
    seed::each(&[1], |seed| exercise(&stage.worktree("file"), &stage.path("plain/file"), seed));
    stage.commit("exercised");
    let (mount, plain) = (fs::read(stage.mnt("HEAD/file")), fs::read(stage.path("plain/file")));
    assert!(mount.expect("committed") == plain.expect("there"));
    Ok(())
}

pub fn a_hundred_thousand_operations_of_a_user_without_privileges_do_the_same() -> Result<(), Missing> {
    needs_unprivileged_fuse()?;
    let mut stage = Stage::unmounted()?;
    let theirs = stage.path("theirs");
    fs::create_dir_all(theirs.join("mnt")).expect("new");
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    for path in [theirs.join("mnt"), theirs.clone()] {
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let program = theirs.join("coral");
    fs::copy(coral(), &program).expect("room");
    let program = program.to_str().expect("our own name").to_owned();
    let mut init = as_nobody(&program);
    stage.run(init.args(["init", "repo"]).current_dir(&theirs).env("HOME", &theirs)).succeeds();
    let mut daemon = as_nobody(&program);
    daemon.args(["mount", "repo", "mnt"]).current_dir(&theirs).env("HOME", &theirs);
    stage.serve(daemon, "theirs/mnt");
    let exercised = thread::scope(|scope| {
        let exercising = scope.spawn(|| {
            become_nobody();
            seed::each(&[2], |seed| {
                exercise(&theirs.join("mnt/worktree/main/file"), &theirs.join("plain"), seed)
            });
        });
        exercising.join()
    });
    if let Err(panic) = exercised {
        std::panic::resume_unwind(panic);
    }
    Ok(())
}
