//! The part of a worktree that is meant, upon what was there before: the tree of a commit that takes some paths only.
//!
//! Directories are walked in a loop, each before those in it; what neither has nor means anything of is taken as it was.

use super::error::{Error, Result};
use super::snapshot::Snapshot;
use super::worktree::Worktree;
use crate::history::{self, DraftDir, DraftEntry, DraftNode, DraftTree, Name, Repo, TreePath, nearest_path};
use crate::id::TreeId;
use std::collections::{BTreeMap, VecDeque};

/// A directory whose entries are not chosen yet.
struct Pending {
    path: TreePath,
    /// What was there.
    before: Option<TreeId>,
    /// What is there now.
    now: Option<DraftDir>,
}

/// A directory whose entries are chosen.
#[derive(Default)]
struct Chosen {
    entries: Vec<DraftEntry>,
    /// Whether it stays although nothing is in it: it was there, or is meant itself.
    stays: bool,
}

/// The tree `before` with what `now` has at and below `only`, also if that is nothing. A path that neither has changes nothing.
pub(super) fn part(repo: &Repo, before: TreeId, now: &DraftTree, only: &[TreePath]) -> Result<DraftTree> {
    let is_meant = |path: &TreePath| only.iter().any(|meant| path.starts_with(meant));
    let is_above = |path: &TreePath| only.iter().any(|meant| meant.starts_with(path));
    let root = Pending { path: TreePath::ROOT, before: Some(before), now: Some(now.root) };
    let (mut left, mut chosen) = (VecDeque::from([root]), Vec::<Chosen>::new());
    // Directories get their numbers when they are found, in the order in which they are looked into.
    let mut found = 1;
    while let Some(Pending { path, before, now: dir }) = left.pop_front() {
        let mut entries = Vec::new();
        for (name, (old, new)) in both(repo, before, now, dir)? {
            let path = path.join(name);
            let kept = match (is_meant(&path), is_above(&path)) {
                (false, false) => old,
                (true, _) => new.clone().map(|entry| (entry, None)),
                // It is on the way to something that is meant.
                (false, true) => match (old, &new) {
                    (Some((entry, tree @ Some(_))), _) => Some((entry, tree)),
                    (_, Some(entry)) if matches!(entry.node, DraftNode::Dir(_)) => {
                        Some((entry.clone(), None))
                    }
                    (old, _) => old,
                },
            };
            let Some((mut entry, before)) = kept else { continue };
            let is_looked_into = is_meant(&path) || is_above(&path);
            let now = new.as_ref().and_then(|entry| match entry.node {
                DraftNode::Dir(dir) => Some(dir),
                DraftNode::Known(_) | DraftNode::Staged { .. } => None,
            });
            if let (DraftNode::Dir(_), true) = (&entry.node, is_looked_into) {
                entry.node = DraftNode::Dir(DraftDir::Changed(found));
                found += 1;
                left.push_back(Pending { path, before, now });
            }
            entries.push(entry);
        }
        let stays = before.is_some() || is_meant(&path);
        chosen.push(Chosen { entries, stays });
    }
    Ok(DraftTree::new(DraftDir::Changed(0), without_empty(chosen)))
}

impl Snapshot {
    /// That each of some paths is one, in the worktree or in the commit before.
    ///
    /// # Errors
    /// [`UnknownPath`](history::Error::UnknownPath) of the first that is none.
    pub fn check_known(&self, worktree: &Worktree, paths: &[TreePath]) -> Result<()> {
        let repo = worktree.repo();
        let base = repo.tree_of(self.base)?;
        for path in paths {
            // What is being written for the first time is in neither tree.
            let is_known = self.tree.find(path, repo)?.is_some()
                || repo.find_in_tree(base, path)?.is_some()
                || worktree.names().resolve(path)?.is_some();
            if !is_known {
                return Err(Error::History(history::Error::UnknownPath {
                    path: path.clone(),
                    place: format!("the worktree of {}", worktree.branch()),
                    nearest: nearest_path(repo, base, path)?,
                }));
            }
        }
        Ok(())
    }
}

/// What was and is in a directory, by name; of what was also the tree, if it is one.
type Both = BTreeMap<Name, (Option<(DraftEntry, Option<TreeId>)>, Option<DraftEntry>)>;

fn both(repo: &Repo, before: Option<TreeId>, now: &DraftTree, dir: Option<DraftDir>) -> Result<Both> {
    let mut both = Both::new();
    if let Some(before) = before {
        for entry in repo.tree(before)?.entries().iter().map(DraftEntry::from) {
            let tree = match entry.node {
                DraftNode::Dir(DraftDir::Unchanged(tree)) => Some(tree),
                DraftNode::Dir(DraftDir::Changed(_)) | DraftNode::Known(_) | DraftNode::Staged { .. } => None,
            };
            let name = entry.name.clone();
            both.entry(name).or_default().0 = Some((entry, tree));
        }
    }
    if let Some(dir) = dir {
        for entry in now.entries(dir, repo)? {
            let name = entry.name.clone();
            both.entry(name).or_default().1 = Some(entry);
        }
    }
    Ok(both)
}

/// Takes directories away that came with nothing in them that is meant. Those in a directory come behind it.
fn without_empty(mut chosen: Vec<Chosen>) -> Vec<Vec<DraftEntry>> {
    for number in (0..chosen.len()).rev() {
        let mut entries = std::mem::take(&mut chosen[number].entries);
        entries.retain(|entry| match entry.node {
            DraftNode::Dir(DraftDir::Changed(below)) => {
                chosen[below].stays || !chosen[below].entries.is_empty()
            }
            DraftNode::Dir(DraftDir::Unchanged(_)) | DraftNode::Known(_) | DraftNode::Staged { .. } => true,
        });
        chosen[number].entries = entries;
    }
    chosen.into_iter().map(|chosen| chosen.entries).collect()
}
