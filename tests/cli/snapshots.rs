//! What every help page and every refusal says, word for word: whoever changes a text sees it in the diff. `CORAL_SNAPSHOTS=write`
//! writes them anew.

use super::workbench::{Ran, Workbench, safetensors, weights};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// Compares a text with the file of this name.
fn compare(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots").join(name);
    if std::env::var_os("CORAL_SNAPSHOTS").is_some_and(|what| what == "write") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("written");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(text.lines()).find(|(known, line)| known != line);
    assert!(
        known == text,
        "{name}: {differs:?}; `CORAL_SNAPSHOTS=write cargo test --test cli snapshots` writes it anew"
    );
}

/// The verbs that a help page lists.
fn verbs(page: &str) -> Vec<String> {
    let list = page.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names
        .filter_map(|line| line.split(' ').next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_help_page_says_what_it_said() {
    let bench = Workbench::bare();
    let mut left = vec![Vec::<String>::new()];
    let (mut text, mut count) = (String::new(), 0);
    while let Some(verb) = left.pop() {
        let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
        arguments.push("--help");
        let page = bench.outside(&arguments).succeeds().stdout;
        writeln!(text, "===== coral {}\n{}", verb.join(" "), page.trim_end()).expect("a string");
        count += 1;
        left.extend(verbs(&page).into_iter().rev().map(|below| [verb.clone(), vec![below]].concat()));
    }
    assert!(count > 50, "only {count} pages: {text}");
    assert!(page_widths(&text).all(|width| width <= 100), "a page is wider than a terminal");
    compare("help.txt", &text);
}

fn page_widths(text: &str) -> impl Iterator<Item = usize> {
    // Names of values are not broken.
    text.lines().filter(|line| !line.trim_start().starts_with('-')).map(|line| line.chars().count())
}

#[test]
fn every_refusal_says_what_it_said() {
    let bench = Workbench::new();
    bench.coral(&["config", "set", "user.name", "Ada"]).succeeds();
    let dated = |arguments: &[&str]| -> Ran {
        let mut command = bench.command(&bench.path("repo"), arguments);
        command
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env("CORAL_AUTHOR_DATE", "@1700000000")
            .env("TZ", "UTC");
        bench.run(command)
    };
    bench.write("m.safetensors", &safetensors(&[("w", &weights(1, 50))]));
    bench.write("d/a", b"text\n");
    dated(&["add", "m.safetensors", "d"]).succeeds();
    dated(&["log"]).fails(1, &[]);
    dated(&["commit", "-m", "first"]).succeeds();
    dated(&["tag", "v1"]).succeeds();
    dated(&["branch", "dev"]).succeeds();
    let mut text = String::new();
    for line in REFUSALS {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = dated(&arguments);
        assert_ne!(ran.code, 0, "{line}: {ran:?}");
        let folder = bench.path("").to_string_lossy().into_owned();
        let said = without_ids(&ran.stderr.replace(folder.trim_end_matches('/'), "FOLDER"));
        writeln!(text, "$ coral {line}\n[{}]\n{}", ran.code, said.trim_end()).expect("a string");
    }
    compare("refusals.txt", &text);
}

/// A text with every id of a commit called one: they have the times of files in them.
fn without_ids(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let (mut said, mut run) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if is_digit(c) {
            run.push(c);
            continue;
        }
        said += if run.len() >= 10 { "ID" } else { &run };
        run.clear();
        said.push(c);
    }
    said
}

/// Command lines that mean nothing, or cannot be done.
const REFUSALS: &[&str] = &[
    "nonsense",
    "comit",
    "push",
    "rebase main",
    "remote add x y",
    "log --onelin",
    "log nowhere",
    "log HEAD~5",
    "log main@{7}",
    "log --since someday",
    "log --date someday",
    "show mian",
    "show HEAD:nowhere",
    "show HEAD:m.safetensors#x",
    "show 12",
    "cat HEAD",
    "cat HEAD:d",
    "cat HEAD:d/b",
    "ls HEAD:e",
    "diff --nonsense",
    "diff nowhere",
    "diff --stat --name-only",
    "compare HEAD nowhere",
    "blame d/b",
    "best",
    "best --metric loss",
    "commit",
    "commit -m x",
    "commit -m x -d y",
    "commit -m x -d y=1 -d y=2",
    "commit -m x --date someday",
    "commit -m x --author A>B",
    "commit -m x nowhere*",
    "commit --amend d",
    "add",
    "add nowhere",
    "add .coral",
    "add ..",
    "add --to ../up d",
    "rm nowhere",
    "rm d",
    "rm *.bin",
    "mv nowhere e",
    "mv d m.safetensors",
    "restore",
    "restore nowhere",
    "restore --staged d",
    "restore --all d",
    "reset --hard nowhere",
    "switch nowhere",
    "switch -c main",
    "switch -",
    "switch",
    "switch d/a",
    "branch a..b",
    "branch main",
    "branch main/x",
    "branch -d main",
    "branch -d nowhere",
    "branch x nowhere",
    "branch --sort size",
    "tag v1",
    "tag -d v9",
    "tag -D nowhere",
    "tag x --metric loss=low",
    "merge nowhere",
    "merge",
    "merge --continue",
    "merge a..b",
    "merge dev -s best",
    "cherry-pick nowhere",
    "cherry-pick --abort",
    "revert --continue",
    "stash pop",
    "stash drop 3",
    "notes show",
    "bisect good",
    "bisect run true",
    "undo --nonsense",
    "redo",
    "reflog nowhere",
    "export HEAD d",
    "export HEAD -",
    "convert HEAD:m.safetensors m",
    "convert HEAD:m.safetensors -",
    "convert HEAD:nope m.npz",
    "convert --dtype f8 HEAD:m.safetensors m.npz",
    "convert --dtype q8_0 HEAD:m.safetensors m.npz",
    "convert --shard-size much HEAD:m.safetensors m.npz",
    "convert --meta m HEAD:m.safetensors m.npz",
    "convert --tensors nope HEAD:m.safetensors m.npz",
    "similar nowhere",
    "lineage nowhere",
    "plot",
    "plot metrics loss",
    "plot storage -o x.gif",
    "plot weights HEAD:d/a",
    "config get core.nope",
    "config get lsh.seed",
    "config set core.threads many",
    "config set core.hooks perhaps",
    "config set --global core.hooks true",
    "config unset core.threads",
    "config edit",
    "check-ignore d",
    "completions sh",
    "init",
    "-C nowhere log",
    "umount nowhere",
];
