//! What is no content: a repository's own folder, what only looks like one, and what no history records.

use super::workbench::Workbench;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

#[test]
fn no_commit_has_a_repository_in_it() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.outside(&["init", "other"]).succeeds();
    for spelling in [".coral", ".CORAL", ".coral.", "coral~1", ".co\u{200c}ral", ".co\u{200b}ral"] {
        // What nobody sees is shown escaped.
        let shown = spelling.replace('\u{200b}', r"\342\200\213");
        let told = [&*shown, "repository's own folder"];
        bench.write(&format!("beside/{spelling}/format"), b"coral 1\n");
        bench.coral(&["add", &format!("beside/{spelling}")]).fails(1, &told);
        bench.coral(&["add", &format!("beside/{spelling}/format")]).fails(1, &told);
        bench.coral(&["add", "--to", spelling, "a"]).fails(1, &told);
        bench.coral(&["add", "--to", &format!("deep/{spelling}/er"), "a"]).fails(1, &told);
    }
    let added = bench.coral(&["add", "beside"]).succeeds();
    assert_eq!(added.stdout, "added beside\n");
    assert!(added.stderr.contains("left out") && !added.stderr.contains(".coral`:"), "{added:?}");
    bench.coral(&["add", ".", "../other"]).succeeds();
    bench.coral(&["commit", "-m", "all"]).succeeds();
    assert_eq!(bench.coral(&["ls", "-r"]).succeeds().stdout, "a\nbeside/\nother/\n");
}

#[test]
fn a_repository_never_takes_its_own_store_whatever_that_is_called() {
    let bench = Workbench::new();
    bench.write("a", b"1");
    fs::rename(bench.path("repo/.coral"), bench.path("store")).expect("move");
    symlink("../store", bench.path("repo/.coral")).expect("link");
    let told = ["store", "the repository's own store"];
    bench.coral(&["add", "../store"]).fails(1, &told);
    bench.coral(&["add", "../store/refs"]).fails(1, &told);
    bench.coral(&["add", "../store/HEAD"]).fails(1, &told);
    bench.coral(&["add", "--to", "up", ".."]).fails(1, &told);
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "");
    bench.coral(&["add", "."]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "A a\n");
}

#[test]
fn a_file_that_only_says_so_leads_to_no_repository() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let stray = bench.path("stray/deep");
    fs::create_dir_all(stray.join(".coral")).expect("create");
    let named = format!("{}\n", bench.path("repo").display());
    fs::write(stray.join(".coral/repository"), named).expect("write");
    let ran = bench.run(bench.command(&stray, &["log"]));
    ran.fails(1, &["no repository"]);
}

#[test]
fn sockets_in_a_folder_are_left_out_and_named_ones_refused() {
    let bench = Workbench::new();
    bench.write("run/model.bin", b"1");
    let _socket = UnixListener::bind(bench.path("repo/run/ipc")).expect("bind");
    let added = bench.coral(&["add", "run"]).succeeds();
    assert!(added.stderr.contains("left out") && added.stderr.contains("run/ipc"), "{added:?}");
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "A run/model.bin\n");
    bench.coral(&["add", "run/ipc"]).fails(1, &["run/ipc", "neither a file, a directory nor"]);
}

#[test]
fn paths_beyond_the_limits_are_refused_by_name() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let deep = vec!["d"; 1_001].join("/");
    bench.coral(&["add", "--to", &deep, "a"]).fails(1, &["too deep", "1000"]);
    bench.coral(&["add", "--to", &vec!["d"; 1_000].join("/"), "a"]).fails(1, &["too deep", "1000"]);
    bench.coral(&["add", "--to", &vec!["d"; 999].join("/"), "a"]).succeeds();
    bench.coral(&["commit", "-m", "deep"]).succeeds();
    bench.coral(&["fsck", "--full"]).succeeds();
    let path = format!("HEAD:{}/a", vec!["d"; 999].join("/"));
    assert_eq!(bench.cat(&path), b"1");
}
