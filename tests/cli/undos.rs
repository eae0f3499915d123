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
    bench.coral(&["restore", "--all", "--no-keep"]).succeeds();
    undo(&bench, &["branch dev was made"]);
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("on branch main"));
}

/// The state of a worktree as people see it.
fn seen(bench: &Workbench) -> String {
    let status = bench.coral(&["status", "-s"]).succeeds().stdout;
    let listed = bench.coral(&["--json", "ls", "-r", ":"]).json();
    let paths = listed["entries"].as_array().expect("entries").iter();
    let paths =
        paths.filter(|entry| entry["type"] == "file").map(|entry| entry["path"].as_str().expect("a path"));
    let files = paths.map(|path| format!("{path}={:?}", bench.cat(&format!(":{path}"))));
    files.fold(status, |all, file| all + &file + "\n")
}

#[test]
fn files_that_were_dropped_come_back_and_go_again() {
    let dropping: [&[&str]; 7] = [
        &["reset", "--hard"],
        &["reset", "--hard", "HEAD~1"],
        &["restore", "a"],
        &["restore", "-s", "HEAD~1", "a"],
        &["restore", "--all"],
        &["clean", "-f", "-d"],
        &["rm", "-r", "new", "a"],
    ];
    for arguments in dropping {
        let bench = Workbench::new();
        bench.commit("b", b"kept", "zeroth");
        bench.commit("a", b"1", "first");
        bench.commit("a", b"2", "second");
        bench.write("a", b"changed");
        bench.write("new/deep/file", b"only here");
        bench.coral(&["add", "a", "new"]).succeeds();
        bench.coral(&["rm", "b"]).succeeds();
        let before = seen(&bench);
        let said = bench.coral(arguments).succeeds();
        assert!(said.stderr.contains("`coral undo` brings these back"), "{arguments:?}: {said:?}");
        let after = seen(&bench);
        assert_ne!(before, after, "{arguments:?}");
        // Neither lists of tags nor the history know of it.
        assert_eq!(bench.coral(&["tag"]).succeeds().stdout, "", "{arguments:?}");
        assert!(!bench.coral(&["log", "--all", "--oneline"]).succeeds().stdout.contains(arguments[0]));
        for _ in 0..2 {
            let told = bench.coral(&["undo"]).succeeds();
            assert!(!told.stderr.contains("nothing brings back"), "{told:?}");
            assert_eq!(seen(&bench), before, "{arguments:?}");
            bench.coral(&["redo"]).succeeds();
            assert_eq!(seen(&bench), after, "{arguments:?}");
        }
        // What was saved since stays; where it is in the way, nothing is taken back.
        bench.write("later", b"later");
        bench.coral(&["add", "later"]).succeeds();
        let path = if arguments[0] == "clean" { "new/deep/file" } else { "a" };
        let left = bench.run(bench.command(&bench.path("repo"), &["cat", &format!(":{path}")]));
        bench.write(path, b"another");
        bench.coral(&["add", path]).succeeds();
        bench.coral(&["undo"]).fails(1, &["changed since", path, "coral restore --no-keep"]);
        match left.code {
            0 => {
                bench.write(path, left.stdout.as_bytes());
                bench.coral(&["add", path]).succeeds();
            }
            _ => drop(bench.coral(&["rm", "--no-keep", path]).succeeds()),
        }
        bench.coral(&["undo"]).succeeds();
        assert_eq!(bench.cat(":later"), b"later", "{arguments:?}");
        bench.coral(&["rm", "--no-keep", "later"]).succeeds();
        assert_eq!(seen(&bench), before, "{arguments:?}");
        bench.coral(&["fsck"]).succeeds();
    }
}

#[test]
fn a_branch_that_was_deleted_comes_back_with_what_only_its_worktree_had() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "dev"]).succeeds();
    bench.write("n", b"only here");
    bench.coral(&["add", "-B", "dev", "n"]).succeeds();
    for _ in 0..2 {
        let said = bench.coral(&["branch", "-D", "dev"]).succeeds();
        assert!(said.stderr.contains("`coral undo` brings these back"), "{said:?}");
        // The commits of another branch are nowhere because of what is kept.
        bench.coral(&["undo"]).succeeds();
        bench.coral(&["switch", "dev"]).succeeds();
        assert_eq!(bench.cat(":n"), b"only here");
        assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "A n\n");
        bench.coral(&["switch", "main"]).succeeds();
    }
    bench.coral(&["branch", "-D", "dev"]).succeeds();
    bench.coral(&["undo"]).succeeds();
    bench.coral(&["redo"]).succeeds();
    bench.coral(&["undo"]).succeeds();
    // What is saved there now goes with nobody.
    bench.write("n", b"another");
    bench.coral(&["add", "-B", "dev", "n"]).succeeds();
    bench.coral(&["redo"]).fails(1, &["has changes that are not committed"]);
}

#[test]
fn what_is_kept_holds_no_commits_for_those_who_delete_branches() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["restore", "--all"]).succeeds();
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-d", "dev"]).fails(1, &["dev"]);
}

#[test]
fn a_stash_that_is_taken_back_is_a_change_of_its_own_branch() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "dev"]).succeeds();
    bench.write("n", b"aside");
    bench.coral(&["add", "-B", "dev", "n"]).succeeds();
    bench.coral(&["stash", "push", "-B", "dev", "-m", "for later"]).succeeds();
    bench.coral(&["undo"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "");
    assert_eq!(bench.coral(&["status", "-s", "-B", "dev"]).succeeds().stdout, "A n\n");
}

#[test]
fn what_was_saved_since_above_or_below_what_comes_back_stays() {
    let cases: [(&str, &[&str], &str); 3] =
        [("a/b", &["rm", "-r", "a"], "a"), ("a", &["rm", "a"], "a/new"), ("a", &["clean", "-f"], "a/new")];
    for (dropped, verb, since) in cases {
        let bench = Workbench::new();
        bench.commit("other", b"1", "first");
        bench.write(dropped, b"dropped");
        bench.coral(&["add", "a"]).succeeds();
        bench.coral(verb).succeeds();
        let plain = bench.path("repo").join("a");
        if plain.is_dir() {
            std::fs::remove_dir_all(&plain).expect("it can be removed");
        } else {
            std::fs::remove_file(&plain).expect("it can be removed");
        }
        bench.write(since, b"precious");
        bench.coral(&["add", "a"]).succeeds();
        bench.coral(&["undo"]).fails(1, &["changed since", "coral restore --no-keep"]);
        assert_eq!(bench.cat(&format!(":{since}")), b"precious", "{verb:?}");
        bench.coral(&["restore", "--no-keep", "a"]).succeeds();
        bench.coral(&["undo"]).succeeds();
        assert_eq!(bench.cat(&format!(":{dropped}")), b"dropped", "{verb:?}");
    }
}

#[test]
fn names_of_what_undo_brings_back_are_nobody_elses() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    for name in ["kept", "kept/1", "kept/own"] {
        bench.coral(&["tag", name]).fails(1, &["`coral undo` brings back", "another name"]);
    }
    bench.write("a", b"2");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["commit", "-m", "x", "--tag", "kept/1"]).fails(1, &["another name"]);
    bench.coral(&["tag", "keptsake"]).succeeds();
}

#[test]
fn what_cannot_be_looked_at_is_not_dropped_unless_that_is_said() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.write("a", b"only here");
    bench.coral(&["add", "a"]).succeeds();
    // A tag that cannot be read is no reason not to keep it.
    bench.coral(&["tag", "v1"]).succeeds();
    let tag = bench.path("repo/.coral/refs/tags/v1");
    let whole = std::fs::read(&tag).expect("a tag");
    std::fs::write(&tag, b"garbage").expect("it can be written");
    bench.coral(&["restore", "a"]);
    std::fs::write(&tag, whole).expect("it can be written");
    if bench.cat(":a") == b"1" {
        bench.coral(&["undo"]).succeeds();
    }
    assert_eq!(bench.cat(":a"), b"only here");
    // Where nobody can say who reads staging files, nothing is dropped.
    let holds = bench.path("repo/.coral/worktrees/main/holds");
    std::fs::remove_file(&holds).expect("it is there");
    std::fs::create_dir(&holds).expect("new");
    for verb in [&["reset", "--hard"][..], &["restore", "--all"], &["restore", "a"], &["rm", "a"]] {
        let said = bench.coral(verb);
        assert_eq!(said.code, 1, "{verb:?}: {said:?}");
    }
    std::fs::remove_dir(&holds).expect("it is empty");
    assert_eq!(bench.cat(":a"), b"only here");
}

#[test]
fn of_two_who_take_something_back_at_once_each_says_what_it_did() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("b", b"1", "second");
    for round in 0..10 {
        let only_here = format!("only here {round}");
        for file in ["a", "b"] {
            bench.write(file, only_here.as_bytes());
            bench.coral(&["add", file]).succeeds();
        }
        bench.coral(&["restore", "a"]).succeeds();
        bench.coral(&["restore", "b"]).succeeds();
        let told = std::thread::scope(|scope| {
            let undo = || scope.spawn(|| bench.coral(&["undo"]));
            [undo(), undo()].map(|undoing| undoing.join().expect("it ends"))
        });
        let done = told.iter().filter(|told| told.code == 0).count();
        assert!(done > 0, "{told:?}");
        assert_eq!(bench.cat(":b"), only_here.as_bytes(), "{told:?}");
        if done == 2 {
            assert_eq!(bench.cat(":a"), only_here.as_bytes(), "{told:?}");
        }
    }
}
