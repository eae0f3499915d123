//! What people do between commits: better messages, other names, tidying up, and finding the best.

use super::workbench::{Ran, Workbench};

fn message(bench: &Workbench) -> String {
    bench.coral(&["log", "-1", "--format", "%B"]).succeeds().stdout
}

#[test]
fn a_message_comes_from_words_a_file_or_an_editor() {
    let bench = Workbench::new();
    let commit = |arguments: &[&str]| bench.coral(&[&["commit", "--allow-empty"], arguments].concat());
    commit(&["-m", "subject", "-m", "why"]).succeeds();
    assert_eq!(message(&bench), "subject\n\nwhy\n");
    bench.write("message.txt", b"from a file\n\n");
    commit(&["-F", "message.txt"]).succeeds();
    assert_eq!(message(&bench), "from a file\n");
    commit(&[]).fails(2, &["there is no message", "`-m TEXT`"]);
    let mut command = bench.command(&bench.path("repo"), &["commit", "--allow-empty"]);
    let editor = "printf 'from an editor\\n# a comment\\n' >";
    bench
        .run({
            command.env("CORAL_EDITOR", editor).env("PATH", "/usr/bin:/bin");
            command
        })
        .succeeds();
    assert_eq!(message(&bench), "from an editor\n");
    commit(&["-m", "dated", "--date", "2020-02-03", "--author", "Ada <ada@b.c>"]).succeeds();
    let author = bench.coral(&["log", "-1", "--format", "%an %ae %ad"]).succeeds().stdout;
    assert!(author.starts_with("Ada ada@b.c 2020-02-03"), "{author}");
}

#[test]
fn the_last_commit_is_made_better() {
    let bench = Workbench::new();
    bench.coral(&["commit", "--amend", "-m", "x"]).fails(1, &["no commits yet"]);
    bench.commit("a", b"1", "first");
    bench.write("b", b"2");
    bench.coral(&["add", "b"]).succeeds();
    bench.coral(&["commit", "-m", "tpyo", "-d", "loss=0.5", "--author", "Ada"]).succeeds();
    bench.coral(&["commit", "--amend", "-m", "typo"]).succeeds();
    let told = bench.coral(&["log", "--format", "%s %an %(loss)"]).succeeds().stdout;
    assert_eq!(told, "typo Ada 0.5\nfirst Anonymous \n");
    bench.write("b", b"3");
    bench.coral(&["add", "b"]).succeeds();
    bench.coral(&["commit", "--amend", "--no-edit"]).succeeds();
    assert_eq!((bench.cat("HEAD:b"), message(&bench)), (b"3".to_vec(), "typo\n".into()));
    assert_eq!(bench.cat("main@{1}:b"), b"2");
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
}

#[test]
fn branches_get_other_names_with_all_that_they_have() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.write("b", b"unsaved");
    bench.coral(&["add", "b"]).succeeds();
    bench.coral(&["branch", "-m", "dev/deep"]).succeeds();
    assert_eq!(bench.coral(&["branch", "--show-current"]).succeeds().stdout, "dev/deep\n");
    assert_eq!(bench.cat(":b"), b"unsaved");
    bench.coral(&["branch", "-m", "main"]).fails(1, &["exists already"]);
    bench.coral(&["branch", "-c", "main", "copy"]).succeeds();
    bench.coral(&["branch", "-f", "copy", "HEAD"]).succeeds();
    bench.coral(&["commit", "-m", "second"]).succeeds();
    let list = |arguments: &[&str]| -> String {
        let rows = bench.coral(&[&["--json", "branch"], arguments].concat()).json();
        let rows = rows["branches"].as_array().expect("a list").iter();
        rows.map(|row| row["branch"].as_str().expect("a name").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(&["-l", "d*"]), "dev/deep");
    assert_eq!(list(&["--contains", "HEAD"]), "dev/deep");
    assert_eq!(list(&["--merged", "main"]), "copy main");
    assert_eq!(list(&["--no-merged", "main"]), "dev/deep");
    assert_eq!(list(&["--sort", "date"]).split(' ').next(), Some("dev/deep"));
    bench.coral(&["branch", "-d", "copy", "main"]).succeeds();
    assert_eq!(list(&[]), "dev/deep");
    bench.coral(&["fsck"]).succeeds();
}

#[test]
fn files_move_and_what_is_new_is_cleaned() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.commit("d/b", b"2", "second");
    bench.coral(&["mv", "a", "d"]).succeeds();
    bench.coral(&["mv", "d/b", "d/c"]).succeeds();
    assert_eq!(bench.coral(&["diff", "--name-status"]).succeeds().stdout, "R\ta\td/a\nR\td/b\td/c\n");
    bench.coral(&["mv", "d/a", "d/c"]).fails(1, &["`d/c` exists already"]);
    bench.coral(&["mv", "d/a", "d/c", "nowhere"]).fails(1, &["not a directory"]);
    bench.coral(&["mv", "gone", "x"]).fails(1, &["no `gone`"]);
    bench.coral(&["commit", "-m", "moved"]).succeeds();
    bench.write("new", b"x");
    bench.coral(&["add", "new"]).succeeds();
    assert_eq!(bench.coral(&["clean"]).succeeds().stdout, "would remove new\n");
    assert_eq!(bench.coral(&["clean", "-f"]).succeeds().stdout, "removed new\n");
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
}

#[test]
fn the_best_commit_is_found_by_a_number_that_it_says() {
    let bench = Workbench::new();
    for (text, loss) in [("1", "0.30"), ("2", "0.1"), ("3", "nan"), ("4", "2e-1")] {
        bench.write("a", text.as_bytes());
        bench.coral(&["add", "a"]).succeeds();
        bench.coral(&["commit", "-m", text, "-d", &format!("loss={loss}")]).succeeds();
    }
    bench.coral(&["tag", "v1", "-c", "HEAD~2", "--metric", "acc=0.9"]).succeeds();
    let best = |arguments: &[&str]| bench.coral(&[&["best", "--metric"], arguments].concat());
    let told = best(&["loss"]).succeeds();
    assert!(told.stdout.starts_with("0.1 ") && told.stdout.ends_with("(tag: v1) 2\n"), "{told:?}");
    assert!(told.stderr.contains("1 commit(s) say something that is no finite number"), "{told:?}");
    let order = |ran: Ran| -> Vec<String> {
        ran.succeeds()
            .stdout
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(order(best(&["loss", "-n", "5"])), ["2", "4", "1"]);
    assert_eq!(order(best(&["loss", "--mode", "max"])), ["1"]);
    assert_eq!(order(best(&["acc"])), ["2"]);
    best(&["speed"]).fails(1, &["no commit has a number called `speed`"]);
}

#[test]
fn commits_are_spoken_of_afterwards() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    bench.coral(&["notes", "show"]).fails(1, &["nothing was said"]);
    bench.coral(&["notes", "add", "-m", "turned out well"]).succeeds();
    bench.coral(&["notes", "add", "--append", "-m", "very well"]).succeeds();
    assert_eq!(bench.coral(&["notes", "show"]).succeeds().stdout, "turned out well\n\nvery well\n");
    let log = bench.coral(&["log"]).succeeds().stdout;
    assert!(log.contains("Notes:\n    turned out well") && !log.contains("tag:"), "{log}");
    assert_eq!(bench.coral(&["tag"]).succeeds().stdout, "");
    assert_eq!(bench.coral(&["notes"]).succeeds().stdout.lines().count(), 1);
    bench.coral(&["notes", "remove"]).succeeds();
    bench.coral(&["notes", "show"]).fails(1, &["nothing was said"]);
}
