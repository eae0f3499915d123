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

/// A repository whose branches `main` and `dev` changed the same files, each in its own way.
fn disagreeing(attributes: &str) -> Workbench {
    let bench = Workbench::new();
    let say = |side: &str, number: f32| {
        for name in ["ours.txt", "theirs.txt", "list.txt", "whole.safetensors", "mean.safetensors"] {
            let file = match name.ends_with(".txt") {
                true => format!("first\n{side}\nlast\n").into_bytes(),
                false => safetensors(&[("a", &[number, 2.0]), ("b", &[number; 3])]),
            };
            bench.write(name, &file);
        }
        bench.write("deep/only.txt", side.as_bytes());
        bench.coral(&["add", "."]).succeeds();
        bench.coral(&["commit", "-m", side]).succeeds();
    };
    bench.write(".coralattributes", attributes.as_bytes());
    say("base", 0.0);
    bench.coral(&["branch", "dev"]).succeeds();
    say("main", 1.0);
    bench.coral(&["switch", "dev"]).succeeds();
    say("dev", 3.0);
    bench.coral(&["switch", "main"]).succeeds();
    bench
}

const WORDS: &str =
    "ours.txt merge=ours\ntheirs.txt merge=theirs\nlist.txt merge=union\nmean.* merge=average\n";

/// What the words make of the files of `disagreeing`.
fn is_merged(bench: &Workbench, target: &str) {
    let cat = |name: &str| bench.cat(&format!("{target}{name}"));
    assert_eq!(cat("ours.txt"), b"first\nmain\nlast\n");
    assert_eq!(cat("theirs.txt"), b"first\ndev\nlast\n");
    assert_eq!(cat("list.txt"), b"first\nmain\ndev\nlast\n");
    assert!(cat("mean.safetensors") == safetensors(&[("a", &[2.0, 2.0]), ("b", &[2.0; 3])]));
}

#[test]
fn each_path_is_merged_as_its_attributes_say() {
    let rest = "whole.safetensors merge=ours\ndeep/* merge=theirs\n";
    let bench = disagreeing(&format!("{WORDS}{rest}"));
    // What is said of a path is stronger than what is said of a merge.
    bench.coral(&["merge", "-s", "fail", "dev"]).succeeds();
    is_merged(&bench, "HEAD:");
    bench.coral(&["undo"]).succeeds();
    bench.coral(&["restore", "--all"]).succeeds();
    bench.coral(&["cherry-pick", "dev"]).succeeds();
    is_merged(&bench, "HEAD:");
    // What is undone was changed since; the other side is what was before.
    bench.coral(&["revert", "HEAD~1"]).succeeds();
    assert_eq!(bench.cat("HEAD:theirs.txt"), b"first\nbase\nlast\n");
    assert_eq!(bench.cat("HEAD:list.txt"), b"first\nmain\ndev\nbase\nlast\n");
    assert!(bench.cat("HEAD:mean.safetensors") == safetensors(&[("a", &[1.0, 2.0]), ("b", &[1.0; 3])]));
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn a_stash_comes_back_as_the_attributes_of_its_paths_say() {
    let bench = disagreeing(&format!("{WORDS}*.safetensors merge=ours\nmean.* merge=average\n"));
    bench.coral(&["switch", "-c", "aside", "main~1"]).succeeds();
    for (name, bytes) in [
        ("ours.txt", b"first\ndev\nlast\n".to_vec()),
        ("theirs.txt", b"first\ndev\nlast\n".to_vec()),
        ("list.txt", b"first\ndev\nlast\n".to_vec()),
        ("mean.safetensors", safetensors(&[("a", &[3.0, 2.0]), ("b", &[3.0; 3])])),
    ] {
        bench.write(name, &bytes);
        bench.coral(&["add", name]).succeeds();
    }
    bench.coral(&["stash"]).succeeds();
    bench.coral(&["merge", "main"]).succeeds();
    bench.coral(&["stash", "pop"]).succeeds();
    is_merged(&bench, ":");
}

#[test]
fn what_is_one_thing_is_a_conflict_and_what_fails_stops_everything() {
    let bench = disagreeing(&format!("{WORDS}*.safetensors -merge\n* merge\nwhole.* merge=binary\n"));
    let merged = bench.coral(&["--json", "merge", "dev"]).fails(1, &[]);
    let merged: serde_json::Value = serde_json::from_str(&merged.stdout).expect("JSON");
    let conflicts = merged["conflicts"].as_array().expect("a list");
    let whole = conflicts.iter().find(|one| one["path"] == "whole.safetensors").expect("a conflict");
    assert_eq!((&merged["outcome"], &whole["tensors"]), (&"conflicts".into(), &serde_json::json!([])));
    // `merge` takes back what was said before.
    assert!(conflicts.iter().any(|one| one["path"] == "ours.txt"), "{merged}");
    bench.coral(&["merge", "--abort"]).succeeds();
    bench.commit(".coralattributes", format!("{WORDS}* merge=ours\nwhole.* merge=fail\n").as_bytes(), "fail");
    bench.coral(&["merge", "dev"]).fails(1, &["1 conflict, and nothing was changed"]);
    bench.coral(&["status"]).succeeds();
    bench.coral(&["merge", "--abort"]).fails(1, &["no merge"]);
}

#[test]
fn words_that_mean_nothing_are_told_with_what_there_is() {
    let bench = Workbench::new();
    bench.commit(".coralattributes", b"* merge=avrage level=hard -base odd\n*.txt merge=union\n", "first");
    let told = bench.coral(&["check-attr", "a.txt"]).fails(
        0,
        &[
            "`merge=avrage` means nothing, and is said of `a.txt`: there are ours, theirs, union, average, binary, fail",
            "`level=hard` means nothing, and is said of `a.txt`: there are fast, default, max",
            "`odd` means nothing, and is said of `a.txt`: there are level, delta, base and merge",
        ],
    );
    assert_eq!(told.stdout, "a.txt: merge: union\n");
    assert_eq!(bench.coral(&["--json", "check-attr", "a.txt"]).json()["attributes"][0]["merge"], "union");
}

#[test]
fn what_is_coded_anew_is_a_difference_to_what_its_attributes_say_it_derives_from() {
    let bench = Workbench::new();
    let numbers = weights(1, 60_000);
    let near = |numbers: &[f32], seed: u64, share: f32| -> Vec<f32> {
        numbers.iter().zip(weights(seed, numbers.len())).map(|(one, noise)| one + noise * share).collect()
    };
    let (b, far) = (near(&numbers, 2, 1e-3), near(&numbers, 4, 1e-3));
    let c = near(&b, 3, 1e-6);
    for (name, numbers) in [("a", &numbers), ("b", &b), ("far", &far), ("c", &c)] {
        bench.commit(&format!("{name}.safetensors"), &safetensors(&[("w", numbers)]), name);
    }
    let tensor = |name: &str, key: &str| {
        let shown = bench.coral(&["--json", "show", &format!("HEAD:{name}.safetensors#w")]).json();
        shown["tensors"][0][key].clone()
    };
    bench.coral(&["repack", "--level", "fast"]).succeeds();
    assert_ne!(tensor("c", "base"), tensor("far", "id"));
    let said = b"c.safetensors base=main:far.safetensors\na.safetensors base=main:\n";
    bench.commit(".coralattributes", said, "said");
    bench.coral(&["repack", "--level", "fast"]).succeeds();
    assert_eq!(tensor("c", "base"), tensor("far", "id"));
    // One that derives from what derives from it.
    bench.commit(
        ".coralattributes",
        b"c.safetensors base=main:b.safetensors\nb.safetensors base=main:c.safetensors\n",
        "circle",
    );
    bench.coral(&["repack", "--level", "fast", "--depth", "4"]).succeeds();
    let is_on = |one: &str, other: &str| tensor(one, "base") == tensor(other, "id");
    assert!(is_on("b", "c") || is_on("c", "b"));
    assert!(bench.cat("HEAD:c.safetensors") == safetensors(&[("w", &c)]), "every byte comes back");
    bench.coral(&["fsck", "--full"]).succeeds();
}
