//! The same model in several containers: its tensors are told apart by their names and numbers, not by their files.

use super::workbench::{Workbench, safetensors, weights};

type Tensors<'a> = [(&'a str, &'a [f32])];

/// A checkpoint as `torch.save` writes it: an archive of a pickle and a storage for each tensor.
fn checkpoint(tensors: &Tensors<'_>) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut members = Vec::new();
    for (number, (name, numbers)) in tensors.iter().enumerate() {
        let count = numbers.len();
        let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let count = [b"J", &(count as u32).to_le_bytes()[..]].concat();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([&text("storage")[..], b"ctorch\nFloatStorage\n", &text(&number.to_string())].concat());
        pickle.extend([&text("cpu")[..], &count, b"tQK\x00", &count, b"\x85K\x01\x85\x89}tR"].concat());
        members.push((format!("model/data/{number}"), payload(numbers)));
    }
    pickle.extend(b"u.");
    members.insert(0, ("model/data.pkl".to_owned(), pickle));
    archive(&members)
}

/// A zip archive whose members are stored.
fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, body) in members {
        let len = (body.len() as u32).to_le_bytes();
        let name_len = (name.len() as u16).to_le_bytes();
        let facts = [&[0; 12][..], &[0; 4], &len, &len, &name_len, &[0; 2]].concat();
        let start = (file.len() as u32).to_le_bytes();
        file.extend([b"PK\x03\x04", &facts[2..], name.as_bytes(), body].concat());
        directory.extend([b"PK\x01\x02\0\0", &facts[2..], &[0; 10], &start, name.as_bytes()].concat());
    }
    let start = (file.len() as u32).to_le_bytes();
    let count = (members.len() as u16).to_le_bytes();
    let len = (directory.len() as u32).to_le_bytes();
    file.extend(directory);
    file.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &len, &start, &[0; 2]].concat());
    file
}

/// A GGUF file without facts.
fn gguf(tensors: &Tensors<'_>) -> Vec<u8> {
    let mut file = [b"GGUF\x03\0\0\0", &(tensors.len() as u64).to_le_bytes()[..], &[0; 8]].concat();
    let mut data = Vec::new();
    for (name, numbers) in tensors {
        let [name_len, count, offset] =
            [name.len(), numbers.len(), data.len()].map(|n| (n as u64).to_le_bytes());
        file.extend([&name_len[..], name.as_bytes(), &[1, 0, 0, 0], &count, &[0; 4], &offset].concat());
        data.extend(payload(numbers));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

fn payload(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

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
