//! Two processes on one worktree, machines that stop, and disks that lie: each with what must hold whoever comes between.

use super::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How many ways of losing power are tried.
const CUTS: u64 = 48;
/// So long a thread is waited for that must not be waiting for another.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Something that is done to a file without a sync, and what it is called.
type Change = (&'static str, fn(&Tenant));

fn node(worktree: &Worktree, file: &str) -> NodeId {
    worktree.names().resolve(&path(file)).expect("resolve").expect("the file exists")
}

/// Opens, writes at an offset, and closes, without a sync.
fn write(worktree: &Tenant, file: &str, offset: u64, bytes: &[u8]) {
    let node = node(worktree, file);
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, offset, bytes, at(5)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
}

fn staged(disk: &SimulatedDisk) -> Vec<String> {
    disk.list(&worktree_folder().join("staged")).expect("the folder")
}

fn worktree_folder() -> PathBuf {
    Path::new(ROOT).join("worktrees/main")
}

/// What a commit takes of a file, and what a reader sees, after each of many power cuts, and each time that the disk alone
/// went away.
fn after_cuts(disk: &SimulatedDisk, file: &str, check: impl Fn(Option<Vec<u8>>, Option<Vec<u8>>)) {
    for image in (0..CUTS).flat_map(|seed| [disk.crash_image(seed), disk.back_image(seed)]) {
        let repo = open(&image);
        let worktree = tenant(&repo);
        let seen = load(&worktree, file);
        let request = CommitRequest { allow_empty: true, ..request("after the cut", 9) };
        worktree.commit(&request, &Task::default()).expect("commit");
        check(committed(&repo, "main", file), seen);
        assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
    }
}

/// What was synced stays whatever is done to the file afterwards without a sync, also when somebody syncs another one.
#[test]
fn bytes_that_were_synced_outlive_every_change_that_was_not() {
    let old = vec![3; 30_000];
    let changes: [Change; 5] = [
        ("append", |worktree| write(worktree, "log", 30_000, b"a line")),
        ("write in the middle", |worktree| write(worktree, "log", 0, b"x")),
        ("empty and write", |worktree| {
            save(worktree, "log", &[4; 500], 5);
        }),
        ("cut", |worktree| worktree.set_len(node(worktree, "log"), 7, at(5)).expect("cut")),
        ("move another over it", |worktree| {
            save(worktree, "log.tmp", &[5; 40_000], 5);
            let (from, to) = (name("log.tmp"), name("log"));
            let root = NodeId::ROOT;
            worktree.names().rename((root, &from), (root, &to), RenameMode::Replace, at(6)).expect("rename");
        }),
    ];
    for is_committed in [false, true] {
        for (what, change) in changes {
            let (disk, repo) = create();
            let worktree = tenant(&repo);
            synced(&worktree, "log", &old);
            if is_committed {
                worktree.commit(&request("first", 2), &Task::default()).expect("commit");
            }
            change(&worktree);
            let new = load(&worktree, "log").expect("there");
            synced(&worktree, "other", b"somebody else's");
            after_cuts(&disk, "log", |committed, seen| {
                for found in [committed, seen] {
                    let found = found.unwrap_or_else(|| panic!("{what}: gone"));
                    assert!(found == old || found == new, "{what}: {} bytes", found.len());
                }
            });
        }
    }
}

/// A size can be durable before the bytes; what was never synced is then no version that a commit takes.
#[test]
fn a_commit_after_a_power_cut_takes_no_zeros_that_nobody_wrote() {
    let (disk, _worktree) = sized_and_written();
    after_cuts(&disk, "sized", |committed, _| {
        assert!(committed.is_none_or(|bytes| bytes == [9; 30_000]));
    });
}

#[test]
fn a_file_that_was_synced_and_closed_is_complete_after_a_power_cut_if_its_folder_was_synced() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "ckpt", b"old", 1);
    let node = worktree.create(NodeId::ROOT, &name("ckpt.tmp"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, &[6; 9_000], at(1)).expect("write");
    worktree.sync(node).expect("sync");
    worktree.release(node, true, Release::Complete).expect("release");
    let (from, to, root) = (name("ckpt.tmp"), name("ckpt"), NodeId::ROOT);
    worktree.names().rename((root, &from), (root, &to), RenameMode::Replace, at(2)).expect("rename");
    worktree.sync(NodeId::ROOT).expect("sync of the folder");
    after_cuts(&disk, "ckpt", |committed, seen| {
        assert_eq!((committed, seen), (Some(vec![6; 9_000]), Some(vec![6; 9_000])));
    });
}

/// A sync in the middle says nothing about what is written after it.
#[test]
fn what_was_synced_half_way_is_no_version_that_a_commit_takes() {
    for closes in [false, true] {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        let node = worktree.create(NodeId::ROOT, &name("sized"), 0o644, at(1)).expect("create");
        worktree.set_len(node, 30_000, at(1)).expect("size");
        worktree.sync(node).expect("sync");
        worktree.write_at(node, 0, &[9; 30_000], at(1)).expect("write");
        if closes {
            worktree.release(node, true, Release::Complete).expect("release");
        }
        synced(&worktree, "other", b"somebody else's");
        after_cuts(&disk, "sized", |committed, _| {
            assert!(committed.is_none_or(|bytes| bytes == [9; 30_000]));
        });
    }
}

#[test]
fn bytes_that_the_disk_did_not_keep_are_named_and_never_committed() {
    for is_told in [false, true] {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        let node = save(&worktree, "ckpt", &[1; 50_000], 1);
        disk.fail_write_back(&worktree_folder().join("staged"));
        if is_told {
            assert!(matches!(worktree.sync(node), Err(Error::LostBytes(_))));
        }
        let other = open(&disk);
        for process in [&*worktree, &other.worktree(&main()).expect("worktree")] {
            assert!(matches!(
                process.commit(&request("zeros", 2), &Task::default()),
                Err(Error::LostBytes(_))
            ));
        }
        assert_eq!(worktree.snapshot(false).expect("snapshot").lost, [path("ckpt")]);
        assert!(matches!(worktree.staging().read_at(node, 0, &mut [0; 8]), Err(Error::LostBytes(_))));
        save(&worktree, "ckpt", &[2; 50_000], 3);
        worktree.commit(&request("whole", 4), &Task::default()).expect("commit");
        assert_eq!(committed(&repo, "main", "ckpt"), Some(vec![2; 50_000]));
    }
}

#[test]
fn a_worktree_that_was_deleted_and_made_again_is_another_one() {
    let (disk, repo) = create();
    let first = tenant(&repo);
    save(&first, "a", b"1", 1);
    first.commit(&request("first", 1), &Task::default()).expect("commit");
    let x = BranchName::new("x").expect("valid");
    let who = request("", 1).author;
    Branches::of(&repo).create(&x, "HEAD", &who).expect("branch");
    let (old, _) = repo.worktree(&x).and_then(Tenant::adopt).expect("worktree");
    let held = save(&old, "one", b"v1", 2);
    old.open_file(held, true).expect("open");

    let other = open(&disk);
    Branches::of(&other).delete(&x, Losing::All, &who).expect("delete");
    Branches::of(&other).create(&x, "HEAD", &who).expect("branch");
    let (new, _) = other.worktree(&x).and_then(Tenant::adopt).expect("worktree");
    save(&new, "two", b"v2", 3);
    // Commits bring the generations of both into step.
    new.commit(&request("on the new one", 4), &Task::default()).expect("commit");

    assert!(matches!(old.check_held(), Err(Error::Replaced(_))));
    let created = old.create(NodeId::ROOT, &name("precious"), 0o644, at(5));
    assert!(matches!(created, Err(Error::Replaced(_))), "{created:?}");
    assert!(matches!(old.sync(held), Err(Error::Replaced(_))));
    assert!(matches!(old.release(held, true, Release::Complete), Ok(())));
    assert!(matches!(old.commit(&request("on the old one", 6), &Task::default()), Err(Error::Replaced(_))));
    assert_eq!(load(&new, "two"), Some(b"v2".to_vec()));
    assert_eq!(load(&new, "precious"), None);
}

#[test]
fn a_repository_that_was_replaced_acknowledges_nothing_more() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "a", b"saved", 1);
    disk.rename(Path::new("/repo/.coral"), Path::new("/repo/.moved")).expect("rename");
    assert!(matches!(worktree.sync(node), Err(Error::Replaced(_) | Error::History(history::Error::Disk(_)))));
    Repo::create(Arc::new(disk.clone()), Path::new(ROOT), &main()).expect("create");
    save(&tenant(&open(&disk)), "b", b"of another repository", 1);
    assert!(matches!(worktree.sync(node), Err(Error::Replaced(_))));
    assert!(matches!(
        worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(2)),
        Err(Error::Replaced(_))
    ));
    assert!(worktree.commit(&request("into the other one", 3), &Task::default()).is_err());
    assert_eq!(open(&disk).refs().branch(&main()).expect("read"), None);
}

#[test]
fn a_living_process_is_not_taken_for_dead_because_another_one_looked() {
    let (disk, repo) = create();
    let worktree = repo.worktree(&main()).expect("worktree");
    let tenants = worktree_folder().join("tenants");
    let looking = disk.lock(&tenants, true, Patience::Try).expect("lock");
    assert!(looking.is_some());
    let tenant = std::thread::scope(|scope| {
        let adopting = scope.spawn(|| Tenant::adopt(worktree).expect("adopt").0);
        drop(looking);
        adopting.join().expect("no panic")
    });
    let half = tenant.create(NodeId::ROOT, &name("half"), 0o644, at(1)).expect("create");
    tenant.write_at(half, 0, b"1000", at(1)).expect("write");
    let other = open(&disk).worktree(&main()).expect("worktree");
    assert_eq!(other.recover_if_abandoned().expect("look"), []);
    assert_eq!(other.snapshot(false).expect("snapshot").still_open, [path("half")]);
    tenant.write_at(half, 4, b"2000", at(2)).expect("write");
    tenant.release(half, true, Release::Complete).expect("release");
    assert_eq!(load(&other, "half"), Some(b"10002000".to_vec()));
}

/// Whatever bit of a journal flips, what it said before is there or it is an error, and no byte of a file is swept.
#[test]
fn a_flipped_bit_in_a_journal_is_an_error_and_costs_no_byte() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    for n in 0..4u8 {
        synced(&worktree, &format!("save{n}"), &[n; 300]);
    }
    // Up to where it is durable is itself durable with the next sync.
    worktree.sync_records().expect("sync");
    drop((worktree, repo));
    let before = staged(&disk);
    let journal = worktree_folder().join("journal.1");
    let bytes = disk.read(&journal).expect("the journal");
    for (at, byte) in bytes.iter().enumerate() {
        let image = disk.crash_image(0);
        let bit = 1 << (at % 8);
        image.open(&journal, true).expect("open").write_all_at(&[byte ^ bit], at as u64).expect("flip");
        match open(&image).worktree(&main()).and_then(Tenant::adopt) {
            Ok((worktree, _)) => {
                for n in 0..4u8 {
                    assert_eq!(
                        load(&worktree, &format!("save{n}")),
                        Some(vec![n; 300]),
                        "bit {bit} of byte {at}"
                    );
                }
            }
            Err(Error::DamagedJournal { path, .. }) => assert_eq!(path, journal),
            Err(error) => panic!("bit {bit} of byte {at}: {error}"),
        }
        assert_eq!(staged(&image), before, "bit {bit} of byte {at}");
    }
}

#[test]
fn two_processes_exclude_each_other_from_a_file_that_is_being_written() {
    let (disk, repo) = create();
    let (one, two) = (tenant(&repo), tenant(&open(&disk)));
    save(&one, "log", b"start ", 1);
    let (here, there) = (node(&one, "log"), node(&two, "log"));
    two.open_file(there, true).expect("nobody writes yet");
    one.open_file(here, true).expect("nobody writes yet");
    one.write_at(here, 6, b"one ", at(2)).expect("write");
    one.sync(here).expect("sync");
    assert!(matches!(two.write_at(there, 6, b"two ", at(3)), Err(Error::BeingWritten(_))));
    assert!(matches!(two.open_file(there, true), Err(Error::BeingWritten(_))));
    one.release(here, true, Release::Complete).expect("release");
    two.write_at(there, 10, b"two", at(4)).expect("it is complete");
    two.release(there, true, Release::Complete).expect("release");
    for process in [&one, &two] {
        assert_eq!(load(process, "log"), Some(b"start one two".to_vec()));
    }
}

#[test]
fn a_copy_for_which_there_is_no_room_leaves_nothing_behind() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "big", &weights(400_000), 1);
    worktree.commit(&request("first", 1), &Task::default()).expect("commit");
    let node = node(&worktree, "big");
    worktree.open_file(node, true).expect("open");
    worktree.sync_records().expect("sync");
    let (used, names) = (disk.used(), staged(&disk));
    disk.set_capacity(Some(used + 100_000));
    assert!(worktree.write_at(node, 0, b"x", at(2)).is_err());
    assert_eq!(staged(&disk), names);
    assert!(disk.used() < used + 40_000, "only the journal may have taken room");
    disk.set_capacity(None);
    worktree.write_at(node, 0, b"x", at(3)).expect("there is room");
}

fn weights(len: u32) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn on_a_full_disk_things_can_be_removed_and_their_room_comes_back() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let dir = worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(1)).expect("mkdir");
    for n in 0..40 {
        save(&worktree, &format!("f{n}"), &weights(20_000), 1);
    }
    disk.set_capacity(Some(disk.used()));
    // Until the last block is taken.
    let mut made = 0;
    while worktree.names().make_dir(dir, &name(&format!("d{made}")), 0o755, at(2)).is_ok() {
        made += 1;
        assert!(made < 10_000, "the disk is full");
    }
    for n in 0..20 {
        worktree.names().unlink(NodeId::ROOT, &name(&format!("f{n}")), at(3)).expect("it makes room");
    }
    let (from, to) = (name("f20"), name("f21"));
    let root = NodeId::ROOT;
    worktree.names().rename((root, &from), (root, &to), RenameMode::Replace, at(3)).expect("it makes room");
    worktree.edits().remove(&[path("f22")], false, at(3)).expect("it makes room");
    worktree.sync_records().expect("sync");
    save(&worktree, "new", &weights(50_000), 4);
    assert_eq!(load(&worktree, "new"), Some(weights(50_000)));
}

#[test]
fn a_snapshot_holds_what_it_names_until_it_is_dropped() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"as it was", 1);
    let snapshot = worktree.snapshot(false).expect("snapshot");
    let held = staged(&disk);
    save(&worktree, "a", b"as it is", 2);
    worktree.staging().sync().and_then(|()| worktree.sync_records()).expect("sync");
    assert!(held.iter().all(|name| staged(&disk).contains(name)));
    drop(snapshot);
    worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(3)).expect("mkdir");
    worktree.sync_records().expect("sync");
    assert!(held.iter().all(|name| !staged(&disk).contains(name)));
}

#[test]
fn who_looks_does_not_wait_for_who_writes_or_for_a_lock_of_another_process() {
    let (disk, repo) = create();
    let worktree = Arc::new(tenant(&repo));
    save(&worktree, "a", b"1", 1);
    let lock = disk.lock(&worktree_folder().join("lock"), true, Patience::Try).expect("lock");
    assert!(lock.is_some());
    let (told, looked) = mpsc::channel();
    std::thread::scope(|scope| {
        let writer = Arc::clone(&worktree);
        let writing =
            scope.spawn(move || writer.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(2)).map(drop));
        let looker = Arc::clone(&worktree);
        scope.spawn(move || {
            let found = looker.names().lookup(NodeId::ROOT, &name("a")).expect("look").is_some();
            told.send((found, load(&looker, "a"))).expect("somebody waits");
        });
        let seen = looked.recv_timeout(WATCHDOG);
        drop(lock);
        assert_eq!(seen.expect("it does not wait"), (true, Some(b"1".to_vec())));
        writing.join().expect("no panic").expect("the lock was let go");
    });
}

/// Commits of another process beside busy writers: each lands, each is one instant, and each file in it is a whole
/// version that was complete once.
#[test]
fn commits_beside_busy_writers_all_land_and_are_cuts() {
    const ROUNDS: u32 = 60;
    let dir = tempfile::tempdir().expect("a scratch folder");
    let root = dir.path().join(".coral");
    let disk: Arc<dyn Disk> = Arc::new(crate::disk::RealDisk);
    Repo::create(disk.clone(), &root, &main()).expect("create");
    let open = || Repo::open(disk.clone(), &root, Options::default()).expect("open");
    let version = |n: u32| (0..2_000u32).flat_map(|_| n.to_le_bytes()).collect::<Vec<u8>>();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers = scope.spawn(|| {
            let worktree = tenant(&open());
            for n in 1..=ROUNDS {
                // Two files that go on in step, one under a temporary name, and one that comes and goes.
                save(&worktree, "a", &version(n), n.into());
                save(&worktree, "b.tmp", &version(n), n.into());
                let (from, to, root) = (name("b.tmp"), name("b"), NodeId::ROOT);
                worktree
                    .names()
                    .rename((root, &from), (root, &to), RenameMode::Replace, at(n.into()))
                    .expect("rename");
                save(&worktree, "c", &version(n), n.into());
                worktree.names().unlink(NodeId::ROOT, &name("c"), at(n.into())).expect("unlink");
                if n % 7 == 0 {
                    worktree.staging().sync().and_then(|()| worktree.sync_records()).expect("sync");
                }
            }
            done.store(true, Ordering::Release);
        });
        let repo = open();
        let mut last = None;
        while !done.load(Ordering::Acquire) {
            let worktree = repo.worktree(&main()).expect("worktree");
            match worktree.commit(&request("beside writers", 1), &Task::default()) {
                Ok(committed) => last = Some(committed.id),
                Err(Error::NothingToCommit { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        writers.join().expect("no panic");
        let whole = |file: &str, id: &str| {
            let bytes = committed(&repo, id, file)?;
            let n = u32::from_le_bytes(*bytes.first_chunk().expect("no version is empty"));
            assert_eq!(bytes, version(n), "{file} in {id}");
            Some(n)
        };
        let mut next = last;
        while let Some(id) = next {
            let text = id.to_string();
            let (a, b) = (whole("a", &text).unwrap_or(0), whole("b", &text).unwrap_or(0));
            assert!(a == b || a == b + 1, "a is at {a}, b at {b}");
            whole("c", &text);
            next = repo.commit(id).expect("commit").parents.first().copied();
        }
        assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
    });
}

/// What the machine forgot is gone back behind in the same way by everybody who reads the journal.
#[test]
fn every_process_agrees_on_what_a_power_cut_left() {
    for seed in 0..CUTS {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        synced(&worktree, "a", b"durable");
        write(&worktree, "a", 7, b" and not");
        save(&worktree, "b", b"never synced", 2);
        let image = disk.crash_image(seed);
        let (first, second) = (tenant(&open(&image)), tenant(&open(&image)));
        for file in ["a", "b"] {
            assert_eq!(load(&first, file), load(&second, file));
        }
        let taken = |worktree: &Worktree| worktree.snapshot(false).expect("snapshot").tree.staged();
        let staged =
            |worktree| taken(worktree).into_iter().map(|(_, path, len)| (path, len)).collect::<Vec<_>>();
        assert_eq!(staged(&first), staged(&second));
    }
}
