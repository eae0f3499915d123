//! What the `.coralattributes` files of history say of the objects in it: who writes the store anew knows objects and no paths.
//!
//! Of an object that lies at several paths the heaviest level counts, and it stands for itself if it does at one of them. What one
//! derives from is looked for where branches and tags are now.

use super::attributes::{ATTRIBUTES_FILE, Rule, Said, rules_of};
use super::error::Result;
use crate::history::{Node, Repo, TreePath, Walk};
use crate::id::{ObjectKey, RecipeId, TreeId};
use crate::store::Treatment;
use crate::task::Task;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a file of attributes says to a folder below its own.
#[derive(Debug, Clone)]
struct Heard {
    file: RecipeId,
    rules: Arc<Vec<Rule>>,
    /// The folder, from the file's.
    below: TreePath,
}

/// Of which objects something is said: of those that branches and tags show, or of `all` that they reach.
///
/// # Errors
/// If history cannot be read, or the task is stopped.
pub fn treatments(repo: &Repo, all: bool, task: &Task) -> Result<HashMap<ObjectKey, Treatment>> {
    let branches = repo.refs().branches()?.into_iter().map(|(_, tip)| tip);
    let tags = repo.refs().tags()?.into_iter().map(|(_, tag)| tag.commit);
    let tips: Vec<_> = branches.chain(tags).collect();
    let mut looking = Looking { repo, files: HashMap::new(), seen: HashSet::new(), found: HashMap::new() };
    if !all {
        for tip in tips {
            looking.tree(repo.commit(tip)?.tree, task)?;
        }
        return Ok(looking.found);
    }
    for commit in Walk::new(repo, tips)? {
        looking.tree(commit?.1.tree, task)?;
    }
    Ok(looking.found)
}

struct Looking<'a> {
    repo: &'a Repo,
    files: HashMap<RecipeId, Arc<Vec<Rule>>>,
    /// Trees that were looked at, with what was said of their insides.
    seen: HashSet<(TreeId, Vec<(RecipeId, TreePath)>)>,
    found: HashMap<ObjectKey, Treatment>,
}

impl Looking<'_> {
    fn tree(&mut self, root: TreeId, task: &Task) -> Result<()> {
        let mut pending = vec![(root, TreePath::default(), Vec::<Heard>::new())];
        while let Some((tree, at, mut heard)) = pending.pop() {
            task.check().map_err(crate::history::Error::from)?;
            let known = heard.iter().map(|heard| (heard.file, heard.below.clone())).collect();
            if !self.seen.insert((tree, known)) {
                continue;
            }
            let tree = self.repo.tree(tree)?;
            let own = tree.entries().iter().find(|entry| entry.name.as_bytes() == ATTRIBUTES_FILE.as_bytes());
            if let Some(Node::File { recipe, .. }) = own.map(|entry| &entry.node) {
                let rules = self.rules(*recipe)?;
                heard.push(Heard { file: *recipe, rules, below: TreePath::default() });
            }
            for entry in tree.entries() {
                let name: TreePath = [entry.name.clone()].into_iter().collect();
                let below = |heard: &Heard| Heard { below: heard.below.concat(&name), ..heard.clone() };
                let heard = heard.iter().map(below);
                match &entry.node {
                    Node::Dir(folder) => pending.push((*folder, at.concat(&name), heard.collect())),
                    Node::File { recipe, .. } => self.file(*recipe, &at.concat(&name), heard)?,
                    Node::Symlink(_) => {}
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, recipe: RecipeId, path: &TreePath, heard: impl Iterator<Item = Heard>) -> Result<()> {
        let mut said = Said::default();
        for heard in heard {
            heard
                .rules
                .iter()
                .filter(|rule| rule.fits(&heard.below))
                .for_each(|rule| said.overlay(&rule.said));
        }
        if let Some(base) = said.base_in(self.repo, path)?.filter(|base| *base != recipe) {
            self.derived(recipe, base)?;
        }
        let treatment = said.treatment();
        if treatment.is_usual() {
            return Ok(());
        }
        for key in self.repo.recipe(recipe)?.keys() {
            let known = self.found.entry(key).or_default();
            known.level = known.level.max(treatment.level);
            known.no_delta |= treatment.no_delta;
        }
        Ok(())
    }

    /// Notes of each tensor of a file the one of its name in the file that it derives from. The first that is said counts.
    fn derived(&mut self, file: RecipeId, base: RecipeId) -> Result<()> {
        let (file, base) = (self.repo.recipe(file)?, self.repo.recipe(base)?);
        let bases: HashMap<&str, ObjectKey> =
            base.tensors().map(|(tensor, key, _)| (tensor.name.as_str(), key)).collect();
        for (tensor, key, _) in file.tensors() {
            if let Some(base) = bases.get(tensor.name.as_str()).filter(|base| **base != key) {
                self.found.entry(key).or_default().base.get_or_insert(*base);
            }
        }
        Ok(())
    }

    fn rules(&mut self, file: RecipeId) -> Result<Arc<Vec<Rule>>> {
        if let Some(rules) = self.files.get(&file) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(rules_of(self.repo, file)?);
        self.files.insert(file, Arc::clone(&rules));
        Ok(rules)
    }
}
