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
