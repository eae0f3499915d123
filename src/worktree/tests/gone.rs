//! A disk that goes away and comes back while the machine runs on: what its programs wrote and nobody synced is lost, as
//! after a power cut, and only the file system can tell.

use super::*;

const TRIES: u64 = 48;

fn append(worktree: &Tenant, file: &str, bytes: &[u8]) {
    let node = worktree.names().resolve(&path(file)).expect("resolve").expect("the file exists");
    let len = worktree.names().attributes(node).expect("attributes").len;
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, len, bytes, at(5)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
}

/// A log that was synced and then appended to, with records of it all that are durable.
fn appended() -> (SimulatedDisk, Vec<u8>, Vec<u8>) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let old = vec![3; 30_000];
    synced(&worktree, "log", &old);
    append(&worktree, "log", b"a line");
    synced(&worktree, "other", b"somebody else's");
    let new = load(&worktree, "log").expect("there");
    (disk, old, new)
}

fn commit(worktree: &Worktree) {
    let request = CommitRequest { allow_empty: true, ..request("afterwards", 9) };
    worktree.commit(&request, &Task::default()).expect("commit");
}

#[test]
fn a_file_with_a_size_and_no_bytes_is_not_taken_for_whole() {
    let (disk, _worktree) = sized_and_written();
    for seed in 0..TRIES {
        let repo = open(&disk.back_image(seed));
        commit(&tenant(&repo));
        assert!(committed(&repo, "main", "sized").is_none_or(|bytes| bytes == [9; 30_000]));
    }
}

/// Where no one tells that the disk went away, too few bytes do.
#[test]
fn a_file_that_is_shorter_than_it_was_goes_back_to_what_was_synced() {
    for tells in [true, false] {
        let (disk, old, new) = appended();
        let mut went_back = 0;
        for seed in 0..TRIES {
            let image = disk.back_image(seed);
            if !tells {
                image.hide_mounts();
            }
            let repo = open(&image);
            let (worktree, told) = repo.worktree(&main()).and_then(Tenant::adopt).expect("adopt");
            let seen = load(&worktree, "log").expect("it was synced");
            let is_told = told.iter().any(|file| file.path == path("log"));
            assert_eq!(is_told, seen == old, "who goes back says so");
            went_back += u32::from(is_told);
            // Bytes that fit and are torn are beyond what can be known without being told.
            if tells || seen.len() == old.len() {
                assert!(seen == old || seen == new);
            }
            commit(&worktree);
            assert_eq!(committed(&repo, "main", "log"), Some(seen));
            assert_eq!(worktree.snapshot(false).expect("snapshot").lost, []);
        }
        assert!(went_back > 0, "some try loses something");
    }
}

#[test]
fn a_process_that_died_loses_nothing_that_it_closed_while_the_disk_stays() {
    for tells in [true, false] {
        let (disk, _, new) = appended();
        if !tells {
            disk.hide_mounts();
        }
        let repo = open(&disk);
        let (worktree, told) = repo.worktree(&main()).and_then(Tenant::adopt).expect("adopt");
        assert_eq!(told, []);
        commit(&worktree);
        assert_eq!(committed(&repo, "main", "log"), Some(new));
    }
}

/// Of two containers that share a repository, one may not be told of mounts.
#[test]
fn who_is_not_told_of_mounts_works_beside_who_is() {
    let (disk, repo) = create();
    let first = tenant(&repo);
    disk.hide_mounts();
    let second = tenant(&open(&disk));
    save(&second, "a", b"1", 1);
    assert_eq!(load(&first, "a"), Some(b"1".to_vec()));
}

#[test]
fn looking_again_and_again_at_a_disk_that_came_back_writes_nothing_new() {
    let (disk, ..) = appended();
    let image = disk.back_image(1);
    let repo = open(&image);
    let journals = || {
        let dir = Path::new(ROOT).join("worktrees/main");
        let names = image.list(&dir).expect("the folder").into_iter();
        let journals = names.filter(|name| name.starts_with("journal."));
        journals.map(|name| image.read(&dir.join(name)).expect("a journal")).collect::<Vec<_>>()
    };
    let look = || drop(repo.worktree(&main()).and_then(|worktree| worktree.recover_if_abandoned()));
    look();
    let before = journals();
    look();
    assert_eq!(journals(), before);
}

/// The other one's files have the same names and other bytes, or none: after a disk came back under a running mount too.
#[test]
fn bytes_are_never_those_of_another_repository_at_the_same_place() {
    let disk = create().0;
    let (repo, elsewhere) = (open(&disk), open(&disk));
    let node = {
        let worktree = tenant(&repo);
        synced(&worktree, "a", &[1; 1_000]);
        worktree.names().resolve(&path("a")).expect("resolve").expect("there")
    };
    let looker = tenant(&elsewhere);
    assert_eq!(load(&looker, "a"), Some(vec![1; 1_000]));
    disk.rename(Path::new("/repo"), Path::new("/away")).expect("rename");
    disk.create_dir_all(Path::new("/repo")).expect("create");
    Repo::create(Arc::new(disk.clone()), Path::new(ROOT), &main()).expect("create");
    let other = open(&disk);
    let writer = tenant(&other);
    synced(&writer, "b", &[2; 1_000]);
    let read = looker.staging().read_at(node, 0, &mut [0; 8]);
    assert!(matches!(read, Err(Error::Replaced(_))), "{read:?}");
    assert!(matches!(looker.open_file(node, false), Err(Error::Replaced(_))));
    // What comes back goes on.
    disk.rename(Path::new("/repo"), Path::new("/other")).expect("rename");
    disk.rename(Path::new("/away"), Path::new("/repo")).expect("rename");
    assert_eq!(load(&looker, "a"), Some(vec![1; 1_000]));
}
