//! Who did it: `blame`, `bisect`.

use super::workbench::{Workbench, safetensors, weights};
use std::os::unix::fs::PermissionsExt;

#[test]
fn each_tensor_and_each_line_has_the_commit_that_changed_it_last() {
    let bench = Workbench::new();
    let model = |a: u64, b: u64| safetensors(&[("layer.0", &weights(a, 300)), ("layer.1", &weights(b, 300))]);
    let first = bench.commit("m.safetensors", &model(1, 2), "first");
    let second = bench.commit("m.safetensors", &model(1, 3), "second");
    bench.commit("other", b"x", "elsewhere");
    bench.commit("notes.txt", b"one\ntwo\n", "notes");
    let more = bench.commit("notes.txt", b"zero\none\nTWO\n", "more notes");
    let commits = |arguments: &[&str]| -> Vec<String> {
        let blamed = bench.coral(&[&["--json", "blame"], arguments].concat()).json();
        let rows = blamed["pieces"].as_array().expect("a list").iter();
        rows.map(|row| row["commit"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(commits(&["m.safetensors"]), [first.clone(), second.clone()]);
    assert_eq!(commits(&["HEAD:m.safetensors#*.1"]), std::slice::from_ref(&second));
    assert_eq!(commits(&["-t", "layer.0", "m.safetensors"]), std::slice::from_ref(&first));
    let lines = commits(&["notes.txt"]);
    assert_eq!((&lines[0], &lines[2]), (&more, &more));
    assert_ne!(lines[1], more);
    assert!(bench.coral(&["blame", "notes.txt"]).succeeds().stdout.contains("more notes"));
    bench.coral(&["blame", "HEAD:"]).fails(1, &["is no file of a commit"]);
    // What a merge took from either side is of that side.
    bench.coral(&["switch", "-c", "dev", &first]).succeeds();
    let there = bench.commit("m.safetensors", &model(4, 2), "there");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["merge", "dev"]).succeeds();
    assert_eq!(commits(&["m.safetensors"]), [there, second]);
}

#[test]
fn each_block_of_rows_has_the_commit_that_changed_it_last() {
    let bench = Workbench::new();
    let mut table = weights(1, 64 * 8);
    let model = |table: &[f32]| matrix("wte", [64, 8], table, &weights(2, 8));
    let first = bench.commit("m.safetensors", &model(&table), "first");
    table[10 * 8 + 3] += 1.0;
    let second = bench.commit("m.safetensors", &model(&table), "second");
    bench.coral(&["mv", "m.safetensors", "n.safetensors"]).succeeds();
    bench.coral(&["commit", "-m", "renamed"]).succeeds();
    table[63 * 8] += 1.0;
    let third = bench.commit("n.safetensors", &model(&table), "third");
    let blamed = bench.coral(&["--json", "blame", "--rows=16", "HEAD:n.safetensors#wte"]).json();
    let pieces = blamed["pieces"].as_array().expect("a list").iter();
    let told: Vec<_> = pieces.map(|row| (row["piece"].as_str(), row["commit"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("wte [0..16]"), Some(&*second)),
            (Some("wte [16..32]"), Some(&*first)),
            (Some("wte [32..48]"), Some(&*first)),
            (Some("wte [48..64]"), Some(&*third)),
        ]
    );
    let all = bench.coral(&["blame", "--rows", "n.safetensors"]).succeeds().stdout;
    assert_eq!((all.lines().count(), all.matches("second").count()), (32 + 8, 1));
    bench.coral(&["blame", "--rows=0", "n.safetensors"]).fails(2, &["--rows"]);
}

/// A model of a matrix and a vector beside it.
fn matrix(name: &str, shape: [usize; 2], values: &[f32], beside: &[f32]) -> Vec<u8> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (table, beside) = (bytes(values), bytes(beside));
    let end = table.len() + beside.len();
    let header = serde_json::json!({
        name: { "dtype": "F32", "shape": shape, "data_offsets": [0, table.len()] },
        "bias": { "dtype": "F32", "shape": [beside.len() / 4], "data_offsets": [table.len(), end] },
    });
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &table, &beside].concat()
}

/// Ten commits of which the last four are bad.
fn ten() -> (Workbench, Vec<String>) {
    let bench = Workbench::new();
    let text = |number: u32| if number < 6 { format!("good {number}") } else { format!("bad {number}") };
    let commits = (0..10).map(|number| bench.commit("a", text(number).as_bytes(), &format!("step {number}")));
    let commits = commits.collect();
    (bench, commits)
}

#[test]
fn the_first_bad_commit_is_found_by_halves() {
    let (bench, commits) = ten();
    bench.coral(&["bisect", "good"]).fails(1, &["no bisection is under way"]);
    assert!(bench.coral(&["bisect", "start"]).succeeds().stdout.contains("bisect bad"));
    bench.coral(&["bisect", "bad"]).succeeds();
    let mut next = bench.coral(&["--json", "bisect", "good", &commits[0]]).json();
    let mut looked = 0;
    while next["state"] == "look" {
        looked += 1;
        let text = String::from_utf8(bench.cat("HEAD:a")).expect("text");
        let verdict = if text.starts_with("good") { "good" } else { "bad" };
        next = bench.coral(&["--json", "bisect", verdict]).json();
    }
    assert_eq!((&next["state"], &next["commit"]), (&"found".into(), &commits[6].as_str().into()));
    assert!(looked <= 4, "{looked}");
    assert!(bench.coral(&["bisect", "log"]).succeeds().stdout.contains("good "));
    bench.coral(&["bisect", "reset"]).succeeds();
    assert_eq!(bench.coral(&["branch", "--show-current"]).succeeds().stdout, "main\n");
}

#[test]
fn a_command_says_what_each_commit_is_and_may_not_know() {
    let (bench, commits) = ten();
    let script = bench.path("look.sh");
    let coral = env!("CARGO_BIN_EXE_coral");
    let text = format!(
        "#!/bin/sh\ncase \"$({coral} cat HEAD:a)\" in *5) exit 125;; good*) exit 0;; *) exit 1;; esac\n"
    );
    std::fs::write(&script, text).expect("write");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    bench
        .coral(&["bisect", "start", &commits[0], "HEAD"])
        .fails(1, &["is not before it", "bisect start BAD GOOD"]);
    bench.coral(&["bisect", "start", "HEAD", "HEAD"]).fails(1, &["is not before it"]);
    bench.coral(&["bisect", "start", "HEAD", &commits[0]]).succeeds();
    let mut command = bench.command(&bench.path("repo"), &["bisect", "run"]);
    command.arg(&script).env("PATH", "/usr/bin:/bin");
    let ran = bench.run(command);
    // One could not be told, and it is beside the first bad one.
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stdout.contains("step 5") && ran.stdout.contains("step 6"), "{ran:?}");
    bench.coral(&["bisect", "reset"]).succeeds();
    bench.coral(&["bisect", "start", "HEAD", &commits[0]]).succeeds();
    bench.coral(&["bisect", "run", "no-such-program"]).fails(1, &["cannot run"]);
}
