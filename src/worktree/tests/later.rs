//! Commits that leave large files as they were saved, to be coded later.

use super::*;
use crate::id::CommitId;

const LARGE: u32 = 1_100_000;

/// A large array of floats; that of one seed is that of another with a little difference.
fn weights(seed: u8) -> Vec<u8> {
    let float = |at: u32| (at.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 + f32::from(seed) * 1e-3;
    let data: Vec<u8> = (0..LARGE / 4).flat_map(|at| float(at).to_le_bytes()).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", LARGE / 4);
    let mut npy = [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes()].concat();
    npy.resize(127, b' ');
    npy.push(b'\n');
    [npy, data].concat()
}

fn later(message: &str, seconds: i64) -> CommitRequest {
    CommitRequest { coding: Coding::Later, ..request(message, seconds) }
}

/// The repository, with room for files as they are.
fn open(disk: &SimulatedDisk) -> Repo {
    let options = Options { plain_bytes: 1 << 30, ..Options::default() };
    Repo::open(Arc::new(disk.clone()), Path::new(ROOT), options).expect("open")
}

fn create() -> (SimulatedDisk, Repo) {
    let (disk, _) = super::create();
    let repo = open(&disk);
    (disk, repo)
}

/// How many files wait to be coded.
fn waiting(disk: &SimulatedDisk) -> usize {
    let names = disk.list(&Path::new(ROOT).join("packs")).expect("list");
    names.iter().filter(|name| name.ends_with(".raw")).count()
}

/// Saves, commits and codes, up to the first error; the commits that were acknowledged.
fn session(disk: &SimulatedDisk, done: &mut Vec<(CommitId, Vec<u8>)>) -> Result<()> {
    let options = Options { plain_bytes: 1 << 30, ..Options::default() };
    let repo = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), options)?;
    let (worktree, _) = Tenant::adopt(repo.worktree(&main())?)?;
    for round in 0..2u8 {
        let name = Name::new("model")?;
        let node = match worktree.names().lookup(NodeId::ROOT, &name)? {
            Some((node, _)) => {
                worktree.open_file(node, true)?;
                worktree.set_len(node, 0, at(1))?;
                node
            }
            None => worktree.create(NodeId::ROOT, &name, 0o644, at(1))?,
        };
        let written = worktree.write_at(node, 0, &weights(round), at(1));
        let released = worktree.release(node, true, Release::Complete);
        written.and(released)?;
        let committed = worktree.commit(&later("round", round.into()), &Task::default())?;
        if !committed.warnings.is_empty() {
            return Ok(());
        }
        done.push((committed.id, weights(round)));
        if round == 1 {
            repo.store().code_attached(&Task::default()).map_err(history::Error::from)?;
        }
    }
    Ok(())
}

fn check(disk: &SimulatedDisk, done: &[(CommitId, Vec<u8>)]) {
    let repo = open(disk);
    let worktree = tenant(&repo);
    let report = fsck(&repo, true, &Task::default()).expect("fsck");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    for (id, bytes) in done {
        assert!(committed(&repo, &id.to_string(), "model").as_ref() == Some(bytes));
    }
    repo.store().code_attached(&Task::default()).expect("it goes on");
    assert_eq!(waiting(disk), 0);
    for (id, bytes) in done {
        assert!(committed(&open(disk), &id.to_string(), "model").as_ref() == Some(bytes));
    }
    save(&worktree, "model", &weights(7), 8);
    worktree.commit(&later("afterwards", 9), &Task::default()).expect("commit");
    assert!(committed(&repo, "main", "model") == Some(weights(7)));
}

#[test]
fn a_commit_that_leaves_files_as_they_are_is_made_whole_and_they_become_small_later() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "model", &weights(0), 1);
    save(&worktree, "small", b"config", 1);
    let before = disk.used();
    let first = worktree.commit(&later("first", 2), &Task::default()).expect("commit").id;
    assert!(disk.used() < before + 20_000, "nothing was written twice");
    assert_eq!((waiting(&disk), repo.store().attached_len()), (1, u64::from(LARGE) + 128));
    assert!(worktree.staging().complete().expect("staged").is_empty());
    assert_eq!(load(&worktree, "model"), Some(weights(0)));
    save(&worktree, "model", &weights(1), 3);
    let second = worktree.commit(&later("second", 4), &Task::default()).expect("commit").id;
    assert_eq!(waiting(&disk), 2);
    repo.store().code_attached(&Task::default()).expect("code");
    repo.plain().shrink_to(0).expect("shrink");
    assert_eq!(waiting(&disk), 0);
    for (id, seed) in [(first, 0), (second, 1)] {
        assert!(committed(&open(&disk), &id.to_string(), "model") == Some(weights(seed)));
    }
    let stats = repo.store().stats().expect("stats");
    assert!(stats.deltas >= 1 && disk.used() < before + u64::from(LARGE) / 4, "{stats:?}");
}

#[test]
fn who_writes_on_after_such_a_commit_writes_to_a_copy() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "model", &weights(0), 1);
    // Opened before the commit, written after it.
    worktree.open_file(node, true).expect("open");
    let id = worktree.commit(&later("first", 2), &Task::default()).expect("commit").id;
    worktree.write_at(node, 500_000, b"changed", at(3)).expect("write");
    worktree.set_len(node, 900_000, at(3)).expect("cut");
    worktree.release(node, true, Release::Complete).expect("release");
    assert!(committed(&repo, &id.to_string(), "model") == Some(weights(0)));
    let mut changed = weights(0);
    changed[500_000..500_007].copy_from_slice(b"changed");
    changed.truncate(900_000);
    assert!(load(&worktree, "model") == Some(changed));
    drop(worktree);
    check(&disk, &[(id, weights(0))]);
}

#[test]
fn what_is_being_written_does_not_stay_in_the_file_that_it_is_written_to() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("model"), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, &weights(0), at(1)).expect("write");
    let open = CommitRequest { include_open: true, ..later("half", 2) };
    let id = worktree.commit(&open, &Task::default()).expect("commit").id;
    assert_eq!(waiting(&disk), 0);
    worktree.write_at(node, 0, b"on", at(3)).expect("write");
    assert!(committed(&repo, &id.to_string(), "model") == Some(weights(0)));
}

#[test]
fn a_file_system_without_hard_links_and_a_budget_of_nothing_have_it_coded_at_once() {
    let (disk, repo) = create();
    let refusing = crate::disk::Hooked::new(&disk, |operation, _| match operation {
        "link" => Err(std::io::Error::from_raw_os_error(libc::EPERM)),
        _ => Ok(()),
    });
    drop(repo);
    let open = |disk: Arc<dyn Disk>, plain_bytes| {
        Repo::open(disk, Path::new(ROOT), Options { plain_bytes, ..Options::default() }).expect("open")
    };
    let repos = [open(Arc::new(refusing), 1 << 30), open(Arc::new(disk.clone()), 0)];
    for (seed, repo) in (1..).zip(repos) {
        let worktree = tenant(&repo);
        save(&worktree, "model", &weights(seed), 1);
        let id = worktree.commit(&later("first", 2), &Task::default()).expect("commit").id;
        assert_eq!(waiting(&disk), 0);
        assert!(committed(&repo, &id.to_string(), "model") == Some(weights(seed)));
    }
}

#[test]
fn a_file_of_which_the_disk_lost_bytes_is_named_and_not_committed() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "model", &weights(0), 1);
    disk.fail_write_back(&worktree.staging().dir());
    let error = worktree.commit(&later("first", 2), &Task::default()).expect_err("lost");
    assert!(matches!(error, Error::LostBytes(lost) if lost == path("model")));
    save(&worktree, "model", &weights(0), 3);
    let id = worktree.commit(&later("again", 4), &Task::default()).expect("commit").id;
    check(&disk, &[(id, weights(0))]);
}

#[test]
fn no_such_commit_that_was_acknowledged_is_lost_wherever_the_power_is_cut() {
    let operations = {
        let (disk, _) = create();
        let before = disk.operations();
        session(&disk, &mut Vec::new()).expect("nothing fails");
        disk.operations() - before
    };
    for n in 1..=operations {
        let (disk, _) = create();
        disk.stop_at_nth(n);
        let mut done = Vec::new();
        let _ = session(&disk, &mut done);
        check(&disk.crash_image(n), &done);
    }
}
