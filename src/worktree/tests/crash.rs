//! Every point at which the machine may stop, the disk may fail or fill up, between a save and a commit.

use super::*;
use crate::id::CommitId;

/// What was acknowledged before the machine stopped.
#[derive(Debug, Default)]
struct Acknowledged {
    commits: Vec<(CommitId, Vec<u8>)>,
    synced: Option<Vec<u8>>,
    head: Option<BranchName>,
}

fn weights(seed: u8) -> Vec<u8> {
    (0..70_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

fn try_save(worktree: &Tenant, file: &str, bytes: &[u8], sync: bool) -> Result<()> {
    let name = Name::new(file)?;
    let node = match worktree.names().lookup(NodeId::ROOT, &name)? {
        Some((node, _)) => {
            worktree.open_file(node, true)?;
            worktree.set_len(node, 0, at(1))?;
            node
        }
        None => worktree.create(NodeId::ROOT, &name, 0o644, at(1))?,
    };
    let written = worktree.write_at(node, 0, bytes, at(1));
    let synced = if sync { worktree.sync(node) } else { Ok(()) };
    let released = worktree.release(node, true, Release::Complete);
    written.and(synced).and(released)
}

/// A session of saves and commits that ends at the first error. An error of a last step that only cleans up is none.
fn session(disk: &SimulatedDisk, done: &mut Acknowledged) -> Result<()> {
    let repo = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default())?;
    let (worktree, _) = Tenant::adopt(repo.worktree(&main())?)?;
    for round in 0..3u8 {
        try_save(&worktree, "model", &weights(round), false)?;
        let committed = worktree.commit(&request("round", round.into()), &Task::default())?;
        if !is_durable(&committed.warnings) {
            return Ok(());
        }
        done.commits.push((committed.id, weights(round)));
    }
    done.synced = None;
    try_save(&worktree, "synced", &weights(9), true)?;
    done.synced = Some(weights(9));
    let other = BranchName::new("other").expect("valid");
    let tip = done.commits[2].0;
    let entry = LogEntry { who: request("", 1).author, message: "branch".into() };
    repo.refs().update_branch(&other, None, repo.store().durable(tip)?, &entry)?;
    let moved = repo.refs().set_head(&Head::Branch(other.clone()), &request("", 1).author)?;
    if is_durable(&moved.warnings.into_iter().map(Warning::from).collect::<Vec<_>>()) {
        done.head = Some(other);
    }
    Ok(())
}

/// Whether nothing was said against a change that was made.
fn is_durable(warnings: &[Warning]) -> bool {
    !warnings.iter().any(|warning| matches!(warning, Warning::Refs(history::Warning::NotDurable(_))))
}

fn check(disk: &SimulatedDisk, done: &Acknowledged) {
    let repo = open(disk);
    let worktree = tenant(&repo);
    let report = fsck(&repo, true, &Task::default()).expect("fsck");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    for (id, bytes) in &done.commits {
        let tip = repo.resolve("main", at(0)).expect("a commit was acknowledged");
        assert!(
            CommitGraph::of(&repo).is_ancestor(*id, tip).expect("walk"),
            "an acknowledged commit is not in the history"
        );
        assert_eq!(committed(&repo, &id.to_string(), "model").as_ref(), Some(bytes));
    }
    if let Some(bytes) = &done.synced {
        assert_eq!(load(&worktree, "synced").as_ref(), Some(bytes));
    }
    if let Some(branch) = &done.head {
        assert_eq!(repo.refs().head().expect("head"), Head::Branch(branch.clone()));
    }
    // And work goes on.
    save(&worktree, "afterwards", b"x", 9);
    if let Err(error) = worktree.commit(&request("afterwards", 9), &Task::default()) {
        // What the disk lost is named, and whoever has the bytes saves them again.
        let Error::LostBytes(lost) = error else { panic!("{error}") };
        assert_eq!(worktree.snapshot(false).expect("snapshot").lost, std::slice::from_ref(&lost));
        save(&worktree, &lost.to_string(), b"again", 9);
        worktree.commit(&request("afterwards", 9), &Task::default()).expect("commit");
    }
    assert_eq!(committed(&repo, "main", "afterwards"), Some(b"x".to_vec()));
}

/// How many operations of the disk the session takes.
fn operations() -> u64 {
    let (disk, _) = create();
    let before = disk.operations();
    session(&disk, &mut Acknowledged::default()).expect("nothing fails");
    disk.operations() - before
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_is_cut() {
    for n in 1..=operations() {
        let (disk, _) = create();
        disk.stop_at_nth(n);
        let mut done = Acknowledged::default();
        let _ = session(&disk, &mut done);
        for seed in 0..3 {
            check(&disk.crash_image(seed), &done);
        }
        check(&disk.back_image(n), &done);
    }
}

#[test]
fn a_process_that_is_killed_anywhere_leaves_a_working_repository() {
    for n in 1..=operations() {
        let (disk, _) = create();
        disk.stop_at_nth(n);
        let mut done = Acknowledged::default();
        let _ = session(&disk, &mut done);
        disk.set_fault(None);
        check(&disk, &done);
    }
}

#[test]
fn one_failing_operation_is_an_error_and_loses_nothing() {
    for n in 1..=operations() {
        for errno in [libc::EIO, libc::ENOSPC] {
            let (disk, _) = create();
            disk.fail_nth(n, errno);
            let mut done = Acknowledged::default();
            let _ = session(&disk, &mut done);
            disk.set_fault(None);
            check(&disk, &done);
        }
    }
}

#[test]
fn a_disk_that_fills_up_leaves_the_repository_as_it_was() {
    let (disk, _) = create();
    session(&disk, &mut Acknowledged::default()).expect("nothing fails");
    let needed = disk.used();
    for budget in (0..needed).step_by(16 << 10) {
        let (disk, _) = create();
        disk.set_capacity(Some(disk.used() + budget));
        let mut done = Acknowledged::default();
        if session(&disk, &mut done).is_err() {
            disk.set_capacity(None);
            check(&disk, &done);
        }
    }
}
