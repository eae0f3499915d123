//! Which stored tensors resemble those of a file, and which stored model a file derives from.

use super::error::Result;
use super::import::{PlainFile, open_file};
use super::path::TreePath;
use super::repository::Repo;
use super::tree::Node;
use super::walk::Walk;
use crate::format;
use crate::id::{CommitId, ObjectKey, RecipeId, TreeId};
use crate::recipe::{Recipe, TensorInfo};
use crate::similarity::Signature;
use crate::store::{Slice, Source, SourceError, Store, StoreError};
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

/// The stored model that a file derives from.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The newest commit that has it.
    pub commit: CommitId,
    /// The file in it.
    pub path: TreePath,
    /// The part of the file's bytes whose tensors resemble a tensor of it: 0 to 1.
    pub covered: f64,
    /// The mean of the cosines over those bytes.
    pub cosine: f64,
}

impl Repo {
    /// The tensors of a plain file, with their signatures.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn tensors_of_file(&self, path: &Path) -> Result<Vec<Wanted>> {
        let (file, metadata) = open_file(path, 0)?;
        let source = PlainFile { file: &file, len: metadata.len() };
        let mut wanted = Vec::new();
        for part in super::ingest::propose(&source)? {
            let format::Extent::Tensor { dtype, shape, name } = part.kind else { continue };
            let slice = Slice { source: &source, offset: part.start, len: part.len };
            let signature = Store::signature_of(dtype, &slice)?;
            let tensor = TensorInfo { name, dtype, shape };
            wanted.push(Wanted { tensor, len: part.len, signature, key: None });
        }
        Ok(wanted)
    }

    /// The tensors of a stored file, with their signatures.
    ///
    /// # Errors
    /// If an object cannot be read.
    pub fn tensors_of_recipe(&self, recipe: &Recipe) -> Result<Vec<Wanted>> {
        let sign = |(tensor, key, len): (&TensorInfo, ObjectKey, u64)| {
            let signature = Store::signature_of(tensor.dtype, &Stored { store: self.store(), key, len })?;
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
        let found = self.store().similar(wanted.tensor.dtype, wanted.len, signature, count + 1)?;
        let others = found.into_iter().filter(|near| Some(near.item) != wanted.key).take(count);
        Ok(others.map(|near| Likeness { key: near.item, cosine: near.cosine, location: None }).collect())
    }

    /// Where tensors can be looked at: the newest commit of any branch or tag that has each.
    ///
    /// # Errors
    /// If history cannot be read.
    pub fn locate(&self, keys: &HashSet<ObjectKey>) -> Result<HashMap<ObjectKey, Location>> {
        let mut search = Search { repo: self, keys, found: HashMap::new(), trees: HashSet::new() };
        let mut tips: Vec<CommitId> = self.refs().branches()?.into_iter().map(|(_, id)| id).collect();
        tips.extend(self.refs().tags()?.into_iter().map(|(_, tag)| tag.commit));
        for step in Walk::new(self, tips)? {
            let (id, commit) = step?;
            search.tree(id, &TreePath::ROOT, commit.tree)?;
            if search.found.len() == keys.len() {
                break;
            }
        }
        Ok(search.found)
    }

    /// The stored models that the tensors of a file resemble, the likeliest first, with the nearest neighbour of each
    /// tensor.
    ///
    /// # Errors
    /// If packs or history cannot be read.
    pub fn lineage(&self, wanted: &[Wanted]) -> Result<(Vec<Lineage>, Vec<Option<Likeness>>)> {
        const NEIGHBOURS: usize = 8;
        let near =
            wanted.iter().map(|wanted| self.neighbours(wanted, NEIGHBOURS)).collect::<Result<Vec<_>>>()?;
        let keys = near.iter().flatten().map(|likeness| likeness.key).collect();
        let locations = self.locate(&keys)?;
        let mut models: HashMap<(CommitId, TreePath), (f64, f64)> = HashMap::new();
        for (wanted, near) in wanted.iter().zip(&near) {
            let mut voted = HashSet::new();
            for likeness in near {
                let Some(location) = locations.get(&likeness.key) else { continue };
                let model = (location.commit, location.path.clone());
                // Each tensor speaks once for a model, by the nearest of its tensors.
                if voted.insert(model.clone()) {
                    let (bytes, weighted) = models.entry(model).or_default();
                    *bytes += wanted.len as f64;
                    *weighted += wanted.len as f64 * likeness.cosine;
                }
            }
        }
        let total: f64 = wanted.iter().map(|wanted| wanted.len as f64).sum();
        let lineage = |((commit, path), (bytes, weighted))| Lineage {
            commit,
            path,
            covered: bytes / total,
            cosine: weighted / bytes,
        };
        let mut lineages: Vec<Lineage> = models.into_iter().map(lineage).collect();
        let rank = |lineage: &Lineage| lineage.covered * lineage.cosine;
        lineages.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| a.path.cmp(&b.path)));
        let nearest = near.into_iter().map(|near| {
            let first = near.into_iter().next()?;
            Some(Likeness { location: locations.get(&first.key).cloned(), ..first })
        });
        Ok((lineages, nearest.collect()))
    }
}

/// A search for tensors through history.
struct Search<'a> {
    repo: &'a Repo,
    keys: &'a HashSet<ObjectKey>,
    found: HashMap<ObjectKey, Location>,
    trees: HashSet<TreeId>,
}

impl Search<'_> {
    fn tree(&mut self, commit: CommitId, path: &TreePath, tree: TreeId) -> Result<()> {
        let mut dirs = vec![(path.clone(), tree)];
        while let Some((dir, tree)) = dirs.pop() {
            // A newer commit has all of it.
            if !self.trees.insert(tree) {
                continue;
            }
            for entry in self.repo.tree(tree)?.entries() {
                let path = dir.join(entry.name.clone());
                match &entry.node {
                    Node::Dir(below) => dirs.push((path, *below)),
                    Node::File { recipe, .. } => self.file(commit, &path, *recipe)?,
                    Node::Symlink(_) => {}
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, commit: CommitId, path: &TreePath, recipe: RecipeId) -> Result<()> {
        for (tensor, key, _) in self.repo.recipe(recipe)?.tensors() {
            if self.keys.contains(&key) && !self.found.contains_key(&key) {
                let location = Location { commit, path: path.clone(), name: tensor.name.clone() };
                self.found.insert(key, location);
            }
        }
        Ok(())
    }
}

/// A stored object as a source.
struct Stored<'a> {
    store: &'a Store,
    key: ObjectKey,
    len: u64,
}

impl Source for Stored<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        self.store.read_at(self.key, offset, buf).map_err(|error: StoreError| SourceError::new(error))
    }
}
