//! The folder around a repository: what is left out of it, and what of it is not in the worktree.

use super::workbench::Workbench;
use std::fs;

#[test]
fn what_is_ignored_is_left_out_of_folders_and_taken_when_it_is_named() {
    let bench = Workbench::new();
    for name in ["run/model.bin", "run/a.tmp", ".git/HEAD", "logs/x", "run/keep.tmp", "__pycache__/c.pyc"] {
        bench.write(name, name.as_bytes());
    }
    bench.write(".coralignore", b"*.tmp\n/logs/\n");
    bench.write("run/.coralignore", b"!keep.tmp\n");
    bench.coral(&["add", "."]).succeeds();
    let files = bench.coral(&["status", "-s"]).succeeds().stdout;
    assert_eq!(files, "A .coralignore\nA run/.coralignore\nA run/keep.tmp\nA run/model.bin\n");
    let checked =
        bench.coral(&["check-ignore", "-v", "run/a.tmp", "run/model.bin", "logs/x", ".git/HEAD"]).succeeds();
    assert_eq!(checked.stdout.lines().count(), 3, "{checked:?}");
    assert!(checked.stdout.contains(".coralignore:*.tmp\trun/a.tmp"), "{checked:?}");
    bench.coral(&["check-ignore", "run/model.bin"]).fails(1, &[]);
    bench.coral(&["add", "run/a.tmp"]).succeeds();
    assert_eq!(bench.cat(":run/a.tmp"), b"run/a.tmp");
    bench.coral(&["add", "--no-ignore", "logs"]).succeeds();
    assert_eq!(bench.cat(":logs/x"), b"logs/x");
}

#[test]
fn plain_files_that_differ_are_told_of_and_taken_when_somebody_says_so() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("d/b", b"1", "second");
    assert!(!bench.coral(&["status"]).succeeds().stdout.contains("in this folder"));
    bench.write("a", b"2");
    bench.write("d/b", b"22");
    bench.write("new", b"1");
    let status = bench.coral(&["status"]).succeeds().stdout;
    assert!(status.contains("2 files in this folder differ from the worktree: `coral add -u`"), "{status}");
    assert!(status.contains("1 file in this folder is not in the worktree"), "{status}");
    bench.coral(&["commit", "-m", "x"]).fails(1, &["nothing to commit", "`coral add -u` takes what differs"]);
    bench.coral(&["add", "-u"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "M a\nM d/b\n");
    // The same bytes at another time are no difference.
    let now = fs::read(bench.path("repo/a")).expect("read");
    fs::write(bench.path("repo/a"), now).expect("write");
    assert!(!bench.coral(&["status"]).succeeds().stdout.contains("differ"));
    // A commit that took something tells of what it did not take as well.
    bench.write("a", b"3");
    bench.coral(&["commit", "-am", "x"]).fails(0, &["1 file in this folder differs", "`coral add -u`"]);
    bench.coral(&["add", "-u"]).succeeds();
    assert_eq!(bench.coral(&["commit", "-am", "y"]).succeeds().stderr, "");
}
