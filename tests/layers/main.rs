//! Holds the graph of the rooms and the seals of third-party crates: a module imports only from layers below its own,
//! also inside of a room; no files import each other in a circle; some crates are known to one room only; and no type has
//! too many methods.

mod graph;
mod pages;

use graph::{graph, library, methods, module_of, paths, resolve, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Layers of modules, lowest first. Those of one layer do not know each other.
type Layers = &'static [&'static [&'static str]];

/// The rooms (no folder), and the rooms inside of rooms.
const ORDERS: &[(&str, Layers)] = &[
    (
        "",
        &[
            &["id", "units", "quote", "wire", "random", "config", "threads", "task"],
            &["tensor", "daemons"],
            &["format"],
            &["codec", "similarity", "recipe", "formula", "disk"],
            &["plain", "store"],
            &["history"],
            &["soup", "checkpoint", "convert"],
            &["merge"],
            &["worktree", "tensors", "compare", "report"],
            &["fs", "demo", "workspace"],
            &["cli"],
        ],
    ),
    (
        "store",
        &[
            &["object", "options", "durable"],
            &["error"],
            &["layout"],
            &["pack"],
            &["catalog"],
            &["read"],
            &["write"],
            &["care"],
            &["store"],
        ],
    ),
    (
        "fs",
        &[
            // Facts and words, and machinery that knows no node.
            &[
                "attr",
                "changes",
                "command_line",
                "errno",
                "lending",
                "limits",
                "mount_number",
                "namespace",
                "opening",
                "passthrough",
                "path_key",
                "report",
                "settings",
                "sizes",
            ],
            &[
                "completion",
                "control",
                "daemon",
                "index",
                "log",
                "owner",
                "signals",
                "unresponsive",
                "workers",
            ],
            &["asker", "fills", "history", "ingest_batch", "meter", "mount_point", "moving", "worktrees"],
            &["open_worktrees", "place", "write_back"],
            &["auto_events", "auto_status", "ingest_queue", "inode", "snapshots"],
            &["handle", "settling"],
            // What the kinds of nodes share, and they.
            &["superblock"],
            &["texts", "upkeep"],
            &["command", "node"],
            &["lanes", "numbers", "open_file"],
            // The requests, without FUSE and with it.
            &["file_system"],
            &["asked", "auto_commit", "change"],
            &["hand_over", "io", "reply"],
            &["fuse"],
            &["mount"],
        ],
    ),
];

/// A crate, and the files or folders of `src` that may know it. Every crate is here but those that any code may use:
/// `blake3`, `half` and `thiserror`.
const SEALS: &[(&str, &[&str])] = &[
    ("fuser", &["fs/"]),
    ("sled", &["store/catalog/index.rs"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("clap_mangen", &["cli/"]),
    ("zstd_safe", &["codec/"]),
    ("lz4_flex", &["codec/"]),
    ("fastcdc", &["format/"]),
    ("crc32fast", &["format/npz.rs", "convert/write.rs"]),
    ("memmap2", &["disk/"]),
    ("toml_edit", &["config.rs"]),
    ("strsim", &["config.rs", "history/suggest.rs", "cli/error.rs", "cli/habits.rs"]),
    // There is a verb of that name.
    ("similar", &["compare/lines.rs", "merge/lines.rs", "cli/args.rs", "cli/schemas.rs"]),
    ("ignore", &["workspace/ignored.rs"]),
    ("rustix", &["history/out_dir.rs"]),
    ("saphyr_parser", &["soup/yaml.rs"]),
    // Its last bits are part of what a method is.
    ("libm", &["soup/"]),
    ("ndarray", &["demo/"]),
    ("indicatif", &["cli/progress.rs"]),
    ("png", &["report/", "cli/plot.rs"]),
    ("noto_sans_mono_bitmap", &["report/png.rs"]),
    ("crossbeam_channel", &["fs/"]),
    // Dates are a matter of those who show them, and of revisions that name them.
    ("jiff", &["cli/", "fs/", "history/said_time.rs"]),
    // JSON is a matter of those who print it, and of the containers that have some.
    ("serde", &["cli/", "format/safetensors.rs", "fs/", "tensors/"]),
    ("schemars", &["cli/", "fs/", "tensors/"]),
    (
        "serde_json",
        &["checkpoint/facts.rs", "cli/", "demo/", "format/safetensors.rs", "fs/", "soup/side_files.rs"],
    ),
    ("xxhash_rust", &["store/", "similarity/", "worktree/"]),
    // Numbers of errors, and calls that nothing safer offers.
    (
        "libc",
        &[
            "threads/slice.rs",
            "daemons/",
            "disk/",
            "fs/",
            "cli/",
            "store/error.rs",
            "store/tests/",
            "history/",
            "worktree/",
        ],
    ),
    // Its pools run whatever is there while they wait: see `threads`.
    ("rayon", &[]),
];

/// The files or folders of `src` that may start threads: all work on objects is done by one crew, of the size that was
/// asked for; a mount has threads that answer the kernel, and who asks several daemons waits for all of them at once.
const THREADS: &[&str] = &["threads/", "daemons/client.rs", "fs/", "cli/mount.rs"];

#[test]
fn modules_import_only_from_layers_below() {
    let (graph, files) = (graph(), library());
    let mut broken = Vec::new();
    for (folder, layers) in ORDERS {
        let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
        for ((from, to), file) in &graph[*folder] {
            match (layer(from), layer(to)) {
                (Some(above), Some(below)) if below < above => {}
                (Some(_), Some(_)) => broken.push(format!("src/{file} imports {to}")),
                _ => broken.push(format!("src/{file} or {to} is in no layer")),
            }
        }
        for module in files.iter().map(|(file, _)| module_of(file)) {
            let inside = module.strip_prefix(&*module_of(folder)).and_then(|names| names.first());
            let in_none = inside.is_some_and(|name| layer(name).is_none());
            if in_none && !matches!(module[0].as_str(), "lib" | "main") {
                broken.push(format!("src/{} is in no layer", module.join("/")));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut broken = Vec::new();
    for (folder, edges) in graph() {
        // Whatever is left when those are taken away that import nothing, or that nothing imports, of what is left.
        let mut left: BTreeSet<&(String, String)> = edges.keys().collect();
        loop {
            let importers: BTreeSet<&String> = left.iter().map(|(from, _)| from).collect();
            let imported: BTreeSet<&String> = left.iter().map(|(_, to)| to).collect();
            let before = left.len();
            left.retain(|(from, to)| importers.contains(to) && imported.contains(from));
            if left.len() == before {
                break;
            }
        }
        if !left.is_empty() {
            broken.push(format!("src/{folder}: {left:?}"));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn sealed_crates_are_known_to_their_room_only() {
    let mut broken = Vec::new();
    for (file, code) in sources() {
        for (sealed, rooms) in SEALS {
            let named = [format!("use {sealed};"), format!("{sealed}::")];
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
        if graph::is_test(&file) || THREADS.iter().any(|room| file.starts_with(room)) {
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
        // The command line is the rim.
        if file.starts_with("cli/") || file == "main.rs" || graph::is_test(&file) {
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
        for word in ["println!", "print!(", "dbg!"]
            .into_iter()
            .filter(|word| !graph::is_test(&file) && code.contains(word))
        {
            broken.push(format!("src/{file} uses {word}"));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Methods of one type: more are several ideas, each of which wants a type of its own.
const METHODS: usize = 25;

#[test]
fn no_type_has_more_methods_than_can_be_kept_in_mind() {
    let mut counted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (file, code) in library() {
        let room = module_of(&file).swap_remove(0);
        for (name, methods) in methods(&code) {
            *counted.entry((room.clone(), name)).or_default() += methods;
        }
    }
    counted.retain(|_, methods| *methods > METHODS);
    assert_eq!(counted, BTreeMap::new());
}

#[test]
fn the_checks_above_can_fail() {
    let code = "use crate::{id, store::{Store, pack::Pack}};\nlet x = super::super::history::Repo;";
    let found = paths(code);
    assert_eq!(
        found,
        ["crate::id", "crate::store::Store", "crate::store::pack::Pack", "super::super::history::Repo"]
    );
    let module = module_of("store/pack/open.rs");
    assert_eq!(resolve(&module, &found[2]), ["store", "pack", "Pack"]);
    assert_eq!(resolve(&module, &found[3]), ["store", "history", "Repo"]);
    assert_eq!(resolve(&module_of("store/mod.rs"), "super::history"), ["history"]);
    let code = "impl<'a> Names<'a> {\n    pub(super) const fn a() {\n    }\n\n    fn b<T>() {\n        fn c() {}\n    }\n}\n\
                #[cfg(test)]\nimpl Names<'_> {\n    fn d() {}\n}\nimpl Drop for Names<'_> {\n    fn drop() {}\n}\n\
                impl<T: Fn()> State<T>\nwhere\n    T: Copy,\n{\n    pub fn e() {}\n}\n";
    assert_eq!(methods(code), [("Names".to_owned(), 2), ("State".to_owned(), 1)]);
    let graph = graph();
    assert!(graph[""].contains_key(&("history".into(), "store".into())));
    assert!(graph["store"].contains_key(&("write".into(), "read".into())));
    assert!(graph["store/pack"].contains_key(&("sealed".into(), "directory".into())));
}
