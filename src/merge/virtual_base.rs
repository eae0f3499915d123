//! The tree that two commits come from. Where histories were merged crosswise there are several best ancestors: they are
//! merged with each other, and what they disagree about is as it was before them.

use super::favor::Favor;
use super::trees::{Sides, merge_trees};
use crate::history::{
    CommitGraph, DraftDir, DraftEntry, DraftNode, DraftTree, Entry, Node, Repo, Result, Tree, TreePath,
};
use crate::id::{CommitId, TreeId};
use crate::store::Ingest;
use crate::task::Task;
use std::collections::BTreeMap;

/// The tree that two commits come from, and the commits that have it, the newest first; none if the commits have nothing
/// in common, and the tree is empty.
///
/// # Errors
/// If a commit, a tree or a file cannot be read.
pub fn base_tree(
    repo: &Repo,
    (ours, theirs): (CommitId, CommitId),
    task: &Task,
) -> Result<(TreeId, Vec<CommitId>)> {
    let bases = CommitGraph::of(repo).merge_bases(ours, theirs)?;
    let Some((first, others)) = bases.split_first() else { return Ok((Tree::empty_id(), bases)) };
    let mut merged = repo.commit(*first)?.tree;
    for other in others {
        // What is before both is a best ancestor of theirs; if there are several of these as well, the newest.
        let before = CommitGraph::of(repo).merge_bases(*first, *other)?.first().copied();
        let sides = Sides { base: repo.tree_of(before)?, ours: merged, theirs: repo.commit(*other)?.tree };
        let ingest = repo.store().begin()?;
        let merge = merge_trees(repo, &ingest, sides, |_| Ok(Favor::Base.into()), task)?;
        merged = with_edits(repo, &ingest, merged, merge.edits, task)?;
        // Whoever merges upon it reads it.
        ingest.seal()?;
    }
    Ok((merged, bases))
}

/// A tree with changes, recorded by the ingest. What goes stands before what comes.
fn with_edits(
    repo: &Repo,
    ingest: &Ingest,
    tree: TreeId,
    edits: Vec<(TreePath, Option<Entry>)>,
    task: &Task,
) -> Result<TreeId> {
    if edits.is_empty() {
        return Ok(tree);
    }
    // Every directory that has something changed below it, from the top.
    let mut open: BTreeMap<TreePath, BTreeMap<crate::history::Name, DraftEntry>> = BTreeMap::new();
    for (path, entry) in edits {
        let Some((parents, name)) = path.split_last() else { continue };
        let name = name.clone();
        for len in 0..=parents.names().len() {
            let dir: TreePath = parents.names()[..len].iter().cloned().collect();
            if open.contains_key(&dir) {
                continue;
            }
            let inside = match repo.find_in_tree(tree, &dir)? {
                Some(Entry { node: Node::Dir(tree), .. }) => {
                    let tree = repo.tree(tree)?;
                    tree.entries().iter().map(|entry| (entry.name.clone(), DraftEntry::from(entry))).collect()
                }
                _ => BTreeMap::new(),
            };
            open.insert(dir, inside);
        }
        let inside = open.entry(parents).or_default();
        match entry {
            Some(entry) => {
                inside.insert(name.clone(), DraftEntry { name, ..DraftEntry::from(&entry) });
            }
            None => {
                inside.remove(&name);
            }
        }
    }
    let numbers: BTreeMap<TreePath, usize> = open.keys().cloned().zip(0..).collect();
    let mut changed: Vec<Vec<DraftEntry>> = Vec::with_capacity(open.len());
    for (dir, mut inside) in open {
        for (path, number) in
            numbers.range(dir.clone()..).skip(1).take_while(|(path, _)| path.starts_with(&dir))
        {
            let Some((parents, name)) = path.split_last() else { continue };
            if parents != dir {
                continue;
            }
            let attributes = inside.get(name).map(|entry| entry.attributes);
            let attributes = attributes.unwrap_or(crate::history::Attributes {
                mode: 0o755,
                modified: crate::units::Timestamp::EPOCH,
            });
            let node = DraftNode::Dir(DraftDir::Changed(*number));
            inside.insert(name.clone(), DraftEntry { name: name.clone(), attributes, node });
        }
        changed.push(inside.into_values().collect());
    }
    DraftTree::new(DraftDir::Changed(0), changed).record(ingest, task)
}
