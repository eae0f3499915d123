//! What names a commit or a file, wherever one is expected.

use super::workbench::{Workbench, safetensors, weights};

#[test]
fn a_name_that_leads_nowhere_says_what_there_is() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let second = bench.commit("a", b"2", "second");
    bench.coral(&["show", "HEAD~9"]).fails(1, &["`HEAD` has 1 ancestor"]);
    bench.coral(&["show", "HEAD^2"]).fails(1, &["has 1 parent"]);
    bench.coral(&["show", "main@{7}"]).fails(1, &["the log of `main` has 2 entries", "coral reflog"]);
    bench.coral(&["show", &second[..3]]).fails(1, &["too short", "4 digits"]);
    bench.coral(&["show", "main@{whenever}"]).fails(1, &["`whenever` is no time", "yesterday"]);
    bench.coral(&["show", "mian~1"]).fails(1, &["did you mean `main`?"]);
}

#[test]
fn head_remembers_where_it_was_and_a_dash_goes_back() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    let second = bench.commit("a", b"2", "second");
    bench.coral(&["switch", "-"]).succeeds();
    let back = bench.coral(&["--json", "switch", "-"]).json();
    assert_eq!(back["branch"], "dev");
    bench.coral(&["switch", "main"]).succeeds();
    assert_eq!(bench.cat("@{-1}:a"), b"2");
    assert_eq!(bench.cat("@{-1}~1:a"), b"1");
    assert_eq!(bench.cat("HEAD@{1}:a"), b"2");
    let log = bench.coral(&["--json", "reflog"]).json();
    let moves: Vec<_> =
        log["moves"].as_array().expect("a list").iter().map(|row| row["new"].clone()).collect();
    assert_eq!(moves, [&first, &second, &first, &second, &first, &first].map(|id| id.as_str()));
    let lines = bench.coral(&["reflog", "dev"]).succeeds().stdout;
    assert!(lines.contains("dev@{0}") && lines.contains("commit: second"), "{lines}");
    bench.coral(&["branch", "-D", "dev"]).succeeds();
    let lines = bench.coral(&["reflog", "dev"]).succeeds().stdout;
    assert!(lines.contains("deleted"), "{lines}");
    bench.coral(&["fsck"]).succeeds();
}

#[test]
fn a_path_may_be_of_the_worktree_and_relative_and_lead_to_tensors() {
    let bench = Workbench::new();
    let (a, b) = (weights(1, 300), weights(2, 300));
    let model = safetensors(&[("layer.0.w", &a), ("layer.1.w", &b), ("head", &a)]);
    bench.commit("run/model.safetensors", &model, "model");
    bench.commit("run/notes.txt", b"one\ntwo\n", "notes");
    bench.write("run/notes.txt", b"three\n");
    bench.coral(&["add", "run/notes.txt"]).succeeds();
    assert_eq!(bench.cat(":run/notes.txt"), b"three\n");
    assert_eq!(bench.cat("HEAD:run/notes.txt"), b"one\ntwo\n");
    let below = |arguments: &[&str]| bench.run(bench.command(&bench.path("repo/run"), arguments));
    assert_eq!(below(&["cat", "HEAD:./notes.txt"]).succeeds().stdout, "one\ntwo\n");
    assert_eq!(below(&["ls", "HEAD:.."]).succeeds().stdout, "run/\n");
    below(&["ls", "HEAD:../../x"]).fails(2, &["leads out"]);
    let bytes =
        |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
    assert_eq!(bench.cat("HEAD:run/model.safetensors#head"), bytes(&a));
    assert_eq!(bench.cat(":run/model.safetensors#layer.?.w"), [bytes(&a), bytes(&b)].concat());
    bench.coral(&["cat", "HEAD:run/model.safetensors#tail"]).fails(1, &["has no tensor `tail`"]);
    let shown = bench.coral(&["--json", "show", "HEAD:run/model.safetensors#layer.*"]).json();
    assert_eq!(shown["tensors"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        bench.coral(&["--json", "show", "layer.*"]).json()["tensors"].as_array().map(Vec::len),
        Some(2)
    );
    // A file of text shows its text, and a name with the sign is a name first.
    assert!(bench.coral(&["show", "HEAD:run/notes.txt"]).succeeds().stdout.ends_with("\none\ntwo\n"));
    bench.commit("run/a#b", b"sharp", "a sharp name");
    assert_eq!(bench.cat("HEAD:run/a#b"), b"sharp");
}

#[test]
fn a_tag_is_shown_with_what_was_said_of_it() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["tag", "v1", "-d", "the best so far", "--metric", "loss=0.5"]).succeeds();
    let shown = bench.coral(&["show", "v1"]).succeeds().stdout;
    for words in ["tag v1", "loss: 0.5", "the best so far", "(main, tag: v1)", "first", "A a"] {
        assert!(shown.contains(words), "no `{words}` in {shown}");
    }
    assert_eq!(bench.coral(&["--json", "show", "v1"]).json()["tag"]["metrics"]["loss"], "0.5");
    assert_eq!(bench.coral(&["show", "v1^{tree}"]).succeeds().stdout, "a\n");
}
