//! Taking back: `undo`, `redo`, `op log`.

use super::workbench::Workbench;

fn undo(bench: &Workbench, words: &[&str]) {
    let told = bench.coral(&["undo"]).succeeds();
    words.iter().for_each(|word| assert!(told.stdout.contains(word), "no `{word}` in {told:?}"));
    assert!(told.stderr.contains("`coral redo`"), "{told:?}");
}

#[test]
fn a_commit_that_is_taken_back_leaves_its_files() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("a", b"2", "second");
    undo(&bench, &["undid: commit: second", "branch main"]);
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"1".to_vec(), b"2".to_vec()));
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "M a\n");
    bench.coral(&["redo"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"2");
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    bench.coral(&["redo"]).fails(1, &["nothing left", "coral op log"]);
    // Back to before the first one.
    undo(&bench, &["second"]);
    undo(&bench, &["first", "branch main was made"]);
    bench.coral(&["log"]).fails(1, &["no commits yet"]);
    assert_eq!(bench.cat(":a"), b"2");
    bench.coral(&["undo"]).fails(1, &["nothing left"]);
    bench.coral(&["redo"]).succeeds();
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"1".to_vec(), b"2".to_vec()));
    bench.coral(&["fsck"]).succeeds();
}

#[test]
fn branches_tags_switches_and_merges_are_taken_back() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    bench.coral(&["tag", "v1", "-d", "said of it"]).succeeds();
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    let second = bench.commit("b", b"2", "second");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-D", "dev"]).succeeds();
    undo(&bench, &["branch: deleted", "branch dev was deleted"]);
    assert_eq!(bench.coral(&["--json", "show", "dev"]).json()["commit"], second.as_str());
    bench.commit("c", b"3", "third");
    bench.coral(&["merge", "dev"]).succeeds();
    undo(&bench, &["commit (merge)"]);
    bench.coral(&["restore", "--all"]).succeeds();
    bench.coral(&["ls", "HEAD:b"]).fails(1, &["no `b`"]);
    bench.coral(&["tag", "-f", "v1"]).succeeds();
    undo(&bench, &["tag v1"]);
    let tag = bench.coral(&["--json", "tag"]).json();
    assert_eq!(
        (&tag["tags"][0]["commit"], &tag["tags"][0]["description"]),
        (&first.as_str().into(), &"said of it".into())
    );
    bench.coral(&["switch", "dev"]).succeeds();
    undo(&bench, &["switch: from main to dev", "HEAD"]);
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("on branch main"));
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    undo(&bench, &["reset: to HEAD~1"]);
    assert_eq!((bench.cat("HEAD:c"), bench.cat(":c")), (b"3".to_vec(), b"3".to_vec()));
    let log = bench.coral(&["--json", "op", "log"]).json();
    assert!(log["operations"][0]["message"].as_str().expect("text").starts_with("undo: operation "), "{log}");
    assert!(bench.coral(&["op", "log", "-n", "1"]).succeeds().stderr.contains("`-n 0` shows all"));
}

#[test]
fn what_moved_since_is_not_taken_back() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.write("b", b"unsaved");
    bench.coral(&["add", "b"]).succeeds();
    // The branch would go, and its worktree has something.
    bench.coral(&["undo"]).fails(1, &["has changes that are not committed"]);
    assert_eq!(bench.cat(":b"), b"unsaved");
    bench.coral(&["restore", "--all"]).succeeds();
    undo(&bench, &["branch dev was made"]);
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("on branch main"));
}
