//! What commands print: one line for one thing, nothing that commands a terminal, and no panic when nobody reads.

use super::workbench::{Ran, Workbench};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Names that a terminal, a reader or a script would take for something else.
const NASTY: [&[u8]; 7] = [
    b"nl\nname.txt",
    b"esc\x1b[31mred",
    b"tab\there",
    b"say \"hi\"",
    b"back\\slash",
    b"bad\xff\xfe.bin",
    "rtl\u{202e}txt".as_bytes(),
];

/// Whether a text has nothing but lines of what can be seen.
fn is_harmless(text: &str) -> bool {
    let harmful = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    !text.contains(harmful) && !text.contains('\u{fffd}')
}

fn bench_of_nasty_names() -> Workbench {
    let bench = Workbench::new();
    fs::create_dir_all(bench.path("repo/d")).expect("mkdir");
    for name in NASTY {
        fs::write(bench.path("repo/d").join(OsStr::from_bytes(name)), name).expect("write");
    }
    bench
}

#[test]
fn whatever_a_file_is_called_it_is_one_harmless_line() {
    let bench = bench_of_nasty_names();
    let harmless = |ran: Ran| {
        assert!(is_harmless(&ran.stdout) && is_harmless(&ran.stderr), "{ran:?}");
        ran
    };
    let added = harmless(bench.coral(&["add", "d"]).succeeds());
    assert_eq!(added.stdout.lines().count(), 1 + NASTY.len());
    assert!(added.stdout.contains(r#"added "d/nl\nname.txt""#), "{added:?}");
    assert!(added.stdout.contains(r#"added "d/bad\377\376.bin""#), "{added:?}");
    let status = harmless(bench.coral(&["status"]).succeeds());
    assert!(status.stdout.contains(r#"  new           "d/esc\033[31mred""#), "{status:?}");
    assert_eq!(harmless(bench.coral(&["status", "-s"]).succeeds()).stdout.lines().count(), NASTY.len());
    let nasty = "subject \x1b[2J\u{202e}\r\nbody \x1b]0;t\x07";
    harmless(bench.coral(&["commit", "-m", nasty, "-d", "note=a\x1b[31m"]).succeeds());
    let listed = harmless(bench.coral(&["ls", "-r"]).succeeds());
    assert_eq!(listed.stdout.lines().count(), 1 + NASTY.len());
    for verb in [&["ls", "HEAD:d"][..], &["ls", "-l", "HEAD:d"], &["show", "HEAD:d"]] {
        assert_eq!(harmless(bench.coral(verb).succeeds()).stdout.lines().count(), NASTY.len(), "{verb:?}");
    }
    for verb in [&["show"][..], &["log"], &["log", "--oneline"], &["branch"], &["fsck", "--full"], &["stats"]]
    {
        harmless(bench.coral(verb).succeeds());
    }
    harmless(bench.coral(&["rm", "-r", "d"]).succeeds());
    harmless(bench.coral(&["restore", "d"]).succeeds());
    for wrong in ["no\x1b[31m", "HEAD:no\u{202e}\n"] {
        harmless(bench.coral(&["show", wrong]).fails(1, &["no"]));
    }
    harmless(bench.coral(&["tag", "t", "-d", "text \x1b[31m", "--metric", "k=1"]).succeeds());
    harmless(bench.coral(&["tag"]).succeeds());
}

#[test]
fn json_has_the_very_bytes_of_what_is_no_text() {
    let bench = bench_of_nasty_names();
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["commit", "-m", "nasty"]).succeeds();
    let listed = bench.coral(&["--json", "ls", "-r"]).json();
    let hex: Vec<_> = listed["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["path_hex"].as_str())
        .collect();
    assert_eq!(hex, ["642f626164fffe2e62696e"]);
    let bad = OsStr::from_bytes(b"HEAD:d/bad\xff\xfe.bin");
    for verb in ["cat", "show", "ls"] {
        let mut command = bench.command(&bench.path("repo"), &[verb]);
        command.arg(bad);
        let ran = bench.run(command).succeeds();
        assert!(verb == "cat" || is_harmless(&ran.stdout), "{ran:?}");
    }
    let mut export = bench.command(&bench.path("repo"), &["export"]);
    export.arg(bad).arg("../one");
    bench.run(export).succeeds();
    assert_eq!(fs::read(bench.path("one")).expect("read"), NASTY[5]);
    assert!(listed["entries"].as_array().expect("a list").iter().any(|row| row["path"] == "d/nl\nname.txt"));
    // Also where nothing but the paths is told: texts, and with their bytes those that are none.
    for (verb, list) in [("rm", "removed"), ("restore", "restored")] {
        let mut command = bench.command(&bench.path("repo"), &["--json", verb, "d/nl\nname.txt"]);
        command.arg(OsStr::from_bytes(b"d/bad\xff\xfe.bin"));
        let told = bench.run(command).json();
        let rows = told[list].as_array().expect("a list");
        let hex: Vec<_> = rows.iter().filter_map(|row| row["path_hex"].as_str()).collect();
        assert_eq!(hex, ["642f626164fffe2e62696e"], "{verb}: {rows:?}");
        assert!(rows.iter().any(|row| row == "d/nl\nname.txt"), "{verb}: {rows:?}");
    }
}

#[test]
fn nobody_who_reads_is_no_reason_to_panic() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    for (arguments, code) in
        [(&["show", "nope"][..], 1), (&["config", "set", "no.such", "x"], 1), (&["nonsense"], 2)]
    {
        let closed = || std::io::pipe().expect("a pipe").1;
        let mut command = bench.command(&bench.path("repo"), arguments);
        let mut child = command.stdout(closed()).stderr(closed()).spawn().expect("coral starts");
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_message_says_something_and_an_author_is_one_line() {
    let bench = Workbench::new();
    bench.write("a", b"1");
    bench.coral(&["add", "a"]).succeeds();
    for empty in ["", "  \n "] {
        bench.coral(&["commit", "-m", empty]).fails(1, &["message is empty", "--allow-empty-message"]);
    }
    bench.coral(&["commit", "-m", "x", "--author", "A\nB"]).fails(2, &["no name or address"]);
    bench.coral(&["commit", "-m", "x", "--email", "a> <b"]).fails(2, &["no name or address"]);
    bench.coral(&["commit", "-m", "x", "-d", "k\nv=1"]).fails(2, &["KEY=VALUE"]);
    bench.coral(&["log"]).fails(1, &["no commits yet"]);
    bench.coral(&["commit", "-m", "", "--allow-empty-message"]).succeeds();
    bench.coral(&["tag", "-d", "v1"]).fails(1, &["no tag is called `v1`"]);
    bench.coral(&["export", "HEAD", "-"]).fails(2, &["standard output", "coral cat"]);
    assert!(!bench.path("repo/-").exists());
}

#[test]
fn a_terminal_has_a_pager_unless_it_is_dumb() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let shown = |term: &str| {
        let (mut master, mut slave) = (0, 0);
        let (name, modes, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
        // SAFETY: both numbers are there to be written, and null stands for what is not asked for.
        assert_eq!(unsafe { libc::openpty(&mut master, &mut slave, name, modes, size) }, 0);
        // SAFETY: nobody else owns the two.
        let (mut terminal, end) = unsafe { (fs::File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let mut command = bench.command(&bench.path("repo"), &["log"]);
        command.env("TERM", term).env("PAGER", "sed s/^/paged:/").env("PATH", "/usr/bin:/bin").stdout(end);
        assert!(command.status().expect("coral runs").success());
        drop(command);
        let mut said = Vec::new();
        // It ends with an error when nobody has the other end any more.
        let _ = terminal.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    };
    assert!(shown("xterm").starts_with("paged:"));
    assert!(shown("dumb").starts_with("commit "));
}
