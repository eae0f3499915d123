//! Branches, tags, and two people at once.

use super::workbench::{Ran, Workbench};
use std::fs;

#[test]
fn every_branch_has_a_worktree_of_its_own() {
    let bench = Workbench::new();
    bench.commit("a", b"main", "first");
    bench.coral(&["switch", "-c", "feature/x"]).succeeds();
    bench.commit("a", b"feature", "second");
    bench.coral(&["switch", "main"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"main");
    assert_eq!(bench.cat("feature/x:a"), b"feature");
    assert_eq!(bench.cat("feature/x~1:a"), b"main");
    let branches = bench.coral(&["--json", "branch"]).json();
    let names: Vec<_> = branches.as_array().expect("a list").iter().map(|row| &row["branch"]).collect();
    assert_eq!(names, ["feature/x", "main"]);
    bench.write("b", b"on the other");
    bench.coral(&["add", "-B", "feature/x", "b"]).succeeds();
    bench.coral(&["commit", "-B", "feature/x", "-m", "third"]).succeeds();
    assert_eq!(bench.cat("feature/x:b"), b"on the other");
}

#[test]
fn branches_with_commits_of_their_own_are_not_deleted_lightly() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "same"]).succeeds();
    bench.coral(&["branch", "-d", "same"]).succeeds();
    bench.coral(&["branch", "-d", "main"]).fails(1, &["main"]);
    bench.coral(&["switch", "-c", "own"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-d", "own"]).fails(1, &["nothing else reaches", "-D"]);
    bench.coral(&["branch", "-D", "own"]).succeeds();
    bench.coral(&["cat", "own:a"]).fails(1, &["own"]);
}

#[test]
fn tags_outlive_their_process_and_do_not_move_by_accident() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    bench.coral(&["tag", "v1", "-d", "the best = so far", "--metric", "loss=0.25"]).succeeds();
    bench.commit("a", b"2", "second");
    assert_eq!(bench.cat("v1:a"), b"1");
    bench.coral(&["tag", "v1"]).fails(1, &["v1", "exists already"]);
    let tags = bench.coral(&["--json", "tag"]).json();
    assert_eq!(tags[0]["commit"], first.as_str());
    assert_eq!(
        (&tags[0]["description"], &tags[0]["metrics"]["loss"]),
        (&"the best = so far".into(), &"0.25".into())
    );
    bench.coral(&["tag", "-f", "v1"]).succeeds();
    assert_eq!(bench.cat("v1:a"), b"2");
    bench.coral(&["tag", "-D", "v1"]).succeeds();
    bench.coral(&["tag", "-D", "v1"]).fails(1, &["v1"]);
}

#[test]
fn the_log_is_newest_first_and_of_any_revision() {
    let bench = Workbench::new();
    for n in 1..=3 {
        bench.commit("a", n.to_string().as_bytes(), &format!("number {n}\n\nand more"));
    }
    let log = bench.coral(&["log", "--oneline"]).succeeds().stdout;
    let subjects: Vec<_> =
        log.lines().map(|line| line.rsplit_once("number ").expect("a subject").1).collect();
    assert_eq!(subjects, ["3", "2", "1"]);
    assert_eq!(bench.coral(&["log", "--oneline", "-n", "1", "HEAD~1"]).succeeds().stdout.lines().count(), 1);
}

#[test]
fn two_committers_at_once_both_land_or_one_is_told() {
    let bench = Workbench::new();
    bench.commit("start", b"0", "start");
    for round in 0..5 {
        let names = [format!("left-{round}"), format!("right-{round}")];
        for name in &names {
            bench.write(name, name.as_bytes());
            bench.coral(&["add", name]).succeeds();
        }
        let children = names.each_ref().map(|name| bench.start(&["commit", "-m", name]));
        let ran = children.map(|child| Ran::of(child.wait_with_output().expect("it ends")));
        assert!(ran.iter().any(|ran| ran.code == 0), "{ran:?}");
        for loser in ran.iter().filter(|ran| ran.code != 0) {
            assert!(
                loser.stderr.contains("nothing to commit") || loser.stderr.contains("moved"),
                "{loser:?}"
            );
        }
        for name in &names {
            assert_eq!(bench.cat(&format!("HEAD:{name}")), name.as_bytes());
        }
    }
    assert_eq!(bench.coral(&["--json", "fsck", "--full"]).json()["findings"], serde_json::json!([]));
}

#[test]
fn a_commit_can_be_looked_at_without_a_branch() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("a", b"2", "second");
    bench.coral(&["checkout", "HEAD~1"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"1");
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).fails(1, &["detached", "switch -c"]);
    bench.coral(&["switch", "-c", "from-the-past"]).succeeds();
    bench.commit("a", b"3", "third");
    assert_eq!((bench.cat("HEAD~1:a"), bench.cat("HEAD:a")), (b"1".to_vec(), b"3".to_vec()));
}

#[test]
fn everything_is_the_same_after_the_rebuildable_is_deleted() {
    let bench = Workbench::new();
    bench.commit("a", &[5; 100_000], "first");
    bench.commit("a", &[6; 100_000], "second");
    let packs = bench.path("repo/.coral/packs");
    let mut sidecars = 0;
    for entry in fs::read_dir(&packs).expect("list") {
        let path = entry.expect("list").path();
        if path.extension().is_some_and(|extension| extension == "cix") {
            fs::remove_file(path).expect("remove");
            sidecars += 1;
        }
    }
    assert!(sidecars > 0);
    assert_eq!(bench.cat("HEAD~1:a"), [5; 100_000]);
    bench.coral(&["fsck", "--full", "--rebuild"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), [6; 100_000]);
}
