//! Which stored tensors resemble those of a file, and which stored model a file derives from.

use super::composition::info;
use super::error::Result;
use super::path::TreePath;
use super::plain_file::{PlainFile, open_file};
use super::repository::Repo;
use super::tree::Node;
use super::walk::Walk;
use crate::id::{CommitId, ObjectKey, RecipeId, TreeId};
use crate::recipe::{Recipe, TensorInfo};
use crate::similarity::Signature;
use crate::store::{ObjectReader, Slice, Source, SourceError, Store, Watched};
use crate::task::{Task, Unit};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A tensor that neighbours are looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What its file says of it.
    pub tensor: TensorInfo,
    /// Its length in bytes.
    pub len: u64,
    /// Its signature; `None` if it has no direction to speak of.
    pub signature: Option<Signature>,
    /// The object that it is, if it is stored.
    pub key: Option<ObjectKey>,
}

/// Where a stored tensor can be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The newest commit that has it.
    pub commit: CommitId,
    /// The file.
    pub path: TreePath,
    /// Its name there.
    pub name: String,
}

/// A stored tensor that resembles another.
#[derive(Debug, Clone)]
pub struct Likeness {
    /// The object.
    pub key: ObjectKey,
    /// An estimate of the cosine of the angle between them.
    pub cosine: f64,
    /// Where it is; `None` if no commit reaches it.
    pub location: Option<Location>,
}

/// A stored model that a file may derive from: some content, under whatever names.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// Files that have it, each in the newest commit that was found with it; at least one and no more than
    /// [`Lineage::PLACES`].
    pub places: Vec<(CommitId, TreePath)>,
    /// How many more there are.
    pub more: usize,
    /// The part of the file's bytes whose tensors resemble a tensor of it: 0 to 1.
    pub covered: f64,
    /// The mean of the cosines over those bytes.
    pub cosine: f64,
}

impl Lineage {
    /// Files that are named of one model.
    pub const PLACES: usize = 16;
}

/// What in a repository resembles what.
#[derive(Debug, Clone, Copy)]
pub struct Resemblance<'a> {
    repo: &'a Repo,
}

impl<'a> Resemblance<'a> {
    /// In this repository.
    pub fn of(repo: &'a Repo) -> Self {
        Self { repo }
    }

    /// The tensors of a plain file, with their signatures.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn tensors_of_file(path: &Path, task: &Task) -> Result<Vec<Wanted>> {
        let (file, metadata) = open_file(path, 0)?;
        let plain = PlainFile { file: &file, len: metadata.len() };
        let source = Watched { source: &plain, task, meter: None };
        let signed = task.begin("signing", Unit::Tensors, None);
        let mut wanted = Vec::new();
        for found in super::take_in::propose(&source)?.tensors {
            let (offset, len) = (found.start, found.len);
            let slice = Slice { source: &source, offset, len };
            let signature = Store::signature_of(found.dtype, &slice)?;
            signed.advance(1);
            wanted.push(Wanted { tensor: info(found), len, signature, key: None });
        }
        Ok(wanted)
    }

    /// The tensors of a stored file, with their signatures.
    ///
    /// # Errors
    /// If an object cannot be read.
    pub fn tensors_of_recipe(&self, recipe: &Recipe, task: &Task) -> Result<Vec<Wanted>> {
        let signed = task.begin("signing", Unit::Tensors, Some(recipe.tensors().count() as u64));
        let sign = |(tensor, key, len): (&TensorInfo, ObjectKey, u64)| {
            let stored = Stored(self.repo.store().reader(key)?);
            let source = Watched { source: &stored, task, meter: None };
            let signature = Store::signature_of(tensor.dtype, &source)?;
            signed.advance(1);
            Ok(Wanted { tensor: tensor.clone(), len, signature, key: Some(key) })
        };
        recipe.tensors().map(sign).collect()
    }

    /// The stored tensors nearest to a tensor, the nearest first, without itself.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    pub fn neighbours(&self, wanted: &Wanted, count: usize) -> Result<Vec<Likeness>> {
        let Some(signature) = &wanted.signature else { return Ok(Vec::new()) };
        let found = self.repo.store().similar(wanted.tensor.dtype, wanted.len, signature, count + 1)?;
        let others = found.into_iter().filter(|near| Some(near.item) != wanted.key).take(count);
        Ok(others.map(|near| Likeness { key: near.item, cosine: near.cosine, location: None }).collect())
    }

    /// Where tensors can be looked at: the newest commit of any branch or tag that has each.
    ///
    /// # Errors
    /// If history cannot be read.
    pub fn locate(&self, keys: &HashSet<ObjectKey>, task: &Task) -> Result<HashMap<ObjectKey, Location>> {
        Ok(Search::run(self.repo, keys, task)?.locations)
    }

    /// The stored models that the tensors of a file resemble, the likeliest first, with the nearest neighbour of each
    /// tensor. A tensor speaks for every file of a branch's or tag's commit that has it; for those of older commits only if
    /// it is in no such file.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    pub fn lineage(&self, wanted: &[Wanted], task: &Task) -> Result<(Vec<Lineage>, Vec<Option<Likeness>>)> {
        const NEIGHBOURS: usize = 8;
        let compared = task.begin("comparing", Unit::Tensors, Some(wanted.len() as u64));
        let compare = |wanted| {
            task.check()?;
            compared.advance(1);
            self.neighbours(wanted, NEIGHBOURS)
        };
        let near = wanted.iter().map(compare).collect::<Result<Vec<_>>>()?;
        let keys = near.iter().flatten().map(|likeness| likeness.key).collect();
        let Search { models, holders, locations, .. } = Search::run(self.repo, &keys, task)?;
        let mut votes = vec![(0.0, 0.0); models.len()];
        for (wanted, near) in wanted.iter().zip(&near) {
            let mut voted = HashSet::new();
            for likeness in near {
                // Each tensor speaks once for a model, by the nearest of its tensors.
                for model in holders.get(&likeness.key).into_iter().flatten().filter(|at| voted.insert(**at))
                {
                    let (bytes, weighted) = &mut votes[*model];
                    *bytes += wanted.len as f64;
                    *weighted += wanted.len as f64 * likeness.cosine;
                }
            }
        }
        let total: f64 = wanted.iter().map(|wanted| wanted.len as f64).sum();
        let lineage = |(Model { places, more }, (bytes, weighted)): (Model, (f64, f64))| Lineage {
            places,
            more,
            covered: bytes / total,
            cosine: weighted / bytes,
        };
        let mut lineages: Vec<Lineage> = models.into_iter().zip(votes).map(lineage).collect();
        let rank = |lineage: &Lineage| lineage.covered * lineage.cosine;
        lineages.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| a.places[0].1.cmp(&b.places[0].1)));
        let nearest = near.into_iter().map(|near| {
            let first = near.into_iter().next()?;
            Some(Likeness { location: locations.get(&first.key).cloned(), ..first })
        });
        Ok((lineages, nearest.collect()))
    }
}

/// Directories that are gone through once more in a commit because they are at several places in it.
const REPEATS: usize = 1000;

/// The files of one content that has some of the tensors.
struct Model {
    places: Vec<(CommitId, TreePath)>,
    more: usize,
}

/// A search for tensors through history.
struct Search<'a> {
    repo: &'a Repo,
    keys: &'a HashSet<ObjectKey>,
    /// Where each was found first.
    locations: HashMap<ObjectKey, Location>,
    /// Contents that have some of them.
    models: Vec<Model>,
    /// Which of those have it.
    holders: HashMap<ObjectKey, Vec<usize>>,
    /// Contents that were looked into: which model each is, if it has any of the tensors.
    recipes: HashMap<RecipeId, Option<usize>>,
    /// Directories that newer commits have.
    trees: HashSet<TreeId>,
}

impl<'a> Search<'a> {
    /// Goes through what branches and tags have, and further back while something was not found.
    fn run(repo: &'a Repo, keys: &'a HashSet<ObjectKey>, task: &Task) -> Result<Self> {
        let searched = task.begin("searching", Unit::Commits, None);
        let mut search = Search {
            repo,
            keys,
            locations: HashMap::new(),
            models: Vec::new(),
            holders: HashMap::new(),
            recipes: HashMap::new(),
            trees: HashSet::new(),
        };
        let mut tips: HashSet<CommitId> = repo.refs().branches()?.into_iter().map(|(_, id)| id).collect();
        tips.extend(repo.refs().tags()?.into_iter().map(|(_, tag)| tag.commit));
        for step in Walk::new(repo, tips.iter().copied())? {
            task.check()?;
            searched.advance(1);
            let (id, commit) = step?;
            let has_all = search.locations.len() == keys.len();
            if tips.remove(&id) || !has_all {
                search.tree(id, commit.tree)?;
            } else if tips.is_empty() {
                break;
            }
        }
        Ok(search)
    }

    fn tree(&mut self, commit: CommitId, tree: TreeId) -> Result<()> {
        let mut here = HashSet::new();
        let mut repeats = 0;
        let mut dirs = vec![(TreePath::ROOT, tree)];
        while let Some((dir, tree)) = dirs.pop() {
            // A newer commit has all of it.
            if self.trees.contains(&tree) {
                continue;
            }
            if !here.insert(tree) {
                repeats += 1;
                if repeats > REPEATS {
                    continue;
                }
            }
            for entry in self.repo.tree(tree)?.entries() {
                let path = dir.join(entry.name.clone());
                match &entry.node {
                    Node::Dir(below) => dirs.push((path, *below)),
                    Node::File { recipe, .. } => self.file(commit, path, *recipe)?,
                    Node::Symlink(_) => {}
                }
            }
        }
        self.trees.extend(here);
        Ok(())
    }

    fn file(&mut self, commit: CommitId, path: TreePath, recipe: RecipeId) -> Result<()> {
        let model = match self.recipes.get(&recipe) {
            Some(known) => *known,
            None => {
                let model = self.look_into(commit, &path, recipe)?;
                self.recipes.insert(recipe, model);
                model
            }
        };
        if let Some(Model { places, more }) = model.map(|at| &mut self.models[at])
            && places.iter().all(|(_, known)| *known != path)
        {
            match places.len() < Lineage::PLACES {
                true => places.push((commit, path)),
                false => *more += 1,
            }
        }
        Ok(())
    }

    /// Notes which of the tensors a content has; the model that it is then.
    fn look_into(&mut self, commit: CommitId, path: &TreePath, recipe: RecipeId) -> Result<Option<usize>> {
        let model = self.models.len();
        let mut has_any = false;
        for (tensor, key, _) in
            self.repo.recipe(recipe)?.tensors().filter(|(_, key, _)| self.keys.contains(key))
        {
            has_any = true;
            let holders = self.holders.entry(key).or_default();
            if holders.last() != Some(&model) {
                holders.push(model);
            }
            self.locations.entry(key).or_insert_with(|| Location {
                commit,
                path: path.clone(),
                name: tensor.name.clone(),
            });
        }
        if has_any {
            self.models.push(Model { places: Vec::new(), more: 0 });
        }
        Ok(has_any.then_some(model))
    }
}

/// A stored object as a source.
struct Stored(ObjectReader);

impl Source for Stored {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        self.0.read_at(offset, buf).map_err(SourceError::new)
    }
}
