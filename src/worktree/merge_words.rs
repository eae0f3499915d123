//! How each path of a tree of the history is merged, as its `.coralattributes` say.

use super::attributes::{ATTRIBUTES_FILE, Rule, Said, rules_of};
use crate::history::{Node, Repo, Result, TreePath};
use crate::id::TreeId;
use crate::merge::MergeWord;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// What is said of the paths of a tree. A file is read when it is first asked of a path below.
#[derive(Debug)]
pub struct MergeWords<'a> {
    repo: &'a Repo,
    tree: TreeId,
    known: RefCell<HashMap<TreePath, Rc<Vec<Rule>>>>,
}

impl<'a> MergeWords<'a> {
    /// Those that the files of a tree say.
    pub fn of(repo: &'a Repo, tree: TreeId) -> Self {
        Self { repo, tree, known: RefCell::default() }
    }

    /// What is said of a path.
    ///
    /// # Errors
    /// If a file that says something cannot be read.
    pub fn at(&self, path: &TreePath) -> Result<MergeWord> {
        let mut said = Said::default();
        for len in 0..path.names().len() {
            let folder: TreePath = path.names()[..len].iter().cloned().collect();
            let below: TreePath = path.names()[len..].iter().cloned().collect();
            for rule in self.rules(folder)?.iter().filter(|rule| rule.fits(&below)) {
                said.overlay(&rule.said);
            }
        }
        Ok(said.merge.unwrap_or(MergeWord::Usual))
    }

    fn rules(&self, folder: TreePath) -> Result<Rc<Vec<Rule>>> {
        if let Some(rules) = self.known.borrow().get(&folder) {
            return Ok(Rc::clone(rules));
        }
        let path = folder.concat(&TreePath::parse(ATTRIBUTES_FILE)?);
        let rules = match self.repo.find_in_tree(self.tree, &path)?.map(|entry| entry.node) {
            Some(Node::File { recipe, .. }) => rules_of(self.repo, recipe)?,
            Some(Node::Dir(_) | Node::Symlink(_)) | None => Vec::new(),
        };
        let rules = Rc::new(rules);
        self.known.borrow_mut().insert(folder, Rc::clone(&rules));
        Ok(rules)
    }
}
