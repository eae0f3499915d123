//! Which stored tensors resemble those of a file, and which stored model a file derives from.
//!
//! The same object comes before whatever resembles it. Signatures find what is near; of what they cannot tell apart, such as
//! the checkpoints of a run, a piece of each is measured, and of what is as near the nearest in history comes first.

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
use crate::store::{self, ObjectReader, Slice, Source, SourceError, Store, StoreError, Watched, content_key};
use crate::task::{Task, Unit};
use crate::tensor::{Dtype, is_real, widen};
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
    pub key: ObjectKey,
    /// A piece from its middle, by which near tensors are told apart; empty if its numbers cannot be read.
    piece: Vec<f64>,
}

/// The file of the history that is asked about, which is not its own predecessor.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The commit that it was named in, if it was.
    pub commit: Option<CommitId>,
    /// Its content.
    pub recipe: RecipeId,
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
    /// Whether it is that very object.
    pub is_same: bool,
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
    asked: Option<Asked>,
}

impl<'a> Resemblance<'a> {
    /// In this repository.
    pub fn of(repo: &'a Repo) -> Self {
        Self { repo, asked: None }
    }

    /// Of a file of the history: what is in its own content is not told, and its ancestors come before others.
    #[must_use]
    pub fn to(self, asked: Option<Asked>) -> Self {
        Self { asked, ..self }
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
            let (key, piece) =
                (content_key(&slice).map_err(StoreError::from)?, piece_of(found.dtype, &slice)?);
            wanted.push(Wanted { tensor: info(found), len, signature, key, piece });
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
            let piece = piece_of(tensor.dtype, &source)?;
            signed.advance(1);
            Ok(Wanted { tensor: tensor.clone(), len, signature, key, piece })
        };
        recipe.tensors().map(sign).collect()
    }

    /// The stored tensors nearest to a tensor, the nearest first: the same object, if it is stored, and then others.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    fn neighbours(&self, wanted: &Wanted, count: usize) -> Result<Vec<Likeness>> {
        let store = self.repo.store();
        let mut near = Vec::new();
        if store.info(wanted.key)?.is_some_and(|info| info.len == wanted.len) {
            near.push(Likeness { key: wanted.key, is_same: true, cosine: 1.0, location: None });
        }
        if let Some(signature) = &wanted.signature {
            let found = store.similar(wanted.tensor.dtype, wanted.len, signature, count.max(MEASURED) + 1)?;
            let others = found.into_iter().filter(|other| other.item != wanted.key);
            let others = others.map(|other| Likeness {
                key: other.item,
                is_same: false,
                cosine: other.cosine,
                location: None,
            });
            near.extend(self.measured(wanted, others.collect()));
        }
        near.truncate(count + 1);
        Ok(near)
    }

    /// Those that signatures hardly tell apart, by a piece of each, the nearest first. Of what cannot be read the signature
    /// counts.
    fn measured(&self, wanted: &Wanted, mut others: Vec<Likeness>) -> Vec<Likeness> {
        let best = others.first().map_or(0.0, |best| best.cosine);
        let alike = others.iter().filter(|other| best - other.cosine < TOLD_APART).count();
        if alike > 1 {
            let count = wanted.tensor.shape.iter().product::<u64>();
            for other in &mut others[..alike.min(MEASURED)] {
                if let Some(cosine) = self.cosine(wanted, other.key, count) {
                    other.cosine = cosine;
                }
            }
        }
        others.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        others
    }

    fn cosine(&self, wanted: &Wanted, other: ObjectKey, count: u64) -> Option<f64> {
        let source = Stored(self.repo.store().reader(other).ok()?);
        // It may be the same numbers in another float type.
        let width = source.len().checked_div(count).filter(|width| width * count == source.len())?;
        let dtype = match (width, wanted.tensor.dtype) {
            (width, same) if Some(source.len()) == same.byte_len(&wanted.tensor.shape) && width > 0 => same,
            (4, _) => Dtype::F32,
            (8, _) => Dtype::F64,
            _ => return None,
        };
        let piece = piece_of(dtype, &source).ok().filter(|piece| piece.len() == wanted.piece.len())?;
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            wanted.piece.iter().zip(&piece).map(|(one, other)| of(*one, *other)).sum()
        };
        let (one, two) = (sum(&|a, _| a * a), sum(&|_, b| b * b));
        // How far apart they are tells those apart whose angle rounds to none.
        let apart = sum(&|a, b| (a - b) * (a - b)) / (one * two).sqrt();
        let lengths = (one / two).sqrt();
        let cosine = (lengths + 1.0 / lengths - apart) / 2.0;
        cosine.is_finite().then_some(cosine.min(1.0))
    }

    /// The stored tensors nearest to each, the nearest first, and where each can be looked at: in the nearest ancestor of
    /// what is asked about, or else in the newest commit of any branch or tag.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    pub fn similar(&self, wanted: &[Wanted], count: usize, task: &Task) -> Result<Vec<Vec<Likeness>>> {
        let (mut near, found) = self.near(wanted, count, task)?;
        for near in &mut near {
            for likeness in near.iter_mut() {
                likeness.location = found.locations.get(&likeness.key).cloned();
            }
            // What only the file itself has is no other one.
            near.retain(|likeness| !likeness.is_same || likeness.location.is_some() || self.asked.is_none());
            near.truncate(count);
        }
        Ok(near)
    }

    fn near(&self, wanted: &[Wanted], count: usize, task: &Task) -> Result<(Vec<Vec<Likeness>>, Found)> {
        let compared = task.begin("comparing", Unit::Tensors, Some(wanted.len() as u64));
        let compare = |wanted| {
            task.check()?;
            compared.advance(1);
            self.neighbours(wanted, count)
        };
        let near = wanted.iter().map(compare).collect::<Result<Vec<_>>>()?;
        let found = Search::run(self, near.iter().flatten(), task)?;
        Ok((near, found))
    }

    /// The stored models that the tensors of a file resemble, the likeliest first, with the nearest neighbour of each
    /// tensor. A tensor speaks for every file of a branch's or tag's commit that has it; for those of older commits only if
    /// it is in no such file.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    pub fn lineage(&self, wanted: &[Wanted], task: &Task) -> Result<(Vec<Lineage>, Vec<Option<Likeness>>)> {
        const NEIGHBOURS: usize = 8;
        let (near, found) = self.near(wanted, NEIGHBOURS, task)?;
        let Found { models, holders, locations } = found;
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
        // Those that were come to first, and so are nearest in history, stay before others that are as near.
        lineages.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let nearest = near.into_iter().map(|near| {
            let is_known =
                |near: &Likeness| !near.is_same || self.asked.is_none() || locations.contains_key(&near.key);
            let first = near.into_iter().find(is_known)?;
            Some(Likeness { location: locations.get(&first.key).cloned(), ..first })
        });
        Ok((lineages, nearest.collect()))
    }
}

/// Neighbours of a tensor that are measured, at most.
const MEASURED: usize = 16;
/// Cosines that signatures estimate so near to each other are hardly told apart: a bit of 256 is 0.01 or more.
const TOLD_APART: f64 = 0.1;
/// Elements of a piece.
const PIECE: u64 = 4096;
/// Ancestors of a file that are looked through for what it did not change, and no more.
const ANCESTORS: usize = 256;

/// The numbers in the middle of a tensor; none of types whose numbers cannot be read.
fn piece_of(dtype: Dtype, source: &dyn Source) -> store::Result<Vec<f64>> {
    let width = dtype.bits() / 8;
    if !is_real(dtype) || width == 0 {
        return Ok(Vec::new());
    }
    let count = source.len() / width;
    let taken = count.min(PIECE);
    let mut bytes = vec![0; (taken * width) as usize];
    source.read_exact_at(&mut bytes, (count - taken) / 2 * width)?;
    let mut numbers = vec![0.0; taken as usize];
    widen(dtype, &bytes, &mut numbers);
    Ok(numbers)
}

/// Directories that are gone through once more in a commit because they are at several places in it.
const REPEATS: usize = 1000;

/// The files of one content that has some of the tensors.
struct Model {
    places: Vec<(CommitId, TreePath)>,
    more: usize,
}

/// What was found of tensors in history.
#[derive(Default)]
struct Found {
    /// Where each was found first.
    locations: HashMap<ObjectKey, Location>,
    /// Contents that have some of them, those nearest in history first.
    models: Vec<Model>,
    /// Which of those have it.
    holders: HashMap<ObjectKey, Vec<usize>>,
}

/// A search for tensors through history.
struct Search<'a> {
    repo: &'a Repo,
    asked: Option<Asked>,
    /// The tensors, and whether each is one that is asked about itself.
    keys: HashMap<ObjectKey, bool>,
    found: Found,
    /// How many of them were not found yet: of others, and of those that are asked about.
    missing: [usize; 2],
    /// Contents that were looked into: which model each is, if it has any of the tensors.
    recipes: HashMap<RecipeId, Option<usize>>,
    /// Directories that newer commits have.
    trees: HashSet<TreeId>,
}

impl<'a> Search<'a> {
    /// Goes through the ancestors of what is asked about, through what branches and tags have, and further back while
    /// something was not found.
    fn run<'l>(of: &Resemblance<'a>, near: impl Iterator<Item = &'l Likeness>, task: &Task) -> Result<Found> {
        let repo = of.repo;
        let searched = task.begin("searching", Unit::Commits, None);
        let keys: HashMap<ObjectKey, bool> = near.map(|likeness| (likeness.key, likeness.is_same)).collect();
        let own = keys.values().filter(|is_same| **is_same).count();
        let mut search = Search {
            repo,
            asked: of.asked,
            missing: [keys.len() - own, own],
            keys,
            found: Found::default(),
            recipes: HashMap::new(),
            trees: HashSet::new(),
        };
        if let Some(commit) = of.asked.and_then(|asked| asked.commit) {
            for step in Walk::new(repo, repo.commit(commit)?.parents.iter().copied())?.take(ANCESTORS) {
                task.check()?;
                searched.advance(1);
                let (id, commit) = step?;
                search.tree(id, commit.tree)?;
                if search.missing == [0, 0] {
                    break;
                }
            }
        }
        let mut tips: HashSet<CommitId> = repo.refs().branches()?.into_iter().map(|(_, id)| id).collect();
        let tags = repo.refs().tags()?.into_iter().filter(|(name, _)| !name.is_kept());
        tips.extend(tags.map(|(_, tag)| tag.commit));
        for (number, step) in Walk::new(repo, tips.iter().copied())?.enumerate() {
            task.check()?;
            searched.advance(1);
            let (id, commit) = step?;
            let is_missing = search.missing[0] > 0 || (search.missing[1] > 0 && number < ANCESTORS);
            if tips.remove(&id) || is_missing {
                search.tree(id, commit.tree)?;
            } else if tips.is_empty() {
                break;
            }
        }
        Ok(search.found)
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
        if let Some(Model { places, more }) = model.map(|at| &mut self.found.models[at])
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
        if self.asked.is_some_and(|asked| asked.recipe == recipe) {
            return Ok(None);
        }
        let Found { locations, models, holders } = &mut self.found;
        let model = models.len();
        let mut has_any = false;
        for (tensor, key, _) in self.repo.recipe(recipe)?.tensors() {
            let Some(is_same) = self.keys.get(&key) else { continue };
            has_any = true;
            let holders = holders.entry(key).or_default();
            if holders.last() != Some(&model) {
                holders.push(model);
            }
            locations.entry(key).or_insert_with(|| {
                self.missing[usize::from(*is_same)] -= 1;
                Location { commit, path: path.clone(), name: tensor.name.clone() }
            });
        }
        if has_any {
            models.push(Model { places: Vec::new(), more: 0 });
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
