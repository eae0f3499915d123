//! The sources as a graph: which module names which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below `src` with its text, by its path below `src`. Comments are left out.
pub fn sources() -> Vec<(String, String)> {
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

/// Where a file stands among the modules: `store/pack/open.rs` is `store`, `pack`, `open`; a folder
/// is a module too.
pub fn module_of(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    stem.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether a file is none of the library.
pub fn is_test(file: &str) -> bool {
    file.split(['/', '.']).any(|part| matches!(part, "tests" | "testing" | "model" | "contract"))
}

/// The code of the library: without tests.
pub fn library() -> Vec<(String, String)> {
    let files = sources().into_iter().filter(|(file, _)| !is_test(file));
    files
        .map(|(file, code)| {
            (file, code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned())
        })
        .collect()
}

/// The types that a text has methods for, as rustfmt writes them, and how many in each block; those for tests are left out.
pub fn methods(code: &str) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let (mut inside, mut before) = (false, "");
    for line in code.lines() {
        if let Some(rest) = line.strip_prefix("impl") {
            let name = inherent(rest).filter(|_| before != "#[cfg(test)]");
            inside = name.is_some();
            found.extend(name.map(|name| (name.to_owned(), 0)));
        } else if line.starts_with('}') {
            inside = false;
        }
        let is_method = line.strip_prefix("    ").is_some_and(|line| {
            let words = line.split(['(', '<']).next().unwrap_or_default();
            let line = if line.starts_with("pub(") {
                line.split_once(") ").map_or("", |(_, rest)| rest)
            } else {
                words
            };
            !line.starts_with(' ') && line.split(' ').any(|word| word == "fn")
        });
        if inside && is_method {
            found.last_mut().expect("a block began").1 += 1;
        }
        before = line;
    }
    found
}

/// The type of a block of methods, from what follows `impl`; `None` if it is of a trait.
fn inherent(rest: &str) -> Option<&str> {
    let (mut depth, mut start) = (0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !rest[..at].ends_with('-') => depth -= 1,
            ' ' if depth == 0 => {
                start = at + 1;
                break;
            }
            _ => {}
        }
    }
    let header = &rest[start..];
    let name = header.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!header.contains(" for ") && !name.is_empty()).then_some(name)
}

/// The paths that a text names from `crate` or `super` on, groups in braces taken apart.
pub fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                take_apart("", &code[at..], &mut found);
            }
        }
    }
    found
}

/// Takes the path that `rest` begins with apart, and returns how long it is.
fn take_apart(before: &str, rest: &str, found: &mut Vec<String>) -> usize {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
    let path = format!("{before}{}", &rest[..end]);
    if !path.ends_with("::") || !rest[end..].starts_with('{') {
        found.push(path);
        return end;
    }
    let mut at = end + 1;
    while let Some(next) = rest[at..].chars().next()
        && next != '}'
    {
        at += if next.is_alphanumeric() || next == '_' {
            take_apart(&path, &rest[at..], found)
        } else {
            next.len_utf8()
        };
    }
    at + 1
}

/// A path from the top, as seen from a module.
pub fn resolve(module: &[String], path: &str) -> Vec<String> {
    let names: Vec<&str> = path.split("::").filter(|name| !name.is_empty()).collect();
    let up = names.iter().take_while(|name| **name == "super").count();
    let base = if names[0] == "crate" { &[] } else { &module[..module.len().saturating_sub(up)] };
    let down = names.iter().skip(up.max(1)).map(|name| (*name).to_owned());
    base.iter().cloned().chain(down).collect()
}

/// Which file of a folder a name stands for that its table of contents shows.
fn shown(files: &[(String, String)]) -> BTreeMap<Vec<String>, String> {
    let mut shown = BTreeMap::new();
    for (file, code) in files {
        for (at, _) in code.match_indices("pub use ") {
            let mut found = Vec::new();
            take_apart("", &code[at + "pub use ".len()..], &mut found);
            for path in found {
                if let Some((child, name)) = path.split_once("::") {
                    let name = [module_of(file), vec![name.to_owned()]].concat();
                    shown.insert(name, child.to_owned());
                }
            }
        }
    }
    shown
}

/// For each folder, which of its modules imports which other, and a file that does.
pub type Graph = BTreeMap<String, BTreeMap<(String, String), String>>;

pub fn graph() -> Graph {
    let files = library();
    let shown = shown(&files);
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(file, _)| module_of(file)).collect();
    let mut graph = Graph::new();
    for (file, code) in &files {
        let module = module_of(file);
        for path in paths(code) {
            let target = resolve(&module, &path);
            let common = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(_)) = (module.get(common), target.get(common)) else { continue };
            let named = &target[..=common];
            let to = match (modules.contains(named), shown.get(named)) {
                (true, _) => &target[common],
                (false, Some(child)) => child,
                (false, None) => continue,
            };
            if from != to && !matches!(from.as_str(), "lib" | "main") {
                let edges = graph.entry(module[..common].join("/")).or_default();
                edges.insert((from.clone(), to.clone()), file.clone());
            }
        }
    }
    graph
}
