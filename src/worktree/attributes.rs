//! What `.coralattributes` files say of paths: how hard to try when a file is stored, whether it may be a difference, and to what;
//! how it is merged.
//!
//! A file holds for its folder and what is below; of several lines that fit, and of several files, the last and the nearest win.
//! They are read from a tree of the worktree, once each. What they say changes how bytes are stored and never what they are, so that
//! a line that means nothing is passed over here and told by whoever asks for it.

use super::error::Result;
use super::worktree::Worktree;
use crate::codec::Level;
use crate::history::{self, DraftTree, FileContent, Node, Repo, TreePath, glob};
use crate::id::RecipeId;
use crate::merge::MergeWord;
use crate::store::Treatment;
use crate::units::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the files.
pub const ATTRIBUTES_FILE: &str = ".coralattributes";
/// Longer ones are not read, in bytes.
const LONGEST: u64 = 256 << 10;

/// What is said of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// How hard to try for a smaller store: `level=max`.
    pub level: Option<Level>,
    /// Whether it may be stored as a difference: `-delta`, `delta`.
    pub delta: Option<bool>,
    /// The file that it derives from: `base=REF:PATH`, `base=REF:` for the one at the same path.
    pub base: Option<String>,
    /// How it is merged where both sides changed it: `merge=ours`, `-merge`.
    pub merge: Option<MergeWord>,
    /// Words that mean nothing.
    pub unknown: Vec<String>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pattern: String,
    pub(super) said: Said,
}

/// What is said of the paths of a tree.
#[derive(Debug)]
pub struct PathAttributes<'a> {
    worktree: &'a Worktree,
    tree: &'a DraftTree,
    /// Of folders that were asked for, what their files say.
    known: Mutex<HashMap<TreePath, Arc<Vec<Rule>>>>,
}

impl<'a> PathAttributes<'a> {
    /// Those that the files of a tree say, which is one of the worktree or of its history.
    pub fn of(worktree: &'a Worktree, tree: &'a DraftTree) -> Self {
        Self { worktree, tree, known: Mutex::default() }
    }

    /// What is said of a path.
    ///
    /// # Errors
    /// If a file that says something cannot be read.
    pub fn at(&self, path: &TreePath) -> Result<Said> {
        let mut said = Said::default();
        for len in 0..path.names().len() {
            let folder: TreePath = path.names()[..len].iter().cloned().collect();
            let below: TreePath = path.names()[len..].iter().cloned().collect();
            for rule in self.rules(folder)?.iter().filter(|rule| rule.fits(&below)) {
                said.overlay(&rule.said);
            }
        }
        Ok(said)
    }

    /// What the file in a folder says.
    fn rules(&self, folder: TreePath) -> Result<Arc<Vec<Rule>>> {
        if let Some(rules) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&folder) {
            return Ok(Arc::clone(rules));
        }
        let path = folder.concat(&TreePath::parse(ATTRIBUTES_FILE)?);
        let content = match self.tree.find(&path, self.worktree.repo())? {
            Some(entry) => self.worktree.content(&entry.node)?,
            None => None,
        };
        let text = match content {
            Some(content) => content.read_short(LONGEST)?.and_then(|bytes| String::from_utf8(bytes).ok()),
            None => None,
        };
        let rules = Arc::new(parse(&text.unwrap_or_default()));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(folder, Arc::clone(&rules));
        Ok(rules)
    }

    /// The file that one derives from by what is said of it; `None` if nothing is, or there is none.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn base_of(&self, said: &Said, path: &TreePath) -> Result<Option<RecipeId>> {
        Ok(said.base_in(self.worktree.repo(), path)?)
    }
}

impl Said {
    /// How a file of which this is said is stored.
    pub fn treatment(&self) -> Treatment {
        Treatment { level: self.level, no_delta: self.delta == Some(false), base: None }
    }

    /// The file that the one at a path derives from; `None` if nothing is said of that, or there is none.
    pub(super) fn base_in(&self, repo: &Repo, path: &TreePath) -> history::Result<Option<RecipeId>> {
        let Some((revision, at)) = self.base.as_deref().and_then(|base| base.split_once(':')) else {
            return Ok(None);
        };
        // What no tree can have is not there.
        let at = match TreePath::parse(at) {
            Ok(_) if at.is_empty() => path.clone(),
            Ok(at) => at,
            Err(_) => return Ok(None),
        };
        // A ref that is gone is no reason not to store something.
        let Ok(commit) = repo.resolve(revision, Timestamp::EPOCH) else { return Ok(None) };
        Ok(match repo.find_in_tree(repo.commit(commit)?.tree, &at)?.map(|entry| entry.node) {
            Some(Node::File { recipe, .. }) => Some(recipe),
            Some(Node::Dir(_) | Node::Symlink(_)) | None => None,
        })
    }

    /// Whether nothing is said.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn overlay(&mut self, next: &Self) {
        self.level = next.level.or(self.level);
        self.delta = next.delta.or(self.delta);
        self.base = next.base.clone().or(self.base.take());
        self.merge = next.merge.or(self.merge);
        self.unknown.extend(next.unknown.iter().cloned());
    }

    fn add(&mut self, word: &str) {
        match (word, word.split_once('=')) {
            ("delta" | "delta=true", _) => self.delta = Some(true),
            ("-delta" | "delta=false" | "no-delta" | "nodelta", _) => self.delta = Some(false),
            (_, Some(("base", base))) if base.contains(':') => self.base = Some(base.to_owned()),
            (_, Some(("level", level))) if Level::from_name(level).is_ok() => {
                self.level = Level::from_name(level).ok()
            }
            ("merge", _) => self.merge = Some(MergeWord::Usual),
            ("-merge", _) => self.merge = Some(MergeWord::Binary),
            (_, Some(("merge", name))) if MergeWord::from_name(name).is_some() => {
                self.merge = MergeWord::from_name(name);
            }
            _ => self.unknown.push(word.to_owned()),
        }
    }
}

impl Rule {
    /// Whether a line means a path below its folder: by its name, or by all of it if the pattern has a slash.
    pub(super) fn fits(&self, below: &TreePath) -> bool {
        match self.pattern.contains('/') {
            true => glob(self.pattern.trim_start_matches('/'), &below.to_string()),
            false => below.names().iter().any(|name| glob(&self.pattern, &name.to_string())),
        }
    }
}

/// The lines of a file of the history. One that is no text, or too long for one, has none.
pub(super) fn rules_of(repo: &Repo, file: RecipeId) -> history::Result<Vec<Rule>> {
    let bytes = FileContent::of(repo, file)?.read_short(LONGEST)?;
    Ok(parse(&bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()))
}

/// The lines of a file.
fn parse(text: &str) -> Vec<Rule> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rule = |line: &str| {
        let mut words = line.split_whitespace();
        let pattern = words.next().unwrap_or_default().to_owned();
        let mut said = Said::default();
        words.for_each(|word| said.add(word));
        Rule { pattern, said }
    };
    lines.map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_fits_wins() {
        let rules =
            parse("# mine\n*.safetensors level=max base=main:\nlogs/* -delta level=fast\n\n/top delta odd\n");
        let path = |text: &str| TreePath::parse(text).expect("valid");
        let said = |text: &str| {
            let mut said = Said::default();
            rules.iter().filter(|rule| rule.fits(&path(text))).for_each(|rule| said.overlay(&rule.said));
            said
        };
        let model = said("a/m.safetensors");
        assert_eq!(
            (model.level, model.base.as_deref(), model.delta),
            (Some(Level::Max), Some("main:"), None)
        );
        let log = said("logs/x.safetensors");
        assert_eq!((log.level, log.delta), (Some(Level::Fast), Some(false)));
        assert_eq!(log.treatment(), Treatment { level: Some(Level::Fast), no_delta: true, base: None });
        assert_eq!((said("top").delta, said("top").unknown), (Some(true), vec!["odd".to_owned()]));
        assert!(said("x/top").is_nothing() && said("b").is_nothing());
        let rules = parse("* merge=union\n*.bin -merge\nx.bin merge merge=odd\n");
        let said = |text: &str| {
            let mut said = Said::default();
            rules.iter().filter(|rule| rule.fits(&path(text))).for_each(|rule| said.overlay(&rule.said));
            (said.merge, said.unknown)
        };
        assert_eq!(said("a"), (Some(MergeWord::Union), Vec::new()));
        assert_eq!(said("a.bin"), (Some(MergeWord::Binary), Vec::new()));
        assert_eq!(said("x.bin"), (Some(MergeWord::Usual), vec!["merge=odd".to_owned()]));
    }
}
