//! What pages say that tests hold is held by tests: each that they name is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files below a folder of the project with this extension.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the project can be listed") {
            let path = entry.expect("the project can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// The functions that a text defines.
fn functions(code: &str) -> impl Iterator<Item = &str> {
    code.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next())
}

/// What is written as code in a page and can only be the name of a test: four words and more.
fn tests_named(page: &str) -> impl Iterator<Item = &str> {
    let is_name = |code: &&str| {
        code.split('_').filter(|word| !word.is_empty()).count() >= 4
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    page.split('`').skip(1).step_by(2).filter(is_name)
}

#[test]
fn every_test_that_a_page_names_is_one() {
    let code: Vec<String> = ["src", "tests", "mount-tests"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| fs::read_to_string(path).expect("sources are text"))
        .collect();
    let known: BTreeSet<&str> = code.iter().flat_map(|code| functions(code)).collect();
    let mut named = 0;
    for page in files("docs", "md") {
        let text = fs::read_to_string(&page).expect("pages are text");
        for name in tests_named(&text) {
            assert!(known.contains(name), "{} names `{name}`, which is no test", page.display());
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
}
