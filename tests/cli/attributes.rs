//! What .coralattributes says of how files are stored.

use super::workbench::{Workbench, safetensors, weights};

/// What the store knows of the only tensor of a file: how deep it is, and its bytes there.
fn stored(bench: &Workbench, target: &str) -> (u64, u64) {
    let shown = bench.coral(&["--json", "show", target]).json();
    let tensor = &shown["tensors"][0];
    (tensor["depth"].as_u64().expect("a depth"), tensor["stored_bytes"].as_u64().expect("bytes"))
}

/// Weights, and the same with a little noise.
fn model(noise: f32) -> Vec<u8> {
    let mut numbers = weights(1, 60_000);
    let little = weights(2, 60_000);
    numbers.iter_mut().zip(little).for_each(|(number, little)| *number += little * noise);
    safetensors(&[("w", &numbers)])
}

#[test]
fn a_file_is_stored_as_the_attributes_of_its_path_say() {
    let bench = Workbench::new();
    bench.write(
        ".coralattributes",
        b"alone/* -delta\nother.safetensors base=HEAD:m.safetensors\n*.odd base=HEAD:../m.safetensors\n*.log level=max odd\n",
    );
    bench.coral(&["add", ".coralattributes"]).succeeds();
    // A base that no tree can have is like one that is not there.
    bench.write("a.odd", b"odd");
    bench.coral(&["add", "a.odd"]).succeeds();
    for name in ["m.safetensors", "alone/m.safetensors"] {
        bench.write(name, &model(0.0));
        bench.coral(&["add", name]).succeeds();
    }
    bench.coral(&["commit", "-m", "first"]).succeeds();
    for name in ["m.safetensors", "alone/m.safetensors"] {
        let noise = if name.starts_with("alone") { 1e-4 } else { 2e-4 };
        bench.write(name, &model(noise));
    }
    bench.coral(&["add", "alone"]).succeeds();
    bench.coral(&["add", "m.safetensors"]).succeeds();
    bench.coral(&["commit", "-m", "second"]).succeeds();
    assert_eq!(stored(&bench, "HEAD:alone/m.safetensors").0, 0);
    assert!(stored(&bench, "HEAD:m.safetensors").0 > 0);
    let told = bench.coral(&["check-attr", "alone/x", "run.log", "other.safetensors"]);
    let told = told.fails(0, &["`odd` means nothing"]).stdout;
    assert_eq!(
        told,
        "alone/x: delta: false\nrun.log: level: max\nother.safetensors: base: HEAD:m.safetensors\n"
    );
    assert_eq!(bench.coral(&["--json", "check-attr", "run.log"]).json()["attributes"][0]["level"], "max");
    bench.coral(&["check-attr", "m.safetensors"]).fails(1, &[]);
    bench.outside(&["check-attr", "m.safetensors"]).fails(3, &["no repository"]);
    assert!(bench.cat("HEAD:alone/m.safetensors") == model(1e-4), "every byte comes back");
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn what_is_written_anew_is_stored_as_the_attributes_of_its_path_say() {
    let bench = Workbench::new();
    bench.write(".coralattributes", b"alone/** -delta\n");
    bench.write("quick/.coralattributes", b"*.safetensors level=fast -delta\n");
    bench.commit("m.safetensors", &model(0.0), "first");
    bench.coral(&["add", ".coralattributes", "quick/.coralattributes"]).succeeds();
    bench.write("alone/deep/m.safetensors", &model(1e-4));
    bench.write("quick/m.safetensors", &model(2e-4));
    bench.write("late/m.safetensors", &model(3e-4));
    bench.coral(&["add", "alone", "quick", "late"]).succeeds();
    bench.coral(&["commit", "-m", "second"]).succeeds();
    let (alone, quick, late) =
        ("HEAD:alone/deep/m.safetensors", "HEAD:quick/m.safetensors", "HEAD:late/m.safetensors");
    let before = stored(&bench, quick);
    assert!(stored(&bench, late).0 > 0);
    bench.coral(&["repack", "--level", "max"]).succeeds();
    assert_eq!((stored(&bench, alone).0, stored(&bench, quick)), (0, before));
    assert!(stored(&bench, late).0 > 0);
    // What is said later holds from the next time on, also where nothing is coded anew for its level.
    bench.commit("late/.coralattributes", b"* -delta\n", "third");
    bench.coral(&["repack"]).succeeds();
    assert_eq!(stored(&bench, late).0, 0);
    assert!(bench.cat(late) == model(3e-4), "every byte comes back");
    bench.coral(&["fsck", "--full"]).succeeds();
}
