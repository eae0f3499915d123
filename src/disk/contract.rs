//! What every disk must do: the same tests on the operating system's and on the simulated one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Disk, FileType, Patience, RealDisk, SimulatedDisk};

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
fn a_descriptor_that_is_lent_is_of_the_file() {
    on_each_disk(|disk, dir| {
        put(disk, &dir.join("a"), b"bytes");
        let file = disk.open(&dir.join("a"), false).unwrap();
        assert_eq!(file.as_fd().is_some(), disk.is_native());
        if let Some(descriptor) = file.as_fd() {
            let same = std::fs::File::from(descriptor.try_clone_to_owned().unwrap());
            let mut read = [0; 5];
            std::os::unix::fs::FileExt::read_exact_at(&same, &mut read, 0).unwrap();
            assert_eq!(&read, b"bytes");
        }
    });
}

#[test]
fn a_file_with_two_names_is_one_file_and_stays_as_long_as_one_of_them() {
    on_each_disk(|disk, dir| {
        let (one, other) = (dir.join("a"), dir.join("b"));
        put(disk, &one, b"bytes");
        disk.link(&one, &other).unwrap();
        assert_eq!(kind(disk.link(&one, &other)), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.link(&dir.join("none"), &dir.join("c"))), ErrorKind::NotFound);
        let id = |path: &Path| disk.stat(path).unwrap().unwrap().id;
        assert_eq!(id(&one), id(&other));
        let file = disk.open(&other, false).unwrap();
        assert_eq!(file.names().unwrap(), 2);
        disk.remove_file(&one).unwrap();
        assert_eq!(file.names().unwrap(), 1);
        assert_eq!(disk.read(&other).unwrap(), b"bytes");
    });
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a path that ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let disk = RealDisk;
    for path in [pipe.as_path(), folder.path(), Path::new("/dev/null")] {
        assert!(disk.open(path, false).is_err(), "{}", path.display());
        assert!(disk.map(path).is_err() && disk.lock(path, true, Patience::Try).is_err());
    }
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
        let try_lock = |exclusive| disk.lock(&path, exclusive, Patience::Try).unwrap();
        let (first, second) = (try_lock(false), try_lock(false));
        assert!(first.is_some() && second.is_some() && try_lock(true).is_none());
        drop((first, second));
        let alone = try_lock(true);
        assert!(alone.is_some() && try_lock(false).is_none() && try_lock(true).is_none());
        drop(alone);
        assert!(disk.lock(&path, true, Patience::BRIEF).unwrap().is_some());
    });
}

#[test]
fn a_file_created_where_a_locked_one_was_unlinked_has_its_own_lock() {
    on_each_disk(|disk, dir| {
        let path = dir.join("lock");
        let _old = disk.lock(&path, true, Patience::Try).unwrap().unwrap();
        disk.remove_file(&path).unwrap();
        assert!(disk.lock(&path, true, Patience::Try).unwrap().is_some());
    });
}

#[test]
fn a_lock_file_that_is_held_open_excludes_whoever_opens_it_and_tells_that_it_is_another() {
    on_each_disk(|disk, dir| {
        let path = dir.join("lock");
        let held = disk.open_lock(&path).unwrap();
        let is_same = || disk.stat(&path).unwrap().is_some_and(|stat| stat.id == held.id().unwrap());
        for _ in 0..2 {
            let lock = Arc::clone(&held).lock(Patience::Try).unwrap().unwrap();
            assert!(disk.lock(&path, true, Patience::Try).unwrap().is_none() && is_same());
            drop(lock);
            let other = disk.lock(&path, true, Patience::Try).unwrap().unwrap();
            assert!(Arc::clone(&held).lock(Patience::Try).unwrap().is_none());
            let waited = Arc::clone(&held).lock(Patience::For(Duration::from_millis(1)));
            assert_eq!(waited.map(drop).unwrap_err().source.kind(), ErrorKind::TimedOut);
            drop(other);
        }
        disk.remove_file(&path).unwrap();
        assert!(!is_same());
        disk.open_lock(&path).unwrap();
        assert!(!is_same());
    });
}

#[test]
fn a_change_of_a_folder_shows_against_the_clock_of_its_disk() {
    on_each_disk(|disk, dir| {
        let file = disk.create_new(&dir.join("file")).unwrap();
        let folder = disk.stat(dir).unwrap().unwrap().changed;
        file.write_all_at(b"later", 0).unwrap();
        assert!(file.changed().unwrap() >= folder);
    });
}

#[test]
fn a_wait_for_a_lock_ends_with_an_error_that_names_the_file() {
    on_each_disk(|disk, dir| {
        let path = dir.join("lock");
        let _held = disk.lock(&path, true, Patience::Try).unwrap().unwrap();
        let waited = disk.lock(&path, true, Patience::For(Duration::from_millis(1)));
        let error = waited.map(drop).unwrap_err();
        assert_eq!((error.source.kind(), error.path), (ErrorKind::TimedOut, path));
    });
}

#[test]
fn an_open_file_is_marked_by_one_until_it_closes_it() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        let (first, second) = (disk.create_new(&path).unwrap(), disk.open(&path, true).unwrap());
        assert!(first.try_lock().unwrap() && first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        assert!(second.is_locked().unwrap() && !first.is_locked().unwrap());
        drop(first);
        assert!(!second.is_locked().unwrap());
        assert!(second.try_lock().unwrap());
    });
}

#[test]
fn who_asks_whether_a_file_is_marked_is_in_nobody_s_way() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        drop(disk.create_new(&path).unwrap());
        std::thread::scope(|scope| {
            let asking = [(); 2].map(|()| {
                let (disk, path) = (&disk, &path);
                scope.spawn(move || (0..500).any(|_| disk.open(path, false).unwrap().is_locked().unwrap()))
            });
            assert!(asking.into_iter().all(|asking| !asking.join().unwrap()), "they see each other");
        });
        std::thread::scope(|scope| {
            let (disk, path) = (&disk, &path);
            scope.spawn(move || (0..500).for_each(|_| drop(disk.open(path, false).unwrap().is_locked())));
            assert!((0..500).all(|_| disk.open(path, true).unwrap().try_lock().unwrap()));
        });
    });
}

#[test]
fn what_the_disk_took_together_is_kept_and_checking_makes_nothing_durable() {
    on_each_disk(|disk, dir| {
        let file = disk.create_new(&dir.join("file")).unwrap();
        file.check_kept().unwrap();
        file.write_all_at(b"bytes", 0).unwrap();
        file.check_kept().unwrap();
        disk.sync_below(dir).unwrap();
        file.check_kept().unwrap();
        assert_eq!(disk.read(&dir.join("file")).unwrap(), b"bytes");
    });
    let disk = SimulatedDisk::new();
    let survives = |disk: &SimulatedDisk| {
        (0..32)
            .all(|seed| disk.crash_image(seed).read(Path::new("/file")).is_ok_and(|bytes| bytes == b"bytes"))
    };
    let file = disk.create_new(Path::new("/file")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    file.check_kept().unwrap();
    assert!(!survives(&disk));
    disk.sync_below(Path::new("/")).unwrap();
    assert!(survives(&disk));
}

#[test]
fn a_file_is_the_same_under_any_name_and_another_when_it_is_made_again() {
    on_each_disk(|disk, dir| {
        let (path, moved) = (dir.join("file"), dir.join("moved"));
        let file = disk.create_new(&path).unwrap();
        disk.rename(&path, &moved).unwrap();
        assert_eq!(disk.stat(&moved).unwrap().unwrap().id, file.id().unwrap());
        disk.create_new(&path).unwrap();
        assert_ne!(disk.stat(&path).unwrap().unwrap().id, file.id().unwrap());
        disk.remove_file(&moved).unwrap();
        assert_eq!(disk.stat(&moved).unwrap(), None);
        assert!(file.id().is_ok());
    });
}

#[test]
fn an_open_file_tells_when_its_bytes_changed() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        let file = disk.create_new(&path).unwrap();
        let before = file.modified().unwrap();
        // A clock may stand still for some milliseconds.
        let later = (0..10_000u32).any(|byte| {
            file.write_all_at(&byte.to_le_bytes(), 0).unwrap();
            file.modified().unwrap() > before
        });
        assert!(later);
        assert_eq!(disk.stat(&path).unwrap().unwrap().modified, file.modified().unwrap());
    });
}

#[test]
fn a_mark_is_handed_on_without_a_moment_in_between() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        let (first, second) = (disk.create_new(&path).unwrap(), disk.open(&path, false).unwrap());
        let other = disk.open(&path, true).unwrap();
        assert!(first.try_lock().unwrap() && !second.try_lock_shared().unwrap());
        assert!(first.try_lock_shared().unwrap() && second.try_lock_shared().unwrap());
        assert!(!other.try_lock().unwrap() && other.is_locked().unwrap());
        drop(first);
        assert!(!other.try_lock().unwrap() && other.is_locked().unwrap());
        drop(second);
        assert!(other.try_lock().unwrap());
    });
}

#[test]
fn an_open_file_is_opened_for_writing_though_it_has_no_name() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        drop(disk.create_new(&path).unwrap());
        let reader = disk.open(&path, false).unwrap();
        disk.remove_file(&path).unwrap();
        reader.to_write().unwrap().write_all_at(b"bytes", 0).unwrap();
        let mut bytes = [0; 5];
        reader.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"bytes");
        assert!(!reader.has_writers().unwrap());
    });
}

#[test]
fn who_reads_a_file_is_told_whether_anybody_can_write_to_it() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        let writer = disk.create_new(&path).unwrap();
        let reader = disk.open(&path, false).unwrap();
        assert!(reader.has_writers().unwrap());
        drop(writer);
        let _second = disk.open(&path, false).unwrap();
        assert!(!reader.has_writers().unwrap() && !reader.has_writers().unwrap());
        let _writer = disk.open(&path, true).unwrap();
        assert!(reader.has_writers().unwrap());
    });
}

/// Whoever begins to write while it is asked is not kept from it, and nobody is killed.
#[test]
fn who_asks_for_writers_is_in_nobody_s_way() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        drop(disk.create_new(&path).unwrap());
        std::thread::scope(|scope| {
            let (disk, path) = (&disk, &path);
            scope.spawn(move || {
                let reader = disk.open(path, false).unwrap();
                (0..2000).for_each(|_| {
                    reader.has_writers().unwrap();
                });
            });
            (0..2000).for_each(|_| drop(disk.open(path, true).unwrap()));
        });
    });
}

#[test]
fn a_run_goes_on_as_long_as_nobody_ends_it() {
    on_each_disk(|disk, dir| {
        let before = disk.run(dir);
        put(disk, &dir.join("a"), b"1");
        let now = disk.run(dir);
        assert_eq!(now, before);
        assert!(now.is_same(&before) && (!now.boot.is_known() || now.keeps_what_was_written_in(&before)));
    });
}

#[test]
fn room_that_was_reserved_can_be_written_and_changes_no_length() {
    on_each_disk(|disk, dir| {
        let file = disk.create_new(&dir.join("file")).unwrap();
        file.reserve(10_000).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_all_at(b"bytes", 0).unwrap();
        assert_eq!(file.len().unwrap(), 5);
    });
}

#[test]
fn files_are_replaced_by_many_at_once_and_nothing_is_left_behind() {
    on_each_disk(|disk, dir| {
        let path = dir.join("file");
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let (disk, path) = (&disk, &path);
                scope.spawn(move || (0..10).for_each(|_| disk.replace(path, &[writer; 100]).unwrap()));
            }
        });
        let bytes = disk.read(&path).unwrap();
        assert!(bytes.len() == 100 && bytes.iter().all(|byte| *byte == bytes[0]));
        assert_eq!(disk.list(dir).unwrap(), ["file"]);
    });
}
