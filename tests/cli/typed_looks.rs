//! What git users type from memory to look at something.

use super::workbench::{Workbench, safetensors, weights};

/// A file that was renamed, changed before and after, and merged with a side branch.
fn renamed() -> Workbench {
    let bench = Workbench::new();
    let lines = |more: &str| format!("{}{more}", (1..10).map(|n| format!("line {n}\n")).collect::<String>());
    bench.commit("old", lines("").as_bytes(), "one");
    bench.commit("old", lines("ten\n").as_bytes(), "two");
    bench.coral(&["mv", "old", "new"]).succeeds();
    bench.coral(&["commit", "-m", "three"]).succeeds();
    bench.commit("other", b"x\n", "elsewhere");
    bench.commit("new", lines("ten\neleven\n").as_bytes(), "four");
    bench
}

fn subjects(bench: &Workbench, arguments: &[&str]) -> Vec<String> {
    let told = bench.coral(&[&["log", "--format", "%s", "-n", "0"], arguments].concat()).succeeds().stdout;
    told.lines().map(str::to_owned).collect()
}

#[test]
fn a_path_is_followed_through_its_renaming() {
    let bench = renamed();
    assert_eq!(subjects(&bench, &["--", "new"]), ["four", "three"]);
    assert_eq!(subjects(&bench, &["--follow", "new"]), ["four", "three", "two", "one"]);
    assert_eq!(subjects(&bench, &["--follow", "--reverse", "--grep", "t", "new"]), ["two", "three"]);
    assert_eq!(subjects(&bench, &["--follow", "--diff-filter", "M", "new"]), ["four", "two"]);
    let stat = bench.coral(&["log", "--follow", "--stat", "--oneline", "--", "new"]).succeeds().stdout;
    assert!(stat.contains("R old -> new") && stat.contains("A old"), "{stat}");
    bench.coral(&["log", "--follow"]).fails(2, &["`--follow` is of one path"]);
    let blamed = bench.coral(&["--json", "blame", "new"]).json();
    let pieces = blamed["pieces"].as_array().expect("lines");
    let subjects: Vec<&str> = pieces.iter().map(|piece| piece["subject"].as_str().expect("a text")).collect();
    assert_eq!((subjects[0], subjects[8], subjects[9], subjects[10]), ("one", "one", "two", "four"));
    let of_git = bench.coral(&["blame", "HEAD~1", "--", "new"]).succeeds().stdout;
    assert_eq!(of_git, bench.coral(&["blame", "HEAD~1", "new"]).succeeds().stdout);
    assert!(!of_git.contains("eleven"));
}

#[test]
fn logs_and_commits_are_shown_as_git_is_asked_for_them() {
    let bench = renamed();
    bench.coral(&["tag", "v1"]).succeeds();
    let log =
        |arguments: &[&str]| bench.coral(&[&["log", "--oneline"], arguments].concat()).succeeds().stdout;
    assert!(log(&["--decorate", "-1"]).contains("(main, tag: v1)"));
    assert!(log(&["--decorate=short", "-n1"]).contains("(main, tag: v1)"));
    assert!(!log(&["--no-decorate", "-1"]).contains("main"));
    assert_eq!(log(&["--tags"]), log(&["--branches"]));
    let moves = log(&["-g"]);
    assert!(moves.starts_with(&log(&["-1"])[..10]) && moves.contains("HEAD@{0}: commit: four"), "{moves}");
    assert_eq!(log(&["--walk-reflogs", "main", "-2"]).lines().count(), 2);
    assert_eq!(subjects(&bench, &["HEAD~3..HEAD", "^HEAD~1"]), ["four"]);
    assert_eq!(log(&["--numstat", "-1"]).lines().nth(1), Some("1\t0\tnew"));
    assert_eq!(log(&["--shortstat", "-1"]).lines().nth(1), Some(" 1 file changed, 1 insertion(+)"));
    for (typed, hint) in [("--decorat", "`--decorate`?"), ("--revers", "`--reverse`?"), ("-G", "`-S TEXT`")] {
        bench.coral(&["log", typed]).fails(2, &[hint]);
    }
    let odd = bench.coral(&["log", "--show-pulls"]).fails(2, &["has no option `--show-pulls`"]);
    assert!(!odd.stderr.contains("did you mean"), "{odd:?}");

    let show = |arguments: &[&str]| bench.coral(&[&["show"], arguments].concat()).succeeds().stdout;
    assert_eq!(show(&["--format=%s", "-s", "HEAD~2..HEAD"]), "four\nelsewhere\n");
    assert_eq!(show(&["--oneline", "--name-only", "HEAD"]).lines().nth(1), Some("new"));
    assert_eq!(show(&["--format=%s", "--name-status", "HEAD"]).lines().nth(1), Some("M\tnew"));
    assert!(show(&["--stat", "HEAD"]).contains("new | +1 -0 lines"));
    assert!(show(&["-p"]).contains("+eleven"));
    assert!(!show(&["HEAD", "--", "other"]).contains("M new"));
    assert_eq!(
        bench.coral(&["--json", "show", "HEAD~2..HEAD"]).json()["shown"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn differences_and_states_are_shown_as_git_is_asked_for_them() {
    let bench = renamed();
    let diff = |arguments: &[&str]| bench.coral(&[&["diff"], arguments].concat()).succeeds().stdout;
    assert_eq!(diff(&["--numstat", "HEAD~1", "HEAD"]), "1\t0\tnew\n");
    assert_eq!(diff(&["--shortstat", "HEAD~2"]), " 2 files changed, 2 insertions(+)\n");
    assert_eq!(diff(&["-M", "-p", "--no-color", "--name-status", "HEAD~3", "HEAD~2"]), "R\told\tnew\n");
    bench.coral(&["diff", "--no-index", "a", "b"]).fails(2, &["`diff` compares what is in the repository"]);
    bench.write("new", b"changed\n");
    bench.write("d/n", b"1");
    bench.coral(&["add", "new", "d"]).succeeds();
    assert_eq!(diff(&["--cached", "--name-only"]), "d/n\nnew\n");
    let status = |arguments: &[&str]| bench.coral(&[&["status"], arguments].concat()).succeeds().stdout;
    assert_eq!(status(&["-sb"]), "## main\nA d/n\nM new\n");
    assert_eq!(status(&["--branch", "--porcelain=v1"]), "## main\nA d/n\nM new\n");
    assert_eq!(status(&["-s", "d"]), "A d/n\n");
    bench.write("stranger", b"1");
    assert!(status(&[]).contains("in this folder") && !status(&["-uno"]).contains("in this folder"));
    bench.write(".coralignore", b"*.tmp\nlogs/\n");
    bench.write("d/x.tmp", b"1");
    bench.write("logs/deep/y", b"1");
    assert_eq!(status(&["-s", "--ignored"]), "A d/n\nM new\n! d/x.tmp\n! logs\n");
    assert_eq!(status(&["-s", "--ignored=no"]), status(&["-s"]));
    assert_eq!(status(&["-z", "--ignored", "d"]), "A d/n\0! d/x.tmp\0");
    assert!(status(&["--ignored"]).contains("`coral check-ignore -v PATH`"));
    assert_eq!(bench.coral(&["--json", "status", "--ignored"]).json()["ignored"][1], "logs");
}

#[test]
fn commits_are_found_by_what_came_and_went_and_by_how_paths_changed() {
    let bench = renamed();
    let model = |names: &[&str]| -> Vec<u8> {
        let values = weights(1, 8);
        safetensors(&names.iter().map(|name| (*name, &values[..])).collect::<Vec<_>>())
    };
    bench.commit("m.safetensors", &model(&["w.0"]), "a model");
    bench.commit("m.safetensors", &model(&["w.0", "w.1"]), "a layer more");
    bench.commit("text", b"needle in the hay", "a needle");
    bench.commit("text", b"the needle, in the hay", "a comma");
    bench.commit("m.safetensors", &model(&["w.1"]), "a layer less");
    bench.coral(&["rm", "text"]).succeeds();
    bench.coral(&["commit", "-m", "no text"]).succeeds();
    assert_eq!(subjects(&bench, &["-S", "w.1"]), ["a layer more"]);
    assert_eq!(subjects(&bench, &["-Sw.0"]), ["a layer less", "a model"]);
    assert_eq!(subjects(&bench, &["-S", "needle"]), ["no text", "a needle"]);
    assert_eq!(subjects(&bench, &["-S", "needle", "--", "new"]), [""; 0]);
    assert_eq!(subjects(&bench, &["--diff-filter=D"]), ["no text"]);
    assert_eq!(subjects(&bench, &["--diff-filter", "A"])[..2], ["a needle", "a model"]);
    assert_eq!(subjects(&bench, &["--diff-filter=R"]), ["three"]);
    assert_eq!(subjects(&bench, &["--diff-filter=dm"])[0], "a needle");
    bench.coral(&["log", "--diff-filter=X"]).fails(2, &["letters A, D, M, R and T"]);
    let diff = |letters: &str| {
        bench.coral(&["diff", "--name-status", "--diff-filter", letters, "HEAD~2", "HEAD"]).succeeds().stdout
    };
    assert_eq!((diff("D"), diff("d")), ("D\ttext\n".into(), "M\tm.safetensors\n".into()));
    assert_eq!(subjects(&bench, &["HEAD", "--not", "HEAD~2"]), ["no text", "a layer less"]);
}

#[test]
fn a_branch_is_made_or_moved_and_gone_to() {
    let bench = Workbench::new();
    // Before the first commit the branch is a name.
    bench.write("a", b"1");
    bench.coral(&["add", "-B", "main", "a"]).succeeds();
    bench.coral(&["add", "-B", "other", "a"]).fails(1, &["no branch is called `other`"]);
    bench.coral(&["commit", "-m", "first"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.coral(&["switch", "-C", "dev"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"2");
    bench.coral(&["switch", "main"]).succeeds();
    assert_eq!(bench.coral(&["checkout", "-B", "dev", "main~1"]).succeeds().stdout, "on branch dev\n");
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"1".to_vec(), b"1".to_vec()));
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["switch", "-C", "dev", "main"]).fails(1, &["coral reset -B dev main"]);
    assert_eq!(bench.cat(":a"), b"3");
}

#[test]
fn an_instant_before_a_log_began_is_where_it_began() {
    let bench = renamed();
    let told = bench.coral(&["log", "--format", "%s", "-1", "main@{yesterday}"]).succeeds();
    assert_eq!(told.stdout, "one\n");
    assert!(told.stderr.contains("the log of `main` begins at"), "{told:?}");
    let told = bench.coral(&["diff", "--name-only", "HEAD@{1.week.ago}", "HEAD"]).succeeds();
    assert!(told.stdout.contains("other") && told.stderr.contains("the log of `HEAD` begins"), "{told:?}");
    bench.coral(&["log", "main@{99}"]).fails(1, &["the log of `main` has"]);
}
