//! Deleting a branch beside others who save into it, or delete what else reaches its commits.

use super::*;
use crate::disk::Hooked;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Lets `act` happen before the operation of the disk with a number, while `done` does something. The result has the
/// numbers of the operations that this took.
fn at_operation<T>(
    disk: &SimulatedDisk,
    number: u64,
    act: impl Fn() + Send + Sync + 'static,
    done: impl FnOnce(Repo) -> T,
) -> (Range<u64>, T) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let hooked = Hooked::new(disk, move |_, _| {
        if counted.fetch_add(1, Ordering::Relaxed) == number {
            act();
        }
        Ok(())
    });
    let repo = Repo::open(Arc::new(hooked), Path::new(ROOT), Options::default()).expect("open");
    let before = count.load(Ordering::Relaxed);
    let result = done(repo);
    (before..count.load(Ordering::Relaxed), result)
}

/// The numbers of the operations that deleting x takes.
fn operations() -> Range<u64> {
    let delete =
        |repo: Repo| Branches::of(&repo).delete(&branch("x"), Losing::Nothing, &request("", 4).author);
    let (range, deleted) = at_operation(&with_branches(&["x", "y"]), u64::MAX, || {}, delete);
    deleted.expect("nobody comes between");
    range
}

fn branch(name: &str) -> BranchName {
    BranchName::new(name).expect("valid")
}

/// A repository with branches at a commit of their own each, all of them merged into main.
fn with_branches(names: &[&str]) -> SimulatedDisk {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"1", 1);
    worktree.commit(&request("first", 1), &Task::default()).expect("commit");
    let who = request("", 2).author;
    names
        .iter()
        .for_each(|name| drop(Branches::of(&repo).create(&branch(name), "HEAD", &who).expect("branch")));
    disk
}

#[test]
fn what_was_saved_before_a_branch_is_deleted_keeps_it_whenever_that_is() {
    let (mut kept, mut gone) = (0, 0);
    for number in operations() {
        let disk = with_branches(&["x", "y"]);
        let (tenant, _) = open(&disk).worktree(&branch("x")).and_then(Tenant::adopt).expect("worktree");
        let lock = Path::new(ROOT).join("worktrees/x/lock");
        let (other, (saved, told)) = (disk.clone(), mpsc::channel());
        let save = move || {
            // Whoever is kept waiting has saved nothing yet.
            if other.lock(&lock, true, Patience::Try).is_ok_and(|free| free.is_some()) {
                let made = tenant.names().make_dir(NodeId::ROOT, &name("precious"), 0o755, at(3));
                saved.send(made.is_ok()).expect("somebody waits");
            }
        };
        let who = request("", 4).author;
        let delete = |repo: Repo| Branches::of(&repo).delete(&branch("x"), Losing::Nothing, &who);
        let (_, deleted) = at_operation(&disk, number, save, delete);
        let is_saved = told.try_recv().unwrap_or(false);
        assert!(!(is_saved && deleted.is_ok()), "saved before operation {number}, and deleted");
        if is_saved {
            let worktree = open(&disk).worktree(&branch("x")).expect("it is there");
            assert!(worktree.names().resolve(&path("precious")).expect("resolve").is_some());
        }
        kept += u32::from(is_saved);
        gone += u32::from(deleted.is_ok());
    }
    assert!(kept > 0 && gone > 0, "{kept} kept, {gone} gone");
}

/// Each of two is merged because of the other, until the other goes.
#[test]
fn of_two_branches_that_keep_each_other_one_stays() {
    for number in operations() {
        let disk = with_branches(&["x"]);
        let repo = open(&disk);
        let (worktree, _) = repo.worktree(&branch("x")).and_then(Tenant::adopt).expect("worktree");
        save(&worktree, "more", b"2", 2);
        let tip = worktree.commit(&request("on x alone", 3), &Task::default()).expect("commit").id;
        let who = request("", 4).author;
        Branches::of(&repo).create(&branch("y"), "x", &who).expect("branch");
        drop(worktree);
        let (other, lock) = (disk.clone(), Path::new(ROOT).join("refs/lock"));
        let delete_y = move || {
            if other.lock(&lock, true, Patience::Try).is_ok_and(|free| free.is_some()) {
                // That it is not merged any more is fine too.
                let _ =
                    Branches::of(&open(&other)).delete(&branch("y"), Losing::Nothing, &request("", 5).author);
            }
        };
        let delete_x = |repo: Repo| drop(Branches::of(&repo).delete(&branch("x"), Losing::Nothing, &who));
        at_operation(&disk, number, delete_y, delete_x);
        let left = ["x", "y"].map(|name| repo.refs().branch(&branch(name)).expect("read"));
        assert!(left.contains(&Some(tip)), "lost when y is deleted before operation {number}");
    }
}

#[test]
fn a_worktree_that_is_deleted_while_it_is_made_is_made_anew_or_said_to_be_gone() {
    let folder = Path::new(ROOT).join("worktrees/x");
    for number in 0..40 {
        let disk = with_branches(&["x"]);
        let (other, gone) = (disk.clone(), folder.clone());
        // As far as somebody who deletes a worktree that is half made can come.
        let delete = move || {
            for below in ["staged", ""] {
                let _ = other.remove_dir(&gone.join(below));
            }
        };
        let (_, opened) = at_operation(&disk, number, delete, |repo| repo.worktree(&branch("x")).map(drop));
        assert!(matches!(opened, Ok(()) | Err(Error::Replaced(_))), "{number}: {opened:?}");
    }
}
