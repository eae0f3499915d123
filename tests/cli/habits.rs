//! What git users type from memory.

use super::workbench::{Ran, Workbench};

#[test]
fn what_means_the_same_does_the_same() {
    let bench = Workbench::new();
    for number in 0..4 {
        bench.write("a", &[number]);
        bench.coral(&["add", "."]).succeeds();
        bench.coral(&["commit", "-am", &format!("step {number}")]).succeeds();
    }
    assert_eq!(bench.coral(&["log", "--oneline", "-3"]).succeeds().stdout.lines().count(), 3);
    assert_eq!(bench.coral(&["log", "-2", "--oneline"]).succeeds().stdout.lines().count(), 2);
    bench.coral(&["tag", "-a", "v1", "-m", "the first"]).succeeds();
    assert!(bench.coral(&["tag"]).succeeds().stdout.contains("the first"));
    bench.coral(&["checkout", "-b", "dev"]).succeeds();
    bench.write("d/b", b"1");
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["rm", "-rf", "d"]).succeeds();
    bench.write("d/c", b"2");
    let mut everywhere = bench.command(&bench.path("repo/d"), &["add", "-A"]);
    let added = Ran::of(everywhere.output().expect("coral runs")).succeeds().stdout;
    assert!(added.contains("added d/b") && added.contains("added d/c"), "{added}");
}

#[test]
fn verbs_that_are_not_there_say_what_is() {
    let bench = Workbench::new();
    for (verb, way) in [
        ("push", "no remote"),
        ("clone", "`cp -a`"),
        ("gc", "`coral repack`"),
        ("rebase", "`coral cherry-pick A..B`"),
    ] {
        let told = bench.coral(&[verb, "--hard", "HEAD"]).fails(2, &[&format!("coral has no `{verb}`"), way]);
        assert!(told.stderr.starts_with("error: ") && told.stdout.is_empty(), "{told:?}");
    }
    for (verb, way) in [
        ("grep", "`coral log -S TEXT`"),
        ("shortlog", "`coral log "),
        ("rev-list", "`coral log "),
        ("merge-base", "`coral diff A...B`"),
        ("for-each-ref", "`coral --json branch`"),
        ("show-ref", "`coral --json tag`"),
        ("symbolic-ref", "`coral branch --show-current`"),
        ("whatchanged", "`coral log --name-status`"),
        ("annotate", "`coral blame PATH`"),
        ("version", "`coral --version`"),
        ("prune", "`coral repack`"),
        ("count-objects", "`coral stats`"),
        ("mergetool", "`coral checkout --ours PATH`"),
        ("sync", "`cp -a`"),
        ("sync-status", "`coral status`"),
        ("publish", "`coral convert`"),
        ("experiment", "`coral best -m METRIC`"),
    ] {
        bench.coral(&[verb]).fails(2, &[&format!("coral has no `{verb}`"), way]);
    }
    let made = bench.outside(&["init", "a b"]).succeeds();
    assert!(
        made.stderr.contains("`coral mount 'a b' DIR`") && made.stderr.contains("`coral -C 'a b' add"),
        "{made:?}"
    );
    // Whatever it is, a typing error is told as such.
    bench.coral(&["comit"]).fails(2, &["commit"]);
    bench.coral(&["checkout", "a.bin"]).fails(1, &["a.bin", "`coral restore PATH`"]);
}

#[test]
fn who_checks_out_where_he_is_stays_on_his_branch() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    for here in ["HEAD", "@"] {
        assert_eq!(bench.coral(&["checkout", here]).succeeds().stdout, "on branch main\n");
    }
    for dropping in
        [&["checkout", "-f", "main"], &["switch", "-f", "main"], &["switch", "--discard-changes", "main"]]
    {
        bench.coral(dropping).fails(2, &[dropping[1], "`coral restore --all` first"]);
    }
    bench.coral(&["checkout", "HEAD~0"]).succeeds();
    assert_eq!(bench.coral(&["--json", "checkout", "HEAD"]).json()["branch"], serde_json::Value::Null);
}

#[test]
fn words_that_a_verb_does_not_have_are_told_of_that_verb() {
    let bench = Workbench::new();
    bench
        .coral(&["stash", "frob"])
        .fails(2, &["`coral stash` has no command `frob`", "`coral stash --help`"]);
    bench
        .coral(&["config", "lits"])
        .fails(2, &["`coral config` has no command `lits`", "did you mean `list`?"]);
    // What is short for a verb is so alone.
    bench.coral(&["bisect", "co"]).fails(2, &["`coral bisect` has no command `co`"]);
}

#[test]
fn what_a_search_runs_says_by_its_code_what_a_commit_is() {
    let bench = Workbench::new();
    for number in 0..6 {
        bench.commit("a", &[number], &format!("step {number}"));
    }
    let run = |code: &str| {
        bench.coral(&["bisect", "start", "HEAD", "HEAD~5"]).succeeds();
        let ran = bench.coral(&["bisect", "run", "sh", "-c", code]);
        bench.coral(&["bisect", "reset"]).succeeds();
        ran
    };
    for bad in ["1", "124", "126", "127"] {
        let ran = run(&format!("coral=$CORAL_COMMIT; exit {bad}")).succeeds();
        assert!(ran.stdout.contains("step 1 is the first that is bad"), "{bad}: {ran:?}");
    }
    assert!(run("exit 0").succeeds().stdout.contains("step 5 is the first that is bad"));
    assert_eq!(run("exit 125").code, 2);
    for stop in ["exit 128", "exit 255", "kill -9 $$"] {
        run(stop).fails(1, &["ended with", "the search is where it was"]);
    }
}

#[test]
fn what_looks_like_an_option_is_the_value_of_a_setting_or_refused_and_never_another_command() {
    let bench = Workbench::new();
    for value in ["--version", "-V", "--help", "-h"] {
        bench.coral(&["config", "set", "user.name", value]).succeeds();
        assert_eq!(bench.coral(&["config", "get", "user.name"]).succeeds().stdout.trim(), value);
    }
    bench.coral(&["config", "set", "core.level", "--version"]).fails(1, &["core.level"]);
    bench.write("a", b"1");
    bench.coral(&["add", "a"]).succeeds();
    for option in ["-m", "--message", "-F", "-d", "--author", "--date"] {
        for value in ["--help", "--version", "-h", "-q"] {
            let refused = bench
                .coral(&["commit", option, value])
                .fails(2, &["takes a value, and `", "is taken for one"]);
            assert_eq!(refused.stdout, "", "{option} {value}");
        }
    }
    for words in
        [&["tag", "v1", "-m", "--help"][..], &["notes", "add", "-m", "-V"], &["log", "--grep", "--version"]]
    {
        bench.coral(words).fails(2, &[&format!("={}` is taken for one", words[words.len() - 1])]);
    }
    bench.coral(&["commit", "--message=--help"]).succeeds();
    assert!(bench.coral(&["log", "--oneline"]).succeeds().stdout.contains("--help"));
}
