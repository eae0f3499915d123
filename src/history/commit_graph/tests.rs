//! What a repository says of how its commits descend, whatever there is of the file.

use super::super::ref_name::BranchName;
use super::super::reflog::LogEntry;
use super::super::testing::{ROOT, commit, create, open, who};
use super::super::walk::{Order, WalkRequest};
use super::*;
use crate::disk::{Disk, SimulatedDisk};
use crate::history::Walk;
use crate::units::Timestamp;
use std::path::Path;

/// Two lines that were merged crosswise, a third that goes on, a fourth that has nothing to do with them; clocks go wrong.
struct Crosswise {
    disk: SimulatedDisk,
    root: CommitId,
    left: CommitId,
    right: CommitId,
    /// Left and right merged, and right and left.
    merged: [CommitId; 2],
    late: CommitId,
    stranger: CommitId,
}

fn crosswise() -> Crosswise {
    let disk = create("main");
    let repo = open(&disk);
    let new = |parents: &[CommitId], seconds| commit(&repo, parents, seconds).get();
    let root = new(&[], 50);
    let (left, right) = (new(&[root], 20), new(&[root], 30));
    let merged = [new(&[left, right], 10), new(&[right, left], 40)];
    let (late, stranger) = (new(&[merged[0]], 60), new(&[], 5));
    let entry = LogEntry { who: who(1), message: "made".into() };
    for (name, tip) in [("main", late), ("other", merged[1]), ("stranger", stranger)] {
        let durable = repo.store().durable(tip).expect("sealed");
        repo.refs()
            .update_branch(&BranchName::new(name).expect("valid"), None, durable, &entry)
            .expect("branch");
    }
    Crosswise { disk, root, left, right, merged, late, stranger }
}

/// All answers are right, as a new process gives them.
fn check(made: &Crosswise) {
    let repo = open(&made.disk);
    let bases = |one, other| CommitGraph::of(&repo).merge_bases(one, other).expect("read");
    assert_eq!(bases(made.late, made.merged[1]), [made.right, made.left]);
    assert_eq!(bases(made.left, made.right), [made.root]);
    assert_eq!(bases(made.late, made.left), [made.left]);
    assert_eq!(bases(made.late, made.late), [made.late]);
    assert_eq!(bases(made.late, made.stranger), []);
    let repo = open(&made.disk);
    assert!(CommitGraph::of(&repo).is_ancestor(made.right, made.late).expect("read"));
    assert!(!CommitGraph::of(&repo).is_ancestor(made.merged[1], made.late).expect("read"));
    assert!(
        CommitGraph::of(&repo)
            .is_ancestor_of_any(made.merged[1], [made.stranger, made.merged[1]])
            .expect("read")
    );
}

#[test]
fn the_file_of_the_graph_may_be_missing_behind_or_damaged() {
    let made = crosswise();
    let path = Path::new(ROOT).join("graph");
    check(&made);
    CommitGraph::of(&open(&made.disk)).write(&Task::default()).expect("write");
    check(&made);
    let whole = made.disk.read(&path).expect("there");
    assert_eq!(Graph::decode(&whole).expect("whole").len(), 7);
    for damaged in [&whole[..whole.len() / 2], &[], b"something else"] {
        made.disk.replace(&path, damaged).expect("write");
        check(&made);
    }
    // Behind: as it was when there were two commits.
    let mut early = Graph::default();
    let root = early.add(made.root, Timestamp { seconds: 50, nanoseconds: 0 }, &[]);
    early.add(made.left, Timestamp { seconds: 20, nanoseconds: 0 }, &[root]);
    made.disk.replace(&path, &early.encode()).expect("write");
    check(&made);
}

#[test]
fn a_file_that_says_something_else_than_the_commits_is_found_and_removed() {
    let made = crosswise();
    let path = Path::new(ROOT).join("graph");
    let checked = || CommitGraph::of(&open(&made.disk)).check(&Task::default()).expect("checked");
    assert!(checked(), "there is none");
    CommitGraph::of(&open(&made.disk)).write(&Task::default()).expect("write");
    assert!(checked());
    let mut wrong = Graph::default();
    let root = wrong.add(made.root, Timestamp { seconds: 50, nanoseconds: 0 }, &[]);
    wrong.add(made.stranger, Timestamp { seconds: 5, nanoseconds: 0 }, &[root]);
    made.disk.replace(&path, &wrong.encode()).expect("replace");
    assert!(!checked());
    assert!(made.disk.stat(&path).expect("stat").is_none());
    made.disk.replace(&path, b"no graph").expect("replace");
    assert!(!checked());
    check(&made);
}

#[test]
fn with_the_file_no_commit_is_read_to_compare_tips() {
    let made = crosswise();
    CommitGraph::of(&open(&made.disk)).write(&Task::default()).expect("write");
    let repo = open(&made.disk);
    let before = made.disk.operations();
    CommitGraph::of(&repo).merge_bases(made.late, made.merged[1]).expect("read");
    let first = made.disk.operations() - before;
    CommitGraph::of(&repo).is_ancestor(made.root, made.late).expect("read");
    assert_eq!((first, made.disk.operations() - before), (2, 2), "opening and reading");
}

#[test]
fn a_graph_is_written_in_turn_and_a_disk_that_fails_is_no_trouble() {
    let made = crosswise();
    let repo = open(&made.disk);
    let path = Path::new(ROOT).join("graph");
    let of_turn = |first| CommitId::from_bytes([first; 32]);
    CommitGraph::of(&repo).write_in_turn(of_turn(7));
    assert!(made.disk.stat(&path).expect("stat").is_none());
    made.disk.set_read_only(true);
    CommitGraph::of(&repo).write_in_turn(of_turn(TURN));
    made.disk.set_read_only(false);
    assert!(made.disk.stat(&path).expect("stat").is_none());
    CommitGraph::of(&repo).write_in_turn(of_turn(TURN));
    assert!(made.disk.stat(&path).expect("stat").is_some());
}

#[test]
fn walks_hide_what_is_hidden_follow_first_parents_and_end_at_a_time() {
    let made = crosswise();
    let repo = open(&made.disk);
    let walk = |request| {
        let steps = Walk::of(&repo, request).expect("tips");
        steps.map(|step| step.expect("read").0).collect::<Vec<_>>()
    };
    let tips = vec![made.late];
    let plain = WalkRequest { tips: tips.clone(), ..WalkRequest::default() };
    assert_eq!(walk(plain.clone()), [made.late, made.merged[0], made.right, made.root, made.left]);
    let hidden = vec![made.right];
    assert_eq!(walk(WalkRequest { hidden, ..plain.clone() }), [made.late, made.left, made.merged[0]]);
    let first = [made.late, made.merged[0], made.left, made.root];
    assert_eq!(walk(WalkRequest { first_parent: true, ..plain.clone() }), first);
    let lines = [made.late, made.merged[0], made.right, made.left, made.root];
    assert_eq!(walk(WalkRequest { order: Order::Lines, ..plain.clone() }), lines);
    // A merge whose clock was wrong ends it, although what is behind is new enough.
    for order in [Order::Date, Order::Lines] {
        let since = Some(Timestamp { seconds: 25, nanoseconds: 0 });
        assert_eq!(walk(WalkRequest { since, order, ..plain.clone() }), [made.late]);
    }
}

#[test]
fn what_is_behind_a_commit_that_is_missing_is_found_before_it() {
    let disk = create("main");
    let repo = open(&disk);
    let (one, two) = (commit(&repo, &[], 1).get(), 2);
    let packs = Path::new(ROOT).join("packs");
    let first: Vec<String> = disk.list(&packs).expect("list");
    let two = commit(&repo, &[one], two).get();
    let three = commit(&repo, &[two], 3).get();
    for name in first.into_iter().filter(|name| name.contains('.')) {
        disk.remove_file(&packs.join(name)).expect("remove");
    }
    let repo = open(&disk);
    assert!(repo.commit(one).is_err(), "its pack is gone");
    assert!(CommitGraph::of(&repo).is_ancestor(two, three).is_ok_and(|is_ancestor| is_ancestor));
    assert!(
        CommitGraph::of(&repo).is_ancestor(one, three).is_ok_and(|is_ancestor| is_ancestor),
        "two says so"
    );
    let stranger = CommitId::from_bytes([9; 32]);
    assert!(CommitGraph::of(&repo).is_ancestor(stranger, three).is_err(), "it may be behind the first one");
    assert!(CommitGraph::of(&repo).merge_bases(two, three).is_err());
}
