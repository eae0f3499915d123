//! Models in other containers.

use super::workbench::{Workbench, safetensors, weights};
use super::written::{checkpoint, gguf};

#[test]
fn a_converted_file_that_is_committed_adds_its_header_alone() {
    let bench = Workbench::new();
    let (a, b) = (weights(1, 60_000), weights(2, 300));
    bench.commit("model.pt", &checkpoint(&[("a", &a), ("b", &b)]), "first");
    let packs = |bench: &Workbench| -> u64 {
        let files = std::fs::read_dir(bench.path("repo/.coral/packs")).expect("a folder");
        let files = files.map(|file| file.expect("listed"));
        let packs = files.filter(|file| file.path().extension().is_some_and(|suffix| suffix == "cpk"));
        packs.map(|file| file.metadata().expect("a file").len()).sum()
    };
    for (name, most) in [("model.safetensors", 2500), ("model.npz", 3500), ("model.gguf", 2500)] {
        let before = packs(&bench);
        let made = bench.coral(&["--json", "convert", "HEAD:model.pt", name]).json();
        assert_eq!((&made["tensors"], &made["files"][0]["tensors"]), (&2.into(), &2.into()), "{made}");
        bench.coral(&["add", name]).succeeds();
        bench.coral(&["commit", "-m", name]).succeeds();
        let grown = packs(&bench) - before;
        assert!(grown < most, "{name}: {grown}");
        let target = format!("HEAD:{name}");
        for tensor in ["a", "b"] {
            let of = |file: &str| bench.cat(&format!("{file}#{tensor}"));
            assert_eq!(of(&target), of("HEAD:model.pt"), "{name}#{tensor}");
        }
    }
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn files_on_the_disk_are_converted_without_a_repository_too() {
    let bench = Workbench::bare();
    let a = weights(3, 64);
    std::fs::write(bench.path("m.gguf"), gguf(&[("a", &a)])).expect("written");
    bench.outside(&["convert", "m.gguf", "m.safetensors"]).succeeds();
    assert!(
        std::fs::read(bench.path("m.safetensors")).expect("read").ends_with(&super::written::payload(&a))
    );
    bench.outside(&["convert", "m.gguf", "m.safetensors"]).fails(1, &["m.safetensors", "exists"]);
    bench.outside(&["convert", "-f", "--dtype", "bf16", "m.safetensors", "m.safetensors"]).succeeds();
    let read = std::fs::read(bench.path("m.safetensors")).expect("read");
    assert!(String::from_utf8_lossy(&read).contains("\"dtype\":\"BF16\""));
    bench.outside(&["convert", "m.gguf", "m.bin"]).fails(2, &["--format"]);
    bench.outside(&["convert", "m.gguf", "gone/m.npz"]).fails(1, &["gone"]);
    bench.outside(&["convert", "HEAD:m.gguf", "m.npz"]).fails(1, &["coral init"]);
    bench.outside(&["convert", "gone.gguf", "m.npz"]).fails(1, &["gone.gguf"]);
    let left: Vec<_> = std::fs::read_dir(bench.path(""))
        .expect("listed")
        .map(|entry| entry.expect("one").file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let bench = Workbench::new();
    bench.write("m.safetensors", &safetensors(&[("a", &weights(4, 64)), (&"n".repeat(70), &[1.0])]));
    bench
        .coral(&["convert", "m.safetensors", "m.gguf"])
        .fails(1, &["longer than the 63 bytes", "--strip-prefix"]);
    bench.coral(&["convert", "--without", "n*", "m.safetensors", "m.gguf"]).succeeds();
    bench
        .coral(&["convert", "--dtype", "bf16", "m.safetensors", "m.npz"])
        .fails(1, &["npz does not have", "--dtype f32"]);
    bench.coral(&["convert", "--dtype", "q8_0", "m.safetensors", "m.npz"]).fails(2, &["only GGUF"]);
    bench.coral(&["convert", "--tensors", "x*", "m.safetensors", "m.npz"]).fails(1, &["no tensor"]);
    bench.coral(&["convert", "--meta", "a=b", "m.safetensors", "m.npz"]).fails(2, &["--meta"]);
    assert!(!bench.path("repo/m.npz").exists());
    bench.commit("m.gguf", &std::fs::read(bench.path("repo/m.gguf")).expect("read"), "gguf");
    bench.coral(&["convert", "HEAD:m.gguf#a", "a.npz"]).fails(2, &["--tensors PATTERN"]);
    bench.coral(&["convert", "HEAD:", "a.npz"]).fails(1, &["is no file"]);
    let made = bench.coral(&["convert", "--shard-size", "100", ":m.gguf", "s.safetensors"]).succeeds();
    assert!(made.stdout.contains("s.safetensors: 1 tensor"), "{made:?}");
}
