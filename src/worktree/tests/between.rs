//! What comes between two steps: a process that is stopped, a disk that fails once, and somebody else.

use super::*;
use crate::id::StagingId;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn worktree_folder() -> PathBuf {
    Path::new(ROOT).join("worktrees/main")
}

#[test]
fn an_error_while_catching_up_loses_no_record() {
    let mut bad = Vec::new();
    for nth in 0..40 {
        let (disk, repo) = create();
        let first = tenant(&repo);
        first.names().make_dir(NodeId::ROOT, &name("run"), 0o755, at(1)).expect("mkdir");
        save(&first, "run/a", b"a", 1);
        first.commit(&request("first", 2), &Task::default()).expect("commit");
        let other = open(&disk);
        let looker = other.worktree(&main()).expect("worktree");
        save(&first, "run/b", b"b", 3);
        disk.fail_nth(nth, libc::EIO);
        let failed = looker.snapshot(false).is_err();
        disk.set_fault(None);
        let seen = looker.names().resolve(&path("run/b")).expect("resolve").is_some();
        if failed && !seen {
            let committed_by_looker = looker
                .commit(&CommitRequest { allow_empty: true, ..request("second", 4) }, &Task::default())
                .map(|c| c.changed);
            let fresh = open(&disk);
            let fresh = fresh.worktree(&main()).expect("worktree");
            let there = fresh.names().resolve(&path("run/b")).expect("resolve").is_some();
            bad.push((nth, committed_by_looker.ok(), there));
        }
    }
    assert!(bad.is_empty(), "op, changed in the commit, whether a new process still sees run/b: {bad:?}");
}

#[test]
fn who_waited_for_a_recovery_that_was_killed_recovers_itself() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "sized", &[9; 30_000], 1);
    synced(&worktree, "other", b"somebody else's");
    let mut bad = Vec::new();
    for seed in 0..24 {
        let image = disk.crash_image(seed);
        let held = image.lock(&worktree_folder().join("tenants"), true, Patience::Try).unwrap().unwrap();
        let repo = open(&image);
        let adopting = std::thread::spawn(move || (tenant(&repo), repo));
        std::thread::sleep(Duration::from_millis(60));
        drop(held);
        let (worktree, repo) = adopting.join().unwrap();
        let Ok(_) =
            worktree.commit(&CommitRequest { allow_empty: true, ..request("x", 9) }, &Task::default())
        else {
            bad.push((seed, "commit failed"));
            continue;
        };
        if committed(&repo, "main", "sized").is_some_and(|bytes| bytes != [9; 30_000]) {
            bad.push((seed, "wrong bytes committed"));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_rename_of_a_partly_synced_file_leaves_old_or_new() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let old = vec![3; 30_000];
    synced(&worktree, "log", &old);
    let node = worktree.create(NodeId::ROOT, &name("log.tmp"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, &[5; 10_000], at(1)).expect("write");
    worktree.sync(node).expect("sync");
    worktree.write_at(node, 10_000, &[6; 30_000], at(1)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    let (from, to, root) = (name("log.tmp"), name("log"), NodeId::ROOT);
    worktree.names().rename((root, &from), (root, &to), RenameMode::Replace, at(6)).expect("rename");
    let new = load(&worktree, "log").unwrap();
    synced(&worktree, "other", b"somebody else's");
    let mut bad = Vec::new();
    for seed in 0..24 {
        let image = disk.crash_image(seed);
        let repo = open(&image);
        let worktree = tenant(&repo);
        let seen = load(&worktree, "log");
        worktree
            .commit(&CommitRequest { allow_empty: true, ..request("x", 9) }, &Task::default())
            .expect("commit");
        let taken = committed(&repo, "main", "log");
        for (what, found) in [("seen", seen), ("committed", taken)] {
            if found.as_ref() != Some(&old) && found.as_ref() != Some(&new) {
                bad.push((seed, what, found.map(|bytes| bytes.len())));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn looking_again_and_again_after_a_power_cut_writes_nothing() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("a"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, &[5; 10_000], at(1)).expect("write");
    worktree.sync_records().expect("sync");
    disk.sync_dir(&worktree_folder().join("staged")).unwrap();
    let image = disk.crash_image(1);
    let repo = open(&image);
    let len = || -> u64 {
        let dir = worktree_folder();
        image
            .list(&dir)
            .unwrap()
            .iter()
            .filter(|n| n.starts_with("journal."))
            .map(|n| image.stat(&dir.join(n)).unwrap().unwrap().len)
            .sum()
    };
    let lens: Vec<u64> = (0..4)
        .map(|_| {
            repo.worktree(&main()).unwrap().recover_if_abandoned().unwrap();
            len()
        })
        .collect();
    assert!(lens.windows(2).all(|pair| pair[0] == pair[1]), "{lens:?}");
}

#[test]
fn what_another_process_committed_takes_no_room_in_staged() {
    let (disk, repo) = create();
    let daemon = tenant(&repo);
    for n in 0..5 {
        save(&daemon, &format!("f{n}"), &[n; 1000], 1);
    }
    let other = open(&disk);
    let command = other.worktree(&main()).expect("worktree");
    command.commit(&request("first", 2), &Task::default()).expect("commit");
    drop(command);
    drop(other);
    for n in 0..3 {
        synced(&daemon, "later", &[n; 100]);
        daemon.staging().sync().expect("sync");
        daemon.sync_records().expect("sync");
    }
    let left = disk.list(&worktree_folder().join("staged")).unwrap();
    assert!(left.len() <= 1, "{left:?}");
}

#[test]
fn a_journal_whose_sync_failed_is_not_taken_for_durable_by_another_process() {
    let (disk, repo) = create();
    let first = tenant(&repo);
    synced(&first, "a", b"a");
    save(&first, "b", b"b", 2);
    disk.fail_nth(0, libc::EIO);
    let failed = first.sync(NodeId::ROOT);
    assert!(failed.is_err());
    disk.set_fault(None);
    let other = open(&disk);
    let second = other.worktree(&main()).expect("worktree");
    second.names().make_dir(NodeId::ROOT, &name("x"), 0o755, at(3)).expect("mkdir");
    second.sync_records().expect("sync");
    let later =
        first.names().make_dir(NodeId::ROOT, &name("y"), 0o755, at(3)).and_then(|_| first.sync(NodeId::ROOT));
    let fresh = open(&disk);
    let seen = fresh.worktree(&main()).and_then(|w| {
        Ok((w.names().resolve(&path("x"))?.is_some(), w.names().resolve(&path("y"))?.is_some()))
    });
    assert!(
        matches!(seen, Ok((true, true))) || (later.is_err() && matches!(seen, Ok((true, _)))),
        "{later:?} {seen:?}"
    );
}

#[test]
fn a_file_synced_whole_and_closed_is_not_called_interrupted() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("a"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, &[5; 10_000], at(1)).expect("write");
    worktree.sync(node).expect("sync");
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.sync_records().expect("sync");
    let image = disk.crash_image(1);
    let repo = open(&image);
    let (worktree, told) = Tenant::adopt(repo.worktree(&main()).unwrap()).unwrap();
    assert_eq!(load(&worktree, "a"), Some(vec![5; 10_000]));
    assert_eq!(told, []);
}

#[test]
fn opening_and_reading_while_it_is_stored_never_fails() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "f", b"0", 1);
    let stop = AtomicBool::new(false);
    let mut errors: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..400u32 {
                save(&worktree, "f", &n.to_le_bytes(), 1);
                let files = worktree.staging().complete().unwrap();
                let ingest = repo.store().begin().unwrap();
                let stored: Vec<_> = files
                    .iter()
                    .map(|file| {
                        let (recipe, len) = worktree
                            .staging()
                            .ingest(
                                &ingest,
                                file,
                                Tree::empty_id(),
                                Coding::Now,
                                &Intake::begin(&Task::default(), file.len),
                            )
                            .unwrap();
                        (file.staging, recipe, len)
                    })
                    .collect();
                ingest.seal().unwrap();
                worktree.staging().mark_stored(&stored).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            match worktree.open_file(node, false) {
                Ok(()) => worktree.release(node, false, Release::Complete).unwrap(),
                Err(error) => errors.push(format!("open: {error}")),
            }
            if let Err(error) = worktree.staging().read_at(node, 0, &mut [0; 4]) {
                errors.push(format!("read: {error}"));
            }
        }
    });
    assert!(errors.is_empty(), "{} errors: {:?}", errors.len(), &errors[..errors.len().min(3)]);
}

/// A file that gets its size and a sync before its bytes, as preallocating writers do, and no sync after them.
#[test]
fn bytes_written_over_what_was_synced_are_not_complete_after_a_power_cut() {
    let (disk, worktree, node) = committed_and_sized();
    worktree.write_at(node, 0, &[9; 30_000], at(1)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    synced(&worktree, "other", b"somebody else's");
    let mut bad = Vec::new();
    for seed in 0..24 {
        let image = disk.crash_image(seed);
        let repo = open(&image);
        let worktree = tenant(&repo);
        worktree
            .commit(&CommitRequest { allow_empty: true, ..request("x", 9) }, &Task::default())
            .expect("commit");
        let taken = committed(&repo, "main", "sized").unwrap();
        if taken != [9; 30_000] && taken != [7; 100] {
            bad.push((seed, taken.len(), taken.iter().filter(|byte| **byte == 0).count()));
        }
    }
    assert!(bad.is_empty(), "seed, length, zeros in the commit: {bad:?}");
}

/// The daemon and the writer are killed in the middle of writing; the machine goes on.
#[test]
fn half_a_file_that_was_synced_before_is_not_complete_after_a_kill() {
    let (disk, worktree, node) = committed_and_sized();
    worktree.write_at(node, 0, &[9; 15_000], at(1)).expect("write");
    drop(worktree);
    let repo = open(&disk);
    let worktree = tenant(&repo);
    worktree
        .commit(&CommitRequest { allow_empty: true, ..request("x", 9) }, &Task::default())
        .expect("commit");
    assert_eq!(committed(&repo, "main", "sized").map(|bytes| bytes.len()), Some(100));
}

/// The log's name is durable before the ref moves, also after somebody was killed who made the log.
#[test]
fn a_log_is_durable_before_its_ref_also_when_a_first_attempt_was_killed() {
    let mut bad = Vec::new();
    for nth in 0..30 {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        save(&worktree, "a", b"a", 1);
        worktree.commit(&request("first", 2), &Task::default()).expect("commit");
        let who = request("x", 3).committer;
        let branch = BranchName::new("b").unwrap();
        disk.fail_nth(nth, libc::EIO);
        let first = Branches::of(&repo).create(&branch, "main", &who);
        disk.set_fault(None);
        if first.is_ok() {
            continue;
        }
        if Branches::of(&repo).create(&branch, "main", &who).is_err() {
            continue;
        }
        for seed in 0..16 {
            let repo = open(&disk.crash_image(seed));
            let there = repo.refs().branch(&branch).unwrap().is_some();
            if there && repo.refs().logs().branch(&branch).unwrap().is_empty() {
                bad.push((nth, seed));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// The sync of an edit fails, and so does taking it back; then the disk works again.
#[test]
fn an_edit_in_doubt_is_the_same_for_who_made_it_and_for_others() {
    let mut bad = Vec::new();
    for nth in 0..12 {
        let (disk, repo) = create();
        let first = tenant(&repo);
        save(&first, "a", b"a", 1);
        save(&first, "b", b"b", 1);
        first.commit(&request("first", 2), &Task::default()).expect("commit");
        disk.stop_at_nth(nth);
        let done = first.edits().remove(&[path("a")], false, at(3));
        disk.set_fault(None);
        let fresh = open(&disk);
        let sees =
            |worktree: &Worktree| worktree.names().resolve(&path("a")).map(|found| found.is_some()).ok();
        let (here, there) = (sees(&first), sees(&fresh.worktree(&main()).expect("worktree")));
        if here != there {
            bad.push((nth, done.is_ok(), here, there));
        }
    }
    assert!(bad.is_empty(), "op, ok, the maker sees a, others see a: {bad:?}");
}

/// Waits until the closes of so many last writers of a file wait to be recorded.
fn wait_for_closing(worktree: &Tenant, node: NodeId, closes: u32) {
    while worktree.closing(node) != closes {
        std::thread::yield_now();
    }
}

#[test]
fn a_close_that_waits_cuts_nothing_of_what_is_written_meanwhile() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("log"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, b"first", at(1)).expect("write");
    let held = disk.lock(&worktree_folder().join("lock"), true, Patience::Try).unwrap().unwrap();
    std::thread::scope(|threads| {
        let close = || threads.spawn(|| worktree.release(node, true, Release::Complete).expect("release"));
        let first = close();
        wait_for_closing(&worktree, node, 1);
        worktree.open_file(node, true).expect("open");
        worktree.write_at(node, 5, b", second", at(2)).expect("write");
        let second = close();
        wait_for_closing(&worktree, node, 2);
        worktree.open_file(node, false).expect("open to read");
        drop(held);
        first.join().expect("first");
        second.join().expect("second");
    });
    worktree.release(node, false, Release::Complete).expect("release");
    assert_eq!(load(&worktree, "log").as_deref(), Some(&b"first, second"[..]));
    worktree.open_file(node, true).expect("nobody is at work on it");
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.commit(&request("log", 3), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "log").as_deref(), Some(&b"first, second"[..]));
}

#[test]
fn what_a_writer_that_came_back_completed_is_not_cut_to_what_was_interrupted() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("log"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, b"half", at(1)).expect("write");
    worktree.release(node, true, Release::Interrupted).expect("release");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..200 {
                snapshot::settle_interrupted(&worktree).expect("settle");
            }
            done.store(true, Ordering::Release);
        });
        let mut len = 4;
        while !done.load(Ordering::Acquire) {
            worktree.open_file(node, true).expect("open");
            worktree.write_at(node, len, b"!", at(2)).expect("write");
            len += 1;
            worktree.release(node, true, Release::Complete).expect("release");
            assert_eq!(worktree.names().attributes(node).expect("attributes").len, len);
            worktree.open_file(node, true).expect("open");
            worktree.write_at(node, len, b"?", at(2)).expect("write");
            len += 1;
            worktree.release(node, true, Release::Interrupted).expect("release");
        }
    });
}

#[test]
fn a_staging_file_that_is_needed_again_is_not_removed_for_what_had_its_number_before() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "old", b"old", 1);
    let needed: Vec<StagingId> = worktree.state().nodes.stagings().collect();
    assert_eq!(needed.len(), 1);
    worktree.state().freed.extend(needed);
    super::super::sync::let_go_of_garbage(&worktree).expect("nothing fails");
    let other = open(&disk);
    let other = other.worktree(&main()).expect("worktree");
    assert_eq!(load(&other, "old").as_deref(), Some(&b"old"[..]));
}
