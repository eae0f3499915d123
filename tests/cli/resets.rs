//! Going back: `reset`, `stash`.

use super::workbench::Workbench;

fn bench() -> (Workbench, [String; 3]) {
    let bench = Workbench::new();
    let commits = ["1", "2", "3"].map(|text| bench.commit("a", text.as_bytes(), text));
    (bench, commits)
}

#[test]
fn a_branch_goes_back_with_its_files_or_without() {
    let (bench, [first, second, third]) = bench();
    let told = bench.coral(&["reset", "HEAD~1"]).succeeds();
    assert!(told.stdout.contains(&format!("main is at {}", &second[..10])), "{told:?}");
    assert!(told.stderr.contains(&format!("`coral reset {}` takes it back", &third[..10])), "{told:?}");
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"2".to_vec(), b"3".to_vec()));
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "M a\n");
    bench.coral(&["commit", "-m", "again"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"3");
    // What is staged is kept as well.
    bench.write("b", b"new");
    bench.coral(&["add", "b"]).succeeds();
    bench.coral(&["reset", "--soft", &first]).succeeds();
    assert_eq!(
        (bench.cat(":a"), bench.cat(":b"), bench.cat("HEAD:a")),
        (b"3".to_vec(), b"new".to_vec(), b"1".to_vec())
    );
    let hard = bench.coral(&["reset", "--hard", &third]).succeeds();
    assert!(hard.stderr.contains("2 files dropped that no commit has"), "{hard:?}");
    assert_eq!(bench.cat(":a"), b"3");
    bench.coral(&["ls", ":b"]).fails(1, &["no `b`"]);
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    bench.coral(&["reset", "HEAD", "--", "a"]).fails(2, &["no index", "coral restore"]);
    bench.coral(&["reset", "--hard", "nowhere"]).fails(1, &["unknown revision"]);
    assert_eq!(bench.cat("main@{1}:a"), b"1");
    bench.coral(&["fsck"]).succeeds();
}

#[test]
fn a_merge_is_over_when_its_branch_is_reset() {
    let (bench, _) = bench();
    bench.coral(&["switch", "-c", "dev", "HEAD~1"]).succeeds();
    bench.commit("a", b"else", "else");
    bench.coral(&["merge", "main"]).fails(1, &["1 conflict"]);
    bench.coral(&["reset", "--hard"]).succeeds();
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    bench.coral(&["merge", "--abort"]).fails(1, &["is under way"]);
}

#[test]
fn changes_are_put_aside_and_brought_back() {
    let (bench, _) = bench();
    bench.coral(&["stash"]).fails(1, &["no changes on `main`"]);
    bench.write("a", b"4");
    bench.write("b", b"new");
    bench.coral(&["add", "a", "b"]).succeeds();
    bench.coral(&["stash", "push", "-m", "an idea"]).succeeds();
    assert_eq!(bench.cat(":a"), b"3");
    assert!(bench.coral(&["stash", "list"]).succeeds().stdout.contains("an idea"));
    assert_eq!(bench.coral(&["stash", "show"]).succeeds().stdout, "M a\nA b\n");
    assert_eq!(bench.coral(&["tag"]).succeeds().stdout, "");
    bench.commit("c", b"meanwhile", "meanwhile");
    bench.coral(&["stash", "apply"]).succeeds();
    assert_eq!(
        (bench.cat(":a"), bench.cat(":b"), bench.cat(":c")),
        (b"4".to_vec(), b"new".to_vec(), b"meanwhile".to_vec())
    );
    bench.coral(&["restore", "--all"]).succeeds();
    bench.coral(&["stash", "pop"]).succeeds();
    assert_eq!(bench.cat(":a"), b"4");
    bench.coral(&["stash", "pop"]).fails(1, &["nothing is put aside"]);
    // Where something else was changed nothing is brought back.
    bench.coral(&["stash"]).succeeds();
    bench.commit("a", b"5", "else");
    bench
        .coral(&["stash", "pop"])
        .fails(1, &["changed otherwise since, the first is `a`", "coral restore -s stash/"]);
    assert_eq!(bench.cat(":a"), b"5");
    bench.coral(&["stash", "drop", "7"]).fails(1, &["no stash 7"]);
    bench.coral(&["stash", "drop"]).succeeds();
    assert_eq!(bench.coral(&["stash", "list"]).succeeds().stdout, "");
}

#[test]
fn a_branch_that_is_not_the_current_one_is_reset_to_its_own_commit() {
    let bench = Workbench::new();
    bench.commit("a", b"one", "first");
    bench.coral(&["switch", "-c", "side"]).succeeds();
    let tip = bench.commit("a", b"two", "second");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["reset", "-B", "side", "--hard"]).succeeds();
    assert_eq!(bench.coral(&["--json", "show", "side"]).json()["commit"], tip.as_str());
}
