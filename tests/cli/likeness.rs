//! Tensors that resemble each other, under whatever name.

use super::workbench::{Workbench, safetensors, weights};
use std::fs;

fn moved(base: &[f32], seed: u64) -> Vec<f32> {
    base.iter().zip(weights(seed, base.len())).map(|(value, noise)| value + noise * 1e-3).collect()
}

#[test]
fn a_renamed_model_on_another_branch_is_stored_as_differences() {
    let bench = Workbench::new();
    let (first, second) = (weights(1, 60_000), weights(2, 60_000));
    bench.commit("base.safetensors", &safetensors(&[("a", &first), ("b", &second)]), "base");
    bench.coral(&["switch", "-c", "fork"]).succeeds();
    let renamed = safetensors(&[("layers.0", &moved(&second, 3)), ("layers.1", &moved(&first, 4))]);
    bench.commit("other/name.safetensors", &renamed, "fork");
    let shown = bench.coral(&["--json", "show", "fork:other/name.safetensors"]).json();
    for tensor in shown["tensors"].as_array().expect("a list") {
        assert_eq!(tensor["depth"], 1, "{tensor}");
    }
    assert_eq!(bench.cat("fork:other/name.safetensors"), renamed);
}

#[test]
fn lineage_names_the_model_that_a_stranger_derives_from() {
    let bench = Workbench::new();
    let origin = weights(1, 20_000);
    bench.commit("stranger.safetensors", &safetensors(&[("w", &weights(9, 20_000))]), "a stranger");
    let id = bench.commit("origin.safetensors", &safetensors(&[("w", &origin)]), "the origin");
    let derived = safetensors(&[("renamed", &moved(&origin, 5))]);
    fs::write(bench.path("derived.safetensors"), derived).expect("write");
    let lineage = bench.coral(&["--json", "lineage", "../derived.safetensors"]).json();
    let model = &lineage["models"][0];
    assert_eq!((&model["path"], &model["commit"]), (&"origin.safetensors".into(), &id.as_str().into()));
    assert!(model["confidence"].as_f64() > Some(0.9), "{lineage}");
    assert_eq!(lineage["models"].as_array().map(Vec::len), Some(1));
    let similar = bench.coral(&["--json", "similar", "../derived.safetensors"]).json();
    assert_eq!(similar["tensors"][0]["similar"][0]["tensor"], "w");
    bench.coral(&["similar", "no.such.tensor"]).fails(1, &["no.such.tensor"]);
}

#[test]
fn lineage_names_every_file_that_has_the_same_tensor() {
    let bench = Workbench::new();
    let (shared, own) = (weights(1, 20_000), weights(2, 20_000));
    let model = safetensors(&[("w", &shared)]);
    for number in 0..6 {
        bench.write(&format!("copies/{number}/model.safetensors"), &model);
    }
    bench.write("mixed.safetensors", &safetensors(&[("v", &own), ("w", &shared)]));
    bench.coral(&["add", "copies", "mixed.safetensors"]).succeeds();
    bench.coral(&["commit", "-m", "all"]).succeeds();
    bench.coral(&["switch", "-c", "fork"]).succeeds();
    bench.coral(&["rm", "-r", "copies"]).succeeds();
    bench.commit("elsewhere.safetensors", &model, "under another name");
    fs::write(bench.path("derived.safetensors"), safetensors(&[("renamed", &moved(&shared, 5))]))
        .expect("write");
    let lineage = bench.coral(&["--json", "lineage", "../derived.safetensors"]).json();
    let models = lineage["models"].as_array().expect("a list");
    assert_eq!(models.len(), 2, "one content under many names, and one that has the tensor too: {lineage}");
    let copies = models.iter().find(|model| model["path"] != "mixed.safetensors").expect("the copies");
    assert_eq!(copies["also"].as_array().map(Vec::len), Some(6), "{copies}");
    let told = bench.coral(&["lineage", "../derived.safetensors"]).succeeds().stdout;
    for words in [":elsewhere.safetensors", ":mixed.safetensors", "also ", "also  ... and 3 more files"] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
}

/// A run whose embedding is frozen, saved step by step into one file; the rest moves by less than a signature can tell.
fn run_of(steps: u64, bench: &Workbench) -> Vec<String> {
    let (frozen, mut moving) = (weights(1, 20_000), weights(2, 20_000));
    let step = |step: u64| {
        let model = safetensors(&[("embedding", &frozen), ("layer", &moving)]);
        let id = bench.commit("model.safetensors", &model, &format!("step {step}"));
        let noise = weights(10 + step, 20_000);
        moving = moving.iter().zip(noise).map(|(value, noise)| value + noise * 1e-4).collect();
        id
    };
    (0..steps).map(step).collect()
}

#[test]
fn of_close_checkpoints_the_one_before_comes_first_and_what_is_the_same_before_what_is_like_it() {
    let bench = Workbench::new();
    let saved = run_of(7, &bench);
    // Another model has nearly the same embedding.
    let near: Vec<f32> = weights(1, 20_000).iter().map(|value| value * 1.000_1).collect();
    bench.commit("other.safetensors", &safetensors(&[("embedding", &near)]), "another");
    let id = |step: usize| serde_json::Value::from(saved[step].as_str());
    let similar = bench.coral(&["--json", "similar", &format!("{}:model.safetensors", saved[4])]).json();
    let of = |tensor: usize| similar["tensors"][tensor]["similar"].as_array().expect("a list");
    assert_eq!((&of(0)[0]["same"], &of(0)[0]["commit"]), (&true.into(), &id(3)), "{similar}");
    assert_eq!((&of(0)[1]["same"], &of(0)[1]["path"]), (&false.into(), &"other.safetensors".into()));
    // The one before and the one behind are as near.
    for at in [0, 1] {
        assert!([id(3), id(5)].contains(&of(1)[at]["commit"]), "{similar}");
    }
    let lineage = bench.coral(&["--json", "lineage", &format!("{}:model.safetensors", saved[6])]).json();
    assert_eq!(lineage["models"][0]["commit"], id(5), "{lineage}");
    assert_eq!(lineage["tensors"][0]["nearest"]["commit"], id(5));
    assert_eq!(lineage["tensors"][1]["nearest"]["commit"], id(5));
}

#[test]
fn what_is_the_same_is_named_before_it_is_coded_too() {
    let bench = Workbench::new();
    let (first, second) = (weights(1, 400_000), weights(2, 400_000));
    bench.write("model.safetensors", &safetensors(&[("a", &first), ("b", &second)]));
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["commit", "--no-pack", "-m", "as it was saved"]).succeeds();
    let mixed = safetensors(&[("b", &second), ("c", &weights(3, 400_000))]);
    fs::write(bench.path("mixed.safetensors"), mixed).expect("write");
    let check = || {
        let lineage = bench.coral(&["--json", "lineage", "../mixed.safetensors"]).json();
        let nearest = &lineage["tensors"][0]["nearest"];
        assert_eq!((&nearest["same"], &nearest["tensor"]), (&true.into(), &"b".into()), "{lineage}");
        assert_eq!(lineage["models"][0]["path"], "model.safetensors");
        assert!(lineage["tensors"][1]["nearest"].is_null(), "{lineage}");
    };
    check();
    bench.coral(&["drain"]).succeeds();
    check();
}
