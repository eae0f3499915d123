//! Files that are gone here and new there, and are the same: renamed.

use crate::history::{Change, ChangeKind, DraftNode, Node, Repo, Result, TreePath};
use crate::id::{ObjectKey, RecipeId};
use std::collections::{HashMap, HashSet};

/// Gone files and new ones whose tensors are compared with each other, at most: it takes time of their product.
const COMPARED: usize = 1000;
/// The part of the bytes that are the same objects from which on a file is another one renamed.
const ALIKE: f64 = 0.5;

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// How, and what is there.
    pub change: Change,
    /// Where it was if it was renamed, and the part of it, in parts of 100, that is the same.
    pub from: Option<(TreePath, u8)>,
}

/// The same changes, with files that went and came under another name as one.
///
/// # Errors
/// If what files are made of cannot be read.
pub fn with_renames(repo: &Repo, changes: Vec<Change>) -> Result<Vec<FileChange>> {
    let plain = |change| FileChange { change, from: None };
    let file = |change: &Change, kind: ChangeKind| match (change.kind == kind, &change.old, &change.new) {
        (true, Some(entry), None) | (true, None, Some(entry)) => stored(&entry.node),
        _ => None,
    };
    let of = |kind| -> Vec<(usize, RecipeId)> {
        let numbered = changes.iter().enumerate();
        numbered.filter_map(|(at, change)| Some((at, file(change, kind)?))).collect()
    };
    let (gone, new) = (of(ChangeKind::Deleted), of(ChangeKind::Added));
    let mut found: HashMap<usize, (usize, u8)> = HashMap::new();
    let mut taken = HashSet::new();
    for &(at, recipe) in &new {
        if let Some(&(from, _)) = gone.iter().find(|(from, old)| *old == recipe && !taken.contains(from)) {
            taken.insert(from);
            found.insert(at, (from, 100));
        }
    }
    let left = |all: &[(usize, RecipeId)], is_taken: &dyn Fn(usize) -> bool| -> Vec<(usize, RecipeId)> {
        all.iter().filter(|(at, _)| !is_taken(*at)).copied().collect()
    };
    let gone = left(&gone, &|at| taken.contains(&at));
    let new = left(&new, &|at| found.contains_key(&at));
    if gone.len() * new.len() <= COMPARED {
        for (at, from, share) in alike(repo, &gone, &new)? {
            taken.insert(from);
            found.insert(at, (from, share));
        }
    }
    let joined = |(at, change): (usize, &Change)| match found.get(&at) {
        Some(&(from, share)) => {
            let change = Change { old: changes[from].old.clone(), ..change.clone() };
            FileChange { change, from: Some((changes[from].path.clone(), share)) }
        }
        None => plain(change.clone()),
    };
    Ok(changes.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(joined).collect())
}

fn stored(node: &DraftNode) -> Option<RecipeId> {
    match node {
        DraftNode::Known(Node::File { recipe, .. }) => Some(*recipe),
        DraftNode::Known(Node::Dir(_) | Node::Symlink(_)) | DraftNode::Dir(_) | DraftNode::Staged { .. } => {
            None
        }
    }
}

/// Pairs of files that have enough in common, the most alike first, each once.
fn alike(
    repo: &Repo,
    gone: &[(usize, RecipeId)],
    new: &[(usize, RecipeId)],
) -> Result<Vec<(usize, usize, u8)>> {
    let objects = |recipe: RecipeId| -> Result<HashMap<ObjectKey, u64>> {
        let recipe = repo.recipe(recipe)?;
        Ok(recipe.extents().iter().filter_map(|extent| Some((extent.key()?, extent.len()))).collect())
    };
    let read = |files: &[(usize, RecipeId)]| -> Result<Vec<_>> {
        files.iter().map(|(at, recipe)| Ok((*at, objects(*recipe)?))).collect()
    };
    let (gone, new) = (read(gone)?, read(new)?);
    let mut pairs = Vec::new();
    for (at, new) in &new {
        for (from, old) in &gone {
            let common: u64 = new.iter().filter(|(key, _)| old.contains_key(key)).map(|(_, len)| len).sum();
            let total = new.values().sum::<u64>().max(old.values().sum());
            let share = if total == 0 { 0.0 } else { common as f64 / total as f64 };
            if share >= ALIKE {
                pairs.push((*at, *from, (share * 100.0) as u8));
            }
        }
    }
    pairs.sort_by_key(|(at, from, share)| (std::cmp::Reverse(*share), *at, *from));
    let (mut ats, mut froms) = (HashSet::new(), HashSet::new());
    pairs.retain(|(at, from, _)| {
        let is_free = !ats.contains(at) && !froms.contains(from);
        if is_free {
            ats.insert(*at);
            froms.insert(*from);
        }
        is_free
    });
    Ok(pairs)
}
