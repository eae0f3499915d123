//! What programs read: JSON of everything, exit codes, colours, completions, man pages, and the page of documentation.

use super::workbench::{Workbench, safetensors, weights};
use serde_json::Value;
use std::fs;

#[test]
fn every_command_prints_one_object_with_a_schema() {
    let bench = Workbench::new();
    bench.commit("m.safetensors", &safetensors(&[("w", &weights(1, 500))]), "first");
    bench.commit("m.safetensors", &safetensors(&[("w", &weights(2, 500))]), "second");
    bench.coral(&["tag", "v1", "--metric", "loss=1"]).succeeds();
    bench.write("n", b"1");
    let verbs: &[&[&str]] = &[
        &["status"],
        &["log"],
        &["log", "--oneline"],
        &["show"],
        &["show", "v1"],
        &["show", "w"],
        &["show", "HEAD:"],
        &["diff"],
        &["diff", "HEAD~1", "HEAD"],
        &["diff", "--name-only"],
        &["compare", "HEAD~1"],
        &["reflog"],
        &["ls"],
        &["branch"],
        &["tag"],
        &["stash", "list"],
        &["notes"],
        &["op", "log"],
        &["best", "--metric", "loss"],
        &["soup", "HEAD", "HEAD~1", "--method", "linear", "-n"],
        &["stats"],
        &["fsck"],
        &["config", "list"],
        &["config", "get", "user.name"],
        &["config", "validate"],
        &["similar", "w"],
        &["lineage", "HEAD:m.safetensors"],
        &["add", "n"],
        &["mv", "n", "o"],
        &["clean", "-f"],
        &["switch", "-c", "dev"],
        &["commit", "--allow-empty", "-m", "x"],
        &["branch", "copy"],
        &["branch", "-D", "copy"],
        &["merge", "main"],
        &["revert", "main"],
        &["reset"],
        &["restore", "--all"],
        &["undo"],
        &["redo"],
        &["tag", "v2"],
        &["tag", "-D", "v2"],
        &["notes", "add", "-m", "x"],
        &["config", "set", "user.name", "Ada"],
        &["config", "unset", "user.name"],
        &["rm", "m.safetensors"],
        &["restore", "m.safetensors"],
        &["repack"],
        &["export", "HEAD", "../out"],
    ];
    for verb in verbs {
        let value = bench.coral(&[&["--json"], *verb].concat()).json();
        let schema = value["schema"].as_str().unwrap_or_else(|| panic!("no schema in {verb:?}: {value}"));
        assert_eq!(schema, format!("coral.{}/1", verb[0]), "{verb:?}");
    }
}

#[test]
fn every_failure_has_a_code_a_message_and_its_way_out() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let failure = |arguments: &[&str], code: i32| -> Value {
        let ran = bench.coral(&[&["--json"], arguments].concat()).fails(code, &["error: "]);
        let value: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((&value["schema"], &value["error"]["exit_code"]), (&"coral.error/1".into(), &code.into()));
        value["error"].clone()
    };
    for (arguments, code, name) in [
        (&["show", "mian"][..], 1, "unknown_revision"),
        (&["show", "HEAD~5"], 1, "too_far"),
        (&["cat", "HEAD:b"], 1, "unknown_path"),
        (&["commit", "-m", "x"], 1, "nothing_to_commit"),
        (&["branch", "-D", "main"], 1, "current_branch"),
        (&["merge", "--abort"], 1, "nothing_under_way"),
        (&["undo", "--nonsense"], 2, "usage"),
        (&["nonsense"], 2, "usage"),
        (&["push"], 2, "usage"),
        (&["config", "get", "core.nope"], 1, "unknown_key"),
    ] {
        assert_eq!(failure(arguments, code)["code"], name, "{arguments:?}");
    }
    assert_eq!(failure(&["show", "mian"], 1)["hints"][0], "did you mean `main`?");
}

#[test]
fn colours_silence_and_folders_are_as_somebody_asks() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    assert!(bench.coral(&["log", "--color", "always"]).succeeds().stdout.contains("\x1b[33mcommit"));
    assert!(!bench.coral(&["log"]).succeeds().stdout.contains('\x1b'));
    let quiet = bench.coral(&["-q", "branch", "dev"]).succeeds();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    bench.write("d/e/f", b"1");
    let below = bench.outside(&["-C", "repo", "-C", "d", "-C", "e", "add", "f"]).succeeds();
    assert!(below.stdout.contains("d/e/f"), "{below:?}");
    bench.outside(&["-C", "repo", "-C", "nowhere", "log"]).fails(1, &["cannot go to `nowhere`"]);
}

#[test]
fn a_name_that_no_setting_has_stops_nothing() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    fs::write(bench.path("repo/.coral/coral.toml"), "[core]\nnope = 1\n").expect("write");
    let log = bench.coral(&["log"]).succeeds();
    assert!(log.stderr.contains("no setting is called `core.nope`"), "{log:?}");
    bench.coral(&["config", "validate"]).fails(1, &["core.nope", "did you mean"]);
    bench.coral(&["config", "unset", "core.nope"]).succeeds();
    bench.coral(&["config", "validate"]).succeeds();
    bench.coral(&["config", "unset", "core.nope"]).fails(1, &["is not set there"]);
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let bench = Workbench::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = bench.coral(&["completions", shell]).succeeds().stdout;
        assert!(text.contains("cherry-pick"), "{shell}");
    }
    bench.coral(&["completions", "sh"]).fails(2, &["shells are bash"]);
    bench.coral(&["man", "../man"]).succeeds();
    let page = fs::read_to_string(bench.path("man/coral-merge.1")).expect("a page");
    assert!(page.contains("squash"), "{page}");
}

#[test]
fn bash_completes_refs_settings_methods_and_strategies() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "dev/one"]).succeeds();
    bench.coral(&["branch", "dev$(id>run)"]).succeeds();
    bench.coral(&["tag", "dev-tag"]).succeeds();
    fs::write(bench.path("coral.bash"), bench.coral(&["completions", "bash"]).succeeds().stdout)
        .expect("write");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_coral")).parent().expect("a folder");
    let completed = |words: &[&str]| -> Vec<String> {
        let script = r#"source ../coral.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _coral_with_refs coral "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", script, "bash"]).args(words).current_dir(bench.path("repo")).env_clear();
        bash.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("HOME", bench.path("home"));
        let output = bash.output().expect("bash runs");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    };
    for verb in ["switch", "checkout", "merge", "log"] {
        assert_eq!(completed(&["coral", verb, "dev"]), [r"dev\$\(id\>run\)", "dev/one", "dev-tag"], "{verb}");
    }
    assert!(!bench.path("repo/run").exists());
    assert_eq!(completed(&["coral", "soup", "--method", "dare"]), ["dare-linear", "dare-ties"]);
    assert_eq!(completed(&["coral", "merge", "-s", "we"]), ["weighted"]);
    for verb in ["get", "set"] {
        let keys = completed(&["coral", "config", verb, "core.hook"]);
        assert!(keys.iter().any(|key| key == "core.hook_timeout"), "{keys:?}");
    }
}

#[test]
fn the_page_of_documentation_says_what_the_program_says() {
    let bench = Workbench::new();
    let told = bench.coral(&["reference"]).succeeds().stdout;
    let written =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).expect("docs/cli.md");
    assert!(told == written, "`coral reference > docs/cli.md` writes it anew");
}
