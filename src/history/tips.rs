//! What the tips of branches have of large files: the plain copies that are wanted again.

use super::error::Result;
use super::repository::{Repo, WhileOpen};
use super::take_in::recorded_hash;
use super::tree::{Entry, Node};
use super::tree_walk::TreeWalk;
use crate::id::CommitId;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// So many entries of trees are looked at, of all branches together: this only decides which copies go first.
const ENTRIES_MAX: usize = 100_000;

/// The hashes of what the tips of branches name, as of the last time that somebody asked.
#[derive(Default)]
struct Tips(Mutex<(Vec<CommitId>, HashSet<[u8; 32]>)>);

/// Lets plain copies of what branches name stay longer than others: they are read again. For who reads much, or for long.
pub fn prefer_tips(repo: &Repo) {
    let (tips, held) = (Tips::default(), WhileOpen::of(repo));
    repo.plain().prefer(move || held.get().map(|repo| tips.contents(&repo)).unwrap_or_default());
}

impl Tips {
    /// The BLAKE3 of files at the tips that may have a copy. What cannot be read is missing.
    fn contents(&self, repo: &Repo) -> HashSet<[u8; 32]> {
        let Ok(branches) = repo.refs().each_branch() else { return HashSet::new() };
        let tips: Vec<CommitId> = branches.into_iter().filter_map(|(_, tip)| tip.ok()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != tips {
            *known = (tips.clone(), contents(repo, &tips));
        }
        known.1.clone()
    }
}

fn contents(repo: &Repo, tips: &[CommitId]) -> HashSet<[u8; 32]> {
    let below = |tip: &CommitId| Some(TreeWalk::below(repo, repo.commit(*tip).ok()?.tree));
    let entries = tips.iter().filter_map(below).flat_map(|walk| walk.map_while(Result::ok)).take(ENTRIES_MAX);
    let recipes = entries.filter_map(|(_, Entry { node, .. })| match node {
        Node::File { recipe, len } if repo.plain().takes(len) => Some(recipe),
        Node::File { .. } | Node::Dir(_) | Node::Symlink(_) => None,
    });
    let recipes: HashSet<_> = recipes.collect();
    recipes.into_iter().filter_map(|recipe| recorded_hash(repo, recipe).ok()).collect()
}
