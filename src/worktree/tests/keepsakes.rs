//! What a reset drops and no commit has is in the worktree or kept, whenever the power is cut.

use super::*;

/// A branch of one commit, and a worktree in which a small and a large file are not committed.
fn dirty() -> (SimulatedDisk, Tenant) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    synced(&worktree, "a", b"committed");
    worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    synced(&worktree, "a", b"changed");
    synced(&worktree, "large", &vec![7; 3 << 20]);
    (disk, worktree)
}

/// Lets the branch go where it is, and keeps what goes.
fn reset(worktree: &Worktree) -> Result<Vec<Warning>> {
    let repo = worktree.repo();
    let tip = repo.refs().existing_branch(worktree.branch())?;
    let entry = LogEntry { who: request("", 4).author, message: "reset: to main".into() };
    let snapshot = worktree.snapshot(false)?;
    let left = Left::All(repo.commit(tip)?.tree);
    let kept = Keepsake::make(worktree, &snapshot, &left, (&entry.message, &entry.who), &Task::default())?;
    let losses = Losses { seen: Some(snapshot), kept: Some(kept), loses_files: false };
    worktree.moving().branch(tip, Keeps::Nothing, losses, &entry, &Task::default())
}

/// What a file is in the worktrees that were kept, as somebody finds it who opens the repository.
fn kept(repo: &Repo, file: &str) -> Option<Vec<u8>> {
    let tags = repo.refs().tags().expect("tags");
    let (tag, _) = tags.iter().find(|(tag, _)| tag.is_kept())?;
    let keepsake = Keepsake::of(repo, repo.refs().tag(tag).expect("tag")?.commit).expect("read")?;
    assert_eq!(keepsake.branch, main());
    committed(repo, &format!("{tag}^"), file)
}

#[test]
fn what_a_reset_drops_is_there_or_kept_whenever_the_power_is_cut() {
    let (disk, worktree) = dirty();
    let before = disk.operations();
    reset(&worktree).expect("nothing fails");
    assert_eq!((load(&worktree, "a"), load(&worktree, "large")), (Some(b"committed".to_vec()), None));
    let all = disk.operations() - before;
    for n in 1..=all {
        let (disk, worktree) = dirty();
        disk.stop_at_nth(n);
        let _ = reset(&worktree);
        drop(worktree);
        for seed in 0..2 {
            let repo = open(&disk.crash_image(seed));
            let worktree = tenant(&repo);
            for (file, bytes) in [("a", b"changed".to_vec()), ("large", vec![7; 3 << 20])] {
                let is_there = load(&worktree, file).as_ref() == Some(&bytes);
                assert!(is_there || kept(&repo, file) == Some(bytes), "{file}, {n} of {all}, {seed}");
            }
            assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty(), "{n}, {seed}");
        }
    }
}

#[test]
fn whatever_fails_while_a_reset_keeps_its_files_are_there_or_kept_after_a_power_cut() {
    let (disk, worktree) = dirty();
    let before = disk.operations();
    reset(&worktree).expect("nothing fails");
    let all = disk.operations() - before;
    let (mut refused, mut stayed) = (0, 0);
    for n in 1..=all {
        let (disk, worktree) = dirty();
        disk.fail_nth(n, libc::EIO);
        let done = reset(&worktree);
        match &done {
            Err(_) => refused += 1,
            Ok(warnings) if warnings.iter().any(|warning| matches!(warning, Warning::Worktree { .. })) => {
                stayed += 1
            }
            Ok(_) => {}
        }
        drop(worktree);
        let repo = open(&disk.crash_image(n));
        let worktree = tenant(&repo);
        for (file, bytes) in [("a", b"changed".to_vec()), ("large", vec![7; 3 << 20])] {
            let is_there = load(&worktree, file).as_ref() == Some(&bytes);
            assert!(is_there || kept(&repo, file) == Some(bytes), "{file}, {n} of {all}: {done:?}");
        }
    }
    assert!(refused > 0 && stayed > 0, "{refused}, {stayed}");
}

#[test]
fn what_is_saved_while_a_reset_keeps_the_rest_stays() {
    let (_disk, worktree) = dirty();
    let repo = worktree.repo();
    let tip = repo.refs().existing_branch(worktree.branch()).expect("tip");
    let entry = LogEntry { who: request("", 4).author, message: "reset: to main".into() };
    let snapshot = worktree.snapshot(false).expect("snapshot");
    synced(&worktree, "meanwhile", b"saved");
    let losses = Losses { seen: Some(snapshot), ..Losses::default() };
    let refused = worktree.moving().branch(tip, Keeps::Nothing, losses, &entry, &Task::default());
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    assert_eq!(load(&worktree, "meanwhile"), Some(b"saved".to_vec()));
    assert_eq!(load(&worktree, "a"), Some(b"changed".to_vec()));
}

#[test]
fn what_is_kept_goes_after_its_time() {
    let (_disk, worktree) = dirty();
    let repo = worktree.repo().clone();
    reset(&worktree).expect("nothing fails");
    let entry = LogEntry { who: request("", 9).author, message: "kept for its time".into() };
    assert_eq!(repo.refs().let_go_of_kept(at(4), |_| true, &entry).expect("nothing fails"), 0);
    assert_eq!(kept(&repo, "a"), Some(b"changed".to_vec()));
    let operations = repo.refs().logs().operations().expect("read").len();
    assert_eq!(repo.refs().let_go_of_kept(at(5), |_| true, &entry).expect("nothing fails"), 1);
    assert_eq!(kept(&repo, "a"), None);
    // That is nothing to be taken back, and what only dropped these files no longer is.
    assert_eq!(repo.refs().logs().operations().expect("read").len(), operations - 1);
}
