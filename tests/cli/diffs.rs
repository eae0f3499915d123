//! What differs: `diff` and `compare`.

use super::workbench::{Workbench, safetensors, weights};

/// Two commits of a model: `a` changes a little, `b` goes, `c` comes, `d` becomes `e`, `s` has another shape, `f` stays.
fn bench() -> Workbench {
    let bench = Workbench::new();
    let all: Vec<Vec<f32>> = (1..=5).map(|seed| weights(seed, 400)).collect();
    let mut a = all[0].clone();
    a[7] += 0.5;
    let old = [("a", &*all[0]), ("b", &*all[1]), ("d", &*all[2]), ("f", &*all[3]), ("s", &all[4][..100])];
    let new = [("a", &*a), ("c", &all[1][..399]), ("e", &*all[2]), ("f", &*all[3]), ("s", &all[4][..200])];
    bench.commit("model.safetensors", &safetensors(&old), "old");
    bench.commit("notes.txt", b"one\ntwo\nthree\n", "notes");
    bench.write("model.safetensors", &safetensors(&new));
    bench.write("notes.txt", b"one\n2\nthree\n");
    bench.coral(&["add", "model.safetensors", "notes.txt"]).succeeds();
    bench
}

fn tensor<'a>(diff: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let files = diff["files"].as_array().expect("files");
    let model = files.iter().find(|file| file["path"] == "model.safetensors").expect("the model");
    let tensors = model["tensors"].as_array().expect("tensors");
    tensors.iter().find(|tensor| tensor["name"] == name).unwrap_or_else(|| panic!("no {name} in {diff}"))
}

#[test]
fn tensors_are_added_removed_renamed_reshaped_and_changed_by_so_much() {
    let bench = bench();
    let check = |diff: &serde_json::Value| {
        let kinds = ["a", "b", "c", "e", "s"].map(|name| tensor(diff, name)["change"].clone());
        assert_eq!(kinds, ["changed", "removed", "added", "renamed", "reshaped"]);
        let numbers = &tensor(diff, "a")["numbers"];
        assert_eq!((&numbers["elements"], &numbers["changed"]), (&400.into(), &1.into()));
        assert!((numbers["l2"].as_f64().expect("a number") - 0.5).abs() < 1e-6, "{numbers}");
        assert!((numbers["max"].as_f64().expect("a number") - 0.5).abs() < 1e-6, "{numbers}");
        assert_eq!(numbers["ulps"]["0"], 399);
        assert!(tensor(diff, "s")["numbers"].is_null());
        assert_eq!(diff["files"][0]["same_tensors"], 1);
    };
    // The worktree's files are staged; once committed they are objects.
    check(&bench.coral(&["--json", "diff"]).json());
    bench.coral(&["commit", "-m", "new"]).succeeds();
    assert_eq!(bench.coral(&["--json", "diff"]).json()["files"], serde_json::json!([]));
    check(&bench.coral(&["--json", "diff", "HEAD~1..HEAD"]).json());
    check(&bench.coral(&["--json", "diff", "HEAD~2", "HEAD", "--", "model.*"]).json());
    let back = bench.coral(&["--json", "diff", "-R", "HEAD~1", "HEAD"]).json();
    assert_eq!(["b", "c"].map(|name| tensor(&back, name)["change"].clone()), ["added", "removed"]);
    let files = ["HEAD~1:model.safetensors", "HEAD:model.safetensors#a"];
    let one = bench.coral(&["--json", "diff", files[0], files[1]]).json();
    assert_eq!(one["files"][0]["tensors"].as_array().map(Vec::len), Some(1));
    let one = bench.coral(&["--json", "diff", "HEAD~1", "HEAD", "-t", "[a]", "-t", "a"]).json();
    assert_eq!(one["files"][0]["tensors"].as_array().map(Vec::len), Some(1));
}

#[test]
fn of_tensors_that_are_named_only_these_count() {
    let bench = bench();
    for (name, code) in [("f", 0), ("a", 1), ("b", 1), ("?", 1), ("nope", 0)] {
        let path = format!("model.safetensors#{name}");
        for words in [&["--", &path][..], &["-t", name], &["-t", name, "--stat"], &["-t", name, "-q"]] {
            let ran = bench.coral(&[&["diff", "--exit-code"], words].concat());
            assert_eq!(ran.code, code, "{name} {words:?}: {ran:?}");
            assert_eq!(
                ran.stdout.is_empty(),
                code == 0 || words.contains(&"-q"),
                "{name} {words:?}: {ran:?}"
            );
        }
    }
    bench.coral(&["commit", "-m", "new"]).succeeds();
    let log = |name: &str| {
        let path = format!("model.safetensors#{name}");
        bench.coral(&["log", "--format", "%s", "--", &path]).succeeds().stdout
    };
    assert_eq!([log("f"), log("a"), log("c"), log("nope")], ["old\n", "new\nold\n", "new\n", ""]);
    bench
        .coral(&["diff", "--exit-code", "HEAD~1:model.safetensors#f", "HEAD:model.safetensors#f"])
        .succeeds();
}

#[test]
fn people_see_lines_of_texts_and_a_line_for_each_tensor() {
    let bench = bench();
    let text = bench.coral(&["diff"]).succeeds().stdout;
    for line in [
        "M model.safetensors",
        "  ~ a  F32 [400]  changed 0.2 %  L2 5.000e-1",
        "  - b  F32 [400]",
        "  + c  F32 [399]",
        "  > d -> e  F32 [400]",
        "  ~ s  F32 [100] -> F32 [200]",
        "  1 more are the same",
        "M notes.txt",
        "-two",
        "+2",
        " three",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    let stat = bench.coral(&["diff", "--stat"]).succeeds().stdout;
    assert!(stat.contains("M model.safetensors | 5 of 6 tensors, L2 5.000e-1"), "{stat}");
    assert!(stat.contains("M notes.txt | +1 -1 lines") && stat.contains(" 2 paths changed"), "{stat}");
    let histogram = bench.coral(&["diff", "--histogram", "-t", "a"]).succeeds().stdout;
    assert!(histogram.contains("equal          399 ####"), "{histogram}");
    let files = bench.coral(&["diff", "notes.txt"]).succeeds().stdout;
    assert!(!files.contains("model") && files.contains("+2"), "{files}");
}

#[test]
fn scripts_get_names_states_and_exit_codes() {
    let bench = bench();
    assert_eq!(bench.coral(&["diff", "--name-only"]).succeeds().stdout, "model.safetensors\nnotes.txt\n");
    assert_eq!(
        bench.coral(&["diff", "--name-status"]).succeeds().stdout,
        "M\tmodel.safetensors\nM\tnotes.txt\n"
    );
    assert_eq!(
        bench.coral(&["diff", "--name-status", "-z"]).succeeds().stdout,
        "M\0model.safetensors\0M\0notes.txt\0"
    );
    bench.coral(&["diff", "--exit-code", "--name-only"]).fails(1, &[]);
    assert_eq!(bench.coral(&["diff", "--quiet"]).fails(1, &[]).stdout, "");
    bench.coral(&["diff", "--quiet", "HEAD", "HEAD"]).succeeds();
    bench.coral(&["diff", "nowhere"]).fails(1, &["unknown revision `nowhere`", "`--` stands before paths"]);
    bench.coral(&["diff", "HEAD:notes.txt"]).fails(2, &["two are needed"]);
    bench.coral(&["rm", "notes.txt"]).succeeds();
    bench.write("moved.txt", b"one\ntwo\nthree\n");
    bench.coral(&["add", "moved.txt"]).succeeds();
    let renamed = bench.coral(&["diff", "--name-status", "--", "*.txt"]).succeeds().stdout;
    assert_eq!(renamed, "R\tnotes.txt\tmoved.txt\n");
    let two = bench.coral(&["diff", "--name-status", "--no-renames", "--", "*.txt"]).succeeds().stdout;
    assert_eq!(two, "A\tmoved.txt\nD\tnotes.txt\n");
}

#[test]
fn before_the_first_commit_everything_is_new() {
    let bench = Workbench::new();
    bench.write("a.txt", b"text\n");
    bench.coral(&["add", "a.txt"]).succeeds();
    assert_eq!(bench.coral(&["diff"]).succeeds().stdout, "A a.txt\n@@ -0,0 +1 @@\n+text\n");
}

#[test]
fn models_are_alike_in_classes() {
    let bench = Workbench::new();
    let (a, b) = (weights(1, 500), weights(2, 500));
    let near: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + 0.08 * b).collect();
    let negative: Vec<f32> = a.iter().map(|a| -a).collect();
    let old = [("same", &*a), ("near", &*a), ("far", &*a), ("gone", &*b)];
    bench.commit("m.safetensors", &safetensors(&old), "old");
    let new = [("same", &*a), ("near", &*near), ("far", &*negative)];
    bench.commit("m.safetensors", &safetensors(&new), "new");
    let found = bench.coral(&["--json", "compare", "HEAD~1"]).json();
    let categories =
        serde_json::json!({ "identical": 1, "nearly_identical": 0, "minor": 1, "moderate": 0, "major": 1 });
    assert_eq!(found["categories"], categories);
    assert!(found["min"].as_f64().expect("a number") < -0.999_999, "{found}");
    assert_eq!((&found["tensors"], &found["others"]["removed"]), (&3.into(), &1.into()));
    let text = bench.coral(&["compare", "-v", "HEAD~1", "HEAD"]).succeeds().stdout;
    assert!(text.contains("major") && text.contains("far in m.safetensors"), "{text}");
    bench.coral(&["compare", "HEAD", "-t", "nothing"]).fails(1, &["no two tensors"]);
}

#[test]
fn places_in_trees_are_compared_wherever_they_are() {
    let bench = Workbench::new();
    bench.commit("d/f", b"1\n", "one");
    bench.commit("d/g", b"2\n", "two");
    bench.commit("e/g", b"3\n", "three");
    let names = |of: &[&str]| -> Vec<String> {
        let ran = bench.coral(&[&["diff", "--name-status"], of].concat()).succeeds();
        ran.stdout.lines().map(str::to_owned).collect()
    };
    // Paths of directories begin in them.
    assert_eq!(names(&["HEAD:d", "HEAD:e"]), ["D\tf", "M\tg"]);
    assert_eq!(names(&["HEAD~2:d", "HEAD:d"]), ["A\tg"]);
    bench.write("d/g", b"4\n");
    bench.coral(&["add", "."]).succeeds();
    assert_eq!(names(&["HEAD:d", "d"]), ["M\tg"]);
    assert_eq!(names(&["d", "HEAD:d"]), ["M\tg"]);
    assert_eq!(names(&[":d", "HEAD:e"]), ["D\tf", "M\tg"]);
    let text = |of: &[&str]| bench.coral(&[&["diff"], of].concat()).succeeds().stdout;
    for of in [["d/g", "HEAD:e/g"], [":d/g", "HEAD:e/g"]] {
        let shown = text(&of);
        assert!(shown.contains("-4") && shown.contains("+3"), "{shown}");
    }
    assert!(text(&["HEAD:e/g", "d/g"]).contains("+4"));
    bench.coral(&["diff", "HEAD:d", "HEAD:d/f"]).fails(2, &["a directory is compared with another one"]);
    bench.coral(&["diff", "HEAD:d"]).fails(2, &["two are needed"]);
    bench.coral(&["diff", "d", "HEAD:nope"]).fails(1, &["nope"]);
}

#[test]
fn tensors_are_identical_only_if_their_bytes_are() {
    let bench = Workbench::new();
    let numbers = weights(1, 4000);
    let mut near = numbers.clone();
    near[5] += 1e-6;
    bench.commit("m.safetensors", &safetensors(&[("a", &numbers), ("b", &numbers)]), "one");
    bench.commit("m.safetensors", &safetensors(&[("a", &near), ("b", &numbers)]), "two");
    let found = bench.coral(&["--json", "compare", "HEAD~1", "HEAD"]).json();
    let categories =
        serde_json::json!({ "identical": 1, "nearly_identical": 1, "minor": 0, "moderate": 0, "major": 0 });
    assert_eq!(found["categories"], categories);
    assert!(found["min"].as_f64() > Some(0.9999), "{found}");
}
