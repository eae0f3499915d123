//! Bad input and bad luck: a clear error that names the thing and the way out, and nothing lost.

use super::workbench::{Workbench, safetensors, weights};
use std::fs;

#[test]
fn a_folder_without_a_repository_is_named_with_the_way_to_make_one() {
    let bench = Workbench::bare();
    bench.outside(&["status"]).fails(1, &["no repository", "coral init"]);
    bench.outside(&["mount", "nowhere", "mnt"]).fails(1, &["no repository", "nowhere"]);
}

#[test]
fn an_existing_repository_is_not_made_again() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.outside(&["init", "repo"]).fails(1, &["already is a repository"]);
    assert_eq!(bench.cat("HEAD:a"), b"1");
}

#[test]
fn a_newer_format_is_left_alone() {
    let bench = Workbench::new();
    fs::write(bench.path("repo/.coral/format"), "coral 99\n").expect("write");
    bench.coral(&["log"]).fails(1, &["coral 99", "newer"]);
}

#[test]
fn unknown_names_suggest_the_nearest() {
    let bench = Workbench::new();
    bench.coral(&["log"]).fails(1, &["no commits yet", "coral commit"]);
    bench.commit("model.safetensors", b"1", "first");
    bench.coral(&["log", "mian"]).fails(1, &["`mian`", "did you mean `main`"]);
    bench.coral(&["cat", "HEAD:modle.safetensors"]).fails(1, &["did you mean `model.safetensors`"]);
    bench.coral(&["cat", "model.safetensors"]).fails(2, &["HEAD:model.safetensors"]);
    bench.coral(&["switch", "nowhere"]).fails(1, &["nowhere", "switch -c nowhere"]);
    bench.coral(&["rm", "modl.safetensors"]).fails(1, &["modl.safetensors", "model.safetensors"]);
    bench.coral(&["show", "--commit", "HEAD", "no.such.tensor"]).fails(1, &["no.such.tensor"]);
    bench.coral(&["frobnicate"]).fails(2, &["frobnicate"]);
}

#[test]
fn names_that_no_ref_can_have_say_which_rule_they_break() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    for (name, rule) in
        [("../x", ".."), ("x.lock", ".lock"), ("a\u{7}b", "control"), ("a b", "space"), ("a..b", "..")]
    {
        bench.coral(&["branch", name]).fails(1, &[rule]);
        bench.coral(&["tag", name]).fails(1, &[rule]);
    }
    assert!(!bench.path("repo/.coral/refs/x").exists());
    bench.coral(&["branch", "a/b"]).succeeds();
    bench.coral(&["branch", "a"]).fails(1, &["`a`", "`a/b`"]);
}

#[test]
fn paths_that_lead_out_are_refused() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["cat", "HEAD:../a"]).fails(2, &["../a"]);
    bench.coral(&["add", "--to", "../up", "a"]).fails(1, &["../up"]);
    bench.coral(&["add", "missing"]).fails(1, &["missing"]);
}

#[test]
fn nothing_to_commit_is_said_and_not_committed() {
    let bench = Workbench::new();
    bench.coral(&["commit", "-m", "empty"]).fails(1, &["nothing to commit"]);
    bench.commit("a", b"1", "first");
    bench.coral(&["commit", "-m", "again"]).fails(1, &["nothing to commit"]);
    assert_eq!(bench.coral(&["log", "--oneline"]).succeeds().stdout.lines().count(), 1);
    bench.coral(&["commit", "-m", "wanted", "--allow-empty"]).succeeds();
}

#[test]
fn files_that_lie_about_being_safetensors_come_back_all_the_same() {
    let bench = Workbench::new();
    let whole = safetensors(&[("w", &weights(1, 1000))]);
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend(&whole[8..]);
    let mut lying = whole.clone();
    let at = lying.windows(4).position(|four| four == b"4000").expect("an offset");
    lying[at..at + 4].copy_from_slice(b"9999");
    let files: [(&str, &[u8]); 5] = [
        ("truncated.safetensors", &whole[..whole.len() - 1]),
        ("header.safetensors", &whole[..20]),
        ("huge.safetensors", &huge),
        ("lying.safetensors", &lying),
        ("tiny.safetensors", b"\x02"),
    ];
    for (name, bytes) in files {
        bench.write(name, bytes);
        bench.coral(&["add", name]).succeeds();
    }
    bench.coral(&["commit", "-m", "liars"]).succeeds();
    for (name, bytes) in files {
        assert_eq!(bench.cat(&format!("HEAD:{name}")), bytes, "{name}");
    }
}

#[test]
fn a_flipped_byte_is_reported_with_file_and_object_and_never_read() {
    let bench = Workbench::new();
    let model = safetensors(&[("w", &weights(1, 50_000))]);
    bench.commit("model.safetensors", &model, "first");
    let packs = bench.path("repo/.coral/packs");
    let pack = fs::read_dir(packs)
        .expect("list")
        .map(|entry| entry.expect("list").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpk"))
        .max_by_key(|path| fs::metadata(path).expect("stat").len())
        .expect("a pack");
    let mut bytes = fs::read(&pack).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).expect("write");
    bench.coral(&["fsck"]).succeeds();
    let report = bench.coral(&["--json", "fsck", "--full"]);
    assert_eq!(report.code, 4, "{report:?}");
    assert!(report.stdout.contains("model.safetensors in commit"), "{report:?}");
    assert!(report.stdout.contains("object"), "{report:?}");
    bench.coral(&["cat", "HEAD:model.safetensors"]).fails(4, &["damaged", "fsck"]);
    // Whatever it is read for.
    let drawn = bench.coral(&["plot", "weights", "HEAD:model.safetensors"]).fails(4, &["damaged", "fsck"]);
    assert!(!drawn.stderr.contains("to store"), "{drawn:?}");
}

#[test]
fn everything_that_names_a_commit_which_is_missing_is_told() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    let second = bench.commit("a", b"2", "second");
    let third = bench.commit("a", b"3", "third");
    let nowhere = "1".repeat(64);
    let write = |name: &str, text: &str| {
        fs::write(bench.path("repo/.coral").join(name), format!("{text}\n")).expect("write")
    };
    let found = |what: &str| {
        let report = bench.coral(&["fsck"]);
        assert_eq!(report.code, 4, "{report:?}");
        assert!(report.stdout.contains(what), "no `{what}` in {report:?}");
    };
    write("refs/heads/lost", &nowhere);
    write("refs/tags/lost", &nowhere);
    for place in ["branch lost: commit 1111111111", "tag lost: commit 1111111111"] {
        found(place);
    }
    fs::remove_file(bench.path("repo/.coral/refs/tags/lost")).expect("remove");
    fs::remove_file(bench.path("repo/.coral/refs/heads/lost")).expect("remove");
    write("HEAD", &nowhere);
    found("HEAD: commit 1111111111");
    write("HEAD", "ref: refs/heads/main");
    write(
        "logs/heads/gone",
        &format!("{first} {nowhere} A <a> 1 +0000\tmoved\n{nowhere} {first} A <a> 1 +0000\tback"),
    );
    found("log of branch gone: commit 1111111111");
    fs::remove_file(bench.path("repo/.coral/logs/heads/gone")).expect("remove");
    write("refs/heads/bad name", &second);
    found("refs/heads/bad name");
    fs::remove_file(bench.path("repo/.coral/refs/heads/bad name")).expect("remove");
    bench.coral(&["fsck"]).succeeds();
    // A branch that is newer than the packs, as a bad copy leaves it.
    write("refs/heads/main", &nowhere);
    found("the last commit of its log that is there is `main@{0}`");
    bench
        .coral(&["log"])
        .fails(4, &["`HEAD` names commit 1111111111, which is not in the store", "coral fsck"]);
    assert_eq!(bench.cat("main@{0}:a"), b"3");
    write("refs/heads/main", &third);
    bench.coral(&["fsck"]).succeeds();
}

#[test]
fn one_damaged_ref_hides_no_other() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["branch", "bad"]).succeeds();
    fs::write(bench.path("repo/.coral/refs/heads/bad"), "garbage").expect("write");
    assert!(bench.coral(&["log"]).succeeds().stdout.contains("first"));
    bench.coral(&["fsck"]).fails(4, &[]);
    let report = bench.coral(&["fsck"]).stdout;
    assert!(report.contains("branch bad") && report.contains("1 commits"), "{report}");
}

#[test]
fn what_a_rebuild_sets_aside_is_told_and_listed_ever_after() {
    let bench = Workbench::new();
    bench.commit("a", &[5; 5_000], "first");
    fs::write(bench.path("repo/.coral/packs/").join(format!("{}.cpk", "a".repeat(64))), "no pack")
        .expect("write");
    let found = bench.coral(&["fsck"]);
    assert!(found.code == 4 && found.stdout.contains(&"a".repeat(64)), "{found:?}");
    let rebuilt = bench.coral(&["fsck", "--rebuild"]);
    assert!(rebuilt.code == 4 && rebuilt.stdout.contains("moved to"), "{rebuilt:?}");
    let after = bench.coral(&["fsck"]).succeeds();
    assert!(after.stdout.contains("set aside: ") && after.stdout.contains("quarantine"), "{after:?}");
}

#[test]
fn every_verb_explains_itself() {
    let bench = Workbench::bare();
    let help = bench.outside(&["--help"]).succeeds().stdout;
    for verb in ["init", "mount", "add", "commit", "fsck", "demo"] {
        assert!(help.contains(verb), "{help}");
        assert!(bench.outside(&[verb, "--help"]).succeeds().stdout.contains("Usage"));
    }
    assert!(bench.outside(&["--version"]).succeeds().stdout.starts_with("coral 0."));
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_that_changes_nothing() {
    let bench = Workbench::new();
    let bytes: Vec<u8> = weights(9, 1 << 20).into_iter().flat_map(f32::to_le_bytes).collect();
    bench.write("big", &bytes);
    let coral = bench.command(&bench.path("repo"), &["add", "big"]);
    let mut limited = std::process::Command::new("sh");
    limited.current_dir(bench.path("repo")).args(["-c", "ulimit -f 100; exec \"$0\" add big"]);
    limited.arg(coral.get_program()).env("HOME", bench.path("home"));
    bench.run(limited).fails(1, &["File too large"]);
    let status = bench.coral(&["status"]).succeeds();
    assert!(status.stdout.contains("nothing to commit"), "{status:?}");
    bench.coral(&["add", "big"]).succeeds();
}
