//! What every command prints with `--json` is what docs/json says of it.

use super::described::{Described, FOLDER};
use super::workbench::{Ran, Workbench, safetensors, weights};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// What is described and is no command.
const NO_COMMANDS: [&str; 6] = ["error", "help", "hook", "mount-stats", "mount-tensor", "version"];
/// Commands whose success needs FUSE, which the tests of the mount have.
const OF_MOUNTS: [&str; 2] = ["mount", "umount"];

#[test]
fn the_descriptions_say_what_the_program_says() {
    let bench = Workbench::bare();
    bench.outside(&["reference", "--schemas", "schemas"]).succeeds();
    let read = |folder: &std::path::Path| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file"));
        let mut all: Vec<_> = entries
            .map(|entry| (entry.file_name(), fs::read_to_string(entry.path()).expect("a description")))
            .collect();
        all.sort();
        all
    };
    let same = read(&bench.path("schemas")) == read(FOLDER.as_ref());
    assert!(same, "`coral reference --schemas docs/json` writes them anew");
}

/// Runs commands, and remembers which were checked.
struct Checker {
    bench: Workbench,
    described: Described,
    succeeded: BTreeSet<String>,
    refused: BTreeSet<String>,
}

impl Checker {
    fn new() -> Self {
        let (succeeded, refused) = (BTreeSet::new(), BTreeSet::new());
        Self { bench: Workbench::new(), described: Described::read(), succeeded, refused }
    }

    /// Runs a command that prints an object as it is described, and ends with this code.
    fn prints(&mut self, code: i32, words: &str) -> Value {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = self.bench.coral(&[&["--json"], &words[..]].concat());
        self.told(&words, code, &ran)
    }

    fn told(&mut self, words: &[&str], code: i32, ran: &Ran) -> Value {
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
        let said: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let name = words[0].trim_start_matches('-');
        assert_eq!(said["schema"], format!("coral.{name}/1"), "{words:?}");
        self.described.check(name, &said);
        self.succeeded.insert(name.to_owned());
        said
    }

    /// Runs one that succeeds.
    fn ok(&mut self, words: &str) -> Value {
        self.prints(0, words)
    }

    /// Runs a command that fails, with this code.
    fn no(&mut self, code: i32, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = self.bench.coral(&[&["--json"], &words[..]].concat()).fails(code, &["error: "]);
        let said: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((&said["schema"], &said["error"]["exit_code"]), (&"coral.error/1".into(), &code.into()));
        self.described.check("error", &said);
        self.refused.insert(words[0].to_owned());
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        self.bench.write(name, bytes);
    }

    fn commit(&mut self, message: &str) -> Value {
        self.ok("add .");
        self.ok(&format!("commit -m {message}"))["commit"].clone()
    }

    /// The commands of which nothing was checked.
    fn missing(&self, done: &BTreeSet<String>, but: &[&str]) -> Vec<&str> {
        let names = self.described.0.keys().map(String::as_str);
        names.filter(|name| !but.contains(name) && !done.contains(*name)).collect()
    }
}

/// A model of a few tensors, one of which is full of what is no finite number.
fn model(seed: u64) -> Vec<u8> {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let (one, two) = (weights(seed, 4096), weights(7, 4096));
    safetensors(&[("layers.0.w", &one), ("layers.1.w", &two), ("odd", &odd), ("empty", &[])])
}

#[test]
fn every_command_prints_what_is_described() {
    let mut all = Checker::new();
    before_the_first_commit(&mut all);
    saving(&mut all);
    looking(&mut all);
    comparing(&mut all);
    naming(&mut all);
    merging(&mut all);
    taking_back(&mut all);
    searching(&mut all);
    caring(&mut all);
    settings(&mut all);
    beside_repositories(&mut all);
    let without = [&NO_COMMANDS[..], &OF_MOUNTS].concat();
    assert_eq!(all.missing(&all.succeeded, &without), Vec::<&str>::new(), "these need a success here");
    // Whatever is not refused for a reason of its own is so for what means nothing.
    for name in all.missing(&all.refused, &NO_COMMANDS).into_iter().map(str::to_owned).collect::<Vec<_>>() {
        all.no(2, &format!("{name} --nonsense"));
    }
    assert_eq!(all.missing(&all.refused, &NO_COMMANDS), Vec::<&str>::new());
}

fn before_the_first_commit(all: &mut Checker) {
    for words in ["status", "branch", "tag", "stash list", "notes", "op log", "diff"] {
        all.ok(words);
    }
    for words in
        ["log", "show", "commit -m nothing", "add nope", "undo", "redo", "stash", "reflog nope", "ls"]
    {
        all.no(1, words);
    }
    all.no(1, "init .");
}

fn saving(all: &mut Checker) {
    all.write("m.safetensors", &model(1));
    all.write("text.txt", b"one\ntwo\n");
    all.write("d/bytes", b"\xff\x00\xfe");
    std::os::unix::fs::symlink("text.txt", all.bench.path("repo/link")).expect("a link");
    fs::write(all.bench.path("repo").join(OsStr::from_bytes(b"bad\xff")), "bad").expect("write");
    all.ok("add .");
    all.ok("status");
    all.ok("commit --dry-run");
    all.ok("commit -m first -d loss=0.5 -d step=1");
    all.ok("status");
    all.ok("commit --allow-empty -m second -d loss=0.25 -d odd=nan");
    all.ok("rm text.txt");
    all.ok("restore text.txt");
    all.ok("mv text.txt d/text.txt");
    all.ok("mv -n d/text.txt text.txt");
    all.ok("restore --all");
    all.write("new.txt", b"new");
    all.ok("add new.txt");
    all.ok("clean");
    all.ok("stash push -m aside");
    all.ok("stash list");
    all.ok("stash show");
    all.ok("stash apply");
    all.ok("clean -f");
    all.ok("stash pop");
    all.ok("stash");
    all.ok("stash drop");
    for words in ["rm nope", "mv nope other", "restore nope", "stash show"] {
        all.no(1, words);
    }
    all.no(2, "restore");
}

fn looking(all: &mut Checker) {
    all.ok("tag v1 -m described --metric loss=0.5");
    for words in [
        "log",
        "log --name-only",
        "log -n 1",
        "log --reverse --stat",
        "show",
        "show v1",
        "show HEAD:",
        "show HEAD:d/bytes",
        "show HEAD:link",
        "show HEAD:m.safetensors",
        "show HEAD:m.safetensors#*",
        "show layers.0.w",
        "show HEAD v1 HEAD:link HEAD:d HEAD:m.safetensors layers.1.w",
        "show :m.safetensors",
        "ls",
        "ls -r -l",
        "ls :",
        "ls HEAD:m.safetensors",
        "cat HEAD:text.txt",
        "cat HEAD:d/bytes",
        "cat HEAD:text.txt HEAD:d/bytes",
        "blame m.safetensors",
        "blame text.txt",
        "reflog",
        "reflog main",
        "best --metric loss",
        "best -m loss --mode max -n 5",
        "export HEAD ../out",
        "convert HEAD:m.safetensors ../m.npz",
        "plot storage",
        "plot weights HEAD:m.safetensors#layers.0.w",
        "plot metrics loss",
        "plot metrics loss -o ../loss.svg",
        "watch --initial -n 1",
        "stats",
    ] {
        all.ok(words);
    }
    let log = all.ok("log --name-only");
    assert!(log.to_string().contains("\"path_hex\":\"626164ff\""), "{log}");
    let numbers = all.ok("show HEAD:m.safetensors#odd");
    assert_eq!(numbers["tensors"][0]["statistics"]["nan"], 2);
    for words in [
        "log nope",
        "show nope",
        "show HEAD:nope",
        "show HEAD:m.safetensors#nope",
        "ls nope",
        "cat HEAD:nope",
        "blame nope",
        "best -m nope",
        "export nope ../nope",
        "convert HEAD:nope ../nope.npz",
        "plot metrics nope",
        "similar nope",
        "lineage nope",
    ] {
        all.no(1, words);
    }
    all.no(2, "cat text.txt");
    all.no(2, "cat HEAD:d");
}

fn comparing(all: &mut Checker) {
    all.write("m.safetensors", &model(2));
    all.write("text.txt", b"one\n2\nthree\n");
    all.ok("add m.safetensors text.txt");
    all.ok("mv d/bytes moved");
    all.ok("rm link");
    for words in ["status", "diff", "diff --name-only", "diff --histogram", "diff -R HEAD"] {
        all.ok(words);
    }
    all.prints(1, "diff --exit-code");
    all.prints(1, "diff -q");
    all.ok("commit -m third");
    let diff = all.ok("diff HEAD~1 HEAD");
    let odd = diff.to_string();
    assert!(odd.contains("\"renamed\"") && odd.contains("\"lines_added\""), "{odd}");
    for words in [
        "compare HEAD~1",
        "compare HEAD~1:m.safetensors HEAD:m.safetensors",
        "plot changes HEAD~1 HEAD",
        "similar HEAD:m.safetensors",
        "similar layers.1.w",
        "lineage HEAD:m.safetensors",
        "show HEAD",
    ] {
        all.ok(words);
    }
    all.no(3, "diff --exit-code nope");
    all.no(1, "diff nope");
    all.no(1, "compare nope");
}

fn naming(all: &mut Checker) {
    for words in [
        "branch dev",
        "branch",
        "branch -c dev copy",
        "branch -m copy renamed",
        "branch -f renamed HEAD~1",
        "branch -d renamed",
        "branch one",
        "branch two",
        "branch -D one two",
        "branch --show-current",
        "branch --merged",
        "switch -c side",
        "switch -",
        "switch --detach HEAD~1",
        "status",
        "branch",
        "switch main",
        "tag",
        "tag v2",
        "tag -f v2 HEAD~1",
        "tag -D v2",
        "tag a",
        "tag b",
        "tag -D a b",
        "notes add -m said",
        "notes show",
        "notes",
        "notes remove",
    ] {
        all.ok(words);
    }
    for words in ["branch dev", "branch -d main", "switch nope", "tag v1", "tag -D nope", "notes show"] {
        all.no(1, words);
    }
}

fn merging(all: &mut Checker) {
    all.ok("switch dev");
    all.write("text.txt", b"theirs\n");
    all.write("m.safetensors", &model(3));
    let theirs = all.commit("theirs");
    let theirs = theirs.as_str().expect("an id").to_owned();
    all.ok("switch main");
    all.write("text.txt", b"ours\n");
    all.write("m.safetensors", &model(4));
    all.commit("ours");
    all.no(1, "merge nope");
    all.no(1, "merge --continue");
    all.prints(1, "merge dev");
    all.ok("status");
    all.no(1, "commit -m no");
    all.no(1, "soup --continue");
    all.ok("switch --ours m.safetensors -- text.txt");
    all.ok("restore -s dev text.txt");
    all.ok("merge --abort");
    all.prints(1, "merge -s fail dev");
    all.ok("merge -s ours dev");
    all.ok("merge dev");
    all.ok("switch side");
    all.ok("merge --ff-only dev~1");
    all.ok("merge --no-commit --no-ff dev");
    all.ok("merge --quit");
    all.ok("restore --all");
    all.ok("cherry-pick dev");
    all.ok("revert HEAD");
    all.ok("revert -n HEAD");
    all.ok("revert --abort");
    all.prints(1, &format!("cherry-pick main~1 {theirs}"));
    all.ok("cherry-pick --quit");
    all.ok("reset --hard HEAD");
    all.no(1, "cherry-pick nope");
    all.no(1, "revert nope");
    all.ok("soup dev main --method linear --dry-run");
    all.ok("soup dev main --method slerp --t 0.5");
    all.no(1, "soup nope main --method linear");
    all.no(2, "soup main");
    all.ok("switch main");
    all.ok("switch HEAD -- text.txt");
}

fn taking_back(all: &mut Checker) {
    all.ok("op log");
    all.ok("undo");
    all.ok("redo");
    all.ok("reset HEAD~1");
    all.ok("reset --hard HEAD");
    all.ok("undo");
    all.no(1, "reset nope");
    all.no(2, "op nope");
}

fn searching(all: &mut Checker) {
    for message in ["four", "five", "six"] {
        all.write("count", message.as_bytes());
        all.commit(message);
    }
    all.no(1, "bisect good");
    for words in
        ["bisect start", "bisect bad HEAD", "bisect good HEAD~3", "bisect log", "bisect skip", "bisect good"]
    {
        all.ok(words);
    }
    all.ok("bisect reset");
    all.ok("bisect start HEAD HEAD~3");
    let found = all.ok("bisect run true");
    assert_eq!(found["state"], "found");
    all.ok("bisect reset");
    all.ok("bisect start HEAD HEAD~3");
    let found = all.ok("bisect run sh -c false");
    assert_eq!(found["state"], "found");
    all.ok("bisect reset");
    all.ok("bisect start HEAD HEAD~3");
    let several = all.prints(2, "bisect run sh -c exit\t125");
    assert_eq!(several["state"], "one_of");
    all.ok("bisect reset");
}

fn caring(all: &mut Checker) {
    all.ok("drain");
    all.ok("prefetch HEAD");
    all.no(1, "prefetch nope");
    all.ok("repack --level fast");
    all.ok("repack");
    all.ok("fsck");
    all.ok("fsck --full --rebuild");
    all.ok("verify HEAD main");
    all.no(1, "verify nope");
    all.ok("manifest");
    all.ok("manifest HEAD:d --sha256sum");
    all.no(2, "manifest HEAD:text.txt");
    all.write(".coralignore", b"*.log\n");
    all.ok("check-ignore a.log .git");
    all.prints(1, "check-ignore text.txt");
    all.write(".coralattributes", b"*.safetensors level=max base=main:\n*.log -delta\n");
    all.ok("add .coralattributes");
    all.ok("check-attr m.safetensors a.log");
    all.prints(1, "check-attr text.txt");
    all.no(3, "check-attr -B nope a.log");
    let packs = fs::read_dir(all.bench.path("repo/.coral/packs")).expect("packs");
    let pack = packs
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension() == Some(OsStr::new("cpk")));
    let pack = pack.expect("a pack");
    let whole = fs::read(&pack).expect("read");
    fs::write(&pack, &whole[..whole.len() / 2]).expect("write");
    all.prints(4, "fsck");
    all.prints(4, "fsck --rebuild");
    fs::write(&pack, whole).expect("write");
    all.ok("stats");
}

fn settings(all: &mut Checker) {
    for words in [
        "config list",
        "config list --origin",
        "config get user.name",
        "config set alias.last log",
        "config show",
        "config set user.name Ada",
        "config unset user.name",
        "config validate",
        "config migrate",
    ] {
        all.ok(words);
    }
    fs::write(all.bench.path("repo/.coral/coral.toml"), "[core]\ncompression_level = 3\nnope = 1\n")
        .expect("write");
    all.ok("config migrate");
    all.no(1, "config validate");
    all.no(1, "config get core.nope");
    fs::remove_file(all.bench.path("repo/.coral/coral.toml")).expect("a file");
    let mut edit = all.bench.command(&all.bench.path("repo"), &["--json", "config", "edit"]);
    edit.env("CORAL_EDITOR", "true").env("PATH", "/usr/bin:/bin");
    let ran = all.bench.run(edit);
    all.told(&["config"], 0, &ran);
}

fn beside_repositories(all: &mut Checker) {
    for words in ["init ../other", "mounts", "completions bash", "man ../man", "workflows", "reference"] {
        all.ok(words);
    }
    all.ok("reference --schemas ../schemas");
    all.ok("demo --save ../run --checkpoints 1 --hidden 8");
    all.no(1, "mount ../nowhere ../mnt");
    all.no(1, "umount ../nothing");
    all.no(2, "nonsense");
    let help = all.bench.coral(&["help", "log", "--json"]).succeeds();
    all.told(&["help"], 0, &help);
    all.ok("--version");
    // A name of the disk may be no text.
    let mut init = all.bench.command(&all.bench.path(""), &["--json", "init"]);
    init.arg(OsStr::from_bytes(b"bad\xff"));
    let ran = all.bench.run(init);
    all.told(&["init"], 0, &ran);
}
