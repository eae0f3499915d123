//! What git users type from memory to change something: paths, flags and spellings that mean here what they mean in git.

use super::workbench::Workbench;
use std::process::Stdio;

/// A repository with `a`, `d/b` and `d/e/f` in its first commit.
fn tree() -> Workbench {
    let bench = Workbench::new();
    for (name, bytes) in [("a", b"1"), ("d/b", b"2"), ("d/e/f", b"3")] {
        bench.write(name, bytes);
    }
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["commit", "-m", "first"]).succeeds();
    bench
}

/// Writes files and adds them.
fn change(bench: &Workbench, files: &[(&str, &str)]) {
    for (name, text) in files {
        bench.write(name, text.as_bytes());
        bench.coral(&["add", name]).succeeds();
    }
}

fn status(bench: &Workbench) -> String {
    bench.coral(&["status", "-s"]).succeeds().stdout
}

#[test]
fn a_dot_is_all_from_here_on_and_a_folder_what_is_in_it() {
    let bench = tree();
    let below = |arguments: &[&str]| bench.run(bench.command(&bench.path("repo/d"), arguments)).succeeds();
    let dirty = [("a", "x"), ("d/b", "y"), ("d/new", "z")];
    change(&bench, &dirty);
    below(&["restore", "."]);
    assert_eq!(status(&bench), "M a\nA d/new\n");
    change(&bench, &dirty);
    // What no commit has stays, unless it is named itself.
    let told = bench.coral(&["restore", "."]).succeeds();
    assert!(told.stderr.contains("`d/new` is new and stays; `coral restore d/new` drops it"), "{told:?}");
    assert_eq!(status(&bench), "A d/new\n");
    bench.coral(&["restore", "d/new"]).succeeds();
    assert_eq!(status(&bench), "");
    change(&bench, &dirty[..2]);
    let told = bench.coral(&["restore", "."]).succeeds();
    assert!(told.stdout.contains("equals its last commit"), "{told:?}");
    assert_eq!(status(&bench), "");
    change(&bench, &dirty);
    below(&["restore", ":/"]);
    assert_eq!(status(&bench), "A d/new\n");
    change(&bench, &dirty);
    below(&["commit", "-m", "here", "."]);
    assert_eq!(status(&bench), "M a\n");
    bench.coral(&["restore", "-s", "HEAD~1", "."]).succeeds();
    assert_eq!(status(&bench), "M d/b\nD d/new\n");
    bench.coral(&["restore", "."]).succeeds();
    bench.coral(&["rm", "."]).fails(1, &["`.` is a directory", "`-r`"]);
    assert_eq!(bench.coral(&["rm", "-n", "-r", "."]).succeeds().stdout, "would remove a\nwould remove d\n");
    assert_eq!(status(&bench), "");
    bench.coral(&["rm", "-r", "."]).succeeds();
    assert_eq!(status(&bench).lines().count(), 4);
    bench.coral(&["restore", "."]).succeeds();
    assert_eq!(status(&bench), "");
    // Before the first commit there is nothing to go back to, and nothing goes.
    let fresh = Workbench::new();
    change(&fresh, &[("a", "1")]);
    fresh.coral(&["restore", "."]).fails(1, &["no commits yet"]);
    assert_eq!(status(&fresh), "A a\n");
}

#[test]
fn a_checkout_of_files_brings_them_back() {
    let bench = tree();
    change(&bench, &[("a", "x"), ("d/b", "y")]);
    bench.coral(&["checkout", "a"]).succeeds();
    assert_eq!(status(&bench), "M d/b\n");
    bench.coral(&["checkout", "."]).succeeds();
    assert_eq!(status(&bench), "");
    bench.commit("a", b"2", "second");
    bench.coral(&["checkout", "HEAD~1", "a"]).succeeds();
    assert_eq!((bench.cat(":a"), status(&bench)), (b"1".to_vec(), "M a\n".to_owned()));
    bench.coral(&["checkout", "HEAD", "--", "a"]).succeeds();
    assert_eq!(status(&bench), "");
    // A name of a branch is one first, and `switch` is about branches alone.
    change(&bench, &[("a", "x")]);
    bench.coral(&["branch", "a"]).succeeds();
    bench.coral(&["checkout", "a"]).succeeds();
    bench.coral(&["checkout", "main"]).succeeds();
    bench.coral(&["switch", "d"]).fails(1, &["unknown revision", "`coral restore PATH`"]);
    bench.coral(&["switch", "main", "d"]).fails(2, &["`d` is another", "`coral restore PATH`"]);
    assert_eq!(status(&bench), "M a\n");
}

#[test]
fn a_stash_takes_some_paths_and_is_named_as_in_git() {
    let bench = tree();
    bench.coral(&["stash"]).fails(1, &["no changes on `main` to put aside"]);
    let dirty = [("a", "x"), ("d/b", "y"), ("d/new", "z")];
    change(&bench, &dirty);
    bench.coral(&["stash", "push", "-m", "in d", "--", "d"]).succeeds();
    assert_eq!(status(&bench), "M a\n");
    bench.coral(&["stash", "push", "d"]).fails(1, &["no changes"]);
    bench.coral(&["stash", "-u", "-m", "the rest"]).succeeds();
    assert_eq!(status(&bench), "");
    assert_eq!(bench.coral(&["stash", "show", "stash@{1}"]).succeeds().stdout, "M d/b\nA d/new\n");
    let patch = bench.coral(&["stash", "show", "-p"]).succeeds().stdout;
    assert!(patch.contains("-1\n") && patch.contains("+x\n"), "{patch}");
    assert!(bench.coral(&["stash", "show", "--stat", "1"]).succeeds().stdout.contains("d/new | +1 -0"));
    bench.coral(&["stash", "pop", "stash@{1}"]).succeeds();
    assert_eq!(status(&bench), "M d/b\nA d/new\n");
    bench.coral(&["stash", "pop", "stash@{7}"]).fails(1, &["no stash@{7}", "the oldest is stash@{0}"]);
    bench.coral(&["stash", "pop", "x"]).fails(2, &["stash@{0}"]);
    bench.coral(&["stash", "save", "two words"]).succeeds();
    assert!(bench.coral(&["stash", "list"]).succeeds().stdout.contains("two words"));
    bench.coral(&["stash", "branch", "aside"]).succeeds();
    assert_eq!(bench.coral(&["branch", "--show-current"]).succeeds().stdout, "aside\n");
    assert_eq!(status(&bench), "M d/b\nA d/new\n");
    bench.coral(&["stash", "clear"]).succeeds();
    assert_eq!(bench.coral(&["stash", "list"]).succeeds().stdout, "");
    bench.coral(&["undo"]).succeeds();
    assert!(bench.coral(&["stash", "list"]).succeeds().stdout.contains("the rest"));
    bench.coral(&["stash", "-k"]).fails(2, &["there is no index"]);
}

#[test]
fn removing_and_cleaning_take_the_flags_of_git() {
    let bench = tree();
    bench.coral(&["rm", "-n", "a", "d/b"]).succeeds();
    bench.coral(&["rm", "-n", "d"]).fails(1, &["`-r` removes"]);
    bench.coral(&["rm", "--ignore-unmatch", "nowhere", "*.none"]).succeeds();
    assert_eq!(status(&bench), "");
    bench.coral(&["rm", "--cached", "a"]).succeeds();
    assert!(bench.path("repo/a").exists());
    bench.coral(&["rm", "a"]).fails(1, &["no `a` in the worktree", "`coral restore a` brings it back"]);
    bench.coral(&["restore", "a"]).succeeds();
    // What was renamed is in the last commit still.
    bench.coral(&["mv", "a", "x"]).succeeds();
    let told = bench.coral(&["rm", "x"]).succeeds();
    assert_eq!(told.stderr, "", "{told:?}");
    bench.coral(&["restore", "."]).succeeds();
    change(&bench, &[("n", "1"), ("keep.log", "2"), ("fresh/m", "3"), ("d/n", "4")]);
    let told = bench.coral(&["clean", "-n", "-x", "-e", "*.log"]).succeeds();
    assert_eq!(told.stdout, "would remove d/n\nwould remove n\n");
    assert!(told.stderr.contains("1 file in a new directory stays: `-d`"), "{told:?}");
    bench.coral(&["clean", "-f"]).succeeds();
    assert_eq!(status(&bench), "A fresh/m\n");
    bench.coral(&["clean", "-fdx"]).succeeds();
    assert_eq!(status(&bench), "");
    bench.coral(&["clean", "-X"]).fails(2, &[".coralignore"]);
}

#[test]
fn branches_and_tags_take_the_flags_of_git() {
    let bench = tree();
    let first = bench.coral(&["--json", "show"]).json()["commit"].as_str().expect("an id").to_owned();
    bench.coral(&["branch", "-M", "main"]).succeeds();
    bench.coral(&["branch", "old"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.coral(&["switch", "-c", "work"]).succeeds();
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-m", "work", "done"]).succeeds();
    bench.coral(&["branch", "-m", "done", "finished"]).succeeds();
    assert_eq!(bench.coral(&["switch", "-"]).succeeds().stdout, "on branch finished\n");
    let told = bench.coral(&["branch", "-M", "finished", "old"]).succeeds();
    assert!(told.stderr.contains(&format!("`coral branch old {}` brings it back", &first[..10])), "{told:?}");
    bench.coral(&["branch", "-M", "nowhere", "old"]).fails(1, &["no branch is called `nowhere`"]);
    let list = |arguments: &[&str]| -> Vec<String> {
        let rows = bench.coral(&[&["--json", "branch"], arguments].concat()).json();
        let rows = rows["branches"].as_array().expect("a list").iter();
        rows.map(|row| row["branch"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(list(&["-vv"]), ["main", "old"]);
    assert_eq!(list(&["-a", "--list", "m*", "o*"]), ["main", "old"]);
    assert_eq!(list(&["--contains"]), ["main", "old"]);
    assert_eq!(list(&["--no-contains", "HEAD"]), Vec::<String>::new());
    bench.coral(&["branch", "-C", "main", "copy"]).succeeds();
    bench.coral(&["branch", "-f", "copy", &first]).succeeds();
    assert_eq!(list(&["--points-at", &first]), ["copy"]);
    bench.coral(&["branch", "-u", "origin/main"]).fails(2, &["no remote repositories"]);
    bench.coral(&["branch", "-d", "-f", "copy"]).succeeds();
    bench.coral(&["branch", "a", "HEAD", "b"]).fails(2, &["takes no `b` there"]);
    assert_eq!(list(&[]), ["main", "old"]);

    for (name, at) in [("v1", first.as_str()), ("v2", "HEAD"), ("v3", "HEAD")] {
        bench.coral(&["tag", name, at, "-m", "one\ntwo"]).succeeds();
    }
    let tags = |arguments: &[&str]| -> Vec<String> {
        let rows = bench.coral(&[&["--json", "tag"], arguments].concat()).json();
        let rows = rows["tags"].as_array().expect("a list").iter();
        rows.map(|row| row["tag"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(tags(&["--points-at"]), ["v2", "v3"]);
    assert_eq!(tags(&["--contains"]), ["v2", "v3"]);
    assert_eq!(tags(&["--no-contains", "HEAD"]), ["v1"]);
    assert_eq!(tags(&["--merged", &first]), ["v1"]);
    assert_eq!(tags(&["-l", "*1", "*3"]), ["v1", "v3"]);
    let lines = bench.coral(&["tag", "-n", "-l", "v1"]).succeeds().stdout;
    assert!(lines.contains("one") && !lines.contains("two"), "{lines}");
    // Of several, one of which is not there, none goes.
    bench.coral(&["tag", "-d", "v1", "v9"]).fails(1, &["no tag is called `v9`"]);
    assert_eq!(tags(&[]), ["v1", "v2", "v3"]);
    bench.coral(&["tag", "-d", "v1", "v3"]).succeeds();
    assert_eq!(tags(&[]), ["v2"]);
    bench.coral(&["tag", "v4", "-d", "said of it"]).succeeds();
    assert!(bench.coral(&["tag"]).succeeds().stdout.contains("said of it"));
}

#[test]
fn a_cherry_pick_leaves_out_what_it_stopped_at() {
    let bench = tree();
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.commit("a", b"theirs", "in conflict");
    bench.commit("n", b"new", "no conflict");
    bench.coral(&["switch", "main"]).succeeds();
    bench.commit("a", b"ours", "ours");
    bench.coral(&["cherry-pick", "main..dev"]).fails(1, &["1 conflict to decide"]);
    bench.coral(&["revert", "--skip"]).fails(1, &["what is under way is a cherry-pick"]);
    bench.coral(&["cherry-pick", "--skip"]).succeeds();
    assert_eq!((bench.cat("HEAD:a"), bench.cat("HEAD:n")), (b"ours".to_vec(), b"new".to_vec()));
    assert_eq!(status(&bench), "");
    bench.coral(&["cherry-pick", "--skip"]).fails(1, &["under way"]);
    // The last one of all.
    bench.coral(&["cherry-pick", "dev~1"]).fails(1, &["1 conflict"]);
    bench.coral(&["cherry-pick", "--skip"]).succeeds();
    assert_eq!(status(&bench), "");
    bench.coral(&["merge"]).fails(2, &["not said what is to be merged"]);
    bench.coral(&["merge", "--no-edit", "--stat", "-X", "ours", "dev"]).succeeds();
}

#[test]
fn settings_are_spelled_as_in_git() {
    let bench = Workbench::new();
    bench.coral(&["config", "--global", "user.name", "Ada"]).succeeds();
    assert_eq!(bench.coral(&["config", "user.name"]).succeeds().stdout, "Ada\n");
    bench.coral(&["config", "--local", "--get", "user.name"]).fails(1, &["not set there"]);
    bench.coral(&["config", "user.name", "Grace"]).succeeds();
    assert_eq!(bench.coral(&["config", "--get", "user.name"]).succeeds().stdout, "Grace\n");
    assert_eq!(bench.coral(&["config", "--global", "user.name"]).succeeds().stdout, "Ada\n");
    assert!(bench.coral(&["config", "-l"]).succeeds().stdout.contains("Grace"));
    bench.coral(&["config", "--unset", "user.name"]).succeeds();
    assert_eq!(bench.coral(&["config", "user.name"]).succeeds().stdout, "Ada\n");
    bench.coral(&["config", "user.name", "--version"]).succeeds();
    assert_eq!(bench.coral(&["config", "get", "user.name"]).succeeds().stdout, "--version\n");
    let odd = bench.coral(&["config", "color.ui", "auto"]).fails(1, &["no setting is called `color.ui`"]);
    assert!(!odd.stderr.contains("did you mean"), "{odd:?}");
    bench.coral(&["config", "user.nmae"]).fails(1, &["did you mean `user.name`?"]);
}

#[test]
fn messages_are_taken_from_commits_and_amended_in_an_editor() {
    let bench = tree();
    let edited = |editor: &str, arguments: &[&str]| {
        let mut command = bench.command(&bench.path("repo"), arguments);
        command.env("CORAL_EDITOR", editor).env("PATH", "/usr/bin:/bin");
        bench.run(command)
    };
    let told = |format: &str| bench.coral(&["log", "-1", "--format", format]).succeeds().stdout;
    change(&bench, &[("a", "2")]);
    bench.coral(&["commit", "-m", "second", "--author", "Ada <a@b>", "--date", "2020-02-03"]).succeeds();
    edited("sed -i s/second/2nd/", &["commit", "--amend"]).succeeds();
    assert_eq!(told("%s %an"), "2nd Ada\n");
    edited("false", &["commit", "--amend", "--no-edit"]).succeeds();
    // Where nobody can be asked the message stays.
    bench.coral(&["commit", "--amend"]).succeeds();
    assert_eq!(told("%s"), "2nd\n");
    bench.coral(&["commit", "--allow-empty", "-C", "HEAD"]).succeeds();
    assert!(told("%s %an %ad").starts_with("2nd Ada 2020-02-03"), "{}", told("%s %an %ad"));
    edited("sed -i s/2nd/third/", &["commit", "--allow-empty", "-c", "HEAD"]).succeeds();
    assert_eq!(told("%s %an"), "third Ada\n");
    bench.coral(&["commit", "--amend", "--no-edit", "--reset-author"]).succeeds();
    assert_eq!(told("%an"), "Anonymous\n");
    change(&bench, &[("a", "3")]);
    let shown = bench.path("shown");
    let editor = format!(
        "sh -c 'cp \"$1\" {} && echo verbose >> \"$1\" && sed -i 1s/^/seen/ \"$1\"' sh",
        shown.display()
    );
    edited(&editor, &["commit", "-v"]).succeeds();
    let shown = std::fs::read_to_string(shown).expect("the editor ran");
    assert!(shown.contains(">8") && shown.contains("\n-2\n+3\n"), "{shown}");
    assert_eq!(told("%B"), "seen\n");
    bench.coral(&["commit", "--allow-empty", "-e", "-m", "x"]).fails(2, &["there is no message"]);
    let subject = told("%s");
    for mark in ["--fixup", "--squash"] {
        bench.coral(&["commit", "--allow-empty", mark, "HEAD", "-m", "and why"]).succeeds();
        assert_eq!(told("%B"), format!("{}! {subject}\nand why\n", &mark[2..]));
    }
    bench.coral(&["commit", "--allow-empty", "-n", "-q", "-s", "-m", "signed"]).succeeds();
    assert!(told("%B").contains("Signed-off-by"));
}

#[test]
fn what_somebody_commits_while_a_message_is_edited_is_not_amended_away() {
    let bench = tree();
    change(&bench, &[("a", "mine")]);
    let coral = env!("CARGO_BIN_EXE_coral");
    let mut amend = bench.command(&bench.path("repo"), &["commit", "--amend"]);
    let editor = format!("sh -c '{coral} commit --allow-empty -m meanwhile >&2 && echo amended > \"$1\"' sh");
    amend.env("CORAL_EDITOR", editor).env("PATH", "/usr/bin:/bin");
    bench.run(amend).fails(1, &["is no longer the last commit of `main`", "`coral log main`"]);
    let told = bench.coral(&["log", "--format", "%s"]).succeeds().stdout;
    assert!(told.starts_with("meanwhile\n") && !told.contains("amended"), "{told}");
}

#[test]
fn what_cannot_be_written_is_no_success_and_a_closed_pipe_is_silent() {
    let bench = tree();
    let sh = |line: &str| {
        let coral = env!("CARGO_BIN_EXE_coral");
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(line.replace("coral", coral)).current_dir(bench.path("repo"));
        command.env_clear().env("HOME", bench.path("home")).stdin(Stdio::null());
        bench.run(command)
    };
    for verb in
        ["status", "log", "branch", "show", "config list", "--version", "help", "log --help", "--json status"]
    {
        for to in [">&-", ">/dev/full"] {
            let told = sh(&format!("coral {verb} {to}")).fails(1, &["cannot write to the standard output"]);
            assert_eq!(told.stdout, "", "{verb} {to}");
        }
        assert_eq!(sh(&format!("coral {verb} >/dev/null")).succeeds().stderr, "", "{verb}");
        assert_eq!(sh(&format!("coral {verb} </dev/null 1<>/dev/null")).succeeds().stderr, "", "{verb}");
    }
    let piped = sh("for n in 1 2 3 4 5 6 7 8; do coral log; coral help; done | true");
    assert_eq!((piped.code, piped.stderr.as_str()), (0, ""), "{piped:?}");
    // What prints nothing has nothing to lose.
    sh("coral tag >&-").succeeds();
}

#[test]
fn undoing_takes_back_what_was_done_last_and_says_what_is_lost() {
    let bench = tree();
    bench.commit("a", b"2", "second");
    change(&bench, &[("a", "dirty")]);
    bench.coral(&["reset", "--hard"]).succeeds();
    let told = bench.coral(&["undo"]).succeeds();
    assert!(
        told.stdout.contains("undid: reset: to main") && !told.stderr.contains("nothing brings back"),
        "{told:?}"
    );
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"2".to_vec(), b"dirty".to_vec()));
    bench.coral(&["reset", "--hard", "--no-keep"]).succeeds();
    let told = bench.coral(&["undo"]).succeeds();
    assert!(
        told.stdout.contains("passed over: reset: to main") && told.stderr.contains("nothing brings back"),
        "{told:?}"
    );
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"2".to_vec(), b"2".to_vec()));
    change(&bench, &[("a", "dirty")]);
    bench.coral(&["config", "set", "core.keep_days", "0"]).succeeds();
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    bench.coral(&["config", "unset", "core.keep_days"]).succeeds();
    let told = bench.coral(&["undo"]).succeeds();
    assert!(
        told.stdout.contains("undid: reset: to HEAD~1") && told.stderr.contains("nothing brings back"),
        "{told:?}"
    );
    assert_eq!((bench.cat("HEAD:a"), bench.cat(":a")), (b"2".to_vec(), b"2".to_vec()));
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    let told = bench.coral(&["undo"]).succeeds();
    assert!(!told.stderr.contains("nothing brings back"), "{told:?}");
    bench.coral(&["switch", "-c", "gone"]).succeeds();
    change(&bench, &[("g", "unsaved")]);
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-D", "--no-keep", "gone"]).succeeds();
    let told = bench.coral(&["undo"]).succeeds();
    assert!(told.stderr.contains("nothing brings back the files"), "{told:?}");
    assert_eq!(bench.coral(&["--json", "op", "log"]).json()["operations"][1]["lost_files"], true);
    // What was put aside is there again.
    change(&bench, &[("a", "aside")]);
    bench.coral(&["stash"]).succeeds();
    bench.coral(&["undo"]).succeeds();
    assert_eq!(
        (bench.cat(":a"), bench.coral(&["stash", "list"]).succeeds().stdout),
        (b"aside".to_vec(), String::new())
    );
}

#[test]
fn a_commit_of_paths_that_are_none_or_did_not_change_says_so() {
    let bench = tree();
    change(&bench, &[("a", "x")]);
    bench.coral(&["commit", "-m", "x", "nosuch"]).fails(1, &["nosuch"]);
    bench.coral(&["commit", "--dry-run", "nosuch"]).fails(1, &["nosuch"]);
    bench.coral(&["commit", "-m", "x", "d/bb"]).fails(1, &["d/bb", "did you mean `d/b`?"]);
    bench.coral(&["commit", "-m", "x", "d/b"]).fails(1, &["nothing at these paths differs"]);
    assert_eq!(status(&bench), "M a\n");
    bench.coral(&["rm", "d/b"]).succeeds();
    bench.coral(&["commit", "-m", "gone", "d/b"]).succeeds();
    bench.coral(&["commit", "-m", "x", "d/b"]).fails(1, &["d/b"]);
}

#[test]
fn a_hint_can_be_copied_into_a_shell_whatever_a_file_is_called() {
    let bench = tree();
    for name in ["a b", "--all", "*", "x;y", "it's"] {
        change(&bench, &[(&format!("./{name}"), "new"), ("a", "changed"), ("d/b", "changed")]);
        let said = bench.coral(&["restore", "d", "."]).succeeds().stderr;
        let hint = said.split('`').find(|part| part.starts_with("coral restore")).expect("a hint");
        let hint = hint.replacen("coral", "\"$CORAL\"", 1);
        change(&bench, &[("a", "changed")]);
        let mut shell = std::process::Command::new("bash");
        shell.args(["-euc", &hint]).current_dir(bench.path("repo")).env("CORAL", env!("CARGO_BIN_EXE_coral"));
        bench.run(shell).succeeds();
        assert_eq!(status(&bench), "M a\n", "{hint}");
        bench.coral(&["restore", "a"]).succeeds();
    }
}

#[test]
fn a_directory_that_took_the_place_of_a_file_stays_with_what_is_new_in_it() {
    let bench = tree();
    bench.coral(&["rm", "a"]).succeeds();
    change(&bench, &[("d/b", "changed")]);
    bench.write("other/new", b"kept");
    bench.coral(&["add", "--to", "a", "other/new"]).succeeds();
    for restores in [&["restore", "."][..], &["checkout", "HEAD", "--", "."]] {
        let said = bench.coral(restores).succeeds().stderr;
        assert!(said.contains("`a` is new and stays") && said.contains("`a/"), "{said}");
        assert!(bench.coral(&["ls", "-r", ":"]).succeeds().stdout.contains("new"));
        assert_eq!(bench.cat(":d/b"), b"2");
    }
    bench.coral(&["restore", "a"]).succeeds();
    assert_eq!((bench.cat(":a"), status(&bench)), (b"1".to_vec(), String::new()));
}

#[test]
fn what_the_other_side_of_a_merge_brought_is_not_dropped_in_passing() {
    let bench = tree();
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    change(&bench, &[("a", "theirs"), ("d/b", "theirs"), ("fromside", "theirs")]);
    bench.coral(&["commit", "-m", "theirs"]).succeeds();
    bench.coral(&["switch", "main"]).succeeds();
    change(&bench, &[("a", "ours")]);
    bench.coral(&["commit", "-m", "ours"]).succeeds();
    bench.coral(&["merge", "dev"]).fails(1, &["a"]);
    bench.coral(&["clean", "-f"]).fails(1, &["a merge is under way"]);
    bench.coral(&["restore", "d"]).fails(1, &["a merge is under way"]);
    bench.coral(&["checkout", "--ours", "a"]).succeeds();
    bench.coral(&["merge", "--continue"]).succeeds();
    assert_eq!(
        (bench.cat("HEAD:a"), bench.cat("HEAD:d/b"), bench.cat("HEAD:fromside")),
        (b"ours".to_vec(), b"theirs".to_vec(), b"theirs".to_vec())
    );
}
