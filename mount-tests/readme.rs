//! The README, typed literally.

use std::path::PathBuf;

use crate::python::packages;
use crate::stage::{Missing, Stage, coral};

/// The blocks of code in the part of the README that this heading opens: language and text of each.
fn blocks(heading: &str) -> Vec<(String, String)> {
    let readme = include_str!("../README.md");
    let (_, part) = readme.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let part = part.split("\n## ").next().expect("a part");
    let mut pieces = part.split("```").skip(1).step_by(2);
    pieces
        .by_ref()
        .map(|block| block.split_once('\n').expect("a language"))
        .map(|(language, text)| (language.to_owned(), text.to_owned()))
        .collect()
}

/// All that is to be typed, in one shell, in an empty folder; Python with `-`, where it has what it imports.
fn script(python: Option<&PathBuf>) -> String {
    let typed =
        blocks("Five minutes").into_iter().map(|(language, text)| match (language.as_str(), python) {
            ("sh", _) => text,
            ("python", Some(packages)) => {
                format!("PYTHONPATH='{}' python3 -B - <<'END'\n{text}END\n", packages.display())
            }
            ("python", None) => String::new(),
            other => panic!("nobody knows how to type {other:?}"),
        });
    typed.collect()
}

fn type_it(python: Option<&PathBuf>) -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    let folder = stage.path("clean");
    std::fs::create_dir(&folder).expect("a scratch folder");
    // Whatever happens, nothing stays mounted.
    stage.mounts_itself("clean/weights");
    let own = std::path::Path::new(coral()).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = stage.program("sh", &folder);
    let ran = stage.run(shell.env("PATH", path).args(["-euc", &script(python)])).succeeds();
    let said = ran.text();
    for result in ["step 40", "model.safetensors", "every byte checked", "unmounted"] {
        assert!(said.contains(result), "no `{result}` in {ran}");
    }
    for file in ["plain/model.safetensors", "run/checkpoint-60/model.safetensors"] {
        assert!(folder.join(file).exists(), "{file} is missing after {ran}");
    }
    assert_eq!(folder.join("weights").read_dir().expect("a folder").count(), 0, "it stays mounted: {ran}");
    Ok(())
}

pub fn the_demo_tells_its_story_and_leaves_nothing_behind() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    let mut demo = stage.program(coral(), &stage.path(""));
    let small = ["demo", "--checkpoints", "2", "--hidden", "32", "--steps", "2"];
    let ran = stage.run(demo.args(small).env("TMPDIR", stage.path(""))).succeeds();
    let said = ran.text();
    for step in [
        "a base: ",
        "step 8 ",
        "a fine-tune of it",
        "step 12 ",
        "with a frozen backbone",
        "is committed, and taken back in ",
        "'shape': (512, 32)",
        "4 checkpoints, ",
        ": every byte is equal",
        "x smaller)",
    ] {
        assert!(said.contains(step), "no `{step}` in {ran}");
    }
    let left = stage.sh("ls -d coral-demo-* 2> none || true").succeeds().text();
    assert_eq!(left, "", "{ran}");
    Ok(())
}

pub fn five_minutes_are_as_the_readme_says() -> Result<(), Missing> {
    type_it(None)
}

pub fn five_minutes_with_python_are_as_the_readme_says() -> Result<(), Missing> {
    type_it(Some(&packages()?))
}
