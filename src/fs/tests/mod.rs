//! The file system without FUSE, where one request's way matters: who waits where, what is complete, what is let go.

mod closing;
mod told;
mod worktrees;

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
use crate::worktree::{Branches, Coding, Losing, Tenant};

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
    Branches::of(core.repo()).delete(&branch, Losing::All, &core.shared.signature()).unwrap();
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
