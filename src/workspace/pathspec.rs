//! Paths as somebody means several at once: everything below some, those that a pattern fits, tensors of a file.

use super::kinds::ChangeKinds;
use crate::history::{self, DraftEntry, DraftNode, FileContent, Node, Repo, TreePath, glob};
use crate::id::TreeId;

/// Which paths are meant; all, if none was named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pathspec {
    pub(super) specs: Vec<Spec>,
    /// Patterns of the names of tensors; all, if there is none.
    pub tensors: Vec<String>,
    /// Which changes of these paths are meant, for who looks for changes.
    pub kinds: ChangeKinds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spec {
    /// A path and everything below it.
    Below(TreePath),
    /// What a pattern fits: a whole path, or one of the folders above it.
    Glob(String),
}

impl Pathspec {
    /// Those at or below some paths.
    pub fn below(paths: impl IntoIterator<Item = TreePath>) -> Self {
        Self { specs: paths.into_iter().map(Spec::Below).collect(), ..Self::default() }
    }

    /// The one path that it means, with everything below it, if that is all that was said.
    pub fn only(&self) -> Option<&TreePath> {
        match self.specs.as_slice() {
            [Spec::Below(path)] if !path.is_root() => Some(path),
            _ => None,
        }
    }

    /// Whether it means everything.
    pub fn is_all(&self) -> bool {
        self.specs.is_empty()
    }

    /// Whether two trees differ in what is meant.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn differs(&self, repo: &Repo, old: TreeId, new: TreeId) -> history::Result<bool> {
        if old == new {
            return Ok(false);
        }
        if !self.tensors.is_empty() {
            let changes = repo.diff_trees(old, new)?;
            let mut meant = changes.iter().filter(|change| self.means(&change.path));
            return meant.try_fold(false, |found, change| Ok(found || self.tensors_differ(repo, change)?));
        }
        let mut patterns = false;
        for spec in &self.specs {
            match spec {
                Spec::Below(path) => {
                    let node = |tree| {
                        Ok(repo.find_in_tree(tree, path)?.map(|entry| (entry.node, entry.attributes.mode)))
                    };
                    let (old, new): (Result<_, history::Error>, _) = (node(old), node(new));
                    if old? != new? {
                        return Ok(true);
                    }
                }
                Spec::Glob(_) => patterns = true,
            }
        }
        let is_meant = |change: &history::Change| self.means(&change.path);
        Ok(patterns && repo.diff_trees(old, new)?.iter().any(is_meant))
    }

    /// Whether tensors that are meant differ in a file of the history.
    fn tensors_differ(&self, repo: &Repo, change: &history::Change) -> history::Result<bool> {
        let content = |entry: &Option<DraftEntry>| match entry.as_ref().map(|entry| &entry.node) {
            Some(DraftNode::Known(Node::File { recipe, .. })) => FileContent::of(repo, *recipe).map(Some),
            _ => Ok(None),
        };
        let tensors = |file: &Option<FileContent>| {
            let all = file.iter().flat_map(FileContent::tensors);
            let meant = all.filter(|tensor| self.tensors.iter().any(|name| glob(name, &tensor.info.name)));
            meant.map(|tensor| (tensor.info.clone(), tensor.key)).collect::<Vec<_>>()
        };
        let (mut old, mut new) = (tensors(&content(&change.old)?), tensors(&content(&change.new)?));
        // Where they stand in the file does not matter.
        [&mut old, &mut new].into_iter().for_each(|all| all.sort_by(|a, b| a.0.name.cmp(&b.0.name)));
        Ok(old != new)
    }

    /// Whether a path is meant.
    pub fn means(&self, path: &TreePath) -> bool {
        self.specs.is_empty() || self.specs.iter().any(|spec| spec.means(path))
    }
}

impl Spec {
    fn means(&self, path: &TreePath) -> bool {
        match self {
            Spec::Below(above) => path.starts_with(above),
            Spec::Glob(pattern) => {
                let names = path.names();
                let upto = |len: usize| names[..len].iter().cloned().collect::<TreePath>().to_string();
                (1..=names.len()).any(|len| glob(pattern, &upto(len)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_a_path_or_a_folder_above_it() {
        let path = |text: &str| TreePath::parse(text).expect("valid");
        let spec = |spec| Pathspec { specs: vec![spec], ..Pathspec::default() };
        let pattern = spec(Spec::Glob("run-?/*.txt".into()));
        assert!(pattern.means(&path("run-1/a.txt")) && pattern.means(&path("run-2/a.txt/b")));
        assert!(!pattern.means(&path("run-10/a.txt")) && !pattern.means(&path("a.txt")));
        let below = Pathspec::below([path("run")]);
        assert!(below.means(&path("run/a")) && below.means(&path("run")) && !below.means(&path("runs/a")));
        assert!(Pathspec::default().means(&path("x")) && Pathspec::default().is_all());
    }
}
