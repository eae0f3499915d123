//! What people of other tools expect of a word, a code or a name, and what they are told where Coral has it another way.

use super::workbench::Workbench;
use std::fs;
use std::os::unix::ffi::OsStrExt;

#[test]
fn a_commit_takes_only_the_paths_that_are_named_and_leaves_the_rest_a_change() {
    let bench = Workbench::new();
    for name in ["a", "d/b", "d/c", "e/f"] {
        bench.write(name, b"1");
    }
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["commit", "-m", "all"]).succeeds();
    for name in ["a", "d/b", "d/c", "new/x", "new/y"] {
        bench.write(name, b"22");
    }
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["rm", "e/f"]).succeeds();
    let told = bench.coral(&["commit", "--dry-run", "-m", "x", "d/b", "new/x"]).succeeds().stdout;
    assert!(told.contains("M d/b") && told.contains("A new") && !told.contains("d/c"), "{told}");
    bench.coral(&["commit", "-m", "some", "--", "d/b", "new/x", "e/f"]).succeeds();
    let names = bench.coral(&["ls", "-r"]).succeeds().stdout;
    assert_eq!(names.lines().collect::<Vec<_>>(), ["a", "d/", "d/b", "d/c", "e/", "new/", "new/x"]);
    assert_eq!((bench.cat("HEAD:d/b"), bench.cat("HEAD:d/c")), (b"22".to_vec(), b"1".to_vec()));
    let left = bench.coral(&["status", "-s"]).succeeds().stdout;
    assert_eq!(left.lines().collect::<Vec<_>>(), ["M a", "M d/c", "D e", "A new/y"]);
    bench.coral(&["commit", "-m", "patterns", "d/*"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout.lines().count(), 3);
    bench.coral(&["commit", "-m", "nothing", "d"]).fails(1, &["nothing to commit"]);
    bench.coral(&["commit", "-m", "nothing", "z*"]).fails(1, &["fits `z*`"]);
    bench.coral(&["commit", "-m", "the rest"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "");
    assert_eq!((bench.cat("HEAD:a"), bench.cat("HEAD:new/y")), (b"22".to_vec(), b"22".to_vec()));
    bench.coral(&["fsck", "--full"]).succeeds();
}

#[test]
fn a_commit_of_some_paths_keeps_the_others_also_where_the_journal_is_long() {
    let bench = Workbench::new();
    bench.commit("first", b"1", "first");
    for number in 0..1200 {
        bench.write(&format!("many/{number:0100}"), b"1");
    }
    bench.write("one", b"1");
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["commit", "-m", "one", "one"]).succeeds();
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout.lines().count(), 1200);
    bench.coral(&["commit", "-m", "many"]).succeeds();
    assert_eq!(bench.coral(&["ls", "HEAD:many"]).succeeds().stdout.lines().count(), 1200);
}

#[test]
fn paths_end_with_a_nul_byte_where_programs_read_them() {
    let bench = Workbench::new();
    bench.commit("b", b"1", "first");
    let odd = std::ffi::OsStr::from_bytes(b"nl\n\xff");
    fs::write(bench.path("repo").join(odd), b"1").expect("write");
    fs::remove_file(bench.path("repo/b")).expect("removed");
    bench.coral(&["add", "."]).succeeds();
    bench.coral(&["rm", "b"]).succeeds();
    let bytes = |arguments: &[&str]| {
        bench.command(&bench.path("repo"), arguments).output().expect("coral runs").stdout
    };
    assert_eq!(bytes(&["status", "-z"]), b"D b\0A nl\n\xff\0");
    assert_eq!(bytes(&["status", "--porcelain"]), b"D b\nA \"nl\\n\\377\"\n");
    assert_eq!(bytes(&["ls", "-z", ":"]), b"nl\n\xff\0");
}

#[test]
fn patterns_are_filled_in_where_no_shell_did() {
    let bench = Workbench::new();
    for name in ["d/a.txt", "d/b.txt", "d/c.bin", "e/f/x.txt"] {
        bench.write(name, b"1");
    }
    bench.coral(&["add", "d/*.txt", "e/*/x.*"]).succeeds();
    assert_eq!(
        bench.coral(&["ls", "-r", ":"]).succeeds().stdout,
        "d/\nd/a.txt\nd/b.txt\ne/\ne/f/\ne/f/x.txt\n"
    );
    bench.coral(&["commit", "-m", "texts"]).succeeds();
    bench.coral(&["rm", "d/*.txt"]).succeeds();
    // What is left empty goes as well.
    assert_eq!(bench.coral(&["status", "-s"]).succeeds().stdout, "D d/a.txt\nD d/b.txt\n");
    assert_eq!(bench.coral(&["ls", ":"]).succeeds().stdout, "e/\n");
    bench.coral(&["restore", "d/a*"]).succeeds();
    assert_eq!(bench.coral(&["ls", "-r", ":d"]).succeeds().stdout, "a.txt\n");
    bench.coral(&["rm", "*.bin"]).fails(1, &["fits `*.bin`"]);
    bench.coral(&["add", "z/*"]).fails(1, &["fits `z/*`"]);
}

#[test]
fn exit_codes_tell_no_from_failure_and_damage() {
    let bench = Workbench::new();
    bench.commit("a", &[7; 5000], "first");
    bench.write("a", &[8; 5000]);
    bench.coral(&["add", "a"]).succeeds();
    bench.coral(&["diff", "--exit-code"]).fails(1, &[]);
    bench.coral(&["diff", "--exit-code", "nowhere"]).fails(3, &["unknown revision"]);
    bench.coral(&["diff", "nowhere"]).fails(1, &["unknown revision"]);
    bench.coral(&["diff", "--nonsense"]).fails(2, &["`coral diff` has no option `--nonsense`"]);
    bench.coral(&["check-ignore", "a"]).fails(1, &[]);
    bench.outside(&["check-ignore", "a"]).fails(3, &["no repository"]);
    let packs = fs::read_dir(bench.path("repo/.coral/packs")).expect("packs").flatten();
    let packs =
        packs.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "cpk"));
    for pack in packs {
        let mut bytes = fs::read(&pack).expect("a pack");
        for byte in bytes.iter_mut().skip(64).take(200) {
            *byte ^= 0x55;
        }
        fs::remove_file(&pack).expect("removed");
        fs::write(&pack, bytes).expect("written");
    }
    fs::remove_dir_all(bench.path("repo/.coral/plain")).ok();
    bench.coral(&["fsck", "--full"]).fails(4, &[]);
    bench.coral(&["cat", "HEAD:a"]).fails(4, &["`coral fsck --full` lists all damage"]);
}

#[test]
fn settings_that_do_not_hold_stop_only_what_changes_something() {
    let bench = Workbench::new();
    bench.commit("a", b"1", "first");
    let file = bench.path("repo/.coral/coral.toml");
    for (text, words) in [
        ("[core]\nthreads = 1\nx = [\n", "line 3"),
        ("[core]\nthreads = \"many\"\n", "`core.threads` cannot be `many`"),
    ] {
        fs::write(&file, text).expect("write");
        for verb in
            [&["log"][..], &["status"], &["config", "list"], &["config", "get", "user.name"], &["branch"]]
        {
            let ran = bench.coral(verb).succeeds();
            assert!(verb[0] == "config" || ran.stderr.contains(words), "{verb:?}: {ran:?}");
        }
        bench
            .coral(&["commit", "--allow-empty", "-m", "x"])
            .fails(1, &[words, "`coral config edit`", "coral.toml"]);
        bench.coral(&["branch", "dev"]).fails(1, &[words]);
        bench.coral(&["config", "validate"]).fails(1, &[words, "coral.toml"]);
    }
    bench.coral(&["config", "unset", "core.threads"]).succeeds();
    bench.coral(&["commit", "--allow-empty", "-m", "x"]).succeeds();
    bench.coral(&["config", "set", "core.threads", "-1"]).fails(1, &["from 0 to 1024"]);
    let mut command = bench.command(&bench.path("repo"), &["log"]);
    command.env("CORAL_CORE_THREADS", "many");
    bench.run(command).fails(0, &["in the environment"]);
}

#[test]
fn an_editor_changes_settings_and_hears_what_does_not_hold() {
    let bench = Workbench::new();
    let edit = |script: &str| {
        let mut command = bench.command(&bench.path("repo"), &["config", "edit"]);
        command.env("CORAL_EDITOR", script).env("PATH", "/usr/bin:/bin");
        bench.run(command)
    };
    edit("printf '[user]\\nname = \"Ada\"\\n' >").succeeds();
    assert_eq!(bench.coral(&["config", "get", "user.name"]).succeeds().stdout, "Ada\n");
    let origin = bench.coral(&["config", "list", "--origin"]).succeeds().stdout;
    assert!(origin.lines().any(|line| line.contains("user.name") && line.contains("coral.toml")), "{origin}");
    edit("printf '[user]\\nname = [\\n' >").fails(1, &["line 2", "`coral config edit` opens it again"]);
    bench.coral(&["config", "edit"]).fails(2, &["no editor", "coral.toml"]);
}

#[test]
fn a_file_of_settings_of_the_original_is_put_into_the_words_of_today() {
    let bench = Workbench::new();
    let file = bench.path("repo/.coral/coral.toml");
    fs::write(
        &file,
        "[core]\ncompression_level = 9\nsimilarity_threshold = 0.98\n[delta]\nquantization_bits = 8\n",
    )
    .expect("write");
    let told = bench.coral(&["config", "migrate"]).succeeds().stdout;
    for words in [
        "core.compression_level = max (was 9)",
        "delta.quantization_bits is gone: nothing is stored with a loss",
    ] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    bench.coral(&["config", "validate"]).succeeds();
    assert!(bench.coral(&["config", "migrate"]).succeeds().stdout.contains("nothing in"));
    bench
        .coral(&["config", "set", "lsh.seed", "1"])
        .fails(1, &["of the original Coral", "`core.delta_encoding`"]);
}

#[test]
fn names_with_two_meanings_are_told() {
    let bench = Workbench::new();
    let first = bench.commit("a", b"1", "first");
    bench.coral(&["tag", "dev", "HEAD"]).succeeds();
    bench.commit("a", b"2", "second");
    bench.coral(&["branch", "dev"]).fails(0, &["`dev` is ambiguous", "`tags/dev`"]);
    bench.coral(&["log", "dev"]).fails(0, &["`tags/dev`"]);
    let shown = bench.coral(&["show", "dev"]).fails(0, &["ambiguous"]);
    assert!(shown.stdout.starts_with("commit"), "the branch is meant: {shown:?}");
    bench.coral(&["branch", &first[..10]]).fails(0, &["ambiguous", &first]);
    assert_eq!(bench.coral(&["log", "main"]).succeeds().stderr, "");
}

#[test]
fn what_is_around_the_repository_needs_a_place_of_its_own() {
    let bench = Workbench::new();
    fs::write(bench.path("beside"), b"1").expect("write");
    bench.coral(&["add", ".."]).fails(2, &["is around the repository", "`--to DIR`"]);
    bench.coral(&["add", "../beside"]).succeeds();
}

#[test]
fn dates_come_from_where_programs_say_them() {
    let bench = Workbench::new();
    bench.write("a", b"1");
    bench.coral(&["add", "a"]).succeeds();
    let mut command = bench.command(&bench.path("repo"), &["commit", "-s", "-m", "dated"]);
    command
        .env("CORAL_AUTHOR_DATE", "2020-01-02 03:04")
        .env("SOURCE_DATE_EPOCH", "1500000000")
        .env("TZ", "UTC");
    bench.run(command).succeeds();
    let shown = bench.coral(&["--json", "show"]).json();
    assert_eq!(shown["author"]["time"], "2020-01-02T03:04:00+00:00");
    assert_eq!(shown["committer"]["time"], "2017-07-14T02:40:00+00:00");
    assert_eq!(shown["refs"][0], serde_json::json!({ "kind": "branch", "name": "main" }));
    assert_eq!(shown["message"], "dated\n\nSigned-off-by: Anonymous <>");
    let mut command = bench.command(&bench.path("repo"), &["commit", "--allow-empty", "-m", "x"]);
    command.env("CORAL_COMMITTER_DATE", "no date");
    bench.run(command).fails(1, &["no date"]);
}

#[test]
fn what_git_users_type_is_meant_or_explained() {
    let bench = Workbench::new();
    bench.commit("d/a", b"1", "first");
    for (typed, words) in [
        (&["stauts"][..], "`status`?"),
        (&["lgo"], "did you mean `log`?"),
        (&["tga"], "did you mean `tag`?"),
        (&["ci"], "did you mean `commit`?"),
        (&["st"], "did you mean `status`?"),
        (&["xyzzy"], "`coral help` lists"),
        (&["log", "--onelin"], "did you mean `--oneline`?"),
        (&["restore"], "`coral restore --all`"),
        (&["restore", "--staged", "d/a"], "there is no index"),
        (&["switch", "-C", "."], "`coral switch -B NAME`"),
        (&["tag", "v1", "--metric", "loss=nan"], "no finite number"),
        (&["commit", "-m", "x", "-d", "a=1", "-d", "a=2"], "given twice"),
    ] {
        bench.coral(typed).fails(2, &[words]);
    }
    assert_eq!(bench.coral(&["ls", "d"]).succeeds().stdout, "a\n");
    assert_eq!(bench.coral(&["ls", "main", "d"]).succeeds().stdout, "a\n");
    bench.coral(&["ls", "nowhere"]).fails(1, &["unknown revision"]);
    bench.coral(&["tag", "v1", "HEAD"]).succeeds();
    bench.coral(&["tag", "v2", "HEAD"]).succeeds();
    assert_eq!(bench.coral(&["tag", "-l", "*2"]).succeeds().stdout.lines().count(), 1);
    assert_eq!(bench.coral(&["tag", "--contains", "HEAD"]).succeeds().stdout.lines().count(), 2);
    assert_eq!(bench.coral(&["branch", "-r"]).succeeds().stdout, "");
    bench.coral(&["branch", "--sort=-committerdate"]).succeeds();
    bench.coral(&["tag", "-D", "v1", "v2"]).succeeds();
    let mut command = bench.command(&bench.path(""), &["log", "--oneline"]);
    command.env("CORAL_DIR", bench.path("repo"));
    assert!(bench.run(command).succeeds().stdout.contains("first"));
}

#[test]
fn files_help_and_the_version_are_objects_too() {
    let bench = Workbench::new();
    bench.commit("a", b"text", "first");
    assert_eq!(bench.coral(&["--json", "cat", "HEAD:a"]).json()["text"], "text");
    bench.commit("b", b"\xff\x00", "second");
    assert_eq!(bench.coral(&["--json", "cat", "HEAD:b"]).json()["hex"], "ff00");
    assert_eq!(bench.coral(&["--version", "--json"]).json()["schema"], "coral.version/1");
    assert!(
        bench.coral(&["help", "log", "--json"]).json()["text"]
            .as_str()
            .is_some_and(|text| text.contains("oneline"))
    );
    bench.coral(&["switch", "--detach", "HEAD"]).succeeds();
    let status = bench.coral(&["--json", "status"]).json();
    assert!(
        status["branch"].is_null() && status["detached"].is_string() && status["changes"].is_array(),
        "{status}"
    );
}
