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

/// A GGUF file of one tensor of blocks of a kind.
fn blocks_of(kind: u32, numbers: &[f32]) -> Vec<u8> {
    let block = coral::tensor::Block(kind);
    let len = block.quantised_len().expect("a rule");
    let mut blocks = vec![0; numbers.len() / 32 * len];
    assert!(block.quantise(numbers, &mut blocks));
    let mut file = [b"GGUF\x03\0\0\0", &1u64.to_le_bytes()[..], &[0; 8]].concat();
    file.extend([&1u64.to_le_bytes()[..], b"q", &[1, 0, 0, 0]].concat());
    file.extend([&(numbers.len() as u64).to_le_bytes()[..], &kind.to_le_bytes(), &[0; 8]].concat());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(blocks);
    file
}

#[test]
fn blocks_of_numbers_that_are_stored_take_next_to_no_room() {
    let bench = Workbench::new();
    let (numbers, other) = (weights(4, 96_000), weights(5, 96_000));
    bench.commit("other.safetensors", &safetensors(&[("w", &other)]), "another model");
    bench.commit("model.safetensors", &safetensors(&[("w", &numbers)]), "the model");
    let packs = |bench: &Workbench| -> u64 {
        let files = std::fs::read_dir(bench.path("repo/.coral/packs")).expect("a folder");
        let files = files.map(|file| file.expect("listed"));
        let packs = files.filter(|file| file.path().extension().is_some_and(|suffix| suffix == "cpk"));
        packs.map(|file| file.metadata().expect("a file").len()).sum()
    };
    let mut files = Vec::new();
    for kind in [2, 3, 6, 7, 8, 39] {
        let before = packs(&bench);
        let mut file = blocks_of(kind, &numbers);
        // A few blocks were made otherwise.
        let end = file.len();
        file[end - 5000] ^= 1;
        bench.commit(&format!("{kind}.gguf"), &file, "quantised");
        let grown = packs(&bench) - before;
        assert!(grown < 4000, "{kind}: {grown} of {}", file.len());
        files.push((kind, file));
    }
    let all_come_back = |bench: &Workbench| {
        for (kind, file) in &files {
            assert!(bench.cat(&format!("HEAD:{kind}.gguf")) == *file, "{kind}");
        }
    };
    all_come_back(&bench);
    bench.coral(&["fsck", "--full"]).succeeds();
    bench.coral(&["repack"]).succeeds();
    all_come_back(&bench);
    bench.coral(&["fsck", "--full"]).succeeds();
    // Those of numbers that are not stored are blocks as before.
    let stranger = blocks_of(8, &weights(6, 96_000));
    bench.commit("stranger.gguf", &stranger, "quantised");
    assert_eq!(bench.cat("HEAD:stranger.gguf"), stranger);
}
