//! Programs of a repository that are run around its changes.

use super::described::Described;
use super::workbench::Workbench;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Puts a script in the place of a hook.
fn hook(bench: &Workbench, name: &str, script: &str) {
    let folder = bench.path("repo/.coral/hooks");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
}

/// A repository with hooks turned on and a change to commit.
fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["config", "set", "core.hooks", "true"]).succeeds();
    bench.write("a", b"2");
    bench.coral(&["add", "a"]).succeeds();
    bench
}

fn read(bench: &Workbench, name: &str) -> String {
    fs::read_to_string(bench.path("repo").join(name)).unwrap_or_default()
}

#[test]
fn hooks_are_off_until_the_repository_itself_turns_them_on() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    hook(&bench, "pre-commit", "exit 1");
    bench.coral(&["commit", "--allow-empty", "-m", "x"]).succeeds();
    bench.coral(&["config", "set", "--global", "core.hooks", "true"]).fails(2, &["each repository"]);
    let mut command = bench.command(&bench.path("repo"), &["commit", "--allow-empty", "-m", "x"]);
    command.env("CORAL_CORE_HOOKS", "true");
    bench.run(command).succeeds();
    bench.coral(&["config", "set", "core.hooks", "true"]).succeeds();
    bench
        .coral(&["commit", "--allow-empty", "-m", "x"])
        .fails(1, &["the hook `pre-commit` said no (exit code 1)"]);
    // A tree has none.
    bench.coral(&["add", "--to", ".coral/hooks", "a"]).fails(1, &["a repository's own folder"]);
}

/// The first thing that a hook read.
fn is_as_described(seen: &str) {
    let mut told = serde_json::Deserializer::from_str(seen).into_iter();
    Described::read().check("hook", &told.next().expect("an object").expect("JSON"));
}

#[test]
fn a_hook_before_a_commit_sees_what_it_is_and_can_say_no() {
    let bench = bench();
    hook(
        &bench,
        "pre-commit",
        "cat > ../seen; pwd >> ../seen; echo $CORAL_BRANCH $CORAL_HOOK >> ../seen; echo no; exit 7",
    );
    let refused =
        bench.coral(&["commit", "-m", "second"]).fails(1, &["no\n", "(exit code 7)", "`--no-verify`"]);
    assert_eq!(refused.stdout, "");
    let seen = read(&bench, "../seen");
    is_as_described(&seen);
    for words in ["\"hook\":\"pre-commit\"", "\"message\":\"second\"", "\"path\":\"a\"", "main pre-commit"] {
        assert!(seen.contains(words), "no `{words}` in {seen}");
    }
    assert!(seen.contains(&*bench.path("repo").canonicalize().expect("there").to_string_lossy()), "{seen}");
    assert_eq!(bench.coral(&["log", "--oneline"]).succeeds().stdout.lines().count(), 1);
    bench.coral(&["commit", "--no-verify", "-m", "second"]).succeeds();
    hook(&bench, "pre-commit", "exit 0");
    bench.coral(&["commit", "--allow-empty", "-m", "third"]).succeeds();
    let path = bench.path("repo/.coral/hooks/pre-commit");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("no program");
    bench.coral(&["commit", "--allow-empty", "-m", "fourth"]).fails(0, &["no program that can be run"]);
}

#[test]
fn hooks_afterwards_hear_what_was_done_and_change_nothing_of_it() {
    let bench = bench();
    hook(&bench, "post-commit", "cat > ../committed; exit 1");
    hook(&bench, "post-move", "cat >> ../moved");
    bench
        .coral(&["commit", "-m", "second"])
        .fails(0, &["the hook `post-commit` failed (exit code 1), after it was done"]);
    let id = bench.coral(&["log", "--format", "%H", "-n", "1"]).succeeds().stdout;
    assert!(read(&bench, "../committed").contains(id.trim()));
    is_as_described(&read(&bench, "../committed"));
    is_as_described(&read(&bench, "../moved"));
    assert!(read(&bench, "../moved").contains("refs/heads/main"));
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    assert!(read(&bench, "../moved").contains("ref: refs/heads/dev"));
    let before = read(&bench, "../moved");
    bench.coral(&["log"]).succeeds();
    bench.coral(&["tag", "-l"]).succeeds();
    assert_eq!(read(&bench, "../moved"), before);
}

#[test]
fn a_merge_is_asked_for_before_anything_is_merged() {
    let bench = bench();
    bench.coral(&["branch", "dev"]).succeeds();
    bench.coral(&["commit", "-m", "second"]).succeeds();
    bench.coral(&["switch", "dev"]).succeeds();
    hook(&bench, "pre-merge", "cat > ../seen; exit 1");
    bench.coral(&["merge", "main"]).fails(1, &["the hook `pre-merge` said no"]);
    assert!(read(&bench, "../seen").contains("\"theirs\":\"main\""));
    is_as_described(&read(&bench, "../seen"));
    assert_eq!(bench.coral(&["log", "--oneline"]).succeeds().stdout.lines().count(), 1);
    bench.coral(&["merge", "--no-verify", "main"]).succeeds();
    assert_eq!(bench.coral(&["log", "--oneline"]).succeeds().stdout.lines().count(), 2);
}

#[test]
fn a_hook_that_hangs_is_ended_in_time() {
    let bench = bench();
    bench.coral(&["config", "set", "core.hook_timeout", "1"]).succeeds();
    hook(&bench, "pre-commit", "sleep 600");
    bench.coral(&["commit", "-m", "x"]).fails(1, &["did not end within 1 seconds", "core.hook_timeout"]);
    bench.coral(&["status"]).succeeds();
}

#[test]
fn a_hook_ends_with_the_command_that_a_signal_stops() {
    let bench = bench();
    hook(&bench, "pre-commit", "mkfifo ../ready 2>/dev/null; echo > ../ready; sleep 600");
    let ready = bench.path("ready");
    assert!(std::process::Command::new("mkfifo").arg(&ready).status().expect("mkfifo").success());
    let child = bench.start(&["commit", "-m", "x"]);
    // It is open on both sides once the hook runs.
    assert_eq!(fs::read(&ready).expect("the hook's word"), b"\n");
    let pid = i32::try_from(child.id()).expect("a number");
    // SAFETY: the call takes numbers alone.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let ran = super::workbench::Ran::of(child.wait_with_output().expect("it ends"));
    ran.fails(130, &["nothing was committed"]);
    assert_eq!(bench.coral(&["log", "--oneline"]).succeeds().stdout.lines().count(), 1);
}
