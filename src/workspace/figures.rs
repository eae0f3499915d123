//! Numbers of a history that people look at as pictures: what it takes, how far layers went, how weights lie, how metrics went.
//!
//! Knows no picture. Every series goes from the oldest commit to the newest.

use super::error::{Error, Result};
use super::log::LogRequest;
use super::view::{Located, View};
use super::workspace::Workspace;
use crate::compare::Wanted;
use crate::history::{Commit, DraftDir, DraftEntry, DraftNode, Node, TreePath, glob};
use crate::id::{CommitId, ObjectKey, TreeId};
use crate::store::{Source, StoreError};
use crate::task::Task;
use crate::tensor::{Difference, Histogram, Statistics};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;
/// Numbers farther from the mean than so many standard deviations are counted apart.
const DEVIATIONS: f64 = 6.0;

/// What a history takes up to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The commit.
    pub commit: CommitId,
    /// Bytes of all files of it and of all before it, each commit with plain files of its own.
    pub plain: u64,
    /// Bytes that the objects of all these take in the store.
    pub stored: u64,
}

/// How far the tensors of one kind in one layer went.
pub type Moved = BTreeMap<(String, Option<u64>), Difference>;

/// Points of a curve, from the left to the right.
pub type Points = Vec<(f64, f64)>;

/// How the numbers of a tensor lie.
#[derive(Debug, Clone)]
pub struct Lie {
    /// The file that it is in.
    pub path: TreePath,
    /// The tensor.
    pub name: String,
    /// What its numbers are like.
    pub statistics: Statistics,
    /// Where the first interval begins and the last one ends.
    pub range: (f64, f64),
    /// How many are in which interval.
    pub histogram: Histogram,
}

/// Numbers of a history.
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a>(&'a Workspace);

impl<'a> Figures<'a> {
    /// Those of this workspace's history.
    pub fn of(workspace: &'a Workspace) -> Self {
        Self(workspace)
    }

    /// What the history takes, commit by commit.
    ///
    /// # Errors
    /// As [`Workspace::log`]; if a commit cannot be read.
    pub fn storage(&self, revisions: &[String], task: &Task) -> Result<Vec<Taken>> {
        let repo = &self.0.repo;
        let (mut trees, mut files) = (HashMap::new(), HashMap::new());
        let (mut plain, mut stored, mut objects) = (0u64, 0u64, HashSet::<ObjectKey>::new());
        let mut series = Vec::new();
        for (commit, read) in self.commits(revisions)? {
            task.check().map_err(crate::history::Error::from)?;
            plain += self.weigh(read.tree, &mut trees, &mut files)?;
            for recipe in files.drain().map(|(recipe, _)| recipe) {
                for key in repo.recipe(recipe)?.keys() {
                    if objects.insert(key) {
                        stored += repo.store().info(key)?.map_or(0, |info| info.stored_len);
                    }
                }
            }
            series.push(Taken { commit, plain, stored });
        }
        Ok(series)
    }

    /// How far tensors went between two commits, by kind and layer; those of one kind and layer together. What did not change
    /// went nowhere; what is on one side only is left out.
    ///
    /// # Errors
    /// If a file cannot be read, or the task is stopped.
    pub fn moved(&self, old: &Located, new: &Located, task: &Task) -> Result<Moved> {
        let mut moved = Moved::new();
        let below = match new.entry.node {
            DraftNode::Dir(dir) => new.view.all_below(dir)?,
            DraftNode::Known(Node::Dir(tree)) => new.view.all_below(DraftDir::Unchanged(tree))?,
            _ => vec![(TreePath::ROOT, new.entry.clone())],
        };
        for (path, after) in below {
            let before = old.view.find(&old.path.concat(&path))?;
            let Some(before) = before.filter(|before| before.node.is_file()) else { continue };
            let Some(content) = new.view.content(&after.node)? else { continue };
            let names: Vec<String> = content.tensors().map(|tensor| tensor.info.name.clone()).collect();
            let differences = self.differences((&old.view, &before), (&new.view, &after), task)?;
            for name in names {
                let layer = moved.entry(layer_of(&name));
                match differences.get(&name) {
                    Some(Some(difference)) => layer.or_default().merge(difference),
                    // It cannot be told how far.
                    Some(None) => {}
                    None => drop(layer.or_default()),
                }
            }
        }
        Ok(moved)
    }

    /// The differences of tensors of a file, by name; `None` for what cannot be compared. What is not there did not change.
    fn differences(
        &self,
        (old, before): (&View, &DraftEntry),
        (new, after): (&View, &DraftEntry),
        task: &Task,
    ) -> Result<HashMap<String, Option<Difference>>> {
        let mut found = HashMap::new();
        if before.node != after.node {
            let wanted = Wanted { names: &[], numbers: true, same: false };
            let diff = self.0.views().diff_file((old, Some(before)), (new, Some(after)), wanted, task)?;
            for change in diff.tensors.tensors {
                found.insert(change.name, change.difference);
            }
        }
        Ok(found)
    }

    /// How the numbers of the tensors lie that a place names, each in so many intervals. Tensors whose numbers are no real ones
    /// are left out.
    ///
    /// # Errors
    /// If one cannot be read, or the task is stopped.
    pub fn lies(&self, located: &Located, intervals: usize, task: &Task) -> Result<Vec<Lie>> {
        let files: Vec<(TreePath, DraftEntry)> = match located.entry.node {
            DraftNode::Dir(dir) => located.view.all_below(dir)?,
            DraftNode::Known(_) | DraftNode::Staged { .. } => {
                vec![(located.path.clone(), located.entry.clone())]
            }
        };
        let pattern = located.tensor.as_deref().unwrap_or("*");
        let mut lies = Vec::new();
        for (path, entry) in files {
            let Some(content) = located.view.content(&entry.node)? else { continue };
            for tensor in content.tensors().filter(|tensor| glob(pattern, &tensor.info.name)) {
                let (dtype, bytes) = (tensor.info.dtype, content.bytes_of(&tensor));
                let mut statistics = Statistics::default();
                let mut is_real = true;
                each_piece(&bytes, task, &mut |piece| is_real = statistics.add(dtype, piece) && is_real)?;
                if !is_real || statistics.finite == 0 {
                    continue;
                }
                let range = range_of(&statistics);
                let mut histogram = Histogram::new(range.0, range.1, intervals);
                each_piece(&bytes, task, &mut |piece| {
                    histogram.add(dtype, piece);
                })?;
                let name = tensor.info.name.clone();
                lies.push(Lie { path: path.clone(), name, statistics, range, histogram });
            }
        }
        Ok(lies)
    }

    /// The values of metrics over the commits that say them, as numbers: a series for each name, over what the commits say by
    /// the name `over` if all of them that say something do, else over their number. Whether it is the former comes along.
    ///
    /// # Errors
    /// As [`Workspace::log`].
    pub fn metrics(&self, names: &[String], over: &str, revisions: &[String]) -> Result<(bool, Vec<Points>)> {
        let number = |commit: &Commit, name: &str| {
            let value: f64 = commit.metadata.get(name)?.trim().parse().ok()?;
            value.is_finite().then_some(value)
        };
        let says = |commit: &Commit| names.iter().any(|name| number(commit, name).is_some());
        let commits: Vec<(usize, Arc<Commit>)> =
            self.commits(revisions)?.into_iter().enumerate().map(|(at, (_, commit))| (at, commit)).collect();
        let saying: Vec<_> = commits.into_iter().filter(|(_, commit)| says(commit)).collect();
        let is_over = saying.iter().all(|(_, commit)| number(commit, over).is_some());
        let series = names.iter().map(|name| {
            let point = |(at, commit): &(usize, Arc<Commit>)| {
                let x = if is_over { number(commit, over)? } else { *at as f64 };
                Some((x, number(commit, name)?))
            };
            let mut points: Points = saying.iter().filter_map(point).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        });
        Ok((is_over, series.collect()))
    }

    /// The commits that lead to some revisions, the oldest first.
    fn commits(&self, revisions: &[String]) -> Result<Vec<(CommitId, Arc<Commit>)>> {
        let request =
            LogRequest { revisions: revisions.to_vec(), first_parent: true, ..LogRequest::default() };
        let mut commits = self.0.log(request)?.collect::<std::result::Result<Vec<_>, Error>>()?;
        commits.reverse();
        Ok(commits)
    }

    /// The bytes of all files below a tree. Files that were not seen before are put into `new`; trees that are known are not
    /// read again.
    fn weigh(
        &self,
        tree: TreeId,
        known: &mut HashMap<TreeId, u64>,
        new: &mut HashMap<crate::id::RecipeId, ()>,
    ) -> Result<u64> {
        // A tree stays on the stack until everything in it is known.
        let mut open = vec![tree];
        while let Some(&tree) = open.last() {
            let read = self.0.repo.tree(tree)?;
            let below = |node: &Node| match node {
                Node::Dir(below) => Some(*below),
                Node::File { .. } | Node::Symlink(_) => None,
            };
            let unknown = read.entries().iter().filter_map(|entry| below(&entry.node));
            let unknown: Vec<TreeId> = unknown.filter(|tree| !known.contains_key(tree)).collect();
            if !unknown.is_empty() && !known.contains_key(&tree) {
                open.extend(unknown);
                continue;
            }
            open.pop();
            if known.contains_key(&tree) {
                continue;
            }
            let mut sum = 0;
            for entry in read.entries() {
                match &entry.node {
                    Node::Dir(below) => sum += known[below],
                    Node::Symlink(_) => {}
                    Node::File { recipe, len } => {
                        new.insert(*recipe, ());
                        sum += len;
                    }
                }
            }
            known.insert(tree, sum);
        }
        Ok(known[&tree])
    }
}

/// Reads all of a source in pieces.
fn each_piece(bytes: &dyn Source, task: &Task, take: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut buf = vec![0; PIECE.min(bytes.len()) as usize];
    let mut at = 0;
    while at < bytes.len() {
        task.check().map_err(crate::history::Error::from)?;
        let part = (bytes.len() - at).min(PIECE) as usize;
        bytes.read_exact_at(&mut buf[..part], at).map_err(StoreError::from)?;
        take(&buf[..part]);
        at += part as u64;
    }
    Ok(())
}

/// Where the numbers of a tensor are, but for a few far outside.
fn range_of(statistics: &Statistics) -> (f64, f64) {
    let far = DEVIATIONS * statistics.standard_deviation();
    let (from, to) = (statistics.min.max(statistics.mean - far), statistics.max.min(statistics.mean + far));
    if from < to { (from, to) } else { (from - 0.5, from + 0.5) }
}

/// What kind of tensor a name is of, and of which layer: the first number in it. Other numbers, of experts say, tell kinds apart
/// no more than that.
fn layer_of(name: &str) -> (String, Option<u64>) {
    let (mut layer, mut kind) = (None, Vec::new());
    for part in name.split('.') {
        match part.parse::<u64>() {
            Ok(number) => {
                layer.get_or_insert(number);
                kind.push("*");
            }
            Err(_) => kind.push(part),
        }
    }
    (kind.join("."), layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_one_kind_are_told_apart_by_their_layers() {
        assert_eq!(layer_of("h.11.attn.weight"), ("h.*.attn.weight".into(), Some(11)));
        assert_eq!(layer_of("layers.3.experts.7.w1"), ("layers.*.experts.*.w1".into(), Some(3)));
        assert_eq!(layer_of("wte.weight"), ("wte.weight".into(), None));
    }
}
