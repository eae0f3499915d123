//! Bringing together what was changed apart: `merge`, `cherry-pick`, `revert`.

use super::workbench::{Workbench, safetensors, weights};

/// A file of two layers.
fn model(first: u64, second: u64) -> Vec<u8> {
    safetensors(&[("layer.0", &weights(first, 500)), ("layer.1", &weights(second, 500))])
}

/// A model that `main` and `dev` change, each its own way.
fn parted(here: Vec<u8>, there: Vec<u8>) -> Workbench {
    let bench = Workbench::new();
    bench.commit("m.safetensors", &model(1, 2), "base");
    bench.coral(&["branch", "dev"]).succeeds();
    bench.commit("m.safetensors", &here, "here");
    bench.coral(&["switch", "dev"]).succeeds();
    bench.commit("m.safetensors", &there, "there");
    bench.coral(&["switch", "main"]).succeeds();
    bench
}

fn parents(bench: &Workbench, revision: &str) -> usize {
    bench.coral(&["--json", "log", "-1", revision]).json()["commits"][0]["parents"]
        .as_array()
        .map_or(0, Vec::len)
}

#[test]
fn layers_that_were_changed_apart_merge_inside_of_a_file() {
    let bench = parted(model(3, 2), model(1, 4));
    bench.write("only-there.txt", b"there\n");
    bench.coral(&["add", "-B", "dev", "only-there.txt"]).succeeds();
    bench.coral(&["commit", "-B", "dev", "-m", "a file"]).succeeds();
    bench.coral(&["merge", "dev"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(3, 4));
    assert_eq!(bench.cat("HEAD:only-there.txt"), b"there\n");
    assert_eq!(parents(&bench, "HEAD"), 2);
    let shown = bench.coral(&["log", "-1"]).succeeds().stdout;
    assert!(shown.contains("Merge:") && shown.contains("Merge branch 'dev'"), "{shown}");
    // Merging again has nothing to do.
    assert!(bench.coral(&["merge", "dev"]).succeeds().stdout.contains("already up to date"));
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    assert_eq!(bench.cat("HEAD^2:m.safetensors"), model(1, 4));
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn a_branch_without_commits_of_its_own_goes_forward() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    let second = bench.commit("a", b"2", "second");
    bench.coral(&["switch", "main"]).succeeds();
    assert!(bench.coral(&["merge", "dev"]).succeeds().stdout.contains("went forward"));
    assert_eq!(bench.coral(&["--json", "show"]).json()["commit"], second.as_str());
    assert_eq!(bench.cat(":a"), b"2");
    bench.coral(&["switch", "-c", "other", "HEAD~1"]).succeeds();
    bench.coral(&["merge", "--no-ff", "-m", "on purpose", "dev"]).succeeds();
    assert_eq!(parents(&bench, "HEAD"), 2);
    bench.commit("b", b"own", "own");
    bench.coral(&["switch", "dev"]).succeeds();
    bench.commit("a", b"3", "third");
    bench.coral(&["merge", "--ff-only", "other"]).fails(1, &["`dev` has commits that `other` has not"]);
    bench.coral(&["merge", "--squash", "other"]).succeeds();
    assert!(bench.coral(&["status", "-s"]).succeeds().stdout.contains("A b"));
    bench.coral(&["merge", "other"]).fails(1, &["has changes that are not committed"]);
    bench.coral(&["commit", "-m", "squashed"]).succeeds();
    assert_eq!(parents(&bench, "HEAD"), 1);
}

#[test]
fn a_conflict_is_kept_until_somebody_decides() {
    let bench = parted(model(3, 5), model(1, 6));
    let told = bench.coral(&["merge", "dev"]).fails(1, &["1 conflict to decide", "--continue"]);
    assert!(told.stdout.contains("C m.safetensors  (both changed: layer.1)"), "{told:?}");
    let status = bench.coral(&["status"]).succeeds().stdout;
    assert!(
        status.contains("a merge of") && status.contains("m.safetensors: layer.1 (both changed)"),
        "{status}"
    );
    let json = bench.coral(&["--json", "status"]).json();
    assert_eq!(json["conflicts"][0]["tensors"][0], "layer.1");
    assert!(status.contains("`coral checkout --ours PATH` or `--theirs PATH` takes a side"), "{status}");
    for how in [&["diff"][..], &["diff", "--stat"], &["diff", "HEAD", "m.safetensors"]] {
        let differing = bench.coral(how).succeeds().stdout;
        assert!(differing.starts_with("unmerged m.safetensors  (both changed: layer.1)\n"), "{differing}");
    }
    assert!(bench.coral(&["diff", "--name-status"]).succeeds().stdout.starts_with("U\tm.safetensors\n"));
    assert_eq!(bench.coral(&["--json", "diff"]).json()["unmerged"][0]["tensors"][0], "layer.1");
    bench.coral(&["diff", "-q"]).fails(1, &[]);
    assert_eq!(bench.coral(&["diff", "main", "main"]).succeeds().stdout, "");
    // A side is one of a whole file.
    for tensors in ["m.safetensors#layer.1", "m.safetensors#*"] {
        bench.coral(&["checkout", "--theirs", tensors]).fails(2, &["a side is taken of whole files", "#"]);
    }
    bench.coral(&["commit", "-m", "too early"]).fails(1, &["in conflict", "--ours"]);
    bench.coral(&["merge", "--continue"]).fails(1, &["in conflict"]);
    bench.coral(&["merge", "dev"]).fails(1, &["a merge is under way", "--abort"]);
    bench.coral(&["revert", "--abort"]).fails(1, &["what is under way is a merge"]);
    bench.coral(&["checkout", "--theirs", "m.safetensors"]).succeeds();
    let status = bench.coral(&["status"]).succeeds().stdout;
    assert!(status.contains("everything is decided: `coral merge --continue` commits it"), "{status}");
    bench.coral(&["merge", "--continue"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(1, 6));
    assert_eq!(parents(&bench, "HEAD"), 2);
    assert_eq!(bench.coral(&["--json", "status"]).json()["under_way"], serde_json::Value::Null);
    bench.coral(&["merge", "--abort"]).fails(1, &["no merge, revert or cherry-pick is under way"]);
}

#[test]
fn a_merge_is_given_up_or_decided_by_what_is_added() {
    let bench = parted(model(3, 5), model(1, 6));
    bench.coral(&["merge", "dev"]).fails(1, &[]);
    bench.coral(&["merge", "--abort"]).succeeds();
    assert_eq!(bench.cat(":m.safetensors"), model(3, 5));
    bench.coral(&["merge", "dev"]).fails(1, &[]);
    bench.write("m.safetensors", &model(7, 8));
    bench.coral(&["add", "m.safetensors"]).succeeds();
    bench.coral(&["commit", "-m", "decided"]).succeeds();
    assert_eq!((bench.cat("HEAD:m.safetensors"), parents(&bench, "HEAD")), (model(7, 8), 2));
}

#[test]
fn a_strategy_decides_at_once() {
    for (strategy, second) in [("ours", 5), ("theirs", 6)] {
        let bench = parted(model(3, 5), model(1, 6));
        bench.coral(&["merge", "-s", strategy, "dev"]).succeeds();
        // What only one side changed comes from there in any case.
        assert_eq!(bench.cat("HEAD:m.safetensors"), model(3, second), "{strategy}");
    }
    let bench = parted(model(3, 5), model(1, 6));
    let before = bench.coral(&["--json", "show"]).json()["commit"].clone();
    bench.coral(&["merge", "-s", "fail", "dev"]).fails(1, &["nothing was changed"]);
    assert_eq!(bench.coral(&["--json", "show"]).json()["commit"], before);
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    bench
        .coral(&["merge", "-s", "best", "dev"])
        .fails(2, &["strategies are ours, theirs, average, weighted and fail"]);
}

#[test]
fn files_that_went_on_one_side_and_changed_on_the_other_are_in_conflict() {
    let bench = Workbench::new();
    bench.commit("d/gone.txt", b"1\n", "base");
    bench.commit("kept.txt", b"1\n", "base");
    bench.commit("folder/a", b"1\n", "base");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.coral(&["rm", "-r", "folder"]).succeeds();
    bench.commit("d/gone.txt", b"2\n", "changed there");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["rm", "d/gone.txt"]).succeeds();
    bench.coral(&["commit", "-m", "gone here"]).succeeds();
    let told = bench.coral(&["merge", "dev"]).fails(1, &["1 conflict"]);
    assert!(told.stdout.contains("C d/gone.txt  (removed here, changed there)"), "{told:?}");
    bench.coral(&["checkout", "--ours", "d/gone.txt"]).succeeds();
    bench.coral(&["merge", "--continue"]).succeeds();
    let files = bench.coral(&["ls", "-r"]).succeeds().stdout;
    assert!(!files.contains("gone") && !files.contains("folder") && files.contains("kept.txt"), "{files}");
}

#[test]
fn histories_that_were_merged_crosswise_merge_again() {
    let bench = parted(model(3, 2), model(1, 4));
    bench.coral(&["branch", "old-main"]).succeeds();
    bench.coral(&["merge", "dev"]).succeeds();
    bench.coral(&["switch", "dev"]).succeeds();
    bench.coral(&["merge", "--no-ff", "old-main"]).succeeds();
    bench.commit("m.safetensors", &model(3, 9), "later there");
    bench.coral(&["switch", "main"]).succeeds();
    bench.commit("m.safetensors", &model(8, 4), "later here");
    bench.coral(&["merge", "dev"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(8, 9));
}

#[test]
fn changes_are_picked_from_elsewhere_and_taken_back() {
    let bench = parted(model(3, 2), model(1, 4));
    bench.commit("x", b"1", "on top");
    bench.coral(&["cherry-pick", "-x", "dev"]).succeeds();
    assert_eq!((bench.cat("HEAD:m.safetensors"), parents(&bench, "HEAD")), (model(3, 4), 1));
    let message = bench.coral(&["log", "-1", "--format", "%B"]).succeeds().stdout;
    assert!(message.starts_with("there\n\n(cherry picked from commit "), "{message}");
    bench.coral(&["revert", "HEAD"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(3, 2));
    assert!(bench.coral(&["log", "-1"]).succeeds().stdout.contains("Revert \"there\""));
    // Several, without a commit.
    bench.coral(&["revert", "-n", "HEAD", "HEAD~2"]).succeeds();
    assert_eq!(bench.cat(":m.safetensors"), model(3, 4));
    assert!(bench.coral(&["status", "-s"]).succeeds().stdout.contains("D x"));
    bench.coral(&["revert", "--abort"]).succeeds();
    // A range is picked oldest first, and goes on behind a conflict.
    bench.coral(&["switch", "-c", "more", "dev"]).succeeds();
    bench.commit("y", b"1", "y");
    bench.commit("m.safetensors", &model(1, 5), "in conflict");
    bench.commit("z", b"1", "z");
    bench.coral(&["switch", "main"]).succeeds();
    bench.commit("m.safetensors", &model(3, 6), "another");
    bench.coral(&["cherry-pick", "dev..more"]).fails(1, &["1 conflict"]);
    assert_eq!(bench.cat("HEAD:y"), b"1");
    bench.coral(&["checkout", "--theirs", "m.safetensors"]).succeeds();
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!((bench.cat("HEAD:z"), bench.cat("HEAD~1:m.safetensors")), (b"1".to_vec(), model(1, 5)));
    // What was forgotten is no merge any more.
    bench.commit("m.safetensors", &model(3, 7), "else again");
    bench.coral(&["merge", "more"]).fails(1, &["1 conflict"]);
    bench.coral(&["merge", "--quit"]).succeeds();
    bench.coral(&["merge", "--continue"]).fails(1, &["is under way"]);
}

#[test]
fn the_changes_of_a_merge_are_counted_from_a_parent_that_is_said() {
    let bench = parted(model(3, 2), model(1, 4));
    bench.coral(&["merge", "dev"]).succeeds();
    bench.coral(&["revert", "HEAD"]).fails(2, &["has 2 parents", "`-m 1`"]);
    bench.coral(&["revert", "-m", "1", "HEAD"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(3, 2));
}

#[test]
fn a_merge_takes_one_commit_that_there_is() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["merge", "a..b"]).fails(2, &["not a range"]);
    bench.coral(&["merge", "nothing"]).fails(1, &["unknown revision"]);
    bench.coral(&["merge"]).fails(2, &["REF"]);
}

#[test]
fn files_are_brought_back_by_the_words_of_git() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("a", b"2", "second");
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["checkout", "--", "a"]).succeeds();
    assert_eq!(bench.cat(":a"), b"2");
    bench.coral(&["checkout", "HEAD~1", "--", "a"]).succeeds();
    assert_eq!(bench.cat(":a"), b"1");
    bench.coral(&["checkout", "--detach", "main"]).succeeds();
    assert!(bench.coral(&["--json", "switch", "-"]).json()["branch"] == "main");
}

/// A merge that waits for its commit on a branch `topic`, which starts where `main` is.
fn waiting() -> Workbench {
    let bench = parted(model(3, 2), model(1, 4));
    bench.coral(&["switch", "-c", "topic"]).succeeds();
    bench.coral(&["merge", "--no-commit", "dev"]).succeeds();
    bench
}

#[test]
fn a_merge_under_way_goes_with_its_branch() {
    let bench = waiting();
    bench.coral(&["branch", "-m", "renamed"]).succeeds();
    bench.coral(&["merge", "--continue"]).succeeds();
    assert_eq!(parents(&bench, "HEAD"), 2);
    let bench = waiting();
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-D", "topic"]).succeeds();
    bench.coral(&["switch", "-c", "topic"]).succeeds();
    bench.commit("own", b"own", "own");
    assert_eq!(parents(&bench, "HEAD"), 1);
}

#[test]
fn changes_of_a_merge_under_way_are_not_put_aside() {
    let bench = waiting();
    bench.coral(&["stash"]).fails(1, &["merge"]);
    bench.coral(&["merge", "--continue"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), model(3, 4));
}

/// `d` is a directory on one branch and a file on the other: `d/old` in the base, `d/new` beside it on `here`, and a file
/// `d` on `there`.
fn of_two_kinds(directory_is_here: bool) -> Workbench {
    let bench = Workbench::new();
    bench.write("d/old", b"old");
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["commit", "-m", "base"]).succeeds();
    bench.coral(&["branch", "dev"]).succeeds();
    let (directory, file) = if directory_is_here { ("main", "dev") } else { ("dev", "main") };
    bench.write("d/new", b"new");
    bench.coral(&["add", "-B", directory, "d"]).succeeds();
    bench.coral(&["commit", "-B", directory, "-m", "directory"]).succeeds();
    std::fs::remove_dir_all(bench.path("repo/d")).expect("there");
    bench.write("d", b"a file");
    bench.coral(&["rm", "-r", "-B", file, "d"]).succeeds();
    bench.coral(&["add", "-B", file, "d"]).succeeds();
    bench.coral(&["commit", "-B", file, "-m", "file"]).succeeds();
    bench
}

#[test]
fn of_a_file_and_a_directory_in_one_place_one_is_taken_whole() {
    for directory_is_here in [true, false] {
        for (strategy, is_directory) in [("ours", directory_is_here), ("theirs", !directory_is_here)] {
            let bench = of_two_kinds(directory_is_here);
            let check = |revision: &str| match is_directory {
                true => {
                    assert_eq!(bench.cat(&format!("{revision}:d/old")), b"old");
                    assert_eq!(bench.cat(&format!("{revision}:d/new")), b"new");
                }
                false => assert_eq!(bench.cat(&format!("{revision}:d")), b"a file"),
            };
            bench.coral(&["merge", "-X", strategy, "dev"]).succeeds();
            check("HEAD");
            bench.coral(&["undo"]).succeeds();
            bench.coral(&["restore", "--all"]).succeeds();
            // The same, decided afterwards.
            bench.coral(&["merge", "dev"]).fails(1, &["conflict"]);
            bench.coral(&["commit", "-m", "too early"]).fails(1, &["in conflict"]);
            bench.coral(&["checkout", &format!("--{strategy}"), "."]).succeeds();
            bench.coral(&["merge", "--continue"]).succeeds();
            check("HEAD");
            assert_eq!(parents(&bench, "HEAD"), 2);
            bench.coral(&["fsck", "--full"]).succeeds();
        }
    }
}

#[test]
fn what_comes_after_a_conflict_is_done_as_it_was_asked_for() {
    let bench = parted(model(3, 5), model(1, 6));
    let second = bench.coral(&["--json", "show", "dev"]).json()["commit"].as_str().expect("an id").to_owned();
    bench.coral(&["switch", "dev"]).succeeds();
    let third = bench.commit("n", b"more", "third");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["cherry-pick", "-x", &second, &third]).fails(1, &["conflict"]);
    bench.coral(&["checkout", "--theirs", "."]).succeeds();
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    let shown = bench.coral(&["show", "HEAD"]).succeeds().stdout;
    assert!(shown.contains(&format!("(cherry picked from commit {third})")), "{shown}");
}

#[test]
fn a_merge_under_way_is_given_up_as_a_merge_and_by_nothing_that_forgets_it() {
    let bench = parted(model(3, 5), model(1, 6));
    bench.commit("more", b"more", "more");
    bench.coral(&["merge", "dev"]).fails(1, &["conflict"]);
    bench.coral(&["restore", "--all"]).fails(1, &["merge", "--abort"]);
    bench.coral(&["undo"]).fails(1, &["merge", "--abort"]);
    bench.coral(&["merge", "--abort"]).succeeds();
    bench.coral(&["restore", "--all"]).succeeds();
    bench.coral(&["commit", "-m", "nothing"]).fails(1, &["nothing to commit"]);
}

#[test]
fn tensors_that_do_not_fit_each_other_are_named() {
    let bench = Workbench::new();
    let (embed, rest) = (weights(1, 500), weights(2, 40));
    let model =
        |embed: &[f32], extra: &str| safetensors(&[("embed", embed), ("rest", &rest), (extra, &rest)]);
    bench.commit("m.safetensors", &model(&embed[..400], "same"), "base");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.commit("m.safetensors", &model(&embed, "same"), "larger");
    bench.coral(&["switch", "main"]).succeeds();
    bench.commit("m.safetensors", &model(&embed[100..], "other"), "changed");
    for strategy in [&[][..], &["-s", "average"]] {
        let told = bench.coral(&[&["--json", "merge", "dev"], strategy].concat()).fails(1, &[]);
        let told: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
        let names = serde_json::json!(["embed", "other", "same"]);
        assert_eq!(told["conflicts"][0]["tensors"], names, "{told}");
        bench.coral(&["merge", "--abort"]).succeeds();
    }
}

/// Three commits on `dev`, the second of which changes what `main` changed too.
fn three_to_pick() -> (Workbench, [String; 3]) {
    let bench = Workbench::new();
    bench.commit("a", b"base\n", "base");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    let picked = [("b", "one"), ("a", "two"), ("c", "three")];
    let picked = picked.map(|(file, message)| bench.commit(file, message.as_bytes(), message));
    bench.coral(&["switch", "main"]).succeeds();
    bench.commit("a", b"here\n", "here");
    (bench, picked)
}

fn subjects(bench: &Workbench) -> Vec<String> {
    let log = bench.coral(&["log", "-n", "0", "--format", "%s"]).succeeds().stdout;
    log.lines().map(str::to_owned).collect()
}

#[test]
fn who_is_stopped_between_two_of_several_finds_what_is_left_to_do() {
    let (bench, [one, two, three]) = three_to_pick();
    bench.coral(&["cherry-pick", &one, &two, &three]).fails(1, &["1 conflict"]);
    let note = bench.path("repo/.coral/worktrees/main/merging");
    let noted = std::fs::read(&note).expect("a note");
    bench.coral(&["checkout", "--theirs", "a"]).succeeds();
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!(subjects(&bench), ["three", "two", "one", "here", "base"]);
    // As if it had been stopped when the second one's commit was there, and before anything else.
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    std::fs::write(&note, &noted).expect("written");
    let status = bench.coral(&["--json", "status"]).json();
    assert_eq!(status["under_way"]["commit"], three.as_str());
    bench.write("d", b"another");
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["commit", "-m", "another"]).fails(1, &["cherry-pick --continue", "--quit"]);
    bench.coral(&["rm", "d"]).succeeds();
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!(subjects(&bench), ["three", "two", "one", "here", "base"]);
    bench.coral(&["cherry-pick", "--continue"]).fails(1, &["no merge, revert or cherry-pick"]);
    assert!(!note.exists());
}

#[test]
fn who_stops_at_one_of_several_says_what_is_committed_before() {
    let (bench, [one, two, three]) = three_to_pick();
    let pick = ["cherry-pick", "-s", "fail", &one, &two, &three];
    let ran =
        bench.coral(&pick).fails(1, &["1 conflict", "nothing was changed after", "--continue", "--abort"]);
    assert!(ran.stdout.contains("[main "), "{ran:?}");
    assert_eq!(subjects(&bench), ["one", "here", "base"]);
    bench.coral(&["cherry-pick", "--abort"]).succeeds();
    assert_eq!(subjects(&bench), ["one", "here", "base"]);
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    // Nothing before: then nothing was changed at all.
    let told = bench.coral(&["--json", "cherry-pick", "-s", "fail", &two]).fails(1, &[]);
    assert!(told.stdout.contains("\"commits\": []"), "{told:?}");
    let told = bench.coral(&[&["--json"], &pick[..]].concat()).fails(1, &[]);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&told["outcome"], told["commits"].as_array().map(Vec::len)), (&"refused".into(), Some(1)));
    // Where it stops for a decision the first one is told as well.
    bench.coral(&["cherry-pick", "--abort"]).succeeds();
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    let ran = bench.coral(&["cherry-pick", &one, &two]).fails(1, &["1 conflict to decide"]);
    assert!(ran.stdout.contains("[main "), "{ran:?}");
}

#[test]
fn a_commit_that_decides_a_conflict_leaves_the_rest_to_do() {
    let (bench, [one, two, three]) = three_to_pick();
    bench.coral(&["cherry-pick", &one, &two, &three]).fails(1, &["1 conflict"]);
    bench.coral(&["checkout", "--ours", "a"]).succeeds();
    // Nothing of the second one is left: the third one is.
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!(subjects(&bench), ["three", "one", "here", "base"]);
    bench.coral(&["reset", "--hard", "HEAD~2"]).succeeds();
    bench.coral(&["cherry-pick", &two, &three]).fails(1, &["1 conflict"]);
    bench.coral(&["checkout", "--theirs", "a"]).succeeds();
    bench.coral(&["commit", "-m", "by hand"]).succeeds();
    assert_eq!(bench.coral(&["--json", "status"]).json()["under_way"]["commit"], three.as_str());
    bench.coral(&["undo"]).fails(1, &["cherry-pick", "--continue"]);
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!(subjects(&bench), ["three", "by hand", "here", "base"]);
}

#[test]
fn several_without_commits_stay_without_commits_when_they_go_on() {
    let (bench, [one, two, three]) = three_to_pick();
    bench.coral(&["cherry-pick", "-n", &one, &two, &three]).fails(1, &["1 conflict"]);
    bench.coral(&["cherry-pick", "--continue"]).fails(1, &["--ours"]);
    bench.coral(&["checkout", "--theirs", "a"]).succeeds();
    bench.coral(&["cherry-pick", "--continue"]).succeeds();
    assert_eq!(subjects(&bench), ["here", "base"]);
    assert_eq!(
        (bench.cat(":a"), bench.cat(":b"), bench.cat(":c")),
        (b"two".into(), b"one".into(), b"three".into())
    );
    bench.coral(&["cherry-pick", "--abort"]).succeeds();
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
}

#[test]
fn a_merge_that_was_ended_is_not_under_way_again_where_a_branch_comes_back_to() {
    let bench = parted(model(3, 2), model(4, 2));
    bench.coral(&["merge", "dev"]).fails(1, &["1 conflict"]);
    let note = bench.path("repo/.coral/worktrees/main/merging");
    let noted = std::fs::read(&note).expect("a note");
    bench.coral(&["checkout", "--theirs", "m.safetensors"]).succeeds();
    bench.coral(&["commit", "-m", "merged"]).succeeds();
    let is_over = || {
        let status = bench.coral(&["--json", "status"]).json();
        assert!(status["under_way"].is_null(), "{status}");
    };
    // As if it had been stopped when the commit was there, and the note of the merge still was.
    std::fs::write(&note, &noted).expect("written");
    is_over();
    bench.coral(&["undo"]).succeeds();
    is_over();
    bench.coral(&["redo"]).succeeds();
    std::fs::write(&note, &noted).expect("written");
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    is_over();
}
