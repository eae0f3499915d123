//! What a commit is to those who do not trust the disk, or do not have Coral: `verify` and `manifest`.

use std::fs;
use std::process::Command;

use crate::workbench::{Workbench, safetensors, weights};

/// A file of two commits, the second of which has another one that is large.
fn two_commits() -> Workbench {
    let bench = Workbench::new();
    bench.commit("text", b"some text\n", "first");
    bench.coral(&["tag", "small"]).succeeds();
    bench.write("d/weights", &safetensors(&[("w", &weights(1, 75_000))]));
    bench.write("d/same", &safetensors(&[("w", &weights(1, 75_000))]));
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["commit", "-m", "second"]).succeeds();
    bench
}

#[test]
fn a_commit_is_whole_until_a_byte_of_it_is_not() {
    let bench = two_commits();
    let said = bench.coral(&["verify", "small", "HEAD"]).succeeds().stdout;
    assert!(said.contains("small ") && said.contains("1 file, ") && said.contains("3 files, "), "{said}");
    let told = bench.coral(&["--json", "verify"]).json();
    assert_eq!((&told["commits"][0]["files"], &told["commits"][0]["directories"]), (&3.into(), &1.into()));
    let len = bench.path("repo/d/weights").metadata().expect("there").len();
    assert_eq!(told["commits"][0]["bytes"], 2 * len + 10);
    // Each pack in turn, one byte at a time: what is not whole is named, and nothing else is.
    let packs = fs::read_dir(bench.path("repo/.coral/packs")).expect("packs");
    let large = packs
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "cpk"))
        .max_by_key(|path| path.metadata().expect("there").len())
        .expect("a pack");
    let whole = fs::read(&large).expect("read");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&large, &damaged).expect("write");
    bench.coral(&["verify", "small"]).succeeds();
    let said = bench.coral(&["verify", "small", "HEAD"]).fails(4, &[]).stdout;
    assert!(said.contains("HEAD: d/same: ") && said.contains("HEAD: d/weights: "), "{said}");
    assert!(said.contains("2 things are wrong"), "{said}");
    fs::write(&large, &whole).expect("write");
    bench.coral(&["verify"]).succeeds();
}

#[test]
fn others_check_files_by_a_manifest_whatever_these_are_called() {
    let bench = two_commits();
    for odd in ["back\\slash", "line\nfeed", "re\rturn", " blank"] {
        bench.write(&format!("d/{odd}"), odd.as_bytes());
    }
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["commit", "-m", "odd"]).succeeds();
    bench.coral(&["export", "HEAD", "../out"]).succeeds();
    let sums = bench.coral(&["manifest", "--sha256sum"]).succeeds().stdout;
    assert_eq!(sums.lines().count(), 7, "{sums}");
    fs::write(bench.path("sums"), &sums).expect("room");
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "--quiet", "../sums"]).current_dir(bench.path("out"));
    let checked = check.output().expect("sha256sum is there");
    assert!(checked.status.success(), "{checked:?}");
    // BLAKE3 is told alike in all ways, and is that of the bytes.
    let told = bench.coral(&["--json", "manifest", "HEAD:d"]).json();
    let files = told["files"].as_array().expect("a list");
    assert_eq!(files.len(), 6);
    let lines = bench.coral(&["manifest", "HEAD:d", "--b3sum"]).succeeds().stdout;
    for row in files {
        let path = row["path"].as_str().expect("a text");
        let bytes = fs::read(bench.path("out/d").join(path)).expect("exported");
        let hash = blake3::hash(&bytes).to_hex().to_string();
        assert_eq!((&row["blake3"], &row["bytes"]), (&hash.as_str().into(), &bytes.len().into()));
        assert!(lines.contains(&format!("{hash}  ")), "{lines}");
    }
    let table = bench.coral(&["manifest"]).succeeds().stdout;
    assert!(
        table.lines().all(|line| line.len() > 64 + 15 && line[64..80].trim().parse::<u64>().is_ok()),
        "{table}"
    );
    bench.coral(&["manifest", "HEAD:text"]).fails(2, &["no directory"]);
}
