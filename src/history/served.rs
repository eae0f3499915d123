//! Writing the store anew for those who read: what branches and tags show becomes shallow.

use super::commit_graph::CommitGraph;
use super::error::Result;
use super::repository::Repo;
use super::tree::Node;
use crate::codec::Level;
use crate::id::{ObjectKey, TreeId};
use crate::store::{Repack, Repacked, Treatment};
use crate::task::Task;
use std::collections::{HashMap, HashSet};

/// Writes all objects into one pack. What the tips of branches and the tags show is read with at most
/// `served_depth` differences undone; everything else stays as it is coded unless a `level` is given, at which all
/// is coded anew. Of some objects something is said, which is stronger.
///
/// # Errors
/// [`StoreError::Busy`](crate::store::StoreError::Busy) if another repack is running, or if anything is damaged.
/// After any error every object is where it was.
pub fn repack(
    repo: &Repo,
    served_depth: u8,
    level: Option<Level>,
    treatments: HashMap<ObjectKey, Treatment>,
    task: &Task,
) -> Result<Repacked> {
    let request = Repack { served: served(repo)?, served_depth, level, treatments };
    let done = repo.store().repack(&request, task)?;
    // For speed only, and nothing that was asked for: what goes wrong is for the next one.
    let _ = CommitGraph::of(repo).write(task);
    Ok(done)
}

/// The objects of the files that the tips of branches and the tags show.
fn served(repo: &Repo) -> Result<HashSet<ObjectKey>> {
    let branches = repo.refs().branches()?.into_iter().map(|(_, tip)| tip);
    let tags = repo.refs().tags()?.into_iter().map(|(_, tag)| tag.commit);
    let mut served = HashSet::new();
    let mut pending: Vec<TreeId> = Vec::new();
    for tip in branches.chain(tags) {
        pending.push(repo.commit(tip)?.tree);
    }
    let mut seen: HashSet<TreeId> = HashSet::new();
    while let Some(tree) = pending.pop() {
        if !seen.insert(tree) {
            continue;
        }
        for entry in repo.tree(tree)?.entries() {
            match &entry.node {
                Node::Dir(below) => pending.push(*below),
                Node::File { recipe, .. } => served.extend(repo.recipe(*recipe)?.keys()),
                Node::Symlink(_) => {}
            }
        }
    }
    Ok(served)
}
