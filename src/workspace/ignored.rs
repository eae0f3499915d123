//! What is left out of folders that are added: what `.coralignore` files say, as git's `.gitignore` do, and what no model has.
//!
//! The file in the nearest folder wins. What is named itself is taken in any case.

use crate::worktree::Ignores;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the files.
pub const IGNORE_FILE: &str = ".coralignore";

/// Left out everywhere unless a file says otherwise: other programs' own folders, and what is not whole yet.
const BUILT_IN: [&str; 6] = [".git/", ".hg/", ".svn/", "__pycache__/", "*.incomplete", ".ipynb_checkpoints/"];

/// The rules that hold below a folder.
#[derive(Debug)]
pub struct Ignored {
    /// Nothing above it says anything.
    top: PathBuf,
    built_in: Gitignore,
    files: Mutex<HashMap<PathBuf, Option<Arc<Gitignore>>>>,
}

/// Why a path is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The file that says so; `None` for what is left out everywhere.
    pub file: Option<PathBuf>,
    /// The pattern.
    pub pattern: String,
}

impl Ignored {
    /// The rules below a folder.
    pub fn below(top: &Path) -> Self {
        let mut builder = GitignoreBuilder::new(top);
        for pattern in BUILT_IN {
            // They are valid, and one that was not would leave out nothing.
            let _ = builder.add_line(None, pattern);
        }
        let built_in = builder.build().unwrap_or_else(|_| Gitignore::empty());
        Self { top: top.to_owned(), built_in, files: Mutex::default() }
    }

    /// Why a path is left out; `None` if it is not. A folder that is left out takes everything in it along.
    pub fn reason(&self, path: &Path, is_dir: bool) -> Option<Reason> {
        let folders: Vec<&Path> =
            path.ancestors().skip(1).take_while(|above| above.starts_with(&self.top)).collect();
        let above = folders.iter().rev().skip(1).find_map(|folder| self.own_reason(folder, true));
        above.or_else(|| self.own_reason(path, is_dir))
    }

    fn own_reason(&self, path: &Path, is_dir: bool) -> Option<Reason> {
        for folder in path.ancestors().skip(1).take_while(|above| above.starts_with(&self.top)) {
            let Some(rules) = self.rules(folder) else { continue };
            match rules.matched(path, is_dir) {
                Match::None => {}
                Match::Whitelist(_) => return None,
                Match::Ignore(glob) => {
                    let file = glob.from().map(Path::to_owned);
                    return Some(Reason { file, pattern: glob.original().to_owned() });
                }
            }
        }
        match self.built_in.matched(path, is_dir) {
            Match::Ignore(glob) => Some(Reason { file: None, pattern: glob.original().to_owned() }),
            Match::None | Match::Whitelist(_) => None,
        }
    }

    fn rules(&self, folder: &Path) -> Option<Arc<Gitignore>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let file = folder.join(IGNORE_FILE);
            let mut builder = GitignoreBuilder::new(folder);
            // A file that is not there says nothing, and neither does a line that is no pattern.
            let _ = file.is_file().then(|| builder.add(&file))?;
            builder.build().ok().map(Arc::new)
        };
        files.entry(folder.to_owned()).or_insert_with(read).clone()
    }
}

impl Ignores for Ignored {
    fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        self.own_reason(path, is_dir).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_file_wins_and_folders_take_along_what_is_in_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("run/deep")).expect("create");
        fs::write(at(IGNORE_FILE), "*.tmp\n/logs/\n!keep.tmp\n# words\n").expect("write");
        fs::write(at("run").join(IGNORE_FILE), "!*.tmp\n*.log\n").expect("write");
        let ignored = Ignored::below(folder.path());
        let is = |name: &str, is_dir: bool| ignored.reason(&at(name), is_dir).is_some();
        for (name, is_dir) in [
            ("a.tmp", false),
            ("logs", true),
            ("logs/x", false),
            ("run/a.log", false),
            (".git", true),
            ("d/.git/HEAD", false),
            ("run/x.incomplete", false),
        ] {
            assert!(is(name, is_dir), "{name}");
        }
        for name in ["keep.tmp", "run/a.tmp", "run/deep/b.tmp", "run/logs", "a.log", "model.safetensors"] {
            assert!(!is(name, false), "{name}");
        }
        let reason = ignored.reason(&at("a.tmp"), false).expect("left out");
        assert_eq!((reason.pattern.as_str(), reason.file), ("*.tmp", Some(at(IGNORE_FILE))));
    }
}
