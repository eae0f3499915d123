//! A worktree beside a plain folder: the same calls in an order of chance, with the same answers.
//!
//! Several threads work at once, each in a directory of its own, while commands commit and repack beside them and the
//! mount is taken away and made again between rounds. Whatever a call answers, and whatever can be seen afterwards, is
//! compared with what the disk that the scratch folder is on does.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use crate::seed::{self, Random};
use crate::stage::{Missing, Stage};

const THREADS: usize = 3;
const ROUNDS: usize = 3;
const STEPS: usize = 700;
/// Paths that steps use: some are files at times and directories at others.
const NAMES: &[&str] = &["a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "f/a", "f"];
const OPEN_MAX: usize = 6;
const OFFSET_MAX: usize = 200_000;

/// What a call answered: what it found, or the number of its error.
type Answer = Result<String, i32>;

/// The same thing on both sides.
struct Both<T> {
    mount: T,
    plain: T,
}

impl<T> Both<T> {
    fn of(worker: &Worker, act: impl Fn(&Path) -> io::Result<T>) -> Both<io::Result<T>> {
        Both { mount: act(&worker.mount), plain: act(&worker.plain) }
    }
}

struct Open {
    file: Both<File>,
    said: String,
}

struct Worker {
    mount: PathBuf,
    plain: PathBuf,
    random: Random,
    open: Vec<Open>,
    told: Vec<String>,
}

fn answer<T>(result: io::Result<T>, tell: impl FnOnce(T) -> String) -> Answer {
    result.map(tell).map_err(|error| error.raw_os_error().unwrap_or(-1))
}

fn nothing(_: ()) -> String {
    String::new()
}

/// What `stat` tells that both sides must agree on.
fn facts(metadata: &fs::Metadata) -> String {
    let kind = metadata.file_type();
    // How long a directory or a link is said to be is up to each file system, and so are the times of links.
    match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => format!("dir {:o}", metadata.mode() & 0o7777),
        (_, true) => "link".to_owned(),
        _ => format!("file {:o} {} bytes", metadata.mode() & 0o7777, metadata.len()),
    }
}

fn digest(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(24)]).into_owned();
    let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
    format!("{} bytes {sum:x} {head:?}", bytes.len())
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Worker {
    /// Tells of a step, and compares what it answered.
    fn same(&mut self, said: String, answers: Both<Answer>) {
        let line = format!("{said}: {:?}", answers.plain);
        let is_same = answers.mount == answers.plain;
        self.told.push(line);
        assert!(is_same, "{}\nthe mount answered {:?}", self.last(), answers.mount);
    }

    /// The last steps.
    fn last(&self) -> String {
        let from = self.told.len().saturating_sub(30);
        self.told[from..].join("\n")
    }

    fn by_path<T>(&mut self, said: String, act: impl Fn(&Path) -> io::Result<T>, tell: impl Fn(T) -> String) {
        let Both { mount, plain } = Both::of(self, act);
        self.same(said, Both { mount: answer(mount, &tell), plain: answer(plain, &tell) });
    }

    fn by_file<T>(
        &mut self,
        at: usize,
        said: &str,
        act: impl Fn(&File) -> io::Result<T>,
        tell: impl Fn(T) -> String,
    ) {
        let Open { file, said: name } = &self.open[at];
        let answers = Both { mount: answer(act(&file.mount), &tell), plain: answer(act(&file.plain), &tell) };
        self.same(format!("{name}: {said}"), answers);
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = match self.random.below(4) {
            0 => self.random.below(10),
            1 | 2 => self.random.below(5_000),
            _ => self.random.below(150_000),
        };
        let seed = self.random.next().to_string();
        seed.as_bytes().iter().copied().cycle().take(len).collect()
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.random.below(NAMES.len())]
    }

    fn step(&mut self) {
        match self.random.below(26) {
            0..=4 => self.open_file(),
            5..=12 if !self.open.is_empty() => self.with_open_file(),
            13 | 14 => self.save(),
            15 => {
                let name = self.name();
                self.by_path(format!("unlink {name}"), |top| fs::remove_file(top.join(name)), nothing);
            }
            16 => {
                let name = self.name();
                self.by_path(format!("mkdir {name}"), |top| fs::create_dir(top.join(name)), nothing);
            }
            17 => {
                let name = self.name();
                self.by_path(format!("rmdir {name}"), |top| fs::remove_dir(top.join(name)), nothing);
            }
            18 | 19 => {
                let (from, to) = (self.name(), self.name());
                let act = |top: &Path| fs::rename(top.join(from), top.join(to));
                self.by_path(format!("rename {from} {to}"), act, nothing);
            }
            20 => {
                let (name, target) = (self.name(), self.name());
                let act = |top: &Path| symlink(target, top.join(name));
                self.by_path(format!("symlink {target} {name}"), act, nothing);
            }
            21 => {
                let (name, len) = (self.name(), self.random.below(OFFSET_MAX));
                let act = |top: &Path| {
                    // SAFETY: a path that ends with NUL.
                    checked(unsafe { libc::truncate(c_path(&top.join(name)).as_ptr(), len as i64) })
                };
                self.by_path(format!("truncate {name} {len}"), act, nothing);
            }
            22 => {
                let (name, mode) = (self.name(), 0o600 | self.random.below(0o200) as u32);
                let act = |top: &Path| fs::set_permissions(top.join(name), Permissions::from_mode(mode));
                self.by_path(format!("chmod {mode:o} {name}"), act, nothing);
            }
            23 => {
                let (name, time) = (self.name(), self.random.below(2_000_000_000) as u64);
                let act = |top: &Path| {
                    let time = UNIX_EPOCH + Duration::new(time, 123_456_789);
                    File::open(top.join(name))?.set_modified(time)?;
                    let metadata = fs::metadata(top.join(name))?;
                    Ok((metadata.mtime(), metadata.mtime_nsec()))
                };
                self.by_path(format!("utimens {name} {time}"), act, |times| format!("{times:?}"));
            }
            24 => {
                let name = self.name();
                let act = |top: &Path| fs::metadata(top.join(name));
                self.by_path(format!("stat {name}"), act, |metadata| facts(&metadata));
            }
            _ => {
                let name = self.name();
                let act = |top: &Path| fs::read(top.join(name));
                self.by_path(format!("read {name}"), act, |bytes| digest(&bytes));
            }
        }
    }

    /// Saves a file as programs do: emptied or beside it and moved over it.
    fn save(&mut self) {
        let (name, bytes) = (self.name(), self.bytes());
        match self.random.chance(50) {
            true => {
                let act = |top: &Path| fs::write(top.join(name), &bytes);
                self.by_path(format!("save {name} {}", bytes.len()), act, nothing);
            }
            false => {
                let act = |top: &Path| {
                    let beside = top.join("beside.tmp");
                    fs::write(&beside, &bytes)?;
                    fs::rename(&beside, top.join(name)).inspect_err(|_| drop(fs::remove_file(&beside)))
                };
                self.by_path(format!("save and rename {name} {}", bytes.len()), act, nothing);
            }
        }
    }

    fn open_file(&mut self) {
        if self.open.len() == OPEN_MAX {
            drop(self.open.remove(0));
        }
        let name = self.name();
        let mut how = OpenOptions::new();
        let kind = self.random.below(4);
        how.read(kind != 1).write(kind == 1 || kind == 2);
        if kind == 3 {
            how.append(true);
        }
        let create = kind > 0 && self.random.chance(70);
        let truncate = matches!(kind, 1 | 2) && self.random.chance(30);
        how.create(create).truncate(truncate).mode(0o640);
        let said = format!("open {name} as {kind}, create {create}, truncate {truncate}");
        let opened = Both::of(self, |top| how.open(top.join(name)));
        let tell = |result: &io::Result<File>| match result {
            Ok(_) => Ok(String::new()),
            Err(error) => Err(error.raw_os_error().unwrap_or(-1)),
        };
        self.same(said.clone(), Both { mount: tell(&opened.mount), plain: tell(&opened.plain) });
        if let (Ok(mount), Ok(plain)) = (opened.mount, opened.plain) {
            self.open.push(Open { file: Both { mount, plain }, said });
        }
    }

    fn with_open_file(&mut self) {
        let at = self.random.below(self.open.len());
        let offset = self.random.below(OFFSET_MAX) as u64;
        match self.random.below(12) {
            0 => drop(self.open.remove(at)),
            1 | 2 => {
                let bytes = self.bytes();
                self.by_file(
                    at,
                    &format!("pwrite {offset} {}", bytes.len()),
                    |file| file.write_all_at(&bytes, offset),
                    nothing,
                );
            }
            3 | 4 => {
                let bytes = self.bytes();
                let act = |mut file: &File| file.write_all(&bytes);
                self.by_file(at, &format!("write {}", bytes.len()), act, nothing);
            }
            5 | 6 => {
                let len = self.random.below(OFFSET_MAX);
                let act = |file: &File| {
                    let mut bytes = vec![0; len];
                    let read = file.read_at(&mut bytes, offset)?;
                    bytes.truncate(read);
                    Ok(bytes)
                };
                self.by_file(at, &format!("pread {offset} {len}"), act, |bytes| digest(&bytes));
            }
            7 => self.by_file(at, &format!("ftruncate {offset}"), |file| file.set_len(offset), nothing),
            8 => self.by_file(at, "fsync", File::sync_all, nothing),
            9 => {
                let act = |file: &File| file.metadata();
                let tell =
                    |metadata: fs::Metadata| format!("{} links {}", facts(&metadata), metadata.nlink());
                self.by_file(at, "fstat", act, |metadata| match metadata.is_dir() {
                    // How many links a directory has is up to each file system.
                    true => facts(&metadata),
                    false => tell(metadata),
                });
            }
            10 => {
                let act = |file: &File| {
                    // SAFETY: an open descriptor and numbers.
                    checked(unsafe { libc::fallocate(file.as_raw_fd(), 0, offset as i64, 1_000) })
                };
                self.by_file(at, &format!("fallocate {offset}"), act, nothing);
            }
            _ => {
                let duplicate = |file: &File| file.try_clone().map(drop);
                self.by_file(at, "dup and close", duplicate, nothing);
            }
        }
    }

    /// Everything that can be seen in a directory.
    fn seen(top: &Path) -> BTreeMap<PathBuf, String> {
        let mut seen = BTreeMap::new();
        let mut waiting = vec![top.to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir).expect("a directory") {
                let path = entry.expect("listed").path();
                let metadata = fs::symlink_metadata(&path).expect("listed");
                let mut tell = facts(&metadata);
                if metadata.is_dir() {
                    waiting.push(path.clone());
                } else if metadata.is_symlink() {
                    tell.push_str(&format!(" to {:?}", fs::read_link(&path).expect("a link")));
                } else {
                    tell.push_str(&digest(&fs::read(&path).expect("a file")));
                }
                seen.insert(path.strip_prefix(top).expect("below").to_owned(), tell);
            }
        }
        seen
    }

    fn compare(&self) {
        let (mount, plain) = (Self::seen(&self.mount), Self::seen(&self.plain));
        assert!(mount == plain, "{}\nthe mount has {mount:#?}\nthe folder has {plain:#?}", self.last());
    }

    fn work(&mut self) {
        for step in 0..STEPS {
            self.step();
            if step % 50 == 0 {
                self.compare();
            }
        }
        self.open.clear();
        self.compare();
    }
}

pub fn a_worktree_does_what_a_folder_of_the_disk_does() -> Result<(), Missing> {
    drop(Stage::unmounted()?);
    seed::each(&[1, 2], |seed| {
        let mut stage = Stage::new().expect("it was there before");
        let mut workers: Vec<Worker> = (0..THREADS)
            .map(|number| {
                let name = format!("of{number}");
                Worker {
                    mount: stage.worktree(&name),
                    plain: stage.path("plain").join(&name),
                    random: Random::new(seed * 100 + number as u64),
                    open: Vec::new(),
                    told: Vec::new(),
                }
            })
            .collect();
        for worker in &workers {
            fs::create_dir_all(&worker.mount).expect("room");
            fs::create_dir_all(&worker.plain).expect("room");
        }
        for _ in 0..ROUNDS {
            round(&stage, &mut workers);
            stage.unmount();
            stage.mount(&["repo", "mnt"]);
            workers.iter().for_each(Worker::compare);
        }
        stage.in_repo(&["commit", "--allow-empty", "-m", "the end"]).succeeds();
        for worker in &workers {
            let committed = stage.mnt("HEAD").join(worker.mount.file_name().expect("a name"));
            assert!(Worker::seen(&committed) == Worker::seen(&worker.plain));
        }
        stage.in_repo(&["fsck"]).succeeds();
    });
    Ok(())
}

/// The workers work, and commands commit and repack beside them.
fn round(stage: &Stage, workers: &mut [Worker]) {
    let is_over = AtomicBool::new(false);
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    thread::scope(|threads| {
        let beside = threads.spawn(|| {
            let mut commits = 0;
            while !is_over.load(Ordering::Acquire) {
                commits += 1;
                let message = format!("beside {commits}");
                stage.in_repo(&["commit", "--allow-empty", "-m", &message]).succeeds();
                if commits % 4 == 0 {
                    stage.in_repo(&["repack"]).succeeds();
                }
            }
        });
        let over = Over(&is_over);
        let working: Vec<_> = workers.iter_mut().map(|worker| threads.spawn(|| worker.work())).collect();
        let ended: Vec<_> = working.into_iter().map(thread::ScopedJoinHandle::join).collect();
        drop(over);
        beside.join().expect("commits and repacks succeed");
        for end in ended {
            if let Err(panic) = end {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
