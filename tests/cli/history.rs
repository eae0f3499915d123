//! Branches, tags, and two people at once.

use super::workbench::{Ran, Workbench};
use std::fs;

#[test]
fn every_branch_has_a_worktree_of_its_own() {
    let bench = Workbench::new();
    bench.commit("a", b"main", "first");
    bench.coral(&["switch", "-c", "feature/x"]).succeeds();
    bench.commit("a", b"feature", "second");
    bench.coral(&["switch", "main"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"main");
    assert_eq!(bench.cat("feature/x:a"), b"feature");
    assert_eq!(bench.cat("feature/x~1:a"), b"main");
    let branches = bench.coral(&["--json", "branch"]).json();
    let names: Vec<_> =
        branches["branches"].as_array().expect("a list").iter().map(|row| &row["branch"]).collect();
    assert_eq!(names, ["feature/x", "main"]);
    bench.write("b", b"on the other");
    bench.coral(&["add", "-B", "feature/x", "b"]).succeeds();
    bench.coral(&["commit", "-B", "feature/x", "-m", "third"]).succeeds();
    assert_eq!(bench.cat("feature/x:b"), b"on the other");
}

#[test]
fn branches_with_commits_of_their_own_are_not_deleted_lightly() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "same"]).succeeds();
    bench.coral(&["branch", "-d", "same"]).succeeds();
    bench.coral(&["branch", "-d", "main"]).fails(1, &["main"]);
    bench.coral(&["switch", "-c", "own"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.coral(&["switch", "main"]).succeeds();
    bench.coral(&["branch", "-d", "own"]).fails(1, &["nothing else reaches", "-D"]);
    bench.coral(&["branch", "-D", "own"]).succeeds();
    bench.coral(&["cat", "own:a"]).fails(1, &["own"]);
}

#[test]
fn tags_outlive_their_process_and_do_not_move_by_accident() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    bench.coral(&["tag", "v1", "-d", "the best = so far", "--metric", "loss=0.25"]).succeeds();
    bench.commit("a", b"2", "second");
    assert_eq!(bench.cat("v1:a"), b"1");
    bench.coral(&["tag", "v1"]).fails(1, &["v1", "exists already"]);
    let tags = bench.coral(&["--json", "tag"]).json();
    assert_eq!(tags["tags"][0]["commit"], first.as_str());
    assert_eq!(
        (&tags["tags"][0]["description"], &tags["tags"][0]["metrics"]["loss"]),
        (&"the best = so far".into(), &"0.25".into())
    );
    let moved = bench.coral(&["tag", "-f", "v1"]).succeeds().stdout;
    assert!(moved.contains(&format!("(was {})", &first[..10])), "{moved}");
    assert_eq!((bench.cat("v1:a"), bench.cat("v1@{1}:a")), (b"2".to_vec(), b"1".to_vec()));
    bench.coral(&["tag", "-D", "v1"]).succeeds();
    bench.coral(&["tag", "-D", "v1"]).fails(1, &["v1"]);
}

#[test]
fn a_name_that_is_allowed_works_to_the_end() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let part = |letter: &str, count| letter.repeat(count);
    let longest = [
        part("x", 220),
        format!("{}/{}", part("x", 100), part("y", 117)),
        format!("{}/{}/{}", part("x", 73), part("y", 71), part("z", 70)),
        part("%", 73),
    ];
    for name in &longest {
        bench.coral(&["branch", &format!("{name}yy")]).fails(1, &["longer than 220 bytes"]);
        bench.coral(&["tag", &format!("{name}yy")]).fails(1, &["longer than 220 bytes"]);
        bench.coral(&["switch", "-c", name]).succeeds();
        bench.commit("a", name.as_bytes(), "on a long name");
        bench.coral(&["tag", "-m", "long", name]).succeeds();
        assert_eq!(bench.cat(&format!("heads/{name}:a")), name.as_bytes());
        assert_eq!(bench.cat(&format!("{name}@{{1}}:a")), b"1");
        bench.coral(&["tag", "-D", name]).succeeds();
        bench.coral(&["switch", "main"]).succeeds();
        bench.coral(&["branch", "-D", name]).succeeds();
    }
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn before_the_first_commit_a_new_name_takes_along_what_was_saved() {
    let bench = Workbench::new();
    bench.write("a", b"1");
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "A a\n");
    bench.coral(&["switch", "-c", "main"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "A a\n");
    bench.coral(&["commit", "-m", "first"]).succeeds();
    assert_eq!(bench.cat("main:a"), b"1");
}

#[test]
fn a_new_branch_does_not_bring_back_what_an_earlier_one_left() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "x"]).succeeds();
    bench.write("left", b"over");
    bench.coral(&["add", "-B", "x", "left"]).succeeds();
    // As a deletion leaves it that was killed after the branch.
    fs::remove_file(bench.path("repo/.coral/refs/heads/x")).expect("remove");
    let made = bench.coral(&["branch", "x"]).succeeds();
    assert!(made.stderr.contains("set aside in") && made.stderr.contains("quarantine"), "{made:?}");
    assert_eq!(bench.coral(&["status", "-s", "-B", "x"]).succeeds().stdout, "");
    assert_eq!(fs::read_dir(bench.path("repo/.coral/quarantine")).expect("list").count(), 1);
}

#[test]
fn the_log_is_newest_first_and_of_any_revision() {
    let bench = Workbench::new();
    for n in 1..=3 {
        bench.commit("a", n.to_string().as_bytes(), &format!("number {n}\n\nand more"));
    }
    let log = bench.coral(&["log", "--oneline"]).succeeds().stdout;
    let subjects: Vec<_> =
        log.lines().map(|line| line.rsplit_once("number ").expect("a subject").1).collect();
    assert_eq!(subjects, ["3", "2", "1"]);
    assert_eq!(bench.coral(&["log", "--oneline", "-n", "1", "HEAD~1"]).succeeds().stdout.lines().count(), 1);
    // Without a merge every way of going through it is the same.
    assert_eq!(bench.coral(&["log", "--oneline", "--first-parent", "--topo-order"]).succeeds().stdout, log);
    // A file of how commits descend, whatever it says, changes nothing.
    fs::write(bench.path("repo/.coral/graph"), "not a graph").expect("write");
    assert_eq!(bench.coral(&["log", "--oneline", "--topo-order"]).succeeds().stdout, log);
}

#[test]
fn two_committers_at_once_both_land_or_one_is_told() {
    let bench = Workbench::new();
    bench.commit("start", b"0", "start");
    for round in 0..5 {
        let names = [format!("left-{round}"), format!("right-{round}")];
        for name in &names {
            bench.write(name, name.as_bytes());
            bench.coral(&["add", name]).succeeds();
        }
        let children = names.each_ref().map(|name| bench.start(&["commit", "-m", name]));
        let ran = children.map(|child| Ran::of(child.wait_with_output().expect("it ends")));
        assert!(ran.iter().any(|ran| ran.code == 0), "{ran:?}");
        for loser in ran.iter().filter(|ran| ran.code != 0) {
            assert!(
                loser.stderr.contains("nothing to commit") || loser.stderr.contains("moved"),
                "{loser:?}"
            );
        }
        for name in &names {
            assert_eq!(bench.cat(&format!("HEAD:{name}")), name.as_bytes());
        }
    }
    assert_eq!(bench.coral(&["--json", "fsck", "--full"]).json()["findings"], serde_json::json!([]));
}

#[test]
fn a_commit_can_be_looked_at_without_a_branch() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("a", b"2", "second");
    bench.coral(&["checkout", "HEAD~1"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), b"1");
    bench.write("a", b"3");
    bench.coral(&["add", "a"]).fails(1, &["detached", "switch -c"]);
    bench.coral(&["switch", "-c", "from-the-past"]).succeeds();
    bench.commit("a", b"3", "third");
    assert_eq!((bench.cat("HEAD~1:a"), bench.cat("HEAD:a")), (b"1".to_vec(), b"3".to_vec()));
}

#[test]
fn everything_is_the_same_after_the_rebuildable_is_deleted() {
    let bench = Workbench::new();
    bench.commit("a", &[5; 100_000], "first");
    bench.commit("a", &[6; 100_000], "second");
    let packs = bench.path("repo/.coral/packs");
    let mut sidecars = 0;
    for entry in fs::read_dir(&packs).expect("list") {
        let path = entry.expect("list").path();
        if path.extension().is_some_and(|extension| extension == "cix") {
            fs::remove_file(path).expect("remove");
            sidecars += 1;
        }
    }
    assert!(sidecars > 0);
    assert_eq!(bench.cat("HEAD~1:a"), [5; 100_000]);
    bench.coral(&["fsck", "--full", "--rebuild"]).succeeds();
    assert_eq!(bench.cat("HEAD:a"), [6; 100_000]);
}

#[test]
fn repacking_keeps_history_and_makes_one_pack() {
    let bench = Workbench::new();
    for step in 0..4u8 {
        let tensor: Vec<u8> =
            (0..60_000u32).flat_map(|at| (at * 7 + u32::from(step)).to_le_bytes()).collect();
        bench.commit("weights.bin", &tensor, &format!("step {step}"));
    }
    let first = bench.cat("HEAD~3:weights.bin");
    let done = bench.coral(&["--json", "repack", "--depth", "0", "--level", "max"]).json();
    // One of each `add` and one of each commit.
    assert_eq!(done["packs_removed"], 8);
    assert_eq!(bench.cat("HEAD~3:weights.bin"), first);
    bench.coral(&["fsck", "--full"]).succeeds();
    let again = bench.coral(&["repack", "--level", "max", "--depth", "0"]).succeeds();
    assert!(
        again.stdout.contains("in one pack") && !again.stdout.contains("the old ones stay"),
        "{}",
        again.stdout
    );
    bench.coral(&["repack"]).succeeds();
    bench.coral(&["repack", "--level", "best"]).fails(2, &["no level is called `best`"]);
    bench.write("more", b"more");
    bench.coral(&["add", "more"]).succeeds();
    bench.coral(&["commit", "-m", "after", "--level", "max"]).succeeds();
    assert_eq!(bench.cat("HEAD:more"), b"more");
}

#[test]
fn every_delta_type_of_the_settings_keeps_every_byte_and_lossy_ones_are_refused() {
    for delta_type in ["float32_raw", "compressed", "xor_float32", "xor_bfloat16", "exponent_mantissa"] {
        let bench = Workbench::new();
        bench.coral(&["config", "set", "core.delta_type", delta_type]).succeeds();
        for step in 0..2u32 {
            let tensor: Vec<u8> =
                (0..9_000u32).flat_map(|at| (at as f32 + step as f32 * 1e-3).to_le_bytes()).collect();
            bench.commit("w.npy", &[npy_header(9_000), tensor].concat(), "step");
        }
        let before = bench.cat("HEAD~1:w.npy");
        assert_ne!(before, bench.cat("HEAD:w.npy"));
        bench.coral(&["fsck", "--full"]).succeeds();
    }
    let bench = Workbench::new();
    bench
        .coral(&["config", "set", "core.delta_type", "int8_quantized"])
        .fails(1, &["core.delta_type", "compressed"]);
}

/// The header of a one-dimensional array of so many binary32.
fn npy_header(count: usize) -> Vec<u8> {
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}");
    let mut header = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    header.extend(format!("{dict:<117}\n").bytes());
    header
}
