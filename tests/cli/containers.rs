//! The same model in several containers: its tensors are told apart by their names and numbers, not by their files.

use super::workbench::{Workbench, safetensors, weights};
use super::written::{checkpoint, gguf};

#[test]
fn a_model_in_another_container_is_compared_tensor_by_tensor() {
    let (a, b) = (weights(1, 4000), weights(2, 300));
    let mut changed = a.clone();
    changed[7] += 0.5;
    for (name, bytes) in [
        ("model.pt", checkpoint(&[("b", &b), ("a", &changed)])),
        ("model.gguf", gguf(&[("b", &b), ("a", &changed)])),
    ] {
        let bench = Workbench::new();
        bench.commit("model.safetensors", &safetensors(&[("a", &a), ("b", &b)]), "first");
        bench.commit(name, &bytes, "second");
        assert_eq!(bench.cat(&format!("HEAD:{name}")), bytes);
        let other = format!("HEAD:{name}");
        let diff = bench.coral(&["--json", "diff", "HEAD:model.safetensors", &other]).json();
        let file = &diff["files"][0];
        assert_eq!((&file["same_tensors"], file["tensors"].as_array().map(Vec::len)), (&1.into(), Some(1)));
        let tensor = &file["tensors"][0];
        assert_eq!((&tensor["name"], &tensor["change"]), (&"a".into(), &"changed".into()));
        assert_eq!(
            (&tensor["numbers"]["elements"], &tensor["numbers"]["changed"]),
            (&4000.into(), &1.into())
        );
        // What is the same is stored once, and what is nearly the same as a difference to it.
        let shown = bench.coral(&["--json", "show", &other]).json();
        let row = |name: &str| {
            let rows = shown["tensors"].as_array().expect("tensors");
            rows.iter().find(|row| row["name"] == name).cloned().expect("the tensor")
        };
        assert_eq!((&row("a")["dtype"], &row("a")["shape"]), (&"F32".into(), &serde_json::json!([4000])));
        assert!(row("a")["base"].is_string(), "{shown}");
        let id = |target: &str| bench.coral(&["--json", "show", target]).json()["tensors"][0]["id"].clone();
        assert_eq!(id(&format!("{other}#b")), id("HEAD:model.safetensors#b"));
        bench.coral(&["fsck", "--full"]).succeeds();
    }
}

#[test]
fn a_checkpoint_that_goes_on_is_blamed_and_told_of_by_its_tensors() {
    let bench = Workbench::new();
    let (a, b) = (weights(1, 4000), weights(2, 300));
    let mut later = a.clone();
    later.iter_mut().for_each(|weight| *weight *= 1.0001);
    bench.commit("model.pt", &checkpoint(&[("a", &a), ("b", &b)]), "first");
    bench.commit("model.pt", &checkpoint(&[("a", &later), ("b", &b)]), "second");
    let blame = bench.coral(&["--json", "blame", "model.pt"]).json().to_string();
    assert!(blame.contains("first") && blame.contains("second"), "{blame}");
    let shown = bench.coral(&["--json", "show", "HEAD:model.pt"]).json();
    assert!(shown["tensors"][0]["base"].is_string(), "{shown}");
    let lineage = bench.coral(&["lineage", "HEAD:model.pt"]).succeeds().stdout;
    assert!(!lineage.is_empty());
    bench.coral(&["repack"]).succeeds();
    assert_eq!(bench.cat("HEAD~1:model.pt"), checkpoint(&[("a", &a), ("b", &b)]));
    // The same bytes again are no change.
    bench.write("model.pt", &checkpoint(&[("a", &later), ("b", &b)]));
    bench.coral(&["add", "model.pt"]).succeeds();
    assert_eq!(bench.coral(&["--json", "diff"]).json()["files"], serde_json::json!([]));
}

#[test]
fn blocks_of_quantised_numbers_are_told_by_their_type() {
    let bench = Workbench::new();
    let mut file = gguf(&[("q", &weights(3, 68))]);
    // Two rows of 32 elements in blocks of 34 bytes: Q8_0, of the first 68 bytes.
    let at = file.windows(8).position(|bytes| bytes == 68u64.to_le_bytes()).expect("the count");
    file[at..at + 8].copy_from_slice(&64u64.to_le_bytes());
    file[at + 8] = 8;
    bench.commit("model.gguf", &file, "first");
    let shown = bench.coral(&["--json", "show", "HEAD:model.gguf"]).json();
    let tensor = &shown["tensors"][0];
    assert_eq!(
        (&tensor["dtype"], &tensor["shape"], &tensor["bytes"]),
        (&"Q8_0".into(), &serde_json::json!([64]), &68.into())
    );
    assert_eq!(bench.cat("HEAD:model.gguf"), file);
}
