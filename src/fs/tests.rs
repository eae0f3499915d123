//! The file system without FUSE, where one request's way matters: who waits where, what is complete, what is let go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::disk::{Disk, SimulatedDisk};
use crate::history::{BranchName, Intake, LogEntry, Node, Options, Repo, TreePath};
use crate::id::ObjectKey;
use crate::store::StoreError;
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{Branches, Tenant};

use super::attr::{Attr, Kind};
use super::changes::{Changes, SetTime};
use super::command::Commands;
use super::completion::Closer;
use super::errno::{Error, Result};
use super::file_system::{FileSystem, Lookup};
use super::ingest_batch::Storer;
use super::inode::ROOT;
use super::lanes::Lanes;
use super::meter::{Operation, Question};
use super::opening::{OpenMode, Opened};
use super::settings::{Author, Settings, View};
use super::upkeep::Upkeep;
use super::workers::Lane;
use super::worktrees::Worktrees;
use crate::worktree::Coding;

const READ: OpenMode = OpenMode {
    write: false,
    truncate: false,
    exclusive: false,
    drops_privileges: false,
    may_map: false,
    opener: 0,
};
const WRITE: OpenMode = OpenMode { write: true, ..READ };

const REPOSITORY: &str = "/r/.coral";

fn file_system() -> FileSystem {
    file_system_and_disk().0
}

/// The file system of a new repository, and the disk that it is on.
pub(super) fn file_system_and_disk() -> (FileSystem, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    disk.create_dir_all(Path::new("/r")).unwrap();
    Repo::create(Arc::clone(&disk), Path::new(REPOSITORY), &branch("main")).unwrap();
    (open(&disk), disk)
}

fn open(disk: &Arc<dyn Disk>) -> FileSystem {
    open_with_log(disk, None)
}

fn open_with_log(disk: &Arc<dyn Disk>, log: Option<PathBuf>) -> FileSystem {
    let ticks = AtomicI64::new(1_700_000_000);
    let settings = Settings {
        view: View::All,
        author: Author { name: "Ada".into(), ..Author::default() },
        clock: Arc::new(move || Timestamp { seconds: ticks.fetch_add(1, Ordering::Relaxed), nanoseconds: 0 }),
        log,
        auto_commit: None,
        background_ingest: false,
    };
    let repo = Repo::open(Arc::clone(disk), Path::new(REPOSITORY), Options::default());
    FileSystem::new(repo.unwrap(), settings).unwrap()
}

fn branch(name: &str) -> BranchName {
    BranchName::new(name).unwrap()
}

fn find(core: &FileSystem, path: &str) -> Option<Attr> {
    let mut found = None;
    for name in path.split('/') {
        let parent = found.map_or(ROOT, |attr: Attr| attr.ino);
        match core.lookup(parent, name.as_bytes()).unwrap() {
            Lookup::Found(attr, _) => found = Some(attr),
            Lookup::Missing(_) => return None,
        }
    }
    found
}

fn ino(core: &FileSystem, path: &str) -> u64 {
    find(core, path).unwrap().ino
}

/// Saves a file as a program does, and returns its inode number.
pub(super) fn save(core: &FileSystem, dir: &str, name: &str, bytes: &[u8]) -> u64 {
    let (attr, opened) = core.create(ino(core, dir), name.as_bytes(), 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, bytes).unwrap();
    close(core, opened);
    attr.ino
}

fn close(core: &FileSystem, opened: Opened) {
    core.opened(opened.handle).unwrap().flush(|_| Closer::Opener);
    core.release(opened.handle);
}

fn ctl(core: &FileSystem, command: &str) -> Result<()> {
    let opened = core.open(ino(core, ".coral/ctl"), WRITE).unwrap();
    let result = core.opened(opened.handle).unwrap().write(0, command.as_bytes());
    core.release(opened.handle);
    result
}

fn text(core: &FileSystem, path: &str) -> String {
    let opened = core.open(ino(core, path), READ).unwrap();
    let mut bytes = vec![0; 4096];
    let len = core.opened(opened.handle).unwrap().read(0, &mut bytes).unwrap();
    core.release(opened.handle);
    String::from_utf8(bytes[..len].to_vec()).unwrap()
}

fn names(core: &FileSystem, handle: u64, from: u64) -> Vec<String> {
    let listing = core.listing(handle, from).unwrap();
    listing.from(from).map(|(_, entry)| String::from_utf8(entry.name.clone()).unwrap()).collect()
}

fn errno<T>(result: Result<T>) -> Option<i32> {
    result.err().map(|error| error.errno())
}

/// As `coral branch -D` does.
fn delete(core: &FileSystem, name: &str) {
    let branch = branch(name);
    Branches::of(core.repo()).delete(&branch, true, &core.shared.signature()).unwrap();
}

#[test]
fn a_command_does_not_keep_a_mount_that_ends() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    core.shared.ending.stop();
    for command in ["commit -m late", "drain"] {
        let control = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
        let written = core.opened(control.handle).unwrap().write(0, command.as_bytes());
        assert_eq!(errno(written), Some(libc::EINVAL));
        let mut said = vec![0; 4096];
        let len = core.opened(control.handle).unwrap().read(0, &mut said).unwrap();
        core.release(control.handle);
        assert!(String::from_utf8_lossy(&said[..len]).contains("stopped before it was done"));
    }
    assert!(core.repo().refs().branch(&branch("main")).unwrap().is_none());
    // What is committed by the mount itself is what was saved before.
    let id = Commands::of(&core.shared).commit_checkpoint(&branch("main"), "last".into(), BTreeMap::new());
    assert_eq!(core.repo().refs().branch(&branch("main")).unwrap(), Some(id.unwrap()));
}

#[test]
fn what_is_recorded_of_a_close_is_taken_back_only_when_it_was_long_ago() {
    let core = file_system();
    let dir = ino(&core, "worktree/main");
    let (_, opened) = core.create(dir, b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    core.opened(opened.handle).unwrap().flush(|_| Closer::Opener);
    let handle = core.shared.handles.get(opened.handle).unwrap();
    core.shared.handles.void_overdue();
    assert!(handle.worktree().unwrap().is_recorded());
    // It is waited for in vain: somebody has it open still.
    core.shared.closings.wait();
    core.shared.handles.void_overdue();
    assert!(!handle.worktree().unwrap().is_recorded());
    drop(handle);
    core.release(opened.handle);
}

#[test]
fn only_the_first_write_to_a_file_copies_it() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let opened = core.open(file, WRITE).unwrap();
    assert_eq!(Lanes::of(&core.shared).write(opened.handle), Lane::Long);
    core.opened(opened.handle).unwrap().write(0, b"S").unwrap();
    assert_eq!(Lanes::of(&core.shared).write(opened.handle), Lane::Change);
    close(&core, opened);
    // What is emptied, or new, has nothing to copy.
    let emptied = core.open(file, OpenMode { truncate: true, ..WRITE }).unwrap();
    assert_eq!(Lanes::of(&core.shared).write(emptied.handle), Lane::Change);
    close(&core, emptied);
    let (_, new) = core.create(ino(&core, "worktree/main"), b"b", 0o644, WRITE).unwrap();
    assert_eq!(Lanes::of(&core.shared).write(new.handle), Lane::Change);
    let cut = Changes { len: Some(3), ..Changes::default() };
    assert_eq!(Lanes::of(&core.shared).setattr(cut, None), Lane::Long);
    assert_eq!(Lanes::of(&core.shared).setattr(cut, Some(new.handle)), Lane::Change);
    assert_eq!(Lanes::of(&core.shared).sync(new.handle), Lane::Long);
    // It is recorded, which waits for the worktree; who looks does not wait for that.
    assert_eq!(Lanes::of(&core.shared).close(new.handle), Lane::Change);
    close(&core, new);
}

#[test]
fn history_is_read_where_no_worktree_is_waited_for() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let (snapshot, staged) = (ino(&core, "branches/main/a"), file);
    let (snapshot, staged) = (core.open(snapshot, READ).unwrap(), core.open(staged, READ).unwrap());
    assert_eq!(Lanes::of(&core.shared).read(snapshot.handle), Lane::Read);
    assert_eq!(Lanes::of(&core.shared).sync(snapshot.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).close(snapshot.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).close(staged.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).read(staged.handle), Lane::Change);
    let ctl = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
    assert_eq!(Lanes::of(&core.shared).write(ctl.handle), Lane::Long);
}

#[test]
fn a_worktree_that_must_be_opened_first_is_looked_into_in_a_lane_of_its_own() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let entry = LogEntry { who: core.shared.signature(), message: "made".into() };
    let head = core.repo().resolve("HEAD", Timestamp::EPOCH).unwrap();
    let durable = core.repo().store().durable(head).unwrap();
    core.repo().refs().update_branch(&branch("x"), None, durable, &entry).unwrap();
    let root = ino(&core, "worktree/x");
    assert_eq!(
        (Lanes::of(&core.shared).names(root), Lanes::of(&core.shared).naming(root)),
        (Lane::Open, Lane::Open)
    );
    assert!(find(&core, "worktree/x/a").is_some());
    assert_eq!(
        (Lanes::of(&core.shared).names(root), Lanes::of(&core.shared).naming(root)),
        (Lane::Look, Lane::Change)
    );
    assert_eq!(Lanes::of(&core.shared).naming(ino(&core, "worktree")), Lane::Long);
}

#[test]
fn opening_one_worktree_keeps_nobody_from_another() {
    let core = file_system();
    let worktrees = Worktrees::default();
    let (go, gate) = channel::<()>();
    let (at_it, begun) = channel();
    thread::scope(|scope| {
        let (core, worktrees) = (&core, &worktrees);
        let slow = scope.spawn(move || {
            worktrees.find_or_open(&branch("slow"), || {
                at_it.send(()).unwrap();
                gate.recv().unwrap();
                Ok(Tenant::adopt(core.repo().worktree(&branch("main"))?)?)
            })
        });
        begun.recv().unwrap();
        assert!(worktrees.find(&branch("slow")).is_none());
        worktrees
            .find_or_open(&branch("main"), || Ok(Tenant::adopt(core.repo().worktree(&branch("main"))?)?))
            .unwrap();
        assert!(worktrees.find(&branch("main")).is_some());
        worktrees.drop_idle(|_| false);
        go.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
    assert_eq!(worktrees.all().len(), 2);
}

#[test]
fn idle_worktrees_are_let_go_and_those_in_use_are_not() {
    let core = file_system();
    let used = save(&core, "worktree/main", "a", b"saved");
    let is_open = || core.shared.worktrees.find(&branch("main")).is_some();
    let look_often = || (0..100).for_each(|_| Upkeep::of(&core.shared).tidy());
    look_often();
    assert!(is_open(), "the kernel knows a file in it");
    let opened = core.open(used, READ).unwrap();
    core.forget(used, 1);
    look_often();
    assert!(is_open(), "a file is open in it");
    close(&core, opened);
    look_often();
    assert!(is_open(), "what was saved is not durable yet");
    Upkeep::of(&core.shared).sync().unwrap();
    Upkeep::of(&core.shared).tidy();
    assert!(is_open(), "it was used just now");
    look_often();
    assert!(!is_open());
    assert_eq!(text(&core, "worktree/main/a"), "saved");
}

#[test]
fn a_listing_keeps_the_numbers_of_what_it_lists() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    core.forget(file, 1);
    let root = ino(&core, "worktree/main");
    let (handle, _) = core.open_dir(root).unwrap();
    let listing = core.listing(handle, 0).unwrap();
    (0..100).for_each(|_| Upkeep::of(&core.shared).tidy());
    let (attr, _) = core.lookup_listed(root, &listing.names.at(0).unwrap()).unwrap().unwrap();
    assert_eq!(attr.len, 5);
}

#[test]
fn a_branch_that_was_deleted_and_made_again_has_another_worktree() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let rooms = ino(&core, "worktree");
    let root = core.mkdir(rooms, b"x", 0o755).unwrap().ino;
    let old = save(&core, "worktree/x", "old", b"of the first");
    let open = core.open(old, WRITE).unwrap();
    delete(&core, "x");
    Upkeep::of(&core.shared).tidy();
    assert!(core.shared.worktrees.find(&branch("x")).is_none());
    assert_eq!(errno(core.lookup(root, b"old")), Some(libc::ENOENT), "looking makes no worktree");
    core.mkdir(rooms, b"x", 0o755).unwrap();
    let new = save(&core, "worktree/x", "new", b"of the second");
    assert!(find(&core, "worktree/x/old").is_none());
    assert_eq!(text(&core, "worktree/x/new"), "of the second");
    // The number that the kernel has of the old file is not one of the new worktree's.
    assert_ne!(old, new);
    assert_eq!(errno(core.getattr(old)), Some(libc::ESTALE));
    assert_eq!(
        errno(core.rename((old, b"a"), (root, b"b"), crate::worktree::RenameMode::Replace)),
        Some(libc::ESTALE)
    );
    core.release(open.handle);
    assert_eq!(text(&core, "worktree/x/new"), "of the second");
}

#[test]
fn closing_one_of_several_descriptors_completes_nothing() {
    let core = file_system();
    let (_, opened) = core.create(ino(&core, "worktree/main"), b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    // A child that was forked closes its copy.
    core.opened(opened.handle).unwrap().flush(|_| Closer::Opener);
    core.opened(opened.handle).unwrap().write(4, b", and").unwrap();
    assert_eq!(errno(ctl(&core, "commit -m early")), Some(libc::EINVAL));
    assert!(text(&core, ".coral/status").contains("~ a (being written)"));
    core.opened(opened.handle).unwrap().write(9, b" whole").unwrap();
    close(&core, opened);
    ctl(&core, "commit -m whole").unwrap();
    assert_eq!(text(&core, "branches/main/a"), "half, and whole");
}

#[test]
fn a_cut_by_path_does_not_complete_what_another_writes() {
    let core = file_system();
    let (attr, opened) = core.create(ino(&core, "worktree/main"), b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    core.setattr(attr.ino, Changes { len: Some(2), ..Changes::default() }, None).unwrap();
    assert_eq!(errno(ctl(&core, "commit -m early")), Some(libc::EINVAL));
    close(&core, opened);
    core.setattr(attr.ino, Changes { len: Some(1), ..Changes::default() }, None).unwrap();
    ctl(&core, "commit -m whole").unwrap();
    assert_eq!(text(&core, "branches/main/a"), "h");
}

#[test]
fn reading_a_directory_from_its_beginning_lists_it_anew() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"");
    let (handle, _) = core.open_dir(ino(&core, "worktree/main")).unwrap();
    assert_eq!(names(&core, handle, 0), ["a"]);
    save(&core, "worktree/main", "b", b"");
    assert_eq!(names(&core, handle, 1), [""; 0], "what is being read does not change");
    assert_eq!(names(&core, handle, 0), ["a", "b"]);
    core.release(handle);
    assert_eq!(errno(core.open_dir(ino(&core, "worktree/main/a"))), Some(libc::ENOTDIR));
}

/// A safetensors file with one tensor.
fn tensors(name: &str, fill: u8) -> Vec<u8> {
    let mut header =
        format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":[4096],\"data_offsets\":[0,16384]}}}}");
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes.extend((0..4096u32).flat_map(|at| (f32::from(fill) + at as f32).to_le_bytes()));
    bytes
}

#[test]
fn a_damaged_file_costs_only_its_own_name_in_tensors() {
    let (core, disk) = file_system_and_disk();
    let worktree = || core.shared.worktrees.open(&branch("main")).unwrap();
    let packs = Path::new("/r/.coral/packs");
    let packed = || disk.list(packs).unwrap();
    save(&core, "worktree/main", "good.safetensors", &tensors("w", 1));
    Storer::default().store(&worktree(), 0, &Task::default()).unwrap();
    let before = packed();
    save(&core, "worktree/main", "bad.safetensors", &tensors("w", 2));
    Storer::default().store(&worktree(), 0, &Task::default()).unwrap();
    let lost: Vec<String> = packed().into_iter().filter(|name| !before.contains(name)).collect();
    ctl(&core, "commit -m both").unwrap();
    drop(core);
    lost.iter().for_each(|name| drop(disk.remove_file(&packs.join(name))));

    let core = open(&disk);
    let dir = ino(&core, "tensors/main");
    let (handle, _) = core.open_dir(dir).unwrap();
    assert_eq!(names(&core, handle, 0), ["bad.safetensors", "good.safetensors"]);
    let bad = ino(&core, "tensors/main/bad.safetensors");
    let (bad, _) = core.open_dir(bad).unwrap();
    assert_eq!(errno(core.listing(bad, 0)), Some(libc::EIO));
    let good = ino(&core, "tensors/main/good.safetensors");
    let (good, _) = core.open_dir(good).unwrap();
    assert_eq!(names(&core, good, 0), ["w.json", "w.npy"]);
}

#[test]
fn extended_attributes_are_answered_and_not_listed() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    for path in ["branches/main", "branches/main/a", "worktree/main", "worktree/main/a"] {
        assert_eq!(core.listxattr(ino(&core, path)).unwrap(), b"", "{path}");
    }
    assert_eq!(core.getxattr(ino(&core, "branches/main/a"), b"user.coral.id").unwrap().len(), 64);
}

#[test]
fn a_change_shows_in_the_change_time_though_the_other_times_are_put_back() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    let before = core.getattr(file).unwrap();
    let opened = core.open(file, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"SAVED").unwrap();
    close(&core, opened);
    let back = Changes { modified: Some(SetTime::At(before.modified)), ..Changes::default() };
    let after = core.setattr(file, back, None).unwrap();
    assert_eq!((after.len, after.modified), (before.len, before.modified));
    assert!(after.changed > before.changed);
    let mode = core.setattr(file, Changes { mode: Some(0o600), ..Changes::default() }, None).unwrap();
    assert!(mode.changed > after.changed && mode.modified == after.modified);
}

#[test]
fn directories_inherit_the_group_bit() {
    let core = file_system();
    let dir = core.mkdir(ino(&core, "worktree/main"), b"d", 0o755).unwrap();
    core.setattr(dir.ino, Changes { mode: Some(0o2775), ..Changes::default() }, None).unwrap();
    assert_eq!(core.mkdir(dir.ino, b"s", 0o755).unwrap().mode, 0o2755);
    let (file, opened) = core.create(dir.ino, b"f", 0o644, WRITE).unwrap();
    assert_eq!((file.mode, file.kind), (0o644, Kind::File));
    close(&core, opened);
}

#[test]
fn what_people_are_told_is_quoted_line_by_line_and_ends() {
    let core = file_system();
    let name = "red \u{1b}[31m\n  M forged";
    save(&core, "worktree/main", name, b"saved");
    let status = text(&core, ".coral/status");
    assert!(status.contains("  A \"red \\033[31m\\n  M forged\"\n"), "{status}");
    let (_, open) = core.create(ino(&core, "worktree/main"), b"new\nline", 0o644, WRITE).unwrap();
    let opened = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"commit -m 'esc \x1b]0;title\x07'").unwrap();
    let mut said = [0; 4096];
    let len = core.opened(opened.handle).unwrap().read(0, &mut said).unwrap();
    let said = str::from_utf8(&said[..len]).unwrap();
    assert!(said.contains("still being written, is not in the commit: \"new\\nline\"\n"), "{said}");
    core.opened(opened.handle)
        .unwrap()
        .write(0, format!("dance{}\n", "\x1b".repeat(100_000)).as_bytes())
        .unwrap_err();
    let mut said = [0; 1 << 14];
    let len = core.opened(opened.handle).unwrap().read(0, &mut said).unwrap();
    assert!(len < 5000 && said[..len].starts_with(b"`dance\\033\\033"), "{len}");
    let log = text(&core, ".coral/log");
    assert!(log.contains("    esc \\033]0;title\\a\n"), "{log}");
    core.release(opened.handle);
    close(&core, open);
}

#[test]
fn what_waits_to_be_stored_goes_with_the_mount() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    assert!(text(&core, ".coral/status").contains("  A a\n"));
    let queue = Arc::downgrade(&core.shared.ingest);
    let worktree = core.shared.worktrees.find(&branch("main")).unwrap();
    drop(core);
    assert!(
        queue.upgrade().is_none(),
        "whoever has a worktree still, as the thread of the queue may, does not hold it"
    );
    drop(worktree);
}

#[test]
fn a_file_that_cannot_be_stored_costs_no_other_and_waits_for_the_commit() {
    let core = file_system();
    for name in ["a", "bad\n", "c", "long", "sour"] {
        save(&core, "worktree/main", name, name.as_bytes());
    }
    let worktree = core.shared.worktrees.find(&branch("main")).unwrap();
    let tries = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&tries);
    let mut storer =
        Storer::taking(move |worktree, ingest, file, parent, task| match file.path.to_string().as_str() {
            "bad\n" => {
                counted.fetch_add(1, Ordering::Relaxed);
                panic!("one bad file");
            }
            "sour" => Err(crate::worktree::Error::LostBytes(file.path.clone())),
            "long" => {
                let key = ObjectKey::from_bytes([1; 16]);
                Err(crate::history::Error::from(StoreError::TooLong { key, len: u64::MAX }).into())
            }
            _ => worktree.staging().ingest(ingest, file, parent, Coding::Now, &Intake::begin(task, file.len)),
        });
    let waiting = || -> Vec<String> {
        worktree.staging().complete().unwrap().iter().map(|file| file.path.to_string()).collect()
    };
    let why = storer.store(&worktree, 0, &Task::default()).unwrap_err();
    assert!(why.contains("lost bytes of `sour`"), "{why}");
    assert_eq!(waiting(), ["bad\n", "long", "sour"]);
    core.unlink(ino(&core, "worktree/main"), b"long").unwrap();
    core.unlink(ino(&core, "worktree/main"), b"sour").unwrap();
    assert_eq!(storer.store(&worktree, 0, &Task::default()).unwrap_err(), r#"`"bad\n"` waits for a commit"#);
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    ctl(&core, "commit -m all").unwrap();
    assert_eq!(text(&core, "branches/main/bad\n"), "bad\n");
    assert_eq!(storer.store(&worktree, 0, &Task::default()), Ok(()));
}

/// A file whose last version is a difference to the one before, and so on.
fn file_with_history(core: &FileSystem, versions: u32) -> Vec<u8> {
    let payload = |version: u32| {
        let number =
            move |at: u32| 0x3c00_0000 + at.wrapping_mul(0x9e37_79b1) % 0x7f_ffff + version * (at % 3);
        (0..200_000).flat_map(move |at| number(at).to_le_bytes())
    };
    let header = r#"{"w":{"dtype":"F32","shape":[200000],"data_offsets":[0,800000]}}"#;
    let mut bytes = Vec::new();
    for version in 0..versions {
        bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(payload(version));
        save(core, "worktree/main", "m.safetensors", &bytes);
        ctl(core, &format!("commit -m {version}")).unwrap();
    }
    let repo = core.repo();
    let tip = repo.refs().branch(&branch("main")).unwrap().unwrap();
    let tree = repo.commit(tip).unwrap().tree;
    let entry = repo.find_in_tree(tree, &TreePath::parse("m.safetensors").unwrap()).unwrap().unwrap();
    let Node::File { recipe, .. } = entry.node else { panic!("not a file") };
    let key = repo.recipe(recipe).unwrap().keys().last().unwrap();
    assert_eq!(u32::from(repo.store().info(key).unwrap().unwrap().depth), versions - 1);
    bytes
}

#[test]
fn what_is_known_of_a_tensor_is_as_long_as_its_listing_says_however_it_is_stored() {
    for versions in [1, 3] {
        let core = file_system();
        file_with_history(&core, versions);
        let before = core.repo().store().lookups();
        let attr = find(&core, "tensors/main/m.safetensors/w.json").unwrap();
        assert_eq!(core.repo().store().lookups(), before, "no object is looked up to list it");
        let text = text(&core, "tensors/main/m.safetensors/w.json");
        assert_eq!(text.len() as u64, attr.len);
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let encoding = if versions == 1 { "compressed" } else { "delta" };
        assert_eq!((&facts["encoding"], &facts["bytes"]), (&encoding.into(), &800_000.into()), "{facts}");
        assert_eq!(facts["base"].is_null(), versions == 1);
    }
}

#[test]
fn reading_an_open_file_on_costs_the_same_however_long_its_history_is() {
    let mut looked = Vec::new();
    for versions in [1, 5] {
        let core = file_system();
        let bytes = file_with_history(&core, versions);
        let tensor = core.open(ino(&core, "tensors/main/m.safetensors/w.npy"), READ).unwrap();
        for path in ["branches/main/m.safetensors", "worktree/main/m.safetensors"] {
            let opened = core.open(ino(&core, path), READ).unwrap();
            let mut buf = vec![0; 128 << 10];
            let read = |offset: usize, buf: &mut [u8]| {
                let got = core.opened(opened.handle).unwrap().read(offset as u64, buf).unwrap();
                assert!(buf[..got] == bytes[offset..offset + got], "{path}");
                core.opened(tensor.handle).unwrap().read(offset as u64, buf).unwrap();
            };
            read(0, &mut buf);
            let before = core.repo().store().lookups();
            (0..bytes.len()).step_by(buf.len()).for_each(|offset| read(offset, &mut buf));
            looked.push(core.repo().store().lookups() - before);
            core.release(opened.handle);
        }
        core.release(tensor.handle);
    }
    assert_eq!(looked, [0; 4]);
}

#[test]
fn trouble_is_told_with_its_path_while_the_mount_lives_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mount.log");
    let (core, disk) = file_system_and_disk();
    drop(core);
    let core = open_with_log(&disk, Some(log.clone()));
    assert_eq!(text(&core, ".coral/errors"), "");
    let file = save(&core, "worktree/main", "a\nb", b"saved");
    let (read, moved) = (
        Question::of_node(Operation::Read, file),
        Question::of_name(Operation::Rename, ino(&core, "worktree/main"), b"c"),
    );
    let note =
        |question, error: Error| Upkeep::of(&core.shared).note_answer(question, Duration::ZERO, Some(&error));
    note(&read, Error::NoSpace);
    note(&read, Error::NoEntry);
    note(&moved, Error::NoSpace);
    let told = text(&core, ".coral/errors");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].contains(r#" UTC read "worktree/main/a\nb": no space left: No space left on device"#),
        "{told}"
    );
    assert!(lines[1].contains(" UTC rename worktree/main/c: no space left: "), "{told}");
    assert!(lines.len() == 3 && lines[2].ends_with("/mount.log"), "{told}");
    drop(core);
    let logged = std::fs::read_to_string(&log).unwrap();
    let logged: Vec<&str> = logged.lines().map(|line| line.split_once(" UTC ").unwrap().1).collect();
    let process = std::process::id();
    for (line, told) in logged.iter().zip(&lines) {
        assert_eq!(*line, format!("{process} {}", told.split_once(" UTC ").unwrap().1));
    }
    assert_eq!(logged.len(), 2);
}

#[test]
fn what_was_in_doubt_when_a_worktree_was_opened_is_told() {
    let simulated = SimulatedDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    disk.create_dir_all(Path::new("/r")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    Repo::create(Arc::clone(&disk), Path::new(REPOSITORY), &branch("main")).unwrap();
    let core = open(&disk);
    let file = save(&core, "worktree/main", "a", b"first");
    let opened = core.open(file, READ).unwrap();
    core.opened(opened.handle).unwrap().fsync().unwrap();
    core.release(opened.handle);
    let opened = core.open(file, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"SECOND").unwrap();
    close(&core, opened);
    // The record that the second version is complete reaches the disk, its bytes need not.
    core.mkdir(ino(&core, "worktree/main"), b"d", 0o755).unwrap();
    core.fsync_dir(ino(&core, "worktree/main")).unwrap();
    let told = (0..16).map(|seed| {
        let core = open(&(Arc::new(simulated.crash_image(seed)) as Arc<dyn Disk>));
        find(&core, "worktree/main/a").unwrap();
        (text(&core, ".coral/errors"), text(&core, ".coral/status"))
    });
    let told: Vec<(String, String)> = told.filter(|(errors, _)| !errors.is_empty()).collect();
    assert!(!told.is_empty());
    for (errors, status) in told {
        assert!(errors.starts_with("a of worktree main was not yet on the disk when"), "{errors}");
        assert!(status.contains("  ! a of worktree main was not yet on the disk when"), "{status}");
    }
}

#[test]
fn equal_files_of_a_tree_are_different_nodes_and_every_ref_leads_to_the_same() {
    let core = file_system();
    core.mkdir(ino(&core, "worktree/main"), b"d", 0o755).unwrap();
    for dir in ["worktree/main", "worktree/main/d"] {
        let file = save(&core, dir, "m.safetensors", &tensors("w", 1));
        let time = Some(SetTime::At(Timestamp::EPOCH));
        core.setattr(file, Changes { modified: time, ..Changes::default() }, None).unwrap();
    }
    ctl(&core, "commit -m twins -t v1").unwrap();
    for (one, other) in [
        ("m.safetensors", "d/m.safetensors"),
        ("m.safetensors/w.npy", "d/m.safetensors/w.npy"),
        ("m.safetensors/w.json", "d/m.safetensors/w.json"),
    ] {
        let tops = match one.contains('/') {
            true => ["tensors/main", "tensors/v1"],
            false => ["branches/main", "tags/v1"],
        };
        let number = |top: &str, path: &str| ino(&core, &format!("{top}/{path}"));
        assert_ne!(number(tops[0], one), number(tops[0], other), "{one}");
        assert_eq!(number(tops[0], other), number(tops[1], other), "{other}");
        assert_eq!(number(tops[0], one), number(tops[1], one), "{one}");
    }
}
