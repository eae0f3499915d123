//! What is brought in from elsewhere while others save, and is cut short.

use super::*;
use crate::id::CommitId;
use std::collections::{BTreeMap, BTreeSet};

/// A merge that is under way on a branch with one commit.
fn under_way(worktree: &Tenant) -> Merging {
    save(worktree, "a", b"ours", 1);
    let ours = worktree.commit(&request("first", 2), &Task::default()).expect("commit").id;
    Merging {
        kind: MergingKind::Merge,
        ours,
        theirs: ours,
        message: "merged".into(),
        author: None,
        metadata: BTreeMap::new(),
        conflicts: Vec::new(),
        decided: BTreeSet::new(),
        todo: Vec::new(),
        manner: Manner::default(),
        is_in: false,
    }
}

#[test]
fn a_merge_that_was_stopped_before_its_changes_were_there_is_not_committed() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let merging = under_way(&worktree);
    worktree.under_way().begin(&merging).expect("note");
    drop(worktree);
    let worktree = tenant(&open(&disk.crash_image(1)));
    assert_eq!(worktree.under_way().get().expect("read").as_ref(), Some(&merging));
    let everything = CommitRequest { allow_empty: true, ..request("merged", 3) };
    let error = worktree.commit(&everything, &Task::default()).expect_err("its changes are not there");
    assert!(matches!(error, Error::CutShort { what: "merge" }), "{error}");
    worktree.under_way().change(&merging, &Merging { is_in: true, ..merging.clone() }).expect("note");
    let id = worktree.commit(&everything, &Task::default()).expect("commit").id;
    assert_eq!(worktree.repo().commit(id).expect("read").parents, [merging.ours, merging.theirs]);
    assert_eq!(worktree.under_way().get().expect("read"), None);
}

#[test]
fn what_was_saved_since_somebody_looked_is_not_written_over() {
    let (_, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"seen", 1);
    let snapshot = worktree.snapshot(false).expect("snapshot");
    let remove = || vec![Edit::leaving(path("a"), None)];
    save(&worktree, "a", b"saved since", 2);
    let error = worktree.edits().make_since(&snapshot, remove(), at(3)).expect_err("it is another");
    assert!(matches!(error, Error::Stale), "{error}");
    let error = worktree.edits().reset_since(&snapshot).expect_err("it is another");
    assert!(matches!(error, Error::Stale), "{error}");
    assert_eq!(load(&worktree, "a"), Some(b"saved since".to_vec()));
    drop(snapshot);
    let snapshot = worktree.snapshot(false).expect("snapshot");
    worktree.edits().make_since(&snapshot, remove(), at(4)).expect("nothing happened");
    assert_eq!(load(&worktree, "a"), None);
}

#[test]
fn a_merge_that_is_taken_back_is_never_committed_without_what_came_in() {
    // A merge whose changes are in, of a file `b`, and the way back.
    let begun = || {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        let merging = Merging { is_in: true, ..under_way(&worktree) };
        let node = save(&worktree, "b", b"theirs", 3);
        worktree.sync(node).expect("sync");
        worktree.under_way().begin(&merging).expect("note");
        (disk, worktree, merging.ours)
    };
    let entry = LogEntry { who: request("", 4).author, message: "reset".into() };
    let back = |worktree: &Tenant, ours| {
        worktree.moving().branch(ours, Keeps::Nothing, Losses::default(), &entry, &Task::default())
    };
    let (disk, worktree, ours) = begun();
    let before = disk.operations();
    assert!(back(&worktree, ours).expect("nothing fails").is_empty());
    for n in 1..=disk.operations() - before {
        let (disk, worktree, ours) = begun();
        disk.stop_at_nth(n);
        let _ = back(&worktree, ours);
        drop(worktree);
        for seed in 0..4 {
            let worktree = tenant(&open(&disk.crash_image(seed)));
            let merging = worktree.under_way().get().expect("read");
            let has_it = load(&worktree, "b").is_some();
            assert!(has_it || merging.is_none_or(|merging| !merging.is_in), "{n}, {seed}");
        }
    }
}

#[test]
fn nobody_ends_or_overwrites_a_merge_that_somebody_else_began() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let other = repo.worktree(&main()).expect("another process's");
    let ours = under_way(&worktree);
    let theirs = Merging { message: "another".into(), ..ours.clone() };
    worktree.under_way().begin(&ours).expect("begin");
    let refused = other.under_way().begin(&theirs).expect_err("one is under way");
    assert!(matches!(refused, Error::UnderWay { .. }), "{refused}");
    // Who was refused, or late, takes nothing away.
    other.under_way().end(&theirs).expect("nothing to do");
    assert!(matches!(other.under_way().change(&theirs, &ours), Err(Error::Stale)));
    assert_eq!(worktree.under_way().get().expect("read").as_ref(), Some(&ours));
    other.under_way().end(&ours).expect("end");
    assert!(matches!(worktree.under_way().take_back(&ours), Err(Error::Stale)), "it is given up already");
    assert_eq!(worktree.under_way().get().expect("read"), None);
}

#[test]
fn of_several_what_comes_behind_a_commit_is_under_way_whoever_was_stopped_when() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let [second, third] = [[2; 32], [3; 32]].map(CommitId::from_bytes);
    let begun = Merging { kind: MergingKind::CherryPick, todo: vec![second, third], ..under_way(&worktree) };
    worktree.under_way().begin(&begun).expect("note");
    // Stopped before anything was there, it is begun once more by who goes on, and by nobody else.
    assert!(matches!(worktree.under_way().begin(&begun), Err(Error::UnderWay { .. })));
    worktree.under_way().put_off(&begun).expect("note");
    worktree.under_way().begin(&begun).expect("note");
    let is_in = Merging { is_in: true, ..begun.clone() };
    worktree.under_way().change(&begun, &is_in).expect("note");
    let noted = worktree.repo().disk().read(&worktree.under_way().path()).expect("a note");
    let everything = CommitRequest { allow_empty: true, ..request("picked", 3) };
    let id = worktree.commit(&everything, &Task::default()).expect("commit").id;
    let next = worktree.under_way().get().expect("read").expect("the second one");
    let waits = |next: &Merging| (next.ours, next.theirs, next.todo.clone(), next.is_in);
    assert_eq!(waits(&next), (id, second, vec![third], false));
    // The same where the note is still that of the one before.
    worktree.repo().disk().replace(&worktree.under_way().path(), &noted).expect("as it was");
    assert_eq!(worktree.under_way().get().expect("read").as_ref(), Some(&next));
    drop(worktree);
    let worktree = tenant(&open(&disk.crash_image(1)));
    assert_eq!(worktree.under_way().get().expect("read").as_ref(), Some(&next));
    assert!(matches!(worktree.commit(&everything, &Task::default()), Err(Error::CutShort { .. })));
    worktree.under_way().go_behind(&next, id).expect("note");
    let last = worktree.under_way().get().expect("read").expect("the third one");
    assert_eq!(waits(&last), (id, third, Vec::new(), false));
    worktree.under_way().go_behind(&last, id).expect("removed");
    assert_eq!(worktree.under_way().get().expect("read"), None);
}
