//! What every disk must do: the same tests on the operating system's and on the simulated one.

use std::path::{Path, PathBuf};

use super::{Disk, FileType, RealDisk, SimulatedDisk};

/// Runs `check` on each kind of disk with an empty directory on it.
fn on_each_disk(check: impl Fn(&dyn Disk, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&RealDisk, dir.path());
    let simulated = SimulatedDisk::new();
    simulated.create_dir_all(Path::new("/some/where")).unwrap();
    check(&simulated, Path::new("/some/where"));
}

fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    disk.create_new(path).unwrap().write_all_at(bytes, 0).unwrap();
}

fn kind<T>(result: super::Result<T>) -> std::io::ErrorKind {
    result.err().expect("must fail").source.kind()
}

#[test]
fn files_keep_what_is_written_at_offsets() {
    on_each_disk(|disk, dir| {
        let path = dir.join("a");
        let file = disk.create_new(&path).unwrap();
        file.write_all_at(b"xyz", 5).unwrap();
        file.write_all_at(b"ab", 0).unwrap();
        assert_eq!(disk.read(&path).unwrap(), b"ab\0\0\0xyz");
        file.set_len(1).unwrap();
        file.set_len(3).unwrap();
        assert_eq!(file.len().unwrap(), 3);
        assert_eq!((*disk.map(&path).unwrap()).as_ref(), b"a\0\0");
        assert_eq!(kind(file.read_exact_at(&mut [0; 2], 2)), std::io::ErrorKind::UnexpectedEof);
        assert!(file.sync().is_ok() && disk.sync_dir(dir).is_ok());
    });
}

#[test]
fn names_are_created_once_listed_sorted_and_removed() {
    on_each_disk(|disk, dir| {
        disk.create_dir_all(&dir.join("d/e")).unwrap();
        disk.create_dir_all(&dir.join("d/e")).unwrap();
        put(disk, &dir.join("b"), b"1");
        put(disk, &dir.join("a"), b"");
        assert_eq!(disk.list(dir).unwrap(), ["a", "b", "d"]);
        assert_eq!(kind(disk.create_new(&dir.join("b"))), std::io::ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.remove_dir(&dir.join("d"))), std::io::ErrorKind::DirectoryNotEmpty);
        disk.remove_dir(&dir.join("d/e")).unwrap();
        disk.remove_dir(&dir.join("d")).unwrap();
        disk.remove_file(&dir.join("b")).unwrap();
        assert_eq!(disk.list(dir).unwrap(), ["a"]);
        assert_eq!((*disk.map(&dir.join("a")).unwrap()).as_ref(), b"");
        assert_eq!(kind(disk.open(&dir.join("b"), false)), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn stat_tells_files_from_directories_from_nothing() {
    on_each_disk(|disk, dir| {
        put(disk, &dir.join("a"), b"123");
        let stat = |name: &str| disk.stat(&dir.join(name)).unwrap().map(|stat| (stat.kind, stat.len));
        assert_eq!(stat("a"), Some((FileType::File, 3)));
        assert_eq!(stat("").map(|(kind, _)| kind), Some(FileType::Dir));
        assert_eq!((stat("b"), stat("a/b")), (None, None));
    });
}

#[test]
fn rename_replaces_files_and_open_files_survive_it() {
    on_each_disk(|disk, dir| {
        let [a, b]: [PathBuf; 2] = ["a", "b"].map(|name| dir.join(name));
        put(disk, &a, b"new");
        put(disk, &b, b"old");
        let old = disk.open(&b, false).unwrap();
        disk.rename(&a, &b).unwrap();
        let mut bytes = [0; 3];
        old.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes, disk.read(&b).unwrap()), (b"old", b"new".to_vec()));
        disk.replace(&b, b"newest").unwrap();
        assert_eq!((disk.list(dir).unwrap(), disk.read(&b).unwrap()), (vec!["b".into()], b"newest".to_vec()));
    });
}

#[test]
fn locks_are_shared_or_exclusive_and_end_when_dropped() {
    on_each_disk(|disk, dir| {
        let path = dir.join("lock");
        let try_lock = |exclusive| disk.lock(&path, exclusive, false).unwrap();
        let (first, second) = (try_lock(false), try_lock(false));
        assert!(first.is_some() && second.is_some() && try_lock(true).is_none());
        drop((first, second));
        let alone = try_lock(true);
        assert!(alone.is_some() && try_lock(false).is_none() && try_lock(true).is_none());
        drop(alone);
        assert!(disk.lock(&path, true, true).unwrap().is_some());
    });
}

#[test]
fn a_file_created_where_a_locked_one_was_unlinked_has_its_own_lock() {
    on_each_disk(|disk, dir| {
        let path = dir.join("lock");
        let _old = disk.lock(&path, true, false).unwrap().unwrap();
        disk.remove_file(&path).unwrap();
        assert!(disk.lock(&path, true, false).unwrap().is_some());
    });
}
