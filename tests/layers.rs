//! Holds the graph of the layers and the seals of third-party crates: a module imports only from layers below its own,
//! and some crates are known to one room only.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. Modules of one layer do not know each other, except where a layer lists them in order.
const LAYERS: &[&[&str]] = &[
    &["id", "units", "quote", "wire", "random", "config", "threads"],
    &["tensor"],
    &["format"],
    &["codec", "similarity", "recipe", "disk"],
    &["store"],
    &["repo"],
    &["fs", "demo"],
    &["cli"],
];

/// A crate, and the files or folders of `src` that may know it.
const SEALS: &[(&str, &[&str])] = &[
    ("fuser", &["fs/"]),
    ("sled", &["store/index.rs"]),
    ("clap", &["cli/"]),
    ("zstd_safe", &["codec/", "store/"]),
    ("lz4_flex", &["codec/", "store/"]),
    ("fastcdc", &["format/"]),
    ("memmap2", &["disk/"]),
    ("toml_edit", &["config.rs"]),
    ("rustix", &["repo/out_dir.rs"]),
    ("ndarray", &["demo/", "codec/", "tensor/"]),
    ("crossbeam_channel", &["fs/"]),
    // Its pools run whatever is there while they wait: see `threads`.
    ("rayon", &[]),
];

/// The files or folders of `src` that may start threads: all work on objects is done by one crew, of the size that was
/// asked for; a mount has threads that answer the kernel.
const THREADS: &[&str] = &["threads/", "fs/", "cli/mount.rs"];

/// Every Rust file below `src` with its text, by its path below `src`. Comments are left out.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be listed") {
            let path: PathBuf = entry.expect("src can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are text");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let below = path.strip_prefix(&root).expect("below src");
                files.push((below.display().to_string(), code.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    files
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top-level modules that a text names as `crate::module`, also in braces.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let end = name.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = name.trim();
            found.push(name[..end.unwrap_or(name.len())].to_owned());
        }
    }
    found
}

#[test]
fn modules_import_only_from_layers_below() {
    let mut broken = Vec::new();
    for (file, code) in sources() {
        let module = file.split(['/', '.']).next().unwrap_or_default();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let layer = layer_of(module).unwrap_or_else(|| panic!("src/{file} is in no layer"));
        for import in imports(&code) {
            if import == module {
                continue;
            }
            match layer_of(&import) {
                Some(below) if below < layer => {}
                Some(_) => broken.push(format!("src/{file} imports {import}")),
                None => broken.push(format!("src/{file} imports {import}, which is in no layer")),
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn sealed_crates_are_known_to_their_room_only() {
    let mut broken = Vec::new();
    for (file, code) in sources() {
        for (sealed, rooms) in SEALS {
            let named = [format!("use {sealed}"), format!("{sealed}::")];
            let known = named.iter().any(|name| {
                code.match_indices(name.as_str()).any(|(at, _)| {
                    let before = code[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                })
            });
            if known && !rooms.iter().any(|room| file.starts_with(room)) {
                broken.push(format!("src/{file} knows {sealed}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn threads_are_started_in_few_places_and_nothing_is_installed_in_a_pool() {
    let starts = ["thread::spawn", "thread::Builder", "thread::scope", "use std::thread::{", ".install("];
    let mut broken = Vec::new();
    for (file, code) in sources() {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        // Tests are none of the library.
        if file.contains("test")
            || file == "disk/contract.rs"
            || THREADS.iter().any(|room| file.starts_with(room))
        {
            continue;
        }
        broken.extend(
            starts
                .iter()
                .filter(|start| code.contains(**start))
                .map(|start| format!("src/{file} has {start}")),
        );
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_library_does_not_print_exit_or_read_its_surroundings() {
    let forbidden =
        ["println!", "eprintln!", "print!(", "process::exit", "env::var", "SystemTime::now", "dbg!"];
    let mut broken = Vec::new();
    for (file, code) in sources() {
        // The command line is the rim; a folder of tests is none of the library.
        if file.starts_with("cli/") || file == "main.rs" || file.contains("test") {
            continue;
        }
        let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        for word in forbidden {
            if code.contains(word) {
                broken.push(format!("src/{file} uses {word}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// The macros that print panic when nobody reads: a command, or a thread of a daemon, would die of a closed pipe.
#[test]
fn nothing_prints_by_a_macro_that_panics() {
    let mut broken = Vec::new();
    for (file, code) in sources() {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let tests = file.contains("tests/") || file.ends_with("tests.rs");
        for word in ["println!", "print!(", "dbg!"].into_iter().filter(|word| !tests && code.contains(word)) {
            broken.push(format!("src/{file} uses {word}"));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_checks_above_can_fail() {
    assert_eq!(
        imports("use crate::{id, store::Store};\nlet x = crate::repo::Repo;"),
        ["id", "store", "repo"]
    );
    assert!(layer_of("store") < layer_of("repo"));
    assert_eq!(layer_of("nowhere"), None);
}
