//! Which commit last changed each tensor, or each line, of a file.
//!
//! From the commit that is asked about, what is the same in a parent is the parent's affair, and so on; what is in no parent was
//! made by the commit where it is found. Of tensors only keys are compared, so that nothing is read.

use super::error::{Error, Result};
use super::row_blocks::{RowBlocks, Rows};
use super::view::Located;
use super::workspace::Workspace;
use crate::compare::same_lines;
use crate::history::{Entry, FileContent, Node, TreePath, glob};
use crate::id::{CommitId, RecipeId};
use crate::task::Task;
use crate::units::Timestamp;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// Texts that are gone through line by line are at most so long, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// A piece of a file with the commit that made it what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blamed {
    /// The name of the tensor, or the line.
    pub piece: String,
    /// The commit.
    pub commit: CommitId,
}

/// What a version of a file consists of.
enum Pieces {
    /// Names of tensors with their keys.
    Tensors(Vec<(String, crate::id::ObjectKey)>),
    Lines(Vec<u8>),
    /// Something else: one piece.
    Whole(RecipeId),
}

/// Pieces whose origin is looked for in a commit: which one of those asked about, and which one there.
pub(super) type Sought = Vec<(usize, usize)>;

impl Workspace {
    /// Tells of each tensor, or each line, of a file which commit last changed it; with `rows`, of each block of so many rows of its
    /// tensors.
    ///
    /// # Errors
    /// [`Error::NoFile`] for what is no file of a commit; [`Error::TooManyBlocks`]; if history cannot be read.
    pub fn blame(&self, found: &Located, rows: Option<Rows>, task: &Task) -> Result<Vec<Blamed>> {
        let not_a_file = || Error::NoFile(found.path.clone());
        let start = found.view.commit().ok_or_else(not_a_file)?;
        let mut versions = Versions { workspace: self, known: HashMap::new() };
        let start = Version { commit: start, path: found.path.clone() };
        let is_asked = |name: &str| found.tensor.as_ref().is_none_or(|pattern| glob(pattern, name));
        if let Some(rows) = rows {
            let recipe = versions.recipe(&start)?.ok_or_else(not_a_file)?;
            let blocks = RowBlocks::of(&self.repo, recipe, rows, is_asked)?;
            let asked = (0..blocks.len()).map(|at| (at, at)).collect();
            let pass =
                |versions: &mut Versions<'_>, here: &Version, there: &Version, left: &mut Sought| match (
                    versions.recipe(here)?,
                    versions.recipe(there)?,
                ) {
                    (here, there) if here == there => Ok(std::mem::take(left)),
                    (Some(here), Some(there)) => blocks.pass(&self.repo, (here, there), left, task),
                    (None, _) | (_, None) => Ok(Vec::new()),
                };
            let blamed = trace(&mut versions, start, asked, pass, task)?;
            return Ok(rows_of(blamed, |at| blocks.name(at)));
        }
        let names = {
            let pieces = versions.of(&start)?.ok_or_else(not_a_file)?;
            pieces.names()
        };
        let asked = (0..names.len()).filter(|&at| is_asked(&names[at])).map(|at| (at, at)).collect();
        let pass = |versions: &mut Versions<'_>, here: &Version, there: &Version, left: &mut Sought| {
            versions.pass(here, there, left)
        };
        let blamed = trace(&mut versions, start, asked, pass, task)?;
        Ok(rows_of(blamed, |at| names[at].clone()))
    }
}

fn rows_of(blamed: BTreeMap<usize, CommitId>, name: impl Fn(usize) -> String) -> Vec<Blamed> {
    blamed.into_iter().map(|(at, commit)| Blamed { piece: name(at), commit }).collect()
}

/// The commit that made each piece what it is. `pass` takes out of what is sought in a version what is the same in another one,
/// as it is numbered there.
fn trace(
    versions: &mut Versions<'_>,
    start: Version,
    asked: Sought,
    mut pass: impl FnMut(&mut Versions<'_>, &Version, &Version, &mut Sought) -> Result<Sought>,
    task: &Task,
) -> Result<BTreeMap<usize, CommitId>> {
    let repo = &versions.workspace.repo;
    let mut blamed = BTreeMap::new();
    let mut turns: BinaryHeap<(Timestamp, Version)> = BinaryHeap::new();
    turns.push((repo.commit(start.commit)?.committer.time, start.clone()));
    let mut sought: HashMap<Version, Sought> = HashMap::from([(start, asked)]);
    while let Some((_, version)) = turns.pop() {
        task.check().map_err(crate::history::Error::from)?;
        let Some(mut left) = sought.remove(&version) else { continue };
        for &parent in &repo.commit(version.commit)?.parents {
            if left.is_empty() {
                break;
            }
            let before = versions.before(&version, parent)?;
            let passed = pass(versions, &version, &before, &mut left)?;
            if !passed.is_empty() {
                turns.push((repo.commit(parent)?.committer.time, before.clone()));
                sought.entry(before).or_default().extend(passed);
            }
        }
        blamed.extend(left.into_iter().map(|(at, _)| (at, version.commit)));
    }
    Ok(blamed)
}

/// A file as a commit has it, under the name that it had then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Version {
    commit: CommitId,
    path: TreePath,
}

/// The versions of a file in commits.
struct Versions<'a> {
    workspace: &'a Workspace,
    known: HashMap<RecipeId, Pieces>,
}

impl Versions<'_> {
    /// What a file was in a parent: of the same name, or of the one that it was renamed from.
    fn before(&self, version: &Version, parent: CommitId) -> Result<Version> {
        let commit = self.workspace.repo.commit(version.commit)?;
        let from = self.workspace.views().renamed_from(&commit, parent, &version.path)?;
        Ok(Version { commit: parent, path: from.unwrap_or_else(|| version.path.clone()) })
    }

    fn recipe(&self, version: &Version) -> Result<Option<RecipeId>> {
        let repo = &self.workspace.repo;
        Ok(match repo.find_in_tree(repo.commit(version.commit)?.tree, &version.path)? {
            Some(Entry { node: Node::File { recipe, .. }, .. }) => Some(recipe),
            _ => None,
        })
    }

    fn of(&mut self, version: &Version) -> Result<Option<&Pieces>> {
        let Some(recipe) = self.recipe(version)? else { return Ok(None) };
        if !self.known.contains_key(&recipe) {
            let content = FileContent::of(&self.workspace.repo, recipe)?;
            let tensors: Vec<_> =
                content.tensors().map(|tensor| (tensor.info.name.clone(), tensor.key)).collect();
            let text = match tensors.is_empty() {
                true => content.read_short(TEXT_MAX)?.filter(|bytes| std::str::from_utf8(bytes).is_ok()),
                false => None,
            };
            let pieces = match text {
                Some(text) => Pieces::Lines(text),
                None if tensors.is_empty() => Pieces::Whole(recipe),
                None => Pieces::Tensors(tensors),
            };
            self.known.insert(recipe, pieces);
        }
        Ok(self.known.get(&recipe))
    }

    /// Takes out of `left` what is the same in a parent, as it is numbered there.
    fn pass(&mut self, version: &Version, before: &Version, left: &mut Sought) -> Result<Sought> {
        let (here, there) = (self.recipe(version)?, self.recipe(before)?);
        if here == there {
            return Ok(std::mem::take(left));
        }
        if self.of(before)?.is_none() || self.of(version)?.is_none() {
            return Ok(Vec::new());
        }
        let known = |recipe: Option<RecipeId>| recipe.and_then(|recipe| self.known.get(&recipe));
        let (Some(here), Some(there)) = (known(here), known(there)) else { return Ok(Vec::new()) };
        let same = there.same_in(here);
        let (mut passed, mut kept) = (Vec::new(), Vec::new());
        for (at, number) in std::mem::take(left) {
            match same.get(number).copied().flatten() {
                Some(other) => passed.push((at, other)),
                None => kept.push((at, number)),
            }
        }
        *left = kept;
        Ok(passed)
    }
}

impl Pieces {
    fn names(&self) -> Vec<String> {
        match self {
            Pieces::Tensors(tensors) => tensors.iter().map(|(name, _)| name.clone()).collect(),
            Pieces::Lines(text) => String::from_utf8_lossy(text).lines().map(str::to_owned).collect(),
            Pieces::Whole(_) => vec!["(the whole file)".into()],
        }
    }

    /// For each piece of a newer version the one of this version that it is, if it is one.
    fn same_in(&self, newer: &Pieces) -> Vec<Option<usize>> {
        match (self, newer) {
            (Pieces::Tensors(old), Pieces::Tensors(new)) => {
                let known: HashMap<_, usize> = old.iter().zip(0..).collect();
                new.iter().map(|tensor| known.get(tensor).copied()).collect()
            }
            (Pieces::Lines(old), Pieces::Lines(new)) => same_lines(old, new),
            (Pieces::Whole(old), Pieces::Whole(new)) if old == new => vec![Some(0)],
            _ => Vec::new(),
        }
    }
}
