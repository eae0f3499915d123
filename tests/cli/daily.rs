//! What people do every day: add, commit, look, take back, export.

use super::workbench::{Ran, Workbench, safetensors, weights};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn added_files_keep_their_place_and_strangers_go_to_the_top() {
    let bench = Workbench::new();
    bench.write("run/step-1/model.bin", b"inside");
    fs::write(bench.path("stranger.bin"), b"outside").expect("write");
    bench.coral(&["add", "run", "../stranger.bin"]).succeeds();
    bench.coral(&["add", "--to", "deep/er", "../stranger.bin"]).succeeds();
    bench.coral(&["commit", "-m", "first"]).succeeds();
    let listed = bench.coral(&["ls", "-r"]).succeeds().stdout;
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [
            "deep/",
            "deep/er/",
            "deep/er/stranger.bin",
            "run/",
            "run/step-1/",
            "run/step-1/model.bin",
            "stranger.bin"
        ]
    );
    assert_eq!(bench.cat("HEAD:run/step-1/model.bin"), b"inside");
}

#[test]
fn adding_twice_accumulates_and_what_is_not_added_stays() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "a");
    bench.commit("b", b"2", "b");
    bench.commit("a", b"3", "a again");
    assert_eq!((bench.cat("HEAD:a"), bench.cat("HEAD:b")), (b"3".to_vec(), b"2".to_vec()));
}

#[test]
fn status_names_what_is_new_modified_and_deleted() {
    let bench = Workbench::new();
    bench.commit("old", b"1", "old");
    bench.commit("gone", b"1", "gone");
    bench.write("old", b"2");
    bench.write("new", b"1");
    bench.coral(&["add", "old", "new"]).succeeds();
    bench.coral(&["rm", "gone"]).succeeds();
    let status = bench.coral(&["status", "--short"]).succeeds().stdout;
    assert_eq!(status, "D gone\nA new\nM old\n");
    bench.coral(&["restore", "gone", "old", "new"]).succeeds();
    assert_eq!(bench.coral(&["status", "--short"]).succeeds().stdout, "");
    bench.coral(&["restore", "--source", "HEAD~1", "gone"]).succeeds();
    assert_eq!(bench.coral(&["status", "--short"]).succeeds().stdout, "D gone\n");
    bench.coral(&["restore", "--all"]).succeeds();
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
}

#[test]
fn exports_are_byte_exact_with_modes_links_and_times() {
    let bench = Workbench::new();
    let model = safetensors(&[("w", &weights(1, 100_000)), ("b", &weights(2, 64)), ("empty", &[])]);
    bench.write("run/model.safetensors", &model);
    bench.write("run/config.json", b"{}");
    bench.write("run/empty", b"");
    fs::create_dir(bench.path("repo/run/void")).expect("mkdir");
    symlink("model.safetensors", bench.path("repo/run/last")).expect("link");
    let script = bench.path("repo/run/train.sh");
    fs::write(&script, "#!/bin/sh\n").expect("write");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(&script).expect("open").set_modified(time).expect("touch");
    bench.coral(&["add", "run"]).succeeds();
    bench.coral(&["commit", "-m", "everything"]).succeeds();

    bench.coral(&["export", "HEAD", "../out"]).succeeds();
    let out = bench.path("out/run");
    assert_eq!(fs::read(out.join("model.safetensors")).expect("read"), model);
    assert_eq!(fs::read(out.join("empty")).expect("read"), b"");
    assert_eq!(fs::read_link(out.join("last")).expect("link").to_str(), Some("model.safetensors"));
    let top = fs::metadata(bench.path("out")).expect("stat").modified().expect("time");
    assert!(top.elapsed().is_ok_and(|age| age.as_secs() < 86_400), "the top folder is as old as its commit");
    assert_eq!(fs::read_dir(out.join("void")).expect("list").count(), 0);
    let script = fs::metadata(out.join("train.sh")).expect("stat");
    assert_eq!((script.permissions().mode() & 0o7777, script.modified().expect("time")), (0o755, time));
    bench.coral(&["export", "HEAD:run/config.json", "../one.json"]).succeeds();
    assert_eq!(fs::read(bench.path("one.json")).expect("read"), b"{}");
    bench
        .coral(&["export", "HEAD", "../out"])
        .fails(1, &["out", "exists already", "nothing was overwritten"]);
}

#[test]
fn show_tells_of_commits_files_and_tensors() {
    let bench = Workbench::new();
    let model = safetensors(&[("layer.weight", &[1.0, -1.0, 3.0, f32::NAN])]);
    let id = bench.commit("model.safetensors", &model, "a model");
    let shown = bench.coral(&["show"]).succeeds().stdout;
    assert!(shown.contains(&id) && shown.contains("A model.safetensors"), "{shown}");
    let file = bench.coral(&["--json", "show", "HEAD:model.safetensors"]).json();
    assert_eq!(file["tensors"][0]["name"], "layer.weight");
    assert_eq!(file["blake3"].as_str().map(str::len), Some(64));
    let tensor = bench.coral(&["--json", "show", "layer.weight"]).json();
    let numbers = &tensor["tensors"][0]["statistics"];
    assert_eq!(
        (&numbers["min"], &numbers["max"], &numbers["mean"]),
        (&(-1.0).into(), &3.0.into(), &1.0.into())
    );
    assert_eq!(numbers["nan"], 1);
}

#[test]
fn settings_of_the_user_are_in_force_and_those_of_the_repository_win() {
    let bench = Workbench::new();
    bench.coral(&["config", "set", "--global", "user.name", "Ada"]).succeeds();
    bench.coral(&["config", "set", "--global", "user.email", "ada@example.org"]).succeeds();
    bench.commit("a", b"1", "by Ada");
    bench.coral(&["config", "set", "user.name", "Grace"]).succeeds();
    bench.commit("a", b"2", "by Grace");
    let log = bench.coral(&["--json", "log"]).json();
    assert_eq!(
        (&log["commits"][0]["author"]["name"], &log["commits"][1]["author"]["name"]),
        (&"Grace".into(), &"Ada".into())
    );
    assert_eq!(log["commits"][0]["author"]["email"], "ada@example.org");
    let mut command = bench.command(&bench.path("repo"), &["config", "get", "user.name"]);
    command.env("CORAL_USER_NAME", "Env");
    assert_eq!(bench.run(command).succeeds().stdout, "Env\n");
    bench.coral(&["config", "set", "user.nmae", "x"]).fails(1, &["user.nmae", "did you mean `user.name`"]);
    bench.coral(&["config", "set", "core.compression_level", "9"]).fails(1, &["one of fast, default, max"]);
}

#[test]
fn removing_and_restoring_happen_as_a_whole_or_not_at_all() {
    let bench = Workbench::new();
    bench.write("d/a", b"1");
    bench.write("plain", b"1");
    bench.coral(&["add", "d", "plain"]).succeeds();
    bench.coral(&["commit", "-m", "first"]).succeeds();
    let unchanged = || assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "");
    bench.coral(&["rm", "plain", "nope"]).fails(1, &["no `nope` in the worktree of `main`"]);
    bench.coral(&["rm", "plain", "plian"]).fails(1, &["did you mean `plain`"]);
    unchanged();
    bench.coral(&["rm", "plain", "d"]).fails(1, &["`d` is a directory", "-r"]);
    unchanged();
    bench.coral(&["rm", "-r", "plain", "plain", "d", "d/a"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "D d/a\nD plain\n");
    bench.coral(&["restore", "plain", "nope"]).fails(1, &["no `nope` in"]);
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "D d/a\nD plain\n");
    bench.coral(&["restore", "plain", "d/a"]).succeeds();
    unchanged();
}

#[test]
fn settings_that_are_changed_at_once_are_all_changed() {
    let bench = Workbench::new();
    let settings = [
        ("core.cache_size", "1MiB"),
        ("core.compression_level", "max"),
        ("core.delta_encoding", "false"),
        ("core.delta_type", "float32_raw"),
        ("core.max_delta_depth", "7"),
        ("core.reserve", "1MiB"),
        ("core.threads", "3"),
        ("user.email", "ada@example.org"),
        ("user.name", "Ada"),
    ];
    for globally in [&["--global"][..], &[]] {
        let set = |(key, value)| bench.start(&[&["config", "set"], globally, &[key, value]].concat());
        // Some of them twice.
        let children: Vec<_> = settings.into_iter().chain(settings.into_iter().take(3)).map(set).collect();
        for child in children {
            Ran::of(child.wait_with_output().expect("it ends")).succeeds();
        }
        for (key, value) in settings {
            assert_eq!(bench.coral(&["config", "get", key]).succeeds().stdout.trim_end(), value);
        }
    }
}

#[test]
fn near_equal_checkpoints_from_separate_processes_take_less_than_plain_files() {
    let bench = Workbench::new();
    let mut numbers = weights(7, 200_000);
    let mut plain = 0;
    for step in 0..6 {
        for (number, noise) in numbers.iter_mut().zip(weights(100 + step, 200_000)) {
            *number += noise * 1e-3;
        }
        let model = safetensors(&[("w", &numbers)]);
        plain += model.len() as u64;
        bench.commit("model.safetensors", &model, &format!("step {step}"));
    }
    let stats = bench.coral(&["--json", "stats"]).json();
    let disk = stats["disk_bytes"].as_u64().expect("a number");
    assert!(disk < plain * 8 / 10, "{disk} of {plain}");
    assert!(stats["delta_objects"].as_u64() >= Some(5), "{stats}");
}

#[test]
fn a_flood_of_equal_tensors_is_stored_once() {
    let bench = Workbench::new();
    let numbers = weights(3, 100_000);
    bench.write("a.safetensors", &safetensors(&[("one", &numbers), ("tied", &numbers)]));
    bench.write("b.safetensors", &safetensors(&[("another.name", &numbers)]));
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    npy.extend(
        format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (100000,), }").bytes(),
    );
    npy.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bench.write("c.npy", &npy);
    bench.coral(&["add", "a.safetensors", "b.safetensors", "c.npy"]).succeeds();
    bench.coral(&["commit", "-m", "equal"]).succeeds();
    let stats = bench.coral(&["--json", "stats"]).json();
    assert!(stats["disk_bytes"].as_u64() < Some(410_000), "{stats}");
    assert_eq!(bench.cat("HEAD:c.npy"), npy);
}

#[test]
fn what_is_dropped_and_in_no_commit_is_named_with_the_way_back() {
    let bench = Workbench::new();
    bench.commit("kept", b"1", "first");
    bench.commit("old", b"1", "second");
    bench.write("old", b"2");
    for number in 0..12 {
        bench.write(&format!("new/{number:02}"), b"only here");
    }
    bench.coral(&["add", "old", "new"]).succeeds();
    // What a commit has is dropped without a word.
    let quiet = bench.coral(&["rm", "kept"]).succeeds();
    assert_eq!(quiet.stderr, "");
    let said = bench.coral(&["rm", "old", "./old"]).succeeds();
    assert_eq!(said.stdout, "removed old\n");
    assert!(
        said.stderr.contains("note: 1 file dropped that no commit has:\nnote:   modified      old\n"),
        "{said:?}"
    );
    assert!(said.stderr.contains("note: `coral undo` brings these back"), "{said:?}");
    let said = bench.coral(&["restore", "--all", "--no-keep"]).succeeds().stderr;
    assert!(said.contains("12 files dropped that no commit has:\n"), "{said}");
    assert!(
        said.contains("new           new/09\nnote:   ... and 2 more\nnote: nothing brings these back\n"),
        "{said}"
    );
    assert!(!said.contains("kept") && !said.contains("new/10"), "{said}");

    bench.coral(&["branch", "dev"]).succeeds();
    bench.coral(&["add", "-B", "dev", "new/03"]).succeeds();
    let said = bench.coral(&["branch", "-D", "dev", "--no-keep"]).succeeds().stderr;
    assert!(said.contains("1 file dropped") && said.contains("new           new/03"), "{said}");
    assert!(said.contains("nothing brings these back") && said.contains("`coral branch dev "), "{said}");

    bench.coral(&["add", "new/03"]).succeeds();
    let said = bench.coral(&["--json", "rm", "new/03"]).json();
    assert_eq!(said["dropped"], serde_json::json!([{ "path": "new/03", "was": "new", "kept": true }]));
}

#[test]
fn an_export_that_fails_leaves_nothing_that_it_made_and_all_else() {
    let bench = Workbench::new();
    bench.write("a", b"small");
    bench.write("d/sub/b", b"small");
    symlink("a", bench.path("repo/d/link")).expect("link");
    bench.write("d/z/big", &[7; 1 << 20]);
    bench.write("e", b"after it");
    fs::set_permissions(bench.path("repo/d/sub"), fs::Permissions::from_mode(0o555)).expect("chmod");
    bench.coral(&["add", "a", "d", "e"]).succeeds();
    bench.coral(&["commit", "-m", "all"]).succeeds();
    let limited = |target: &str, out: &str| {
        let mut shell = std::process::Command::new("sh");
        let script = r#"ulimit -f 64; exec "$0" export "$1" "$2""#;
        shell.args(["-c", script, env!("CARGO_BIN_EXE_coral"), target, out]).current_dir(bench.path("repo"));
        bench.run(shell)
    };
    limited("HEAD", "../new/deep").fails(1, &["big", "too large"]);
    assert!(!bench.path("new").exists(), "the directory above is its own too");
    fs::create_dir(bench.path("empty")).expect("mkdir");
    limited("HEAD", "../empty").fails(1, &["too large"]);
    assert_eq!(fs::read_dir(bench.path("empty")).expect("it was there").count(), 0);
    limited("HEAD:d/z/big", "../one").fails(1, &["too large"]);
    assert!(!bench.path("one").exists());
    // It can be repeated.
    bench.coral(&["export", "HEAD", "../new/deep"]).succeeds();
    bench.coral(&["export", "HEAD", "../empty"]).succeeds();
    assert_eq!(fs::read(bench.path("empty/d/sub/b")).expect("read"), b"small");
}

#[test]
fn checkpoints_that_are_not_there_are_named_before_anything_is_made() {
    let bench = Workbench::bare();
    bench.outside(&["demo", "--from", "nope"]).fails(1, &["cannot list `", "/nope`"]);
    bench.outside(&["demo", "--save", "run", "--checkpoints", "1", "--hidden", "8"]).succeeds();
    assert!(bench.path("run/checkpoint-20/model.safetensors").exists());
    bench.outside(&["demo", "--save", "run"]).fails(1, &["cannot make `", "/run`"]);
}

#[test]
fn what_a_commit_has_is_dropped_without_a_word_also_if_it_is_an_older_one() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "one");
    bench.commit("a", b"2", "two");
    bench.coral(&["restore", "--source", "HEAD~1", "a"]).succeeds();
    assert!(bench.coral(&["status", "-s"]).succeeds().stdout.contains("M a"));
    assert_eq!(bench.coral(&["restore", "a"]).succeeds().stderr, "");
    assert_eq!(bench.cat(":a"), b"2");
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["restore", "a"]).succeeds().stderr.find("1 file dropped that no commit has").expect("told");
}
