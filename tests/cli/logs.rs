//! Looking back: `log`.

use super::workbench::{Ran, Workbench};

/// Five commits on two files, by two people.
fn bench() -> Workbench {
    let bench = Workbench::new();
    for number in 1..=5 {
        let file = if number % 2 == 0 { "even.txt" } else { "odd.txt" };
        bench.write(file, format!("{number}\n").as_bytes());
        bench.coral(&["add", file]).succeeds();
        let (message, loss) = (format!("step {number}\n\nwhy {number}"), format!("loss=0.{number}"));
        let author = if number < 3 { "Ada" } else { "Grace" };
        bench.coral(&["commit", "-m", &message, "--author", author, "-d", &loss]).succeeds();
    }
    bench
}

/// The subjects that a log with `--format %s` has.
fn subjects(ran: Ran) -> Vec<String> {
    ran.succeeds().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn commits_are_found_by_path_person_message_time_and_range() {
    let bench = bench();
    let log = |arguments: &[&str]| subjects(bench.coral(&[&["log", "--format", "%s"], arguments].concat()));
    assert_eq!(log(&["--", "even.txt"]), ["step 4", "step 2"]);
    assert_eq!(log(&["--", "ev*"]), ["step 4", "step 2"]);
    assert_eq!(log(&["--author", "Ada"]), ["step 2", "step 1"]);
    assert_eq!(log(&["--grep", "WHY 3", "-i"]), ["step 3"]);
    assert_eq!(log(&["HEAD~3..HEAD~1"]), ["step 4", "step 3"]);
    assert_eq!(log(&["HEAD", "^HEAD~1"]), ["step 5"]);
    assert_eq!(log(&["HEAD^!"]), ["step 5"]);
    assert_eq!(log(&["--reverse", "-n", "2"]), ["step 4", "step 5"]);
    assert_eq!(log(&["--skip", "1", "-1"]), ["step 4"]);
    assert_eq!(log(&["--since", "1 hour ago"]).len(), 5);
    assert_eq!(log(&["--until", "2 hours ago"]), Vec::<String>::new());
    assert_eq!(log(&["--merges"]), Vec::<String>::new());
    bench.coral(&["log", "--since", "whenever"]).fails(1, &["`whenever` is no time"]);
    bench.coral(&["log", "--date", "martian"]).fails(2, &["iso, local, short"]);
}

#[test]
fn a_log_that_stops_says_so() {
    let bench = bench();
    // Whoever says how many he wants has them.
    let short = bench.coral(&["log", "--oneline", "-2"]).succeeds();
    assert_eq!((short.stdout.lines().count(), short.stderr.as_str()), (2, ""));
    for number in 6..=11 {
        bench.coral(&["commit", "--allow-empty", "-m", &format!("step {number}")]).succeeds();
    }
    let short = bench.coral(&["log", "--oneline"]).succeeds();
    assert_eq!(short.stdout.lines().count(), 10);
    assert!(short.stderr.contains("there are older commits than these 10"), "{short:?}");
    let all = bench.coral(&["log", "--oneline", "-n", "0"]).succeeds();
    assert_eq!((all.stdout.lines().count(), all.stderr.as_str()), (11, ""));
}

#[test]
fn a_commit_is_printed_as_somebody_wants_it() {
    let bench = bench();
    let one = |arguments: &[&str]| bench.coral(&[&["log", "-1"], arguments].concat()).succeeds().stdout;
    for (format, named) in [("onelin", "`onelin`"), ("%h %Q", "`%Q`"), ("format:%C(mauve)%h", "`%C(mauve)`")]
    {
        bench.coral(&["log", "--format", format]).fails(2, &[named, "fuller", "%an"]);
        bench.coral(&["show", "--format", format]).fails(2, &[named]);
    }
    assert_eq!(one(&["--format=%C(bold blue)%f%Creset%x09%C(auto)%s"]), "step-5\tstep 5\n");
    let painted = one(&["--color=always", "--format=%Cred%f%Creset%C(bold blue)x"]);
    assert_eq!(painted, "\x1b[31mstep-5\x1b[0m\x1b[1m\x1b[34mx\n");
    assert_eq!(one(&["--format=%ci|%cI"]).trim_end().len(), 25 + 1 + 25);
    let fuller = one(&["--format=fuller"]);
    assert!(
        fuller.contains("AuthorDate: ") && fuller.contains("CommitDate: ") && fuller.contains("why 5"),
        "{fuller}"
    );
    let both = |arguments: &[&str]| {
        let told = bench.coral(&[arguments, &["--stat", "-p"]].concat()).succeeds().stdout;
        let (stat, patch) = (told.find("odd.txt"), told.find("@@ "));
        assert!(stat.is_some() && stat < patch && told.contains("\n\n"), "{told}");
    };
    both(&["log", "-1"]);
    both(&["show"]);
    both(&["diff", "HEAD~2", "HEAD"]);
    assert_eq!(one(&["--format", "%an: %s [%(loss)]%n%b"]), "Grace: step 5 [0.5]\nwhy 5\n");
    assert!(one(&["--format=full"]).contains("Commit: Anonymous"), "{}", one(&["--format=full"]));
    assert!(!one(&["--format=short"]).contains("why 5"));
    assert!(one(&["--date", "relative"]).contains(" ago\n"));
    assert!(one(&["--stat"]).contains("M odd.txt | +1 -1 lines"));
    assert!(one(&["-p"]).contains("-3\n+5\n"));
    assert!(one(&["--name-status"]).ends_with("M\todd.txt\n\n"));
    let columns = bench.coral(&["log", "-m", "loss", "-m", "step"]).succeeds().stdout;
    let rows: Vec<Vec<&str>> = columns.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["commit", "loss", "step", "subject"]);
    assert_eq!(rows[5][1..], ["0.1", "-", "step", "1"]);
    let json = bench.coral(&["--json", "log", "--name-only", "--", "even.txt"]).json();
    assert_eq!(json["commits"][0]["changes"][0]["path"], "even.txt");
    assert_eq!(
        bench.coral(&["log", "--graph", "--oneline", "-2"]).succeeds().stdout.matches("* ").count(),
        2
    );
}

#[test]
fn paths_that_are_there_need_no_dashes_before_them() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "one");
    bench.commit("d/b", b"2", "two");
    bench.commit("d/c", b"3", "three");
    let subjects = |of: &[&str]| -> Vec<String> {
        let ran = bench.coral(&[&["log", "--format", "%s"], of].concat()).succeeds();
        ran.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(subjects(&["a"]), ["one"]);
    assert_eq!(subjects(&["HEAD~1", "d"]), ["two"]);
    assert_eq!(subjects(&["HEAD~2..", "d/b", "d/c"]), ["three", "two"]);
    assert_eq!(subjects(&["d/*"]), ["three", "two"]);
    bench.coral(&["rm", "a"]).succeeds();
    bench.coral(&["commit", "-m", "four"]).succeeds();
    bench.coral(&["log", "a"]).fails(1, &["`--` stands before paths that are not there"]);
    assert_eq!(subjects(&["--", "a"]), ["four", "one"]);
}
