//! Pictures of a history: in the terminal, as SVG and as PNG, and as numbers.

use super::workbench::{Workbench, safetensors, weights};
use std::fs;

/// Three commits of a model of two layers, with a loss.
fn bench() -> Workbench {
    let bench = Workbench::new();
    for (step, loss) in [(1u64, "2.5"), (2, "1.5"), (3, "nan")] {
        let (same, last) = (weights(9, 600), weights(step, 600));
        let file =
            safetensors(&[("h.0.attn", &same), ("h.1.attn", &last), ("h.1.mlp", &same), ("wte", &last)]);
        bench.write("m.safetensors", &file);
        bench.coral(&["add", "m.safetensors"]).succeeds();
        let (step, loss) = (format!("step={}", step * 100), format!("loss={loss}"));
        bench.coral(&["commit", "-m", "x", "-d", &step, "-d", &loss]).succeeds();
    }
    bench
}

#[test]
fn every_picture_is_drawn_in_the_terminal_and_as_numbers() {
    let bench = bench();
    let storage = bench.coral(&["--json", "plot", "storage"]).json();
    let (plain, stored) = (&storage["series"][0]["points"], &storage["series"][1]["points"]);
    assert_eq!(plain.as_array().map(Vec::len), Some(3));
    assert!(stored[2][1].as_f64() < plain[2][1].as_f64(), "{storage}");
    let changes = bench.coral(&["--json", "plot", "changes", "HEAD~1", "HEAD"]).json();
    assert_eq!(changes["columns"], serde_json::json!(["-", "0", "1"]));
    assert_eq!(changes["rows"][0]["name"], "h.*.attn");
    assert_eq!(changes["rows"][0]["values"][0], serde_json::Value::Null);
    assert_eq!(changes["rows"][0]["values"][1], 0.0);
    assert!(changes["rows"][0]["values"][2].as_f64() > Some(0.5), "{changes}");
    // Of two files those are compared, whatever they are called.
    bench.coral(&["mv", "m.safetensors", "n.safetensors"]).succeeds();
    let files = ["HEAD~1:m.safetensors", ":n.safetensors"];
    let renamed = bench.coral(&["--json", "plot", "changes", files[0], files[1]]).json();
    assert_eq!(renamed["rows"], changes["rows"]);
    let lie = bench.coral(&["--json", "plot", "weights", "HEAD:m.safetensors#wte", "--bins", "20"]).json();
    let all: u64 =
        lie["counts"].as_array().expect("counts").iter().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(all, 600);
    let loss = bench.coral(&["--json", "plot", "metrics", "loss"]).json();
    assert_eq!(loss["series"][0]["points"], serde_json::json!([[100.0, 2.5], [200.0, 1.5]]));
    for what in [
        &["storage"][..],
        &["changes"],
        &["weights", "HEAD:m.safetensors#wte"],
        &["weights", "HEAD:m.safetensors#h*"],
        &["metrics", "loss"],
    ] {
        let arguments = [&["plot"], what].concat();
        let drawn = bench.coral(&[&arguments[..], &["--width", "70"]].concat()).succeeds().stdout;
        assert!(drawn.lines().count() > 4 && drawn.lines().all(|line| line.chars().count() <= 70), "{drawn}");
        for (file, begin) in [("p.svg", &b"<svg"[..]), ("p.png", b"\x89PNG")] {
            bench.coral(&[&arguments[..], &["-o", file]].concat()).succeeds();
            assert!(fs::read(bench.path("repo").join(file)).expect("a picture").starts_with(begin), "{file}");
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let bench = bench();
    bench.coral(&["plot", "metrics", "acc"]).fails(1, &["no commit has a number called `acc`"]);
    bench.coral(&["plot", "storage", "-o", "p.gif"]).fails(2, &[".svg or .png"]);
    bench.coral(&["plot", "weights", "HEAD:m.safetensors#nope"]).fails(1, &["no tensor of real numbers"]);
    bench.coral(&["plot", "storage", "nowhere"]).fails(1, &["unknown revision"]);
    bench.outside(&["init", "empty"]).succeeds();
    bench.outside(&["-C", "empty", "plot", "storage"]).fails(1, &["no commits yet"]);
}

#[test]
fn workflows_name_only_commands_that_there_are() {
    let bench = Workbench::bare();
    let told = bench.outside(&["help", "workflows"]).succeeds().stdout;
    let verbs: Vec<&str> =
        told.lines().filter_map(|line| line.strip_prefix("  coral ")?.split(' ').next()).collect();
    assert!(verbs.len() > 20, "{told}");
    for verb in verbs {
        bench.outside(&[verb, "--help"]).succeeds();
    }
    assert!(told.lines().all(|line| line.chars().count() <= 120), "{told}");
}
