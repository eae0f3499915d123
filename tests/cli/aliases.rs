//! Words that somebody made up for commands.

use super::workbench::Workbench;
use std::fs;

fn bench() -> Workbench {
    let bench = Workbench::new();
    for number in 0..3 {
        bench.commit("a", &[number], &format!("step {number}"));
    }
    bench
}

fn set(bench: &Workbench, name: &str, text: &str) {
    bench.coral(&["config", "set", &format!("alias.{name}"), text]).succeeds();
}

#[test]
fn an_alias_is_what_it_stands_for_with_what_is_given_behind_it() {
    let bench = bench();
    set(&bench, "last", "log --format '%s' -2");
    set(&bench, "lst", "last");
    assert_eq!(bench.coral(&["last"]).succeeds().stdout, "step 2\nstep 1\n");
    assert_eq!(bench.coral(&["lst", "HEAD~1"]).succeeds().stdout, "step 1\nstep 0\n");
    assert_eq!(bench.outside(&["-C", "repo", "-q", "last"]).succeeds().stdout, "step 2\nstep 1\n");
    assert!(bench.coral(&["last", "--help"]).succeeds().stdout.contains("coral log"));
    bench.coral(&["last", "--nope"]).fails(2, &["`coral log` has no option `--nope`"]);
    set(&bench, "where", "--json config get user.name");
    assert_eq!(bench.coral(&["where"]).json()["value"], "Anonymous");
    // The repository's wins over the user's, and outside of it there is the user's.
    bench.coral(&["config", "set", "--global", "alias.last", "config get user.name"]).succeeds();
    assert_eq!(bench.coral(&["last"]).succeeds().stdout, "step 2\nstep 1\n");
    assert_eq!(bench.outside(&["last"]).succeeds().stdout, "Anonymous\n");
}

#[test]
fn help_and_suggestions_know_aliases() {
    let bench = bench();
    assert!(!bench.coral(&["help"]).succeeds().stdout.contains("Aliases"));
    set(&bench, "recent", "log -5");
    let help = bench.coral(&["help"]).succeeds().stdout;
    assert!(help.contains("Aliases:\n  recent  log -5\n") && help.contains("CORAL_PROGRESS"), "{help}");
    assert_eq!(bench.coral(&["--help"]).succeeds().stdout.matches("recent  log -5").count(), 1);
    assert_eq!(bench.coral(&["help", "recent"]).succeeds().stdout, "`recent` is an alias for `log -5`\n");
    assert_eq!(
        bench.coral(&["--json", "help", "recent"]).json()["message"],
        "`recent` is an alias for `log -5`"
    );
    bench.coral(&["rcent"]).fails(2, &["did you mean `recent`?"]);
    assert!(bench.coral(&["config", "list"]).succeeds().stdout.contains("alias.recent"));
    assert_eq!(bench.coral(&["config", "get", "alias.recent"]).succeeds().stdout, "log -5\n");
    bench.coral(&["config", "unset", "alias.recent"]).succeeds();
    bench.coral(&["config", "get", "alias.recent"]).fails(1, &["no alias is called `recent`"]);
    bench.coral(&["recent"]).fails(2, &["coral has no command `recent`"]);
}

#[test]
fn no_alias_takes_the_place_of_a_command_or_stands_for_itself() {
    let bench = bench();
    for taken in ["log", "checkout", "help"] {
        let key = format!("alias.{taken}");
        bench.coral(&["config", "set", &key, "status"]).fails(2, &[&format!("`{taken}` is a command")]);
    }
    let settings = bench.path("repo/.coral/coral.toml");
    let text =
        "[alias]\nlog = \"status\"\na = \"b -1\"\nb = \"-q c\"\nc = \"a\"\nshell = \"!$CORAL shell\"\n";
    fs::write(&settings, text).expect("written");
    assert!(bench.coral(&["log", "-1"]).succeeds().stdout.contains("step 2"));
    bench.coral(&["config", "validate"]).succeeds().fails(0, &["`alias.log`", "is never used"]);
    bench.coral(&["a"]).fails(2, &["the alias `a` stands for itself", "`a` -> `b` -> `c` -> `a`"]);
    let mut command = bench.command(&bench.path("repo"), &["shell"]);
    command.env("CORAL", env!("CARGO_BIN_EXE_coral")).env("PATH", "/usr/bin:/bin");
    bench.run(command).fails(2, &["the alias `shell` stands for itself"]);
    // What is wrong with one is told, and stops nothing.
    for (wrong, why) in [("x = \"log '\"", "a quote in it has no end"), ("\"x y\" = \"log\"", "its name is")]
    {
        fs::write(&settings, format!("[alias]\n{wrong}\n")).expect("written");
        bench.coral(&["tag", "-f", "v1"]).succeeds().fails(0, &[why]);
        bench.coral(&["config", "validate"]).fails(1, &[why]);
    }
    bench.coral(&["config", "set", "alias.e", ""]).fails(1, &["it stands for nothing"]);
}

#[test]
fn an_alias_of_the_shell_runs_where_one_stands_and_ends_as_it_does() {
    let bench = bench();
    set(&bench, "say", "!pwd; printf '%s|'");
    set(&bench, "no", "!exit 7");
    let run = |arguments: &[&str]| {
        let mut command = bench.command(&bench.path(""), arguments);
        command.env("PATH", "/usr/bin:/bin");
        bench.run(command)
    };
    let said = run(&["-C", "repo", "say", "a b", "--json", "*"]).succeeds().stdout;
    let place = bench.path("repo").canonicalize().expect("a folder");
    assert_eq!(said, format!("{}\na b|--json|*|", place.display()));
    assert_eq!(run(&["-C", "repo", "no"]).code, 7);
    run(&["-C", "repo", "--json", "no"]).fails(2, &["which has no `--json` before it"]);
}
